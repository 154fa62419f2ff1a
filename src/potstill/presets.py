"""Settings that belong together, by name: how the papers that people start from trained. ``--preset NAME``."""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, get_type_hints

from potstill.errors import BadInput, unknown
from potstill.say import say
from potstill.training import Training

FLAG = "--preset"
PRETRAINED = "pretrained"
CHOICES_OF_THE_USER = ("--lr", "--optimizer")
"""Whoever gives one of these has thought about how a network with trained weights goes on."""


@dataclass(frozen=True)
class Preset:
    """Settings of a published training, and in what they are not its own."""

    about: str
    source: str
    settings: Mapping[str, Any]
    otherwise: str = ""
    extra: str = ""
    """Its terms, which a preset does not give."""


PRESETS = {
    "cifar": Preset(
        "CIFAR from scratch, with residual networks: what every recipe does by default.",
        "Zagoruyko and Komodakis, Wide residual networks, BMVC 2016, section 3: https://arxiv.org/abs/1605.07146",
        {
            "epochs": 200,
            "batch_size": 128,
            "optimizer": "nesterov",
            "lr": 0.1,
            "weight_decay": 5e-4,
            "schedule": "milestones",
            "decay": 0.2,
        },
    ),
    "crd": Preset(
        "CIFAR-100 from scratch, as the benchmark of contrastive representation distillation has it.",
        "Tian, Krishnan and Isola, ICLR 2020, and RepDistiller: https://arxiv.org/abs/1910.10699",
        {
            "epochs": 240,
            "batch_size": 64,
            "optimizer": "sgd",
            "lr": 0.05,
            "weight_decay": 5e-4,
            "schedule": "milestones",
            "milestones": (150, 180, 210),
            "decay": 0.1,
        },
        "MobileNetV2 and ShuffleNets had --lr 0.01.",
    ),
    "deit": Preset(
        "Vision transformers on ImageNet from scratch.",
        "Touvron et al., Training data-efficient image transformers, ICML 2021, table 9: "
        "https://arxiv.org/abs/2012.12877",
        {
            "epochs": 300,
            "batch_size": 1024,
            "optimizer": "adamw",
            "lr": 1e-3,
            "weight_decay": 0.05,
            "decay_norms": False,
            "schedule": "cosine",
            "warmup": 5,
            "randaugment": (2, 9),
            "mixup": 0.8,
            "cutmix": 1.0,
            "erase": 0.25,
            "drop_path": 0.1,
            "ema": 0.99996,
        },
        "No repeated augmentation; RandAugment's strength does not vary; an erased rectangle is the mean, not noise. "
        "The learning rate is for batches of 1024: divide both by the same number.",
        "the term CE(label_smoothing=0.1)",
    ),
    "vanilla-kd": Preset(
        "Plain KD on ImageNet with a long, strongly augmented training, of which its authors found that it is enough.",
        "Hao et al., Revisit the power of vanilla knowledge distillation, NeurIPS 2023, strategy A2: "
        "https://arxiv.org/abs/2305.15781",
        {
            "epochs": 300,
            "batch_size": 2048,
            "optimizer": "timm:lamb",
            "lr": 5e-3,
            "weight_decay": 0.02,
            "decay_norms": False,
            "schedule": "cosine",
            "warmup": 5,
            "randaugment": (2, 7),
            "mixup": 0.1,
            "cutmix": 1.0,
            "drop_path": 0.05,
        },
        "No repeated augmentation; RandAugment's strength does not vary; cross-entropy, not one sigmoid a class.",
        'the terms "CE" and "KD(temperature=1)"',
    ),
    "fine-tune": Preset(
        "A network that starts from trained weights.",
        "Liu et al., A ConvNet for the 2020s, CVPR 2022, appendix A.1, fine-tuning at 224 pixels: "
        "https://arxiv.org/abs/2201.03545",
        {
            "epochs": 30,
            "batch_size": 128,
            "optimizer": "adamw",
            "lr": 5e-5,
            "weight_decay": 1e-8,
            "schedule": "cosine",
            "layer_decay": 0.8,
            "randaugment": (2, 9),
            "erase": 0.25,
        },
        "Batches of 128 images, not 512; no stochastic depth, which not every network has; the classifier starts as "
        "usual.",
    ),
}


