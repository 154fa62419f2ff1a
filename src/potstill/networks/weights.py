"""Weights from files: our own, and checkpoints of common third-party repositories under their own names."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from potstill.errors import BadInput
from potstill.home import at_home
from potstill.networks.pretrained import PRETRAINED, find_pretrained
from potstill.runs import networks as run_networks
from potstill.runs.manifest import verify

WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "network", "net", "student")
"""Entries under which training scripts keep a network's state, beside epochs and accuracies."""

SPELLINGS = (
    (r"^(module|_orig_mod)\.", ""),  # saved from within DataParallel or torch.compile,
    (r"^(module|_orig_mod)\.", ""),  # or from within both
    (r"^linear\.", "fc."),  # akamaster/pytorch_resnet_cifar10; RepDistiller's ShuffleNets
    (r"^classifier\.(?:0\.)?", "fc."),  # RepDistiller's VGG; with the 0, its MobileNetV2
    (r"\.shortcut\.(\d)\.", r".downsample.\1."),  # akamaster's option B
    (r"^res(\d)\.", r"layer\1."),  # AberHu/Knowledge-Distillation-Zoo
    (r"\.ds\.(\d)\.", r".downsample.\1."),  # the same
    (r"^(block\d)(?:\.0)?\.layer\.(\d+)\.", r"\1.\2."),  # RepDistiller; with the 0, BayesWatch/pytorch-moonshine
    (r"\.convShortcut\.", ".shortcut."),  # both
    (r"\.(conv\d)\.conv\.", r".\1."),  # pytorch-moonshine's plain convolution
    (r"\.convdw\.", ".conv."),  # its cheap ones
    (r"\.conv1x1_(down|up)\.", r".\1."),
    (r"\.conv(1x1|3d)\.", ".pointwise."),
)
"""Rewrites of a name, tried in order until the network has it: names that fit already are never touched."""


def load_weights(network: nn.Module, path: Path | str) -> None:
    """Load a safetensors or torch file into ``network``, whose names and shapes it must fit exactly.

    Reads torch files without running code from them (``weights_only``), finds the state dictionary inside a training
    checkpoint and knows a few repositories' names (``SPELLINGS``). Values are converted to the network's own dtypes.
    Only the batch norms' ``num_batches_tracked``, which old files lack, may be missing. In the place of a file: a run
    folder, or ``pretrained`` for what timm or torchvision offer for this network, named by its attribute ``spec``.

    Raises:
        BadInput: no such file, not a file of weights, or not this network's; then the network is unchanged.
        CannotDownload: the library offers weights, but they cannot be downloaded.

    >>> import tempfile
    >>> from pathlib import Path
    >>> import torch
    >>> import potstill as ps
    >>> trained, network = ps.networks.create("resnet8", seed=0), ps.networks.create("resnet8", seed=1)
    >>> state = torch.nn.DataParallel(trained).state_dict()  # as another repository's script saves it
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     torch.save({"epoch": 3, "state_dict": state}, file := Path(folder, "checkpoint.pth"))
    ...     ps.networks.load_weights(network, file)
    >>> torch.equal(network.fc.weight, trained.fc.weight)
    True
    """
    state, source = _find(network, path)
    _put(network, state, source)


def start_from(network: nn.Module, path: Path | str) -> tuple[str, ...]:
    """Load weights to train on from, as `load_weights` does; a classifier of another number of classes stays as it is.

    Returns:
        The layers that stay so, by their paths: those of as many rows as there are classes, all else being equal.

    >>> import tempfile
    >>> from pathlib import Path
    >>> import torch
    >>> import potstill as ps
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     torch.save(ps.networks.create("resnet8", classes=100).state_dict(), file := Path(folder, "trained.pt"))
    ...     ps.networks.start_from(ps.networks.create("resnet8", classes=10), file)
    ('fc',)
    """
    state, source = _find(network, path)
    own: dict[str, Tensor] = network.state_dict()
    other = [name for name in state if name in own and state[name].shape != own[name].shape]
    rows = {(own[name].shape[:1], state[name].shape[:1]) for name in other}
    alike = all(own[name].shape[1:] == state[name].shape[1:] for name in other)
    classes = getattr(network, "classes", None)
    one_layer_of_classes = alike and len(rows) == 1 and all(ours == (classes or ours[0],) for ours, _ in rows)
    fresh = other if one_layer_of_classes else []
    _put(network, state | {name: own[name] for name in fresh}, source)
    return tuple(dict.fromkeys(name.rpartition(".")[0] for name in fresh))


