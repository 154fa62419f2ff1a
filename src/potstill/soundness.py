"""Whether networks give what they are used for: mistakes in these train on without a word.

They are looked for on an example, before anything trains.
"""

from collections.abc import Collection, Mapping, Sequence
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from potstill.compiler import uncompiled
from potstill.device import widest
from potstill.errors import BadInput
from potstill.eval_mode import eval_mode
from potstill.forward_pass import ForwardPass, ForwardPasses
from potstill.network_call import call, title
from potstill.outputs import logits_of
from potstill.say import say
from potstill.taps import NoPart

LARGE, LARGEST = 1e9, 1e18
"""What a teacher gives is said from the first on, refused from the second: float32 holds 4th powers, and squares."""
ROUNDING = 1e-3
"""How far two passes over the same images may differ, of the largest value: kernels of a GPU sum in any order."""
SAME = 1e-6
"""The same of the rows of one pass."""
OTHER_SEED = 0x5EED
"""What a network draws in the second pass is not what it drew in the first."""
STRONGER = 1000.0
"""Logits of images so much stronger leave 0..1, unless something holds them there."""
RANDOM = (
    "gives something else each time for the same images, in eval mode too (F.dropout without training=self.training?): "
    "what is measured of it is not repeatable"
)
_seen: WeakKeyDictionary[nn.Module, set[str]] = WeakKeyDictionary()
"""The networks that have been looked at, and what was said of them."""


def check_soundness(
    passes: ForwardPasses, teachers: Collection[str], classifiers: Collection[str], values: Mapping[str, Tensor]
) -> None:
    """Look at what networks give for a few images: ``values`` by address. Nothing in them changes.

    - Refused: values of a teacher that are not finite or above 1e18, and logits that are none, not (N, K) or of
      integers. What is not finite in the batch itself is named instead.
    - Said on stderr, once a network: that it gives something else for the same images in eval mode; of a teacher, that
      it gives values above 1e9, or the same for different images; probabilities or their logarithms instead of logits.

    Raises:
        BadInput: see above.
    """
    _check_batch({key: value for key, value in values.items() if key in passes.entries})
    with eval_mode(nn.ModuleList(passes.networks.values())), torch.no_grad(), torch.random.fork_rng(), uncompiled():
        torch.manual_seed(OTHER_SEED)
        for one in passes.in_order:
            parameters = one.taps.parameters()
            found = {text: values[text] for text in one.taps.asked if text in values and text not in parameters}
            if not found or not all(text in values for text in one.inputs):
                continue
            inputs = [values[text] for text in one.inputs]
            network = passes.networks[one.network]
            name = title(network, one.network)
            _seen.setdefault(network, set())
            if one.network in teachers:
                _check_size(network, name, found)
            if one.network in classifiers and one.key in found:
                check_logits(found[one.key], name, len(inputs[0]))
                say_of_probabilities(network, name, found[one.key], inputs)
            if one.network in teachers and one.key in found and is_constant(found[one.key], inputs):
                _say_once(network, f"{name} gives the same for different images: nothing is to be learnt from it")
            if _is_random(one, found, inputs):
                _say_once(network, f"{name} {RANDOM}")


def look_at(network: nn.Module, name: str, images: Tensor) -> None:
    """Say on stderr if a classifier is random in eval mode, or gives probabilities, unless it has been looked at.

    Nothing in it changes.

    Raises:
        BadInput: it gives no logits.
    """
    if network in _seen:
        return
    _seen[network] = set()
    with eval_mode(network), torch.no_grad(), torch.random.fork_rng(), uncompiled():
        logits = logits_of(call(network, name, images.clone()), name)
        check_logits(logits, name, len(images))
        say_of_probabilities(network, name, logits, [images])
        if differ(logits, logits_of(call(network, name, images.clone()), name)):
            _say_once(network, f"{name} {RANDOM}")


