"""The distiller: networks and terms as one module that turns a batch into a loss."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.parameter import is_lazy

from potstill.address import owner
from potstill.batch import Batch, as_batch, of_labelled
from potstill.errors import BadInput
from potstill.example_pass import is_empty, naming, try_out
from potstill.forward_pass import ForwardPass, ForwardPasses, Plan
from potstill.guard import guarded
from potstill.memory_layout import for_loss
from potstill.networks.freezing import put_to_rest
from potstill.networks.lazy import make_whole
from potstill.roles import check_kinds, check_labels, check_names, check_roles, find_classifiers
from potstill.soundness import check_soundness
from potstill.term import Addresses, Term, one_number
from potstill.untrained import Untrained

if TYPE_CHECKING:
    from potstill.ranks.team import Team

Network = TypeVar("Network", bound=nn.Module)


def freeze(network: Network) -> Network:
    """Make a teacher: no parameter trains any more, batch norm and dropout rest. Returns the same network.

    Raises:
        BadInput: it has lazy layers that have not seen an image.

    >>> import potstill as ps
    >>> teacher = ps.freeze(ps.networks.create("resnet8"))
    >>> teacher.training, any(parameter.requires_grad for parameter in teacher.parameters())
    (False, False)
    """
    if any(is_lazy(parameter) for parameter in network.parameters()):
        raise BadInput(f"this {type(network).__name__} has no weights yet: its lazy layers wait for the first images")
    network.requires_grad_(False)
    network.eval()  # returns what its own train() does, which may be nothing
    return network


class Distiller(nn.Module):
    """Networks and terms as one module: ``forward(batch) -> (total, {term: value})``.

    A network without a trainable parameter is a teacher (see `freeze`): it stays in eval mode, even after
    ``distiller.train()``, and runs without autograd. Every other network is a learner. Each pair of network and input
    that a term mentions runs exactly once a batch. Used in a ``with`` statement, or after `close`, it leaves no hook in
    the networks.

    Args:
        networks: the networks by name.
        terms: what is minimised: the sum of their weighted losses.
        example: a real batch, of which two images are looked at, to check every address and to build the losses' parts:
            a dictionary with ``images`` (N, C, H, W), ``labels`` (N,) and whatever else terms address, or a pair
            (images, labels), or images alone.
        seed: of the first weights of what the losses build.
        alternate: learners take turns: a batch is as many steps as there are learners, each of the terms whose first
            input is one learner's, after the steps of those before it.
        inputs: what networks are called with where that is not ``images``: an address, or a tuple of several.
        classifiers: the networks whose outputs are logits of the labels' classes. By default those that a term joins
            with ``labels``, directly or through another one's output of as many columns.

    Raises:
        BadInput: an address that does not exist or is not safe, two terms or networks of one name, a learner that no
            term trains, a term that trains nothing.

    >>> import torch
    >>> import potstill as ps
    >>> batch = torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 2, 0])
    >>> networks = {"student": ps.networks.create("resnet8"), "teacher": ps.freeze(ps.networks.create("resnet14"))}
    >>> distiller = ps.Distiller(networks, ps.terms(["CE", "0.9 * KD"], networks), example=batch)
    >>> total, values = distiller(batch)  # then total.backward(), and a step of any optimiser
    >>> list(values)
    ['CE student', 'KD student']
    """

    weights: Tensor  # of this epoch, on the device, so that a step needs no number from the host
    epoch: Tensor
    progress: Tensor
    team: "Team | None" = None  # the other processes of the run, while `fit` trains it on several

    def __init__(
        self,
        networks: Mapping[str, nn.Module] | Iterable[tuple[str, nn.Module]],
        terms: Sequence[Term],
        example: Any,
        seed: int = 0,
        alternate: bool = False,
        inputs: Mapping[str, Addresses] | None = None,
        classifiers: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        self.alternate = alternate
        named = list(networks.items() if isinstance(networks, Mapping) else networks)
        batch = as_batch(example)
        check_kinds(named, terms)
        check_names([name for name, _ in named], [term.name for term in terms], batch)
        check_labels(terms, batch)
        make_whole(named, batch, inputs or {}, seed)
        self.networks = nn.ModuleDict(dict(named))
        self.learners = {n: net for n, net in named if any(p.requires_grad for p in net.parameters())}
        self.teachers = {n: net for n, net in named if n not in self.learners}
        self.of_images = {name for name, _ in named if (inputs or {}).get(name, "images") == "images"}
        self.terms = list(terms)
        self.losses = nn.ModuleList(terms)  # what they train or keep is part of this module
        self.ranges = nn.ModuleDict()  # of activations, by learners, while `fit` trains with --qat
        like = next(self.networks.parameters(), next(iter(batch.values())))
        self._add_scalars(like)
        self.passes = ForwardPasses(dict(named), self.teachers, terms, batch, inputs or {})
        entries = {key: value.to(like.device) for key, value in batch.items()}
        values = try_out(self.passes, self.learners, terms, {**entries, **self._scalars()}, seed)
        check_roles(self.learners, self.terms, self.passes)
        self.classifiers = find_classifiers(dict(named), self.terms, values, classifiers)
        check_soundness(self.passes, self.teachers, self.classifiers, values)
        self.untrained = Untrained(self.learners, self.terms)
        self.computed: set[int] = set()  # the terms that have been, once
        # By the keys of frozen passes, what answers in their place while a run trains: with the same tensors.
        self.answered: dict[str, Callable[[Batch], Mapping[str, Tensor]]] = {}
        self.set_epoch(0)
        self.train()

    def _add_scalars(self, like: Tensor) -> None:
        """Buffers that are no part of the state."""
        real = like.dtype.to_real() if like.dtype.is_complex else like.dtype
        dtype = torch.promote_types(real, torch.float32)
        self.register_buffer("weights", torch.zeros(len(self.terms), dtype=dtype, device=like.device), False)
        self.register_buffer("epoch", torch.zeros((), dtype=dtype, device=like.device), False)
        self.register_buffer("progress", torch.zeros((), dtype=dtype, device=like.device), False)

    def _scalars(self) -> dict[str, Tensor]:
        """The entries that every batch has."""
        return {"epoch": self.epoch, "progress": self.progress}

    def set_epoch(self, epoch: int) -> None:
        """Take the terms' weights of ``epoch``, counted from 0. A term of weight 0 is left out: 0 * nan is nan."""
        weights = [term.weight_at(epoch) for term in self.terms]
        self.weights.copy_(torch.tensor(weights, dtype=self.weights.dtype))
        self.epoch.fill_(epoch)
        self.active = [i for i, weight in enumerate(weights) if weight != 0]
        if not self.active:
            raise BadInput(f"in epoch {epoch} every term has weight 0: there is nothing to learn")
        owners = [owner(self.terms[i].flat_addresses[0]) for i in self.active]
        turns = [[i for i, o in zip(self.active, owners, strict=True) if o == name] for name in dict.fromkeys(owners)]
        self.turns = turns if self.alternate else [self.active]

    def train(self, mode: bool = True) -> Self:
        """Set the mode of learners and losses; teachers, and parts that were frozen, stay in eval mode: no statistic of
        theirs is to drift.
        """
        super().train(mode)
        for teacher in self.teachers.values():
            teacher.eval()
        for learner in self.learners.values():
            put_to_rest(learner)
        return self

    def forward(self, batch: Any, turn: Sequence[int] | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """The total to minimise, a scalar, and each active term's value: unweighted and detached.

        ``turn`` are the indices of the terms to take, one of ``turns``; all active ones by default. A network whose
        input has no rows does not run, and terms that need it are 0.
        """
        results = self.results(batch, turn)
        return self.total(results), {self.terms[i].name: result.detach() for i, result in results.items()}

    def results(self, batch: Any, turn: Sequence[int] | None = None) -> dict[int, Tensor]:
        """The values of some terms by their indices, unweighted and with their graph."""
        values: dict[str, Tensor] = {**as_batch(batch), **self._scalars()}
        indices = tuple(self.active if turn is None else turn)
        plan = self.passes.plan(terms := tuple(self.terms[i] for i in indices))
        if self.untrained.looking and self.training and torch.is_grad_enabled():
            self.untrained.look(terms)
        if plan.graph:
            values["images"] = values["images"].detach().requires_grad_()
        values |= self.passes.parameters()
        for one in plan.passes:
            with nullcontext(values) if self.team is None else self.team.given(one, values) as given:
                if not is_empty(given, one.inputs):
                    values |= self._run(one, given, plan)
        results = {i: self._value(i, values) for i in indices}
        if self.team is not None:  # what comes of all processes is the sum
            results = {i: self.team.share(self.terms[i], values) * result for i, result in results.items()}
        return results

    def total(self, results: Mapping[int, Tensor]) -> Tensor:
        """The weighted sum of some terms' values."""
        return torch.stack([self.weights[i] * result for i, result in results.items()]).sum()

    def _run(self, one: ForwardPass, values: Batch, plan: Plan) -> Mapping[str, Tensor]:
        """What a pass gives."""
        learns = plan.graph or one.network in plan.reached
        # Fused attention cannot be differentiated twice.
        attention = sdpa_kernel(SDPBackend.MATH) if plan.graph else nullcontext()
        if "labels" in one.inputs:
            values = of_labelled(values, one.inputs)
        with attention, torch.set_grad_enabled(torch.is_grad_enabled() and learns):
            if one.key in self.answered and not plan.graph:
                return self.answered[one.key](values)
            return one.taps(*(values[text] for text in one.inputs))

    def _value(self, index: int, values: Batch) -> Tensor:
        """A term's value. What goes wrong the first time is due to its inputs; anything later is not."""
        term = self.terms[index]
        if not all(text in values for text in term.flat_addresses):
            return self.weights.new_zeros(())
        own = for_loss(term, values)
        with nullcontext(own) if self.team is None else self.team.computing(term, own) as given:
            return self._computed(index, given)

    def _computed(self, index: int, given: Batch) -> Tensor:
        term = self.terms[index]
        if index in self.computed:
            return guarded(f"term '{term.name}'", term, given)  # type: ignore[no-any-return]
        with naming(term, given):
            value = one_number(term(given))
        self.computed.add(index)
        return value

    def state_dict(self, *, teachers: bool = False, prefix: str = "", **settings: Any) -> dict[str, Any]:  # type: ignore[override]
        """As of any module, but without the frozen teachers, unless ``teachers`` asks for them."""
        state: dict[str, Any] = super().state_dict(prefix=prefix, **settings)
        frozen = tuple(f"{prefix}networks.{name}." for name in self.teachers)
        for key in [key for key in state if not teachers and key.startswith(frozen or (" ",))]:
            del state[key]
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """As of any module; teachers that ``state_dict`` lacks stay as they are."""
        own = {f"networks.{n}.{key}": v for n, net in self.teachers.items() for key, v in net.state_dict().items()}
        return super().load_state_dict({**own, **state_dict}, strict, assign)

    def close(self) -> None:
        """Remove the hooks from the networks, which then are as they were. The distiller cannot run any more."""
        for one in self.passes.in_order:
            one.taps.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
