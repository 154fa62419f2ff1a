"""Weights from files: our own, and checkpoints of common third-party repositories under their own names."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from potstill.errors import BadInput
from potstill.home import at_home
from potstill.networks.bare_names import bare_names, bare_state
from potstill.networks.pretrained import PRETRAINED, find_pretrained
from potstill.networks.spelling import Ambiguous
from potstill.networks.states import Fit, NoState, Values, best, fit_all, some, states
from potstill.networks.stored import Stored
from potstill.networks.weight_files import Content, opened
from potstill.runs import networks as run_networks
from potstill.runs.manifest import verify
from potstill.say import say
from potstill.taps import unwrapped

CHOICE = "#"
"""Between a file and the entry of it that is meant."""


def load_weights(network: nn.Module, path: Path | str) -> None:
    """Load a safetensors or torch file into ``network``, whose names and shapes it must fit exactly.

    Whatever else a file holds, no code of it is run. Of a training checkpoint the entry is taken that fits, by its own
    names, behind a prefix, or in a few repositories' spellings; ``FILE#ENTRY`` says which. What was done is said on
    stderr. Values are converted to the network's own dtypes. Only the batch norms' ``num_batches_tracked``, which old
    files lack, may be missing. In the place of a file: a run folder, or ``pretrained`` for what timm or torchvision
    offer for this network, named by its attribute ``spec``.

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
    with _found(network, path) as (state, source):
        _put(network, state, source)


def start_from(network: nn.Module, path: Path | str) -> tuple[str, ...]:
    """Load weights to train on from, as `load_weights` does; a classifier of another number of classes stays as it is.

    So does one that is not there, of a backbone's weights; and a backbone takes no classifier from there.

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
    with _found(network, path) as (state, source):
        own = bare_state(network)
        state = _without(getattr(network, "dropped", ()), state)
        other = [name for name in state if name in own and tuple(state[name].shape) != tuple(own[name].shape)]
        rows = {(own[name].shape[:1], state[name].shape[:1]) for name in other}
        alike = all(own[name].shape[1:] == state[name].shape[1:] for name in other)
        classes = getattr(network, "classes", None)
        one_layer_of_classes = alike and len(rows) == 1 and all(ours == (classes or ours[0],) for ours, _ in rows)
        fresh = other if one_layer_of_classes and classes != 0 else []
        fresh += _classifier(network, [name for name in own if name not in state])
        _put(network, {**state, **{name: own[name] for name in fresh}}, source)
    return tuple(dict.fromkeys(name.rpartition(".")[0] for name in fresh))


def _without(dropped: Sequence[str], state: Values) -> Values:
    """A state without what belongs to layers that a backbone has none of."""
    starts = tuple(f"{path}." for path in dropped)
    return {name: value for name, value in state.items() if not name.startswith(starts)} if starts else state


def _classifier(network: nn.Module, missing: list[str]) -> list[str]:
    """The missing weights, if all of them are of layers of as many rows as there are classes, and of all such."""
    classes, own = getattr(network, "classes", None), bare_state(network)
    layers = {name.rpartition(".")[0] for name in missing if own[name].shape[:1] == (classes,)}
    there = {name for name in own if name.rpartition(".")[0] in layers}
    return missing if layers and there == {*missing} else []


def classes_in(network: nn.Module, path: Path | str) -> int:
    """How many classes the classifier has that a file holds for ``network``, which may have another number of them.

    Raises:
        BadInput: as `load_weights`, but for a classifier of another size.
    """
    with _found(network, path) as (state, source):
        own = bare_state(network)
        counts = {
            value.shape[0]
            for name, value in state.items()
            if name in own and value.shape and tuple(value.shape) != tuple(own[name].shape)
        }
        if len(counts) > 1:
            _put(network, state, source)  # which says in what it does not fit
    return next(iter(counts), int(getattr(network, "classes", 0)))


@contextmanager
def _found(network: nn.Module, path: Path | str) -> Iterator[tuple[Values, str]]:
    """The state that ``path`` names, by the network's own names, and what messages call it."""
    if str(path) == PRETRAINED:
        spec = str(getattr(network, "spec", type(network).__name__))
        offered = find_pretrained(spec)
        if offered is None:
            raise BadInput(f"there are no pre-trained weights of {spec}, only of networks of timm: and torchvision:")
        yield offered.state(), f"{spec}, pre-trained,"
        return
    path = at_home(path)
    stored = run_networks.find(str(path))
    file, choice = (Path(path), None) if stored is None else (stored.weights, None)
    if not file.exists() and CHOICE in str(path):
        before, _, choice = str(path).rpartition(CHOICE)
        file = Path(before)
    verify(file, listed=stored is not None)
    with opened(file) as content:
        yield _of_file(network, content, file, choice), str(path if stored is None else file)