def settings_of(name: str) -> dict[str, Any]:
    """The settings of a preset.

    Raises:
        BadInput: there is none of that name.
    """
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    return dict(PRESETS[name].settings)


def described(name: str) -> dict[str, Any]:
    """A preset as ``potstill describe --preset`` shows it: what it is, its source, and its flags."""
    settings, preset = settings_of(name), PRESETS[name]
    found: dict[str, Any] = {"preset": name, "about": preset.about, "source": preset.source}
    if preset.otherwise:
        found["otherwise"] = preset.otherwise
    if preset.extra:
        found["besides"] = preset.extra
    flags = [_flag(key, value) for key, value in settings.items()]
    return {**found, "table": [{"flag": flag, "value": value} for flag, value in flags]}


def _flag(name: str, value: Any) -> tuple[str, str]:
    """A setting as it is typed."""
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{'' if value else 'no-'}{flag}", ""
    return f"--{flag}", " ".join(map(str, value if isinstance(value, tuple) else (value,)))


def takes_preset(command: Callable[..., Any]) -> bool:
    """Whether a command has a training, whose settings a preset may give."""
    return _training_of(command) is not None


def with_preset(command: Callable[..., Any], words: Sequence[str]) -> tuple[Callable[..., Any], list[str]]:
    """The command with the defaults of the preset that ``words`` name, and the words without it.

    A network that starts from ``pretrained`` weights is fine-tuned, unless they say how it is trained.

    Raises:
        BadInput: no such preset, or two of them.
    """
    left, names = _taken_out(words)
    where = _training_of(command)
    if where is None:
        return command, list(words)
    if len(names) > 1:
        raise BadInput(f"--preset is given {len(names)} times: {', '.join(names)}; give one")
    if not names and _starts_pretrained(left) and not _given(left, CHOICES_OF_THE_USER):
        names = ["fine-tune"]
        say("it starts from pre-trained weights: --preset fine-tune, unless --preset, --lr or --optimizer is given")
    if not names:
        return command, left
    signature = inspect.signature(command)
    parameter = signature.parameters[where]
    before = parameter.default if isinstance(parameter.default, Training) else Training()
    after = replace(before, **{"milestones": (), **settings_of(names[0])})

    @functools.wraps(command)
    def preset(*args: Any, **kwargs: Any) -> Any:
        return command(*args, **kwargs)

    changed = [one.replace(default=after) if one.name == where else one for one in signature.parameters.values()]
    preset.__signature__ = signature.replace(parameters=changed)  # type: ignore[attr-defined]
    return preset, left


def _training_of(command: Callable[..., Any]) -> str | None:
    """The name of a command's argument that is a `Training`."""
    return next((name for name, kind in get_type_hints(command).items() if kind is Training and name != "return"), None)


def _taken_out(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Words without ``--preset NAME``, and the names."""
    left, names, rest = [], [], iter(words)
    for word in rest:
        flag, equals, value = word.partition("=")
        if flag != FLAG:
            left.append(word)
        elif equals:
            names.append(value)
        elif (following := next(rest, None)) is not None:
            names.append(following)
        else:
            raise BadInput(f"--preset needs a name: {', '.join(PRESETS)}")
    return left, names


def _starts_pretrained(words: Sequence[str]) -> bool:
    """Whether a learner's weights are asked for as ``pretrained``."""
    flags = ("--weights", "--student-weights")
    joined = {f"{flag}={PRETRAINED}" for flag in flags}
    return any(
        word in joined or (word in flags and following == PRETRAINED) for word, following in pairwise([*words, ""])
    )


def _given(words: Sequence[str], flags: Sequence[str]) -> bool:
    return any(word.partition("=")[0] in flags for word in words)
