"""Write docs/methods-and-pairs.md: a training step of every method on ten pairs of networks of docs/pairs.md.

    python tools/write_methods_docs.py [docs/methods-and-pairs.md]

Networks have fresh weights, batches are of four images of noise. What does not run is there with the sentence that the
package says; whatever it does not say itself is its fault, and ends the tool.
"""

import contextlib
import io
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

import potstill as ps
from potstill.catalogue import Card, cards
from potstill.engine.streams import backward_pass
from potstill.errors import BadInput
from potstill.guard import guarded
from potstill.networks import Stage

sys.path.insert(0, str(Path(__file__).parent))
from write_pairs_docs import PAIRS, Pair, matched, networks_of

PAGE = Path(__file__).resolve().parents[1] / "docs" / "methods-and-pairs.md"
CHOSEN = {"CNN from CNN": (0, 1, 7), "CNN from ViT": (0, 2, 8, 9), "ViT from CNN": (0, 3, 8)}
STAGE = re.compile(r"(?P<network>student|teacher)(?P<input>@\w+)?\.stage(?P<number>s|\d)(?P<pre>:pre)?")
LAST_STAGE = 3  # as losses call it
ROWS = 4
ORIGIN = "\nWritten by `tools/write_methods_docs.py`; change it there.\n"
Networks = Mapping[str, nn.Module]
Stages = Sequence[tuple[Stage, Stage]]

INTRODUCTION = """\
# Every method on ten pairs

A training step of every loss, alone, on ten of the [pairs](pairs.md), convolutional networks and transformers: + if its
value and all gradients are finite and the student has some. Places are those that a loss takes by itself, found in
networks that do not call them so: stages are the matched ones, the last stage is the last of them, pooled features are
what flows into the last linear layer; losses that ask this layer get the map that is pooled before it. A number is that
of a footnote: what the package says, of the first such pair, and why the method means nothing there. Losses whose
branches a recipe makes are not in this table.

"""


def main() -> None:
    torch.set_num_threads(1)
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    found = {pair: dict(steps(pair)) for pair in chosen()}
    path.write_text(page(found), encoding="utf-8")


def chosen() -> list[Pair]:
    """The ten pairs, in the order of docs/pairs.md."""
    return [PAIRS[kind][number] for kind, numbers in CHOSEN.items() for number in numbers]


def methods() -> list[Card]:
    """Those that a pair of networks can be trained by."""
    return [card for card in cards() if not card.own_recipe]


def steps(pair: Pair) -> Iterator[tuple[str, str]]:
    """Each method on a pair: "", or why it cannot be."""
    networks, batch = networks_of(pair), batch_of(pair.size)
    stages = matched(networks, batch["images"][:2])
    for card in methods():
        torch.manual_seed(0)
        yield card.name, step(card, networks, stages, batch)


def batch_of(size: int) -> dict[str, Tensor]:
    """Noise, with every entry that a loss may ask for."""
    noise = torch.Generator().manual_seed(0)
    images, earlier = torch.randn(2, ROWS, 3, size, size, generator=noise)
    labels, rows = torch.tensor([3, 7, 1, 3]), torch.arange(ROWS)
    named = {"images": images, "previous": earlier, "labels": labels, "previous_labels": labels.flip(0), "index": rows}
    return {**named, "size": torch.tensor(5 * ROWS)}


def step(card: Card, networks: Networks, stages: Stages, batch: Mapping[str, Tensor]) -> str:
    """A training step of one method: "", or what the package says of why not.

    Raises:
        RuntimeError: it does not say so itself, or the step is worth nothing.
    """
    networks["student"].zero_grad()
    given = {**networks, "rotated": ps.networks.Rotations()} if "@rotated" in card.taps else dict(networks)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            distiller = ps.Distiller(given, terms_of(card, networks, stages, batch), example=batch)
            total, _ = distiller(batch)
    except BadInput as error:
        if not isinstance(error.__cause__, BadInput | None):
            raise RuntimeError(f"{card.name}: a fault: {error}") from error
        return str(error.__cause__ or error)
    try:
        guarded(partial(backward_pass, distiller), total.backward)
    except BadInput as error:
        return str(error).replace(f"{card.name} 0", card.name)
    gradients = [p.grad for p in networks["student"].parameters() if p.grad is not None]
    if not total.isfinite() or not all(gradient.isfinite().all() for gradient in gradients):
        raise RuntimeError(f"{card.name}: not finite")
    if not any(gradient.any() for gradient in gradients):
        raise RuntimeError(f"{card.name}: no gradient")
    return ""


