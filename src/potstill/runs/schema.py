"""What stands in the JSON files of a run folder; `potstill.runs.shapes` checks whether it does.

Files may hold more than these types say. What earlier versions did not write is `NotRequired`.
"""

from typing import Any, NotRequired, TypedDict

Measured = dict[str, float]
"""Numbers that were measured, by name. The first one heads a summary, and more of it is better. Empty: not measured."""
Teacher = dict[str, float | None]
"""What a summary says of a teacher: ``parameters`` and ``macs``, where they were counted, and what was measured."""
Arguments = dict[str, Any]
"""What a recipe and its training were told, by name; see `Told` for those that every run has."""


class Told(TypedDict):
    """The arguments that are read by name."""

    seed: NotRequired[int | None]
    epochs: NotRequired[int | None]
    data: NotRequired[str | None]
    stage: NotRequired[str | None]


class SeenImages(TypedDict):
    """The images that a network sees, where they are not the data's: see `potstill.networks.Input`."""

    statistics: list[list[float]] | None
    size: list[int] | None


class Network(TypedDict):
    """What makes a network again: its spec, null for one made by hand; ``mean_of``: its members.

    ``source``: the run's own copy of the user's file in the spec. ``label_map``: the numbers of its classes for each
    class of the data, where these are others.
    """

    spec: NotRequired[str | None]
    classes: NotRequired[int | None]
    input: NotRequired[SeenImages | None]
    mean_of: NotRequired[list["Network"] | None]
    source: NotRequired[str | None]
    label_map: NotRequired[list[list[int]] | None]


class DataSet(TypedDict):
    """The data of a run: what its networks must be told later, and how many ``images`` each split has.

    ``digest``: of which images these are, where that is known. ``bits``: how many its 16-bit images use, if not all.
    ``several``: an image may have several labels.
    """

    name: str
    classes: NotRequired[list[str] | None]
    mean: NotRequired[list[float] | None]
    std: NotRequired[list[float] | None]
    shape: NotRequired[list[int] | None]
    images: NotRequired[dict[str, int] | None]
    digest: NotRequired[str | None]
    bits: NotRequired[int | None]
    several: NotRequired[bool | None]


class Networks(TypedDict):
    """The part of ``config.json`` that tells of networks: all that is needed to use them."""

    networks: dict[str, Network]
    data: NotRequired[DataSet | None]
    format: NotRequired[int | None]


class Segment(TypedDict):
    """A part of a run that was trained in one place by one version, from an epoch on, counted from 0."""

    epoch: int
    step: NotRequired[int | None]
    versions: dict[str, str]
    commit: NotRequired[str | None]
    device: str
    machine: NotRequired[str | None]
    threads: NotRequired[int | None]
    processes: NotRequired[int | None]
    date: NotRequired[str | None]


class Extended(TypedDict):
    """A length at which a run was to end, and went on; ``changed``: why it is not the one of its length now."""

    epochs: int
    changed: NotRequired[str | None]


class Config(Networks):
    """``config.json``; ``teachers`` holds a digest of the weights of each, ``losses`` the copies of the user's own.

    ``precision``, ``teacher_engine``: what "auto" has chosen.
    """

    recipe: str
    arguments: Arguments
    versions: dict[str, str]
    commit: NotRequired[str | None]
    device: str
    threads: NotRequired[int | None]
    teachers: NotRequired[dict[str, str] | None]
    losses: NotRequired[list[str] | None]
    precision: NotRequired[str | None]
    teacher_engine: NotRequired[str | None]
    segments: NotRequired[list[Segment] | None]
    extended: NotRequired[list[Extended] | None]


class Splits(TypedDict):
    """What was measured of a network on the test images, and on the held-out ones if there are any."""

    test: Measured
    holdout: NotRequired[Measured | None]


class Speed(TypedDict):
    """How long an epoch's steps took."""

    images_per_second: float
    seconds: float


class Trained(Speed):
    """What an epoch's training told: mean value and weight of every term, and how long it took."""

    terms: dict[str, float]
    weights: dict[str, float]


class Epoch(Trained):
    """A line of ``metrics.jsonl``."""

    epoch: int
    lr: float
    learners: dict[str, Splits]


class Reached(Splits):
    """What a learner had come to in an epoch."""

    epoch: int


class Costs(TypedDict):
    """What a network costs: its parameters, and multiply-adds for one image."""

    parameters: NotRequired[int | None]
    macs: NotRequired[int | None]


class Learner(Costs):
    """What a summary says of a learner; ``start``: before it was trained, where that was measured."""

    last: Reached
    best: Reached
    start: NotRequired[Splits | None]


class Memory(TypedDict):
    """The most memory in use: allocated on the GPU (``of`` "cuda"), or held by the "process"."""

    peak_bytes: int
    of: str


class Processes(TypedDict):
    """Of a run on several processes: how many in the end; which terms compared the rows of all of them; whose images
    batch norm counted.
    """

    count: int
    whole_batch: list[str]
    batch_norm: str


class Summary(TypedDict):
    """``summary.json``; ``best_chosen_on`` names the split that chose the best epochs."""

    data: str
    epochs: int
    best_chosen_on: str
    teachers: dict[str, Teacher]
    learners: dict[str, Learner]
    seconds: float
    memory: NotRequired[Memory | None]
    processes: NotRequired[Processes | None]


class Trackers(TypedDict):
    """An entry of ``trackers.json``: what a tracker calls the run, and how many epochs it was told."""

    id: str
    epochs: int


class Array(TypedDict):
    """An array of uint8."""

    shape: list[int]
    base64: str


class Agreement(TypedDict):
    """How often two networks choose the same class, in percent, and the mean divergence, over ``n`` images."""

    top1: float
    kl: float
    n: int


Image = TypedDict("Image", {"label": NotRequired[int | None], "class": NotRequired[str | None], "pixels": Array})
Prediction = TypedDict("Prediction", {"label": int, "class": str, "probability": float})


class Maps(TypedDict):
    """Where a network looks at one stage: an attention map for each image."""

    tap: str
    maps: list[Array]


class Insight(TypedDict):
    """``insight.json``: ``agreement`` of each learner with the others, and what each network sees in ``images``."""

    agreement: dict[str, dict[str, Agreement]]
    images: list[Image]
    predictions: dict[str, list[Prediction]]
    attention: dict[str, dict[str, Maps]]
