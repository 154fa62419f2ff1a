"""Who learns, who teaches, whose outputs are logits of the labels' classes.

Mistakes in these are silent, so they are looked for before anything trains.
"""

from collections.abc import Collection, Mapping, Sequence

from torch import Tensor, nn

from potstill.address import Address
from potstill.batch import Batch, rows_of
from potstill.errors import BadInput, unknown
from potstill.forward_pass import GIVEN, ForwardPasses
from potstill.term import Term


def check_kinds(networks: Sequence[tuple[str, object]], terms: Sequence[object]) -> None:
    """Refuse what is no network, or no term, and one network of two names.

    Raises:
        BadInput: such a thing.
    """
    names: dict[int, str] = {}
    for name, network in networks:
        if not isinstance(network, nn.Module):
            raise BadInput(f"network {name!r} is a {type(network).__name__}, not a torch.nn.Module")
        if (other := names.setdefault(id(network), name)) != name:
            raise BadInput(f"{other!r} and {name!r} are one and the same module; make two, or copy.deepcopy it")
    for term in terms:
        if not isinstance(term, Term):
            kind = type(term).__name__
            hint = f"; write Term({kind}(), 'student', ...)" if isinstance(term, nn.Module) else ""
            raise BadInput(f"a distiller minimises terms, not a {kind}{hint}")


def check_names(networks: Sequence[str], terms: Sequence[str], batch: Batch) -> None:
    """Refuse names that would hide each other, or that no address can begin with.

    Raises:
        BadInput: such a name.
    """
    if doubled := [name for name in terms if terms.count(name) > 1]:
        raise BadInput(f"two terms are called {doubled[0]!r}; tell them apart with name=...")
    for name in networks:
        if networks.count(name) > 1:
            raise BadInput(f"two networks are called {name!r}")
        if not name.isidentifier() or hasattr(nn.ModuleDict, name):
            raise BadInput(f"a network cannot be called {name!r}: addresses begin with its name, a word like 'student'")
    for name in (*networks, *batch):
        if name in GIVEN or (name in networks and name in batch):
            what = "an entry that every batch has" if name in GIVEN else "an entry of the batch, too"
            raise BadInput(f"{name!r} is {what}; call {'the network' if name in networks else 'the entry'} otherwise")


def check_labels(terms: Sequence[Term], batch: Batch) -> None:
    """Refuse terms that need labels where the images have none, or some have none and those would not be seen.

    Raises:
        BadInput: such a term.
    """
    needing = [term for term in terms if "labels" in term.flat_addresses]
    if needing and "labels" not in batch:
        name = needing[0].name
        raise BadInput(f"term '{name}' needs labels, and the images have none; KD, AT and others do without")
    if not needing or len(batch["labels"]) == rows_of(batch):
        return
    if len(needing) == len(terms):
        raise BadInput("every term needs labels, and none would see the images without: add KD, AT or the like")
    if differentiating := [term.name for term in needing if term.needs_graph]:
        raise BadInput(
            f"term '{differentiating[0]}' differentiates a network by all its images, and needs labels, which some do "
            "not have"
        )


def check_several(terms: Sequence[Term]) -> None:
    """Refuse losses of ours that take one class an image, where an image may have several labels.

    Raises:
        BadInput: such a term.
    """
    for term in terms:
        if "labels" in term.flat_addresses and not getattr(term.loss, "several_labels", True):
            raise BadInput(f"term '{term.name}' takes one class an image, and these may have several: BCE takes them")


def check_roles(learners: Collection[str], terms: Sequence[Term], passes: ForwardPasses) -> None:
    """Refuse learners that no term trains, whose batch norms would drift all the same, and terms that train nothing.

    Raises:
        BadInput: such a network or term.
    """
    trained = passes.reached(text for term in terms for text in term.reached)
    if idle := [name for name in learners if name not in trained]:
        raise BadInput(
            f"{idle[0]} has trainable parameters, but no term trains it: no term has it first. If it is a teacher, say "
            f"potstill.freeze({idle[0]})"
        )
    for term in terms:
        has_parts = any(parameter.requires_grad for parameter in term.parameters())
        if not has_parts and not passes.reached(term.reached):
            swapped = [text for text in term.flat_addresses if passes.reached([text])]
            hint = f"; the student comes first: {swapped[0]!r}" if swapped else ""
            first = term.flat_addresses[0]
            network = passes.networks.get(Address.parse(first).network)
            why = "has no parameters" if network and not [*network.parameters()] else "is frozen"
            raise BadInput(
                f"term '{term.name}' trains nothing: gradients reach its first input only, and {first!r} {why}{hint}"
            )


def find_classifiers(
    networks: Mapping[str, nn.Module], terms: Sequence[Term], values: Mapping[str, Tensor], told: Sequence[str] | None
) -> dict[str, nn.Module]:
    """The networks whose outputs are logits of the labels' classes, so that accuracy means something.

    Those ``told``, or those that a term joins with ``labels``: directly, or through another one's output of as many
    columns, as KD joins a teacher's with a student's.

    Raises:
        BadInput: one that was told is no network.
    """
    if told is not None:
        if stray := [name for name in told if name not in networks]:
            raise unknown("classifier", stray[0], networks)
        return {name: network for name, network in networks.items() if name in told}
    joined = [_outputs(term, networks, values) for term in terms]
    found = {
        name for term, outputs in zip(terms, joined, strict=True) if "labels" in term.flat_addresses for name in outputs
    }
    widths = {name: width for outputs in joined for name, width in outputs.items()}
    while more := {
        other
        for outputs in joined
        for name in outputs
        for other in outputs
        if name in found and other not in found and widths[name] == widths[other]
    }:
        found |= more
    return {name: network for name, network in networks.items() if name in found}


def _outputs(term: Term, networks: Mapping[str, nn.Module], values: Mapping[str, Tensor]) -> dict[str, int]:
    """The networks whose outputs a term takes, and how many columns these have."""
    found = {}
    for text in term.flat_addresses:
        address = Address.parse(text)
        if address.network in networks and address.is_output and text in values and values[text].dim() == 2:
            found[address.network] = values[text].shape[1]
    return found