def _find(network: nn.Module, path: Path | str) -> tuple[dict[str, Tensor], str]:
    """The state that ``path`` names, in the network's own spelling, and what messages call it."""
    if str(path) == PRETRAINED:
        spec = str(getattr(network, "spec", type(network).__name__))
        offered = find_pretrained(spec)
        if offered is None:
            raise BadInput(f"there are no pre-trained weights of {spec}, only of networks of timm: and torchvision:")
        return offered.state(), f"{spec}, pre-trained,"
    path = at_home(path)
    stored = run_networks.find(str(path))
    path = Path(path) if stored is None else stored.weights
    verify(path, listed=stored is not None)
    return _spelled(_state_dict(_read(path), path), network.state_dict(), path), str(path)


def _spelled(content: Mapping[str, Tensor], expected: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for name, value in content.items():
        ours = _spell(name, expected)
        if ours in state:
            raise BadInput(f"{path} holds {ours} twice, the second time as {name}")
        state[ours] = value
    return state


def _put(network: nn.Module, state: dict[str, Tensor], source: str) -> None:
    """Load a state that must fit exactly."""
    expected: dict[str, Tensor] = network.state_dict()
    untracked = {n: v for n, v in expected.items() if n.endswith("num_batches_tracked") and n not in state}
    state = untracked | state
    complaints = _misfits(network, state, expected)
    if complaints:
        raise BadInput(f"{source} does not fit {type(network).__name__}: {'; '.join(complaints)}")
    network.load_state_dict(state)


def _read(path: Path) -> object:
    """Whatever the file holds, on the CPU."""
    if not path.is_file():
        raise BadInput(f"no weights file {str(path)!r}")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # arbitrary bytes read as a pickle fail in arbitrary ways
        found = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"it holds a {found[1]}, and only tensors are read" if found else "damaged, or not a file of weights"
        raise BadInput(f"cannot read weights from {path}: {reason}") from error


def _state_dict(content: object, path: Path) -> dict[str, Tensor]:
    """Descend into a training checkpoint until tensors by name are found."""
    while isinstance(content, Mapping):
        inner = [content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)]
        if not inner:
            break
        content = inner[0]
    if not isinstance(content, Mapping) or not content:
        raise BadInput(f"{path} holds no weights: a {type(content).__name__} instead of tensors by name")
    strange = [str(key) for key, value in content.items() if not isinstance(value, Tensor)]
    if strange:
        raise BadInput(f"{path} holds no weights: {_some(strange)} is no tensor; known wrappers: {', '.join(WRAPPERS)}")
    return {str(key): value for key, value in content.items()}


def _spell(name: str, expected: Mapping[str, Any]) -> str:
    """Our spelling of a file's name, or the file's own if no spelling is one of the network's."""
    ours = name
    for pattern, replacement in SPELLINGS:
        if ours in expected:
            break
        ours = re.sub(pattern, replacement, ours)
    return ours if ours in expected else name


def _misfits(network: nn.Module, state: dict[str, Tensor], expected: dict[str, Tensor]) -> list[str]:
    """What keeps ``state`` from being the network's, a phrase a reason."""
    complaints = []
    missing = [name for name in expected if name not in state]
    unexpected = [name for name in state if name not in expected]
    other = [name for name in state if name in expected and state[name].shape != expected[name].shape]
    linears = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    classifier = f"{linears[-1]}.weight" if linears else None
    if classifier in other:
        complaints.append(f"the file has {len(state[classifier])} classes, not {len(expected[classifier])}")
    if missing:
        complaints.append(f"{len(missing)} missing ({_some(missing)})")
    if unexpected:
        complaints.append(f"{len(unexpected)} unexpected ({_some(unexpected)})")
    if other:
        shapes = [f"{name} {tuple(state[name].shape)}, not {tuple(expected[name].shape)}" for name in other]
        complaints.append(f"{len(other)} of another shape ({_some(shapes)})")
    return complaints


def _some(items: list[str], limit: int = 3) -> str:
    return ", ".join(items[:limit]) + (", ..." if len(items) > limit else "")
