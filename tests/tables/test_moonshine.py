"""Moonshine's table against the types of convolution that its code offers."""

from potstill.networks.cheap import ORIGINAL
from potstill.tables import moonshine
from potstill.tables.moonshine import BLOCKS, DATASETS, SMALLER

ROWS = {row.name: row for row in moonshine.rows()}


def test_blocks_are_types_of_the_original():
    assert len(set(BLOCKS)) == len(BLOCKS)
    assert set(BLOCKS) <= {*ORIGINAL, "ACDC"} - {"Conv"}


def test_every_student_is_trained_alone_with_kd_and_with_at():
    teachers = {f"{data}-wrn-40-2" for data in DATASETS}
    alone = {name for name, row in ROWS.items() if row.recipe == "supervised"} - teachers
    assert alone == {f"{data}-{name}" for data in DATASETS for name in (*SMALLER, *BLOCKS)}
    helped = {name for name, row in ROWS.items() if row.recipe == "moonshine"}
    assert helped == {f"{name}-{kind}" for name in alone for kind in ("kd", "at")}
    for name in alone:
        kd, at = (dict(ROWS[f"{name}-{kind}"].arguments) for kind in ("kd", "at"))
        network = kd["student"] if kd["conv"] == "Conv" else f"wrn-40-2+{kd['conv']}"
        assert ROWS[name].arguments == {"network": network}, "not the network that KD and AT train"
        assert (kd.pop("alpha"), kd.pop("beta"), kd.pop("temperature")) == (0.9, 0, 4)
        assert (at.pop("alpha"), at.pop("beta")) == (0, 1000)
        assert at == kd


def test_students_are_trained_like_the_teacher_on_the_same_images():
    for row in ROWS.values():
        data = row.name.partition("-")[0]
        assert row.training == ROWS[f"{data}-wrn-40-2"].training
        assert row.training["data"] == data
        assert row.teacher == (f"{data}-wrn-40-2" if row.recipe == "moonshine" else None)
