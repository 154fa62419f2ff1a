"""How feature maps lie in memory: channels last, which convolutions are faster with, where the network's code bears it.

``x.view(len(x), -1)`` does not: it takes a map (N, C, h, w) for contiguous. A network that does so is right, and runs
contiguous. Losses that are not ours get contiguous tensors.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from potstill.batch import Batch, as_batch, few_of, on_device
from potstill.compiler import uncompiled
from potstill.eval_mode import eval_mode
from potstill.example_pass import FEW, is_empty
from potstill.guard import is_out_of_memory
from potstill.network_call import title
from potstill.outputs import tensors_in
from potstill.say import say
from potstill.taps import unwrapped

if TYPE_CHECKING:
    from potstill.distiller import Distiller
    from potstill.forward_pass import ForwardPass
    from potstill.term import Term

SAID = "{} needs its maps contiguous, as .view does, and so runs without channels last"
OURS, LIBRARIES = ("potstill.", "torch."), ("potstill.", "torch.", "torchvision.", "timm.", "transformers.")


def lay_out(distiller: "Distiller", example: Any) -> None:
    """Move a distiller to channels last, but for networks that are found by trying to work contiguous only.

    Those are named on stderr. Tried are networks with code that is not ours, on a few images of ``example``; nothing in
    them changes, nor any random state.
    """
    distiller.to(memory_format=torch.channels_last)
    tried = [one for one in distiller.passes.in_order if _is_tried(distiller.networks[one.network])]
    if not tried:
        return
    wanted = {one.key for one in tried}.union(*(one.needs for one in tried))
    device = distiller.weights.device
    scalars = {"epoch": distiller.epoch, "progress": distiller.progress}
    values = few_of({**on_device(as_batch(example), device), **scalars}, FEW)
    with eval_mode(distiller.networks), torch.random.fork_rng([device] if device.type == "cuda" else []), uncompiled():
        values |= distiller.passes.parameters()
        for one in distiller.passes.in_order:
            if one.key in wanted and not is_empty(values, one.inputs):
                if one in tried:
                    _decide(one, distiller.networks[one.network], one.network in distiller.learners, values)
                if any(one.key in other.needs for other in tried):
                    with torch.no_grad():
                        values |= one.taps(*(values[text] for text in one.inputs))


def settle(network: nn.Module, name: str, images: Tensor) -> None:
    """Have a network that is in eval mode get contiguous images from now on, if it cannot take ``images`` as they lie.

    That is said on stderr, where it is called ``name``. Nothing else in it changes, nor any random state.
    """
    few = images[:FEW]
    if few.is_contiguous() or not _is_tried(network):
        return
    with torch.random.fork_rng([few.device] if few.device.type == "cuda" else []), uncompiled():
        if not _works(network, False, [few]) and _works(network, False, [few.contiguous()]):
            keep_contiguous(network)
            say(SAID.format(name))


def keep_contiguous(network: nn.Module) -> None:
    """Lay out a network's weights contiguous, and the inputs of each of its calls."""
    network.to(memory_format=torch.contiguous_format)
    if not keeps_contiguous(network):
        network.register_forward_pre_hook(_make_contiguous)


def keeps_contiguous(network: nn.Module) -> bool:
    """Whether its inputs are made contiguous."""
    return _make_contiguous in network._forward_pre_hooks.values()


def for_loss(term: "Term", values: Batch) -> Batch:
    """The tensors of a term as its loss takes them: contiguous ones, if the loss is not ours.

    One that differentiates by its inputs gets them as they are.
    """
    loss: Any = term.loss
    home = loss.__module__ if hasattr(loss, "__name__") else type(loss).__module__
    if term.needs_graph or f"{home}.".startswith(OURS):
        return values
    return {**values, **{text: values[text].contiguous() for text in term.flat_addresses}}


def _is_tried(network: nn.Module) -> bool:
    """Whether anything in it may be particular: networks of ours are not."""
    ours = all(f"{type(module).__module__}.".startswith(OURS) for module in network.modules())
    plain = f"{type(unwrapped(network)).__module__}.".startswith("potstill.")
    return not (ours and plain) and not keeps_contiguous(network)


def _decide(one: "ForwardPass", network: nn.Module, learns: bool, values: Batch) -> None:
    inputs = [values[text] for text in one.inputs]
    if _works(network, learns, inputs):
        return
    keep_contiguous(network)
    if _works(network, learns, inputs):
        say(SAID.format(title(network, one.network)))
        return
    # It is not for the layout, and whatever it is will be said by the first step.
    for key, hook in list(network._forward_pre_hooks.items()):
        if hook is _make_contiguous:
            del network._forward_pre_hooks[key]
    network.to(memory_format=torch.channels_last)


def _works(network: nn.Module, learns: bool, inputs: Sequence[Tensor]) -> bool:
    """Whether it runs, and if it learns and is somebody's own, whether it trains."""
    inside = unwrapped(network)
    own = not all(f"{type(module).__module__}.".startswith(LIBRARIES) for module in inside.modules())
    given = [value.clone() for value in inputs]  # it may change them in place
    try:
        with torch.no_grad():
            inside(*given)
        if learns and own:
            _train(inside, [value.clone() for value in inputs])
    except (Exception, SystemExit) as error:  # is what is asked
        if is_out_of_memory(error):
            raise
        return False
    return True


def _train(network: nn.Module, inputs: Sequence[Tensor]) -> None:
    """A forward and a backward pass in train mode; statistics are as before, and no gradient is left behind."""
    before = {name: value.clone() for name, value in network.named_buffers()}
    try:
        network.train()
        outputs = [tensor for tensor in tensors_in(network(*inputs)) if tensor.requires_grad]
        learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
        if outputs:
            torch.autograd.grad([tensor.abs().sum() for tensor in outputs], learning, allow_unused=True)
    finally:
        network.eval()
        with torch.no_grad():
            for name, value in network.named_buffers():
                value.copy_(before[name])


def _make_contiguous(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(value.contiguous() if isinstance(value, Tensor) else value for value in inputs)
