"""Trying before the first epoch what comes after the last: nobody should train for hours and then have nothing."""

import io
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from potstill.batch import as_batch, few_of
from potstill.data.data import Data
from potstill.data.own_loaders import OwnLoader
from potstill.engine.checkpoint import weights_of
from potstill.engine.costs import costs_of
from potstill.engine.insight import insight
from potstill.engine.state import State
from potstill.engine.undisturbed import undisturbed
from potstill.errors import BadInput
from potstill.example_pass import FEW
from potstill.guard import foreign
from potstill.networks.bare_names import bare_state
from potstill.runs.schema import Costs
from potstill.taps import unwrapped


def rehearse(state: State, data: Data) -> dict[str, Costs]:
    """Save weights and checkpoint to memory, read them back into the networks, compare, and look at the networks.

    Returns:
        What the networks cost, see `costs_of`.

    Raises:
        BadInput: something of it fails, or is not what it was after it.
    """
    distiller = state.distiller
    with undisturbed():
        for name, network in distiller.learners.items():
            with foreign(f"saving weights of {name}"):
                check_weights(name, network)
        for what, module in _parts(state):
            with foreign(f"saving and loading {what}"):
                part = module.state_dict()
                back = _loaded(part, distiller.weights.device)
                _compare(what, part, back)
                module.load_state_dict(back)
                _compare(what, part, module.state_dict())
        with foreign("counting what the networks cost"):
            costs = costs_of(distiller, data)
        if data.test is not None:
            with foreign("looking at what the networks see"):
                insight(distiller, replace(data, test=OwnLoader([few_of(as_batch(data.example()), FEW)], "test")))
    return costs


def check_weights(name: str, network: nn.Module) -> None:
    """Whether a network's weights come back from a file as they were.

    Raises:
        BadInput: they do not; the message names the first that does not.
    """
    state = bare_state(network)
    for key, value in state.items():
        if not isinstance(value, Tensor):
            raise BadInput(
                f"{name} keeps {key}, a {type(value).__name__}, with its weights (get_extra_state): "
                "a file of weights holds tensors only; make it one, or a buffer"
            )
    try:
        back = load(weights_of(network))
    except Exception as error:  # of whatever kind for a dtype or layout that the format does not know
        kinds = {f"{key} ({value.dtype}, {value.layout})": value for key, value in state.items()}
        culprit = next((kind for kind, value in kinds.items() if not _holds(value)), None)
        if culprit is None:
            raise
        raise BadInput(f"weights of {name} cannot be saved: safetensors does not hold {culprit}") from error
    _compare(f"weights of {name}", dict(state), back)


def _holds(value: Tensor) -> bool:
    try:
        save({"value": value.detach().clone().contiguous()})
    except Exception:  # as above
        return False
    return True


def _parts(state: State) -> list[tuple[str, Any]]:
    """Whatever has a state of its own that code of others may write and read: what it is, and itself."""
    parts: list[tuple[str, Any]] = [(name, unwrapped(net)) for name, net in state.distiller.learners.items()]
    parts.append(("the losses' state", state.distiller.losses))
    if state.after_step is not None:
        parts.append(("the state of after_step", state.after_step))
    if state.averages is not None:
        parts.append(("the averages of weights", state.averages))
    if state.distiller.ranges:
        parts.append(("the ranges of --qat", state.distiller.ranges))
    return parts


def _loaded(part: Mapping[str, Any], device: torch.device) -> Any:
    """A state as it comes back from a checkpoint."""
    file = io.BytesIO()
    torch.save(part, file)
    file.seek(0)
    return torch.load(file, map_location=device, weights_only=True)


def _compare(what: str, before: Any, after: Any, place: str = "") -> None:
    """Refuse what does not come back as it was."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        same = list(before) == list(after) or set(before) == set(after)
        for key in before if same else ():
            _compare(what, before[key], after[key], f"{place}.{key}" if place else str(key))
    elif isinstance(before, Tensor) and isinstance(after, Tensor):
        same = before.dtype == after.dtype and before.shape == after.shape and _same_values(before, after)
    elif isinstance(before, list | tuple) and isinstance(after, list | tuple):
        same = len(before) == len(after)
        for i, (one, other) in enumerate(zip(before, after, strict=False)):
            _compare(what, one, other, f"{place}.{i}" if place else str(i))
    else:
        same = type(before) is type(after) and bool(before == after)
    if not same:
        raise BadInput(f"{what} does not come back as it was saved" + (f": {place} differs" if place else ""))


def _same_values(one: Tensor, other: Tensor) -> bool:
    return bool(((one == other.to(one.device)) | (one != one)).all())