def _of_file(network: nn.Module, content: Content, file: Path, choice: str | None) -> Values:
    """What a file holds for the network; says what was taken, and what not."""
    expected = {name: tuple(value.shape) for name, value in bare_state(network).items()}
    try:
        found, equal = best(fit_all(states(content, choice), expected))
    except Ambiguous as error:
        start = f"{file}{CHOICE}{choice}/" if choice else f"{file}{CHOICE}"
        ways = " or ".join(f"{start}{part}" for part in error.parts[:3])
        raise BadInput(
            f"{file} holds several networks that fit: {some([*error.parts], 5)}; say which: {ways}"
        ) from error
    except NoState as error:
        raise BadInput(f"{file} holds no weights: {error}") from error
    state: dict[str, Stored | Tensor] = {}
    for name, ours in found.placement.names.items():
        if ours in state:
            raise BadInput(f"{file} holds {ours} twice, the second time as {name}")
        state[ours] = found.state.values[name]
    if found.misfits == 0 or found.matched:
        _tell(found, equal, file)
    return state


def _tell(found: Fit, equal: list[Fit], file: Path) -> None:
    """Say what of a file was taken, where that is not all of it as it is."""
    said = []
    if found.state.path:
        others = [f"{file}{CHOICE}{other.name}" for other in equal]
        said.append(f"taken from {found.name}" + (f", which {some(others)} fits as well" if others else ""))
    if found.placement.prefixes:
        said.append(f"without the prefix {' and '.join(found.placement.prefixes)}")
    if found.placement.left_out:
        said.append(f"left out are {len(found.placement.left_out)} others ({some([*found.placement.left_out])})")
    if found.counters:
        said.append(f"left out are {len(found.counters)} counters ({some([*found.counters])})")
    if said:
        say(f"weights of {file}: {'; '.join(said)}")


def _put(network: nn.Module, state: Values, source: str) -> None:
    """Load a state that must fit exactly."""
    expected = bare_state(network)
    untracked = {n: v for n, v in expected.items() if n.endswith("num_batches_tracked") and n not in state}
    state = {**untracked, **state}
    complaints = _misfits(network, state, expected)
    if complaints:
        raise BadInput(f"{source} does not fit {type(network).__name__}: {'; '.join(complaints)}")
    values = {name: value.read() if isinstance(value, Stored) else value for name, value in state.items()}
    for name, own in expected.items():
        if strange := _not_finite(values[name].to(own.dtype), own):
            raise BadInput(f"{source} is no use: its {name} holds {strange}")
    unwrapped(network).load_state_dict({name: values[bare] for name, bare in bare_names(network).items()})


def _not_finite(values: Tensor, own: Tensor) -> str:
    """How many values are not finite, in words; empty if none is, or the network's own has such values as well."""
    if not (values.is_floating_point() or values.is_complex()) or not bool(own.isfinite().all()):
        return ""
    count = values.numel() - int(values.isfinite().sum())
    what = "NaN" if bool(values.isnan().any()) else "infinity"
    return f"{what}, {count} of {values.numel()} values" if count else ""


def _misfits(network: nn.Module, state: Values, expected: dict[str, Tensor]) -> list[str]:
    """What keeps ``state`` from being the network's, a phrase a reason."""
    complaints = []
    missing = [name for name in expected if name not in state]
    unexpected = [name for name in state if name not in expected]
    other = [name for name in state if name in expected and tuple(state[name].shape) != tuple(expected[name].shape)]
    linears = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    classifier = f"{linears[-1]}.weight" if linears else None
    if classifier in other and state[classifier].shape:
        complaints.append(f"the file has {state[classifier].shape[0]} classes, not {len(expected[classifier])}")
    if missing:
        complaints.append(f"{len(missing)} missing ({some(missing)})")
    if unexpected:
        complaints.append(f"{len(unexpected)} unexpected ({some(unexpected)})")
    if other:
        shapes = [f"{name} {tuple(state[name].shape)}, not {tuple(expected[name].shape)}" for name in other]
        complaints.append(f"{len(other)} of another shape ({some(shapes)})")
    numbers = [name for name in state if name in expected and _is_other_kind(state[name].dtype, expected[name].dtype)]
    if numbers:
        kinds = [f"{name} {state[name].dtype}, not {expected[name].dtype}" for name in numbers]
        complaints.append(f"{len(numbers)} of another kind of numbers ({some(kinds)})")
    return complaints


def _is_other_kind(there: torch.dtype, here: torch.dtype) -> bool:
    """Whether numbers would lose their meaning: quantised integers as fractions, complex numbers as real ones."""
    whole = not (there.is_floating_point or there.is_complex)
    return (there.is_complex and not here.is_complex) or (whole and (here.is_floating_point or here.is_complex))