def differ(one: Tensor, other: Tensor) -> bool:
    """Whether two passes over the same images give different values, rounding aside."""
    if one.shape != other.shape:
        return True
    if not one.is_floating_point():
        return not torch.equal(one, other)
    scale = one.abs().max().nan_to_num() if one.numel() else one.new_zeros(())
    limit = max(ROUNDING, 4 * torch.finfo(one.dtype).eps) * scale
    return bool(((one - other).abs().nan_to_num() > limit).any())


def is_constant(output: Tensor, inputs: Sequence[Tensor]) -> bool:
    """Whether all rows of an output (N, ...) are the same, though those of its inputs are not."""
    if not output.dim() or len(output) < 2 or not output.is_floating_point():
        return False
    spread = (output - output[:1]).abs().max() if output.numel() else output.new_zeros(())
    several = any(len(value) == len(output) and bool((value != value[:1]).any()) for value in inputs)
    return several and bool(spread <= SAME * output.abs().max())


def check_logits(output: Tensor, name: str, rows: int) -> None:
    """Refuse an output that is no logits (N, K) of ``rows`` images.

    Raises:
        BadInput: another shape, or no floating-point numbers.
    """
    if output.dim() != 2 or len(output) != rows:
        raise BadInput(
            f"{name} gives a tensor of shape {tuple(output.shape)} for {rows} images, not logits ({rows}, K)"
        )
    if not output.is_floating_point():
        raise BadInput(f"{name} gives {str(output.dtype).removeprefix('torch.')}, not logits in floating point")


def say_of_probabilities(network: nn.Module, name: str, logits: Tensor, inputs: Sequence[Tensor]) -> None:
    """Say on stderr if logits (N, K) are none: probabilities, their logarithms, or held in 0..1."""
    if logits.shape[1] < 2 or not len(logits):
        return
    values = logits.to(widest(logits.device))
    inside = bool(((values >= 0) & (values <= 1)).all())
    near = 10 * len(logits[0]) * torch.finfo(logits.dtype).eps
    if inside and bool(((values.sum(1) - 1).abs() <= near).all()):
        _say_once(
            network, f"{name} gives probabilities, not logits: losses take the softmax themselves, so leave out its own"
        )
    elif bool((values.logsumexp(1).abs() <= near).all()):
        _say_once(
            network,
            f"{name} gives log-probabilities: the same to CE and KD as logits, but not to losses that compare logits",
        )
    elif inside and bool((values > 0).all()) and _holds(network, name, inputs):
        _say_once(network, f"{name} gives values between 0 and 1, as a sigmoid does, not logits: leave it out")


def _say_once(network: nn.Module, sentence: str) -> None:
    said = _seen.setdefault(network, set())
    if sentence not in said:
        said.add(sentence)
        say(sentence)


def _check_batch(entries: Mapping[str, Tensor]) -> None:
    for key, value in entries.items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise BadInput(f"the batch's {key!r} has values that are not finite")


def _check_size(network: nn.Module, name: str, found: Mapping[str, Tensor]) -> None:
    """Refuse values of a teacher that no student can follow."""
    for text, value in found.items():
        if not value.is_floating_point() or not value.numel():
            continue
        largest = float(value.detach().abs().max())
        what = f"values up to {largest:.2g}" if largest < float("inf") else "values that are not finite"
        if not largest <= LARGEST:
            raise BadInput(f"{name} cannot teach: {text!r} has {what} on the first images")
        if largest > LARGE:
            _say_once(network, f"{name} gives {what} ({text}): its training went wrong, or it has none")


def _holds(network: nn.Module, name: str, inputs: Sequence[Tensor]) -> bool:
    """Whether logits stay in 0..1 whatever the images are."""
    strong = [value * STRONGER if value.is_floating_point() else value.clone() for value in inputs]
    logits = logits_of(call(network, name, *strong), name)
    return bool(((logits >= 0) & (logits <= 1)).all())


def _is_random(one: ForwardPass, found: Mapping[str, Tensor], inputs: Sequence[Tensor]) -> bool:
    try:
        again = one.taps(*(value.clone() for value in inputs))
    except NoPart:  # of train mode only
        return False
    return any(differ(value, again[text]) for text, value in found.items())
