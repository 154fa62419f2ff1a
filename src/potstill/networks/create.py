"""One way to name a network, wherever it comes from."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import torch
from torch import nn

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.home import at_home
from potstill.networks.backbone import STAND_IN, without_classifier
from potstill.networks.built_in import built_in, unknown_network
from potstill.networks.graft import graft
from potstill.networks.hugging_face import from_hf
from potstill.networks.lazy import sizes_from
from potstill.networks.substitution import substitute
from potstill.networks.third_party import DropPath, check_drop_path, from_callable, from_timm, from_torchvision
from potstill.networks.weights import load_weights, start_from
from potstill.ranges import Range, Seed
from potstill.runs import networks as run_networks
from potstill.runs.manifest import verify
from potstill.runs.source import LIBRARIES, source_of

MOST_PLUSES = 20  # each is a network of its own
CHEAPER = r"(?P<network>.+)\+(?P<conv>[^+/:.]*)"
"""A network and what takes its convolutions' place. A plus in a path has a / : or . after it, or is a run folder's."""
GRAFTED = r"(?P<stock>[^^]+)\^((?P<bridge>[^^]+)\^)?(?P<scion>[^^]+)@(?P<at>[^@^/]+)"
"""The lower part of one network, perhaps a bridge, the upper part of another, and where they are cut."""

ClassesOrNone = Annotated[int, Range(0, 10**6)]
"""0: without a classifier."""


@checked
def create(
    spec: str,
    classes: ClassesOrNone = 10,
    *,
    weights: Path | str | None = None,
    seed: Seed | None = None,
    drop_path: DropPath = 0.0,
) -> nn.Module:
    """Build the network that ``spec`` names, with ``classes`` logits.

    ``spec`` is a built-in name (``resnet20``, ``wrn-16-2``), ``timm:NAME``, ``torchvision:NAME``, ``hf:ORG/NAME`` or
    ``hf:FOLDER`` for `transformers`, ``package.module:callable``, ``path/to/file.py:callable``, or a run folder
    (``runs/abc`` or ``runs/abc:light``), which brings its weights. After a plus, any of them takes cheap convolutions
    in the place of its spatial ones: ``wrn-40-2+G8B2`` is ``substitute(create("wrn-40-2"), "G8B2")``. A path that has a
    plus of its own stays a path. ``resnet8^resnet14@stage3`` is the first up to that place, and on it the second from
    there on, and ``resnet8^2^resnet14@stage3`` has a bridge of that name in between, see `graft`. ``weights`` is a file
    to load afterwards, a run folder, or ``pretrained`` for what those three libraries offer; they have as many classes.
    The same ``seed`` gives the same first weights, those of the cheap convolutions included, and leaves the caller's
    random numbers alone (those of the CPU, where networks are built). ``drop_path`` is the rate of stochastic depth in
    the deepest block, of networks of timm and torchvision that have it. Of 0 ``classes`` there is no classifier: the
    network returns its pooled features, and a run folder's or a function's weights are those of the rest.

    The network carries ``spec`` and ``classes`` as attributes; out of a run folder, the spec that is stored there,
    with the cheap convolutions after it: what ``create`` builds from them has room for these weights.

    Raises:
        BadInput: no such network, the convolutions do not fit in it, or the weights are not this network's or, as
            ``CannotDownload``, out of reach.

    >>> import potstill as ps
    >>> network = ps.networks.create("wrn-16-2+G8B2", classes=100, seed=0)
    >>> network.spec, network.classes
    ('wrn-16-2+G8B2', 100)
    """
    spec = at_home(spec)
    source: Path | None = None
    with _seeded(seed):
        network = built_in(spec, classes or STAND_IN)
        is_plain = network is not None or _is_folder(spec)
        grafted = None if is_plain else re.fullmatch(GRAFTED, spec)
        plus = None if is_plain or grafted is not None else re.fullmatch(CHEAPER, spec)
        if grafted is not None:
            network, spec, source = _grafted(grafted, classes)
        if plus is not None:
            network, spec, source = _cheaper(plus["network"], plus["conv"], classes, drop_path)
        of_library = spec.partition(":")[0] in LIBRARIES
        stored = run_networks.find(spec) if network is None and not of_library else None
        if stored is not None:
            network, source = _restore(spec, stored, classes, drop_path)
            spec, _ = stored.made_from()
        if network is None:
            network = _elsewhere(spec, classes or STAND_IN, drop_path)
        if not classes and plus is None and grafted is None and stored is None:
            network = without_classifier(network, spec)
    if drop_path:
        check_drop_path(network, spec)
    network.spec, network.classes = spec, classes  # type: ignore[assignment]
    network.own_file = source or source_of(spec)  # type: ignore[assignment]
    if weights is not None:
        sizes_from(network, weights)
        load_weights(network, weights)
    return network


def _is_folder(spec: str) -> bool:
    try:
        found = Path(spec).is_dir()
    except OSError as error:  # it is too long for a path
        raise BadInput(f"network {spec!r}: {error.strerror}") from error
    if not found and spec.count("+") > MOST_PLUSES:
        raise BadInput(f"network {spec!r}: more than {MOST_PLUSES} times +")
    return found


def _restore(
    spec: str, stored: run_networks.StoredNetwork, classes: int, drop_path: float
) -> tuple[nn.Module, Path | None]:
    """The network of a run, and the file of its own code."""
    own, trained = stored.made_from()
    if classes and not trained:
        raise run_networks.backbone(spec, own)
    if classes and trained != classes:
        raise BadInput(f"the network in {spec} has {trained} classes, not {classes}")
    verify(stored.weights)
    fitting = stored.weights if trained == classes else None
    network = create(str(stored.located()["spec"]), classes, weights=fitting, drop_path=drop_path)
    if fitting is None:
        start_from(network, stored.weights)
    return network, network.own_file  # type: ignore[return-value]


def _cheaper(spec: str, conv: str, classes: int, drop_path: float) -> tuple[nn.Module, str, Path | None]:
    network = create(spec, classes, drop_path=drop_path)
    whole = f"{network.spec}+{conv}"
    return substitute(network, conv), whole, network.own_file  # type: ignore[return-value]


def _grafted(parts: re.Match[str], classes: int) -> tuple[nn.Module, str, Path | None]:
    lower, upper = create(parts["stock"], classes), create(parts["scion"], classes)
    bridge, at = parts.group("bridge", "at")
    whole = "^".join(filter(None, (str(lower.spec), bridge, f"{upper.spec}@{at}")))
    return graft(lower, upper, at, bridge), whole, lower.own_file or upper.own_file  # type: ignore[return-value]


def _elsewhere(spec: str, classes: int, drop_path: float) -> nn.Module:
    library, _, rest = spec.partition(":")
    if library == "timm":
        return from_timm(rest, classes, drop_path)
    if library == "torchvision":
        return from_torchvision(rest, classes, drop_path)
    if library == "hf":
        return from_hf(rest, classes)
    home, colon, name = spec.rpartition(":")
    if spec.endswith(".py"):
        raise BadInput(f"network {spec!r} is a file; say which function of it: {spec}:NAME")
    if home.endswith(".py"):
        return from_callable(home, name, classes)
    if "/" in spec:
        raise run_networks.missing(spec)
    if not colon or not home or not name:
        raise unknown_network(spec)
    return from_callable(home, name, classes)


@contextmanager
def _seeded(seed: int | None) -> Iterator[None]:
    """Draw from a generator of that seed inside, and from the caller's again afterwards."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
