"""Published numbers are quoted from files, never typed."""

import csv
import os
from pathlib import Path

import pytest

from potstill import tables
from potstill.tables import published as module
from potstill.tables.crd_benchmark import PAIRS
from potstill.tables.crd_later import OF_NOBODY, USUAL
from potstill.tables.imagenet_34_18 import PAIR
from potstill.tables.published import published, quoted
from potstill.tables.vit_small import ROWS

ORIGINAL = Path(os.environ.get("POTSTILL_PUBLISHED", Path(__file__).resolve().parents[3] / "shared" / "published"))


@pytest.mark.parametrize(("copy", "original"), [("published.csv", "results.csv"), ("newer.csv", "newer.csv")])
def test_the_copy_is_the_original(copy, original):
    if not (ORIGINAL / original).is_file():
        pytest.skip(f"POTSTILL_PUBLISHED: no {original} in {ORIGINAL}")
    assert Path(module.__file__).with_name(copy).read_bytes() == (ORIGINAL / original).read_bytes()


def test_an_accuracy_an_error_and_nothing():
    zoo = published("Knowledge-Distillation-Zoo", "CIFAR100", "resnet110", "resnet20", "CRD")
    assert (zoo.value, zoo.is_best_epoch) == (70.80, True)
    error = published("Rocket Launching, AAAI 2018, table 1", "CIFAR10", "-", "wrn-16-1", "Baseline")
    assert (error.value, error.is_best_epoch) == (91.23, False)  # 8.77 % error
    assert error.url.startswith("https://arxiv.org/")
    assert quoted("RepDistiller", "CIFAR100", "wrn-40-2", "wrn-40-1", "FSP") == ()


@pytest.mark.parametrize(("names", "source", "own"), [
    (("kd_zoo",), "Knowledge-Distillation-Zoo", 130),
    (("crd_benchmark",), "RepDistiller", None),
    (("rocket_table1",), "Rocket Launching, AAAI 2018, table 1", 19),
    (("channel_cifar", "channel_imagenet"), "channel-distillation README", 15),
])  # fmt: skip
def test_every_number_of_a_source_is_in_its_table(names, source, own):
    entries = [entry for entry in module._entries() if entry["source"].startswith(source)]
    rows = [row for name in names for row in getattr(tables, name).rows()]
    quotes = [quote for row in rows for quote in row.published if quote.source.startswith(source)]
    assert len(quotes) == len(entries) == (own or len(entries))
    assert sorted(quote.value for quote in quotes) == sorted(module._accuracy(entry) for entry in entries)


FIRST = {"AT", "CRD", "FitNet", "KD", "SP", "VID"}  # RepDistiller's numbers are quoted
ELSEWHERE = {
    "NORM plain transform",  # an ablation of NORM
    "SimKD factor 2",  # which is SimKD
    "HSAKD*", "WCoRD", "Baseline", "KR (ReviewKD)",  # another teacher's, no method of ours, their own runs
}  # fmt: skip


@pytest.mark.parametrize(("table", "dataset", "pairs"), [
    ("crd_benchmark", "CIFAR100", PAIRS),
    ("imagenet_34_18", "ImageNet", (PAIR,)),
    ("vit_small", "ImageNet", [(teacher, student) for _, teacher, student, *_ in ROWS]),
])  # fmt: skip
def test_every_later_method_that_somebody_reports_for_a_pair_has_its_row(table, dataset, pairs):
    rows = getattr(tables, table).rows()
    with Path(module.__file__).with_name("newer.csv").open() as file:
        entries = [e for e in csv.DictReader(file) if e["dataset"] == dataset]
    for entry in entries:
        first = dataset == "CIFAR100" and entry["method"] in FIRST
        if first or entry["method"] in ELSEWHERE or (entry["teacher"], entry["student"]) not in pairs:
            continue
        start = f"{entry['teacher']}-{entry['student']}-" if dataset == "CIFAR100" else None
        method = entry["method"].lower().replace(" ", "-")
        named = [row for row in rows if row.name in (f"{start}{method}", method.replace("+", "-"))]
        named += [row for row in rows if row.name.endswith(f"-{method}") and row.name.startswith("deit")]
        assert named, (entry["teacher"], entry["student"], entry["method"])
        assert all(row.published for row in named)


def test_only_rows_that_nobody_published_have_no_number():
    without_any = {"moonshine", "unlabelled_cifar10", *(name for name in tables.__all__ if name.startswith("express_"))}
    assert not any(row.published for name in without_any for row in getattr(tables, name).rows())
    others = [name for name in tables.__all__ if name not in without_any]
    without = {row.name for name in others for row in getattr(tables, name).rows() if not row.published}
    own = {f"{'-'.join(USUAL)}-{method.lower()}" for method in OF_NOBODY}
    assert without >= own | {"deit-s"}
    without -= own | {"deit-s"}
    assert {row for row in without if "dml" not in row} <= {row.name for row in tables.rocket_table4.rows()}
    assert {row for row in without if "dml" in row} == {
        f"{data}-resnet110-resnet20-dml-resnet20" for data in ("cifar10", "cifar100")
    }
