"""The pass over an example, before anything trains: it checks every tap and builds what the losses need."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from potstill import guard
from potstill.batch import Batch, few_of
from potstill.errors import BadInput
from potstill.eval_mode import eval_mode
from potstill.forward_pass import ForwardPass, ForwardPasses
from potstill.taps import NoPart
from potstill.term import Term

FEW = 2  # images are enough to see where tensors flow and how large they are
OF_INPUTS = (RuntimeError, ValueError, TypeError, IndexError)
"""What torch raises where tensors do not go together; its message says it all."""


def try_out(passes: ForwardPasses, learners: Collection[str], terms: Sequence[Term], batch: Batch, seed: int) -> Batch:
    """Run every pass on a few rows of ``batch`` and build the losses' parts; the tensors by address.

    In eval mode, so that no statistic moves, and without autograd. What a loss draws is drawn by ``seed``; nothing that
    is drawn here disturbs others.

    Args:
        passes: of all networks.
        learners: the names of the networks whose auxiliary heads may appear in train mode only.
        terms: whose losses are built.
        batch: a real one, on the networks' device, and the entries that every batch has.
        seed: of the losses' first weights.

    Raises:
        BadInput: a network, a tap or a loss that does not work.
    """
    # Contiguous, which all networks bear.
    values = {key: value.contiguous() for key, value in few_of(batch, FEW).items()}
    with eval_mode(nn.ModuleList(passes.networks.values())), torch.no_grad(), torch.random.fork_rng():
        values |= passes.parameters()
        for one in passes.in_order:
            if not is_empty(values, one.inputs):
                values |= _check(one, passes.networks[one.network], one.network in learners, values)
        torch.manual_seed(seed)
        for term in terms:
            if all(text in values for text in term.flat_addresses):
                with naming(term, values):
                    term.build(values)
    return values


def is_empty(values: Mapping[str, Tensor], inputs: Sequence[str]) -> bool:
    """Whether an input has no rows, or comes from a pass that did not run for want of them."""
    return any(text not in values or (values[text].dim() > 0 and len(values[text]) == 0) for text in inputs)


def _check(one: ForwardPass, network: nn.Module, learns: bool, values: Batch) -> dict[str, Tensor]:
    """A pass on the example. Auxiliary heads that appear in train mode only are looked for in train mode."""
    inputs = [values[text] for text in one.inputs]
    try:
        return one.taps.check(*inputs)
    except NoPart:
        if not learns:
            raise
    before = {key: value.clone() for key, value in network.named_buffers()}
    try:
        network.train()
        return one.taps.check(*inputs)
    finally:
        network.eval()
        for key, value in network.named_buffers():
            value.copy_(before[key])


@contextmanager
def naming(term: Term, values: Batch) -> Iterator[None]:
    """Say what a loss was given, as ``BadInput``, if it cannot take it: the term, its addresses and their shapes."""
    try:
        yield
    except (Exception, SystemExit) as error:
        if guard.is_out_of_memory(error) or (guard.is_ours(error) and not isinstance(error, OF_INPUTS)):
            raise
        given = ", ".join(f"{address} {tuple(values[address].shape)}" for address in term.flat_addresses)
        reason = guard.describe(error, with_kind=not isinstance(error, OF_INPUTS))
        raise BadInput(f"term '{term.name}' cannot take {given}: {reason}") from error