def terms_of(card: Card, networks: Networks, stages: Stages, batch: Mapping[str, Tensor]) -> list[ps.Term]:
    """The term of a method, or one a stage, at the places where these networks have what it asks for."""
    paths = {name: [pair[i].path for pair in stages] for i, name in enumerate(("student", "teacher"))}
    heads = {name: last_linear(network) for name, network in networks.items()}
    if "fc.weight" in card.taps and "stage" in card.taps:
        paths = {name: before_pooling(networks[name], batch["images"])[-1:] or paths[name] for name in paths}

    def place(text: str, number: int) -> str:
        network = re.split("[@.]", text)[0]
        if network in heads:
            text = text.replace(".pooled", f".{heads[network]}:in").replace(".fc.", f".{heads[network]}.")
        return STAGE.sub(lambda at: at_stage(at, paths[at["network"]], number), text)

    loss = getattr(ps.losses, card.name)
    taps, terms = getattr(loss(), "taps", ("student", "teacher")), []
    for number in range(len(stages) if ".stages" in card.taps else 1):
        places = [place(t, number) if isinstance(t, str) else tuple(place(one, number) for one in t) for t in taps]
        terms.append(ps.Term(loss(), *places, name=f"{card.name} {number}"))
    return terms


def last_linear(network: nn.Module) -> str:
    """The path of the classifier."""
    return [path for path, module in network.named_modules() if isinstance(module, nn.Linear)][-1]


def before_pooling(network: nn.Module, images: Tensor) -> list[str]:
    """The places of maps, or tokens, that have as many channels as the classifier takes, in the order they come."""
    width, found = network.get_submodule(last_linear(network)).weight.shape[1], []

    def note(path: str, output: Tensor) -> None:
        if isinstance(output, Tensor) and output.dim() == 4 and output.shape[1] == width and output.shape[2] > 1:
            found.append(path)
        elif (
            isinstance(output, Tensor) and output.dim() in (3, 4) and output.shape[-1] == width and output.shape[1] > 1
        ):
            found.append(f"{path}:map")

    hooks = [
        m.register_forward_hook(lambda _m, _i, out, path=path: note(path, out)) for path, m in network.named_modules()
    ]
    with torch.no_grad():
        network.eval()(images)
    for hook in hooks:
        hook.remove()
    return [path for path in found if path not in ("", ":map")]


def at_stage(found: re.Match[str], paths: Sequence[str], number: int) -> str:
    """The address of a stage; of fewer than the loss has, the first stands for those that lack."""
    place = number if found["number"] == "s" else max(0, len(paths) + int(found["number"]) - LAST_STAGE - 1)
    return f"{found['network']}{found['input'] or ''}.{paths[place]}"


def page(found: Mapping[Pair, Mapping[str, str]]) -> str:
    """The whole page."""
    notes: dict[str, str] = {}  # by what they say but for numbers
    rows = []
    for card in methods():
        for said in filter(None, (of_pair[card.name] for of_pair in found.values())):
            notes.setdefault(kind(said), said)
        cells = [
            str([*notes].index(kind(said)) + 1) if said else "+" for said in (p[card.name] for p in found.values())
        ]
        rows.append(f"| [{card.name}](losses/{card.name}.md) | {' | '.join(cells)} |\n")
    letters = "ABCDEFGHIJ"
    pairs = [
        f"- {at}: `{p.student}` from `{p.teacher}`, {p.size} pixels\n" for at, p in zip(letters, found, strict=True)
    ]
    head = f"\n| method | {' | '.join(letters)} |\n|---|{'---|' * len(found)}\n"
    foot = [f"{number}. {note}\n" for number, note in enumerate(notes.values(), start=1)]
    return "".join([INTRODUCTION, *pairs, head, *rows, "\n", *foot, ORIGIN])


def kind(said: str) -> str:
    """The same for what differs in numbers only."""
    return re.sub(r"[\d\W]+", " ", said)


if __name__ == "__main__":
    main()
