"""Thirty pairs of timm's and torchvision's networks: stages found, matched, distilled; and the page that lists them."""

import importlib.util
import io
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
import torch
from drawn import drawn
from PIL import Image
from torch import nn

import potstill as ps
from potstill.term_strings import parse_terms

ROOT = Path(__file__).resolve().parents[2]


def load_tool():
    spec = importlib.util.spec_from_file_location("pairs", ROOT / "tools" / "write_pairs_docs.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool


TOOL = load_tool()
EVERY = [
    pytest.param(kind, pair, id=f"{pair.student} from {pair.teacher}")
    for kind in TOOL.PAIRS
    for pair in TOOL.PAIRS[kind]
]
STORED = TOOL.PAGE.read_text(encoding="utf-8").splitlines(keepends=True)


@pytest.fixture(scope="module")
def photographs(request):
    """Two real photographs (2, 3, 256, 256) where the data lies; noise elsewhere."""
    try:
        folder = request.getfixturevalue("shared_data") / "imagenet_sample"
    except pytest.skip.Exception:
        return torch.rand(2, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    with pyarrow.parquet.ParquetFile(next(folder.glob("*.parquet"))) as file:
        encoded = next(file.iter_batches(batch_size=2, columns=["image"])).to_pylist()
    files = [io.BytesIO(row["image"]["bytes"]) for row in encoded]
    pixels = [np.array(Image.open(file).convert("RGB").resize((256, 256))) for file in files]
    return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2) / 255


def state(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


@pytest.mark.parametrize(("kind", "pair"), drawn(EVERY, 10))
def test_a_step_on_matched_stages(kind, pair, photographs):
    images = nn.functional.interpolate(photographs, (pair.size, pair.size), mode="area") * 4 - 2
    batch = {"images": images, "labels": torch.tensor([3, 7])}
    networks = TOOL.networks_of(pair)
    student, teacher = networks.values()
    before, frozen = state(student), state(teacher)
    stages = TOOL.matched(networks, images)
    assert TOOL.row(kind, pair, stages) in STORED, "run python tools/write_pairs_docs.py"
    assert len(stages) >= 1

    terms = parse_terms(pair.terms, networks, images=images)
    assert [term.addresses for term in terms[1:]] == [(f"student.{s.path}", f"teacher.{t.path}") for s, t in stages]
    torch.manual_seed(0)
    distiller = ps.Distiller(networks, terms, example=batch)
    assert all(max(kernel) <= 7 for kernel in kernels(distiller))

    values = {**batch}
    for one in distiller.passes.in_order:
        with torch.set_grad_enabled(one.network == "student"):
            values |= one.taps(images)
    losses = [term(values) for term in terms]
    for term, loss in zip(terms, losses, strict=True):
        tapped = values[term.addresses[0]]
        (gradient,) = torch.autograd.grad(loss, tapped, retain_graph=True)
        assert gradient.isfinite().all(), term.name
        assert gradient.count_nonzero() > 0, term.name
    optimizer = torch.optim.SGD(distiller.parameters(), lr=0.01)
    sum(term.weight_at(0) * loss for term, loss in zip(terms, losses, strict=True)).backward()
    optimizer.step()
    assert all(loss.isfinite() for loss in losses)
    moved = [name for name, weight in student.named_parameters() if not torch.equal(weight, before[name])]
    assert len(moved) > 10
    assert all(torch.equal(value, frozen[name]) for name, value in teacher.state_dict().items())


def kernels(distiller):
    """Of the layers that losses have built."""
    built = [module for module in distiller.losses.modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)]
    return [module.kernel_size for module in built]


def test_there_are_thirty():
    pairs = [pair for pairs in TOOL.PAIRS.values() for pair in pairs]
    assert len(set(pairs)) == 30
    assert min(len(pairs) for pairs in TOOL.PAIRS.values()) == 10


def test_the_rest_of_the_page_is_what_the_tool_writes():
    rows = [line for line in STORED if line.startswith(("| CNN from", "| ViT from"))]
    assert len(rows) == 30
    assert "".join(STORED) == TOOL.page(rows), "run python tools/write_pairs_docs.py"
