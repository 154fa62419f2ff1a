"""Published numbers are quoted from files, never typed."""

import os
from pathlib import Path

import pytest

from potstill import tables
from potstill.tables import published as module
from potstill.tables.published import published, quoted

ORIGINAL = Path(os.environ.get("POTSTILL_PUBLISHED", Path(__file__).resolve().parents[3] / "shared" / "published"))


def test_the_copy_is_the_original():
    if not (ORIGINAL / "results.csv").is_file():
        pytest.skip(f"POTSTILL_PUBLISHED: no results.csv in {ORIGINAL}")
    assert Path(module.__file__).with_name("published.csv").read_bytes() == (ORIGINAL / "results.csv").read_bytes()


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


def test_only_rows_that_nobody_published_have_no_number():
    without_any = {"moonshine", *(name for name in tables.__all__ if name.startswith("express_"))}
    assert not any(row.published for name in without_any for row in getattr(tables, name).rows())
    others = [name for name in tables.__all__ if name not in without_any]
    without = {row.name for name in others for row in getattr(tables, name).rows() if not row.published}
    assert {row for row in without if "dml" not in row} <= {row.name for row in tables.rocket_table4.rows()}
    assert {row for row in without if "dml" in row} == {
        f"{data}-resnet110-resnet20-dml-resnet20" for data in ("cifar10", "cifar100")
    }
