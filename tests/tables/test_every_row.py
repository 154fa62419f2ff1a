"""Every row of every table: the command line takes it, its networks exist, and its terms fit their maps."""

import inspect
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import get_type_hints

import pytest
import torch
import tyro
from drawn import drawn

import potstill as ps
from potstill import recipes, tables
from potstill.flags import check_flags
from potstill.recipes.factor_transfer import last_stage
from potstill.recipes.learner import learn_with_every_head
from potstill.runs.recording import flat
from potstill.tables.plan import Run
from potstill.tables.vit_small import TINY
from potstill.term_strings import parse_terms

TABLES = {name: getattr(tables, name) for name in tables.__all__}
ROWS = [(name, row) for name, table in TABLES.items() for row in table.rows()]
CLASSES = 100


def recipe_of(row):
    return getattr(recipes, row.recipe.replace("-", "_"))


@cache
def network(spec):
    return ps.networks.create(spec, CLASSES, seed=0).eval()


@pytest.fixture(scope="module")
def batch():
    noise = torch.Generator().manual_seed(0)
    images = torch.randn(3, 3, 32, 32, generator=noise)
    labels, index = torch.tensor([1, 7, 99]), torch.arange(3)
    return {"images": images, "strong": images, "labels": labels, "index": index, "size": torch.tensor(50)}


@pytest.mark.parametrize("name", TABLES)
def test_names_folders_and_teachers(name):
    rows = {row.name: row for row in TABLES[name].rows()}
    assert len(rows) == len(TABLES[name].rows()), "two rows of one name"
    for row in rows.values():
        assert "/" not in row.name
        assert row.teacher is None or rows[row.teacher].recipe == "supervised"
        own_weights = row.arguments.get("teacher", "timm:").startswith("timm:")  # which timm has
        assert (row.teacher_file is None) == own_weights, "weights without a network, or none"
        if row.runs_of is not None:
            original = rows[row.runs_of]
            assert (original.recipe, original.arguments, original.training, original.teacher) == (
                row.recipe, row.arguments, row.training, row.teacher
            )  # fmt: skip
    assert any(row.recipe == "supervised" for row in rows.values()), "no baseline without help"


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("epochs", [None, 3])
def test_the_command_line_takes_every_command(name, epochs):
    rows = TABLES[name].rows(epochs)
    for row in drawn(rows, min(100, -(-len(rows) // (1 if epochs is None else 5)))):
        run = Run(row, 0, Path("out"), {"device": "cpu", "holdout": 10})
        words = run.command()[4:]
        recipe = recipe_of(row)
        check_flags(recipe, words)

        def bind(*args, **kwargs):
            return kwargs

        bind.__signature__, bind.__annotations__ = inspect.signature(recipe), get_type_hints(recipe)
        given = tyro.cli(bind, args=list(words), config=(tyro.conf.OmitArgPrefixes,), console_outputs=False)
        found = flat(given)
        arguments = {flag: run.arguments()[flag] for flag in row.arguments}
        for flag, value in {**arguments, **row.training}.items():
            assert found[flag] == value, (row.name, flag)


def test_every_network_exists():
    specs = set()
    for name, row in ROWS:
        words = [row.arguments.get(key) for key in ("network", "student", "light", "booster")]
        of_teacher = {"teacher": teacher_of(name, row)}
        specs |= {spec.format(**of_teacher) for spec in (*words, *row.arguments.get("networks", ())) if spec}
    for spec in specs:
        assert network(spec).spec == spec


# The terms of a recipe that makes its own.
OWN_TERMS = {
    "moonshine": ("1 * KD(temperature=4, reduction='elementmean')", "1 * AT on stages"),
    "channel": ("1 * CD(connector=True) on stages", "1 * KD(temperature=1, guided=True)"),
}


def student_of(row, teacher):
    """The spec of what the row trains: the teacher with cheap convolutions, if it names but these."""
    if row.recipe == "moonshine" and "student" not in row.arguments:
        return f"{teacher}+{row.arguments['conv']}"
    return row.arguments.get("student", "").format(teacher=teacher)


SMALLER = {"timm:regnety_160.deit_in1k": "timm:regnety_002", "timm:deit3_base_patch16_224": TINY}
"""Teachers whose stages are called alike, and that a test can run."""


def teacher_of(name, row):
    """The spec of a row's teacher, trained by another row of the table or elsewhere; None without one."""
    trained = (r.arguments["network"] for n, r in ROWS if n == name and r.name == row.teacher)
    return row.arguments.get("teacher") if row.teacher is None else next(trained)


def pairs():
    """Every pair of student and teacher, with all the terms that any row has between them."""
    found = {}
    for name, row in ROWS:
        teacher = teacher_of(name, row)
        if teacher is None or row.recipe == "rocket":
            continue
        teacher = SMALLER.get(teacher, teacher)
        strings = found.setdefault((student_of(row, teacher), teacher), {})
        strings |= dict.fromkeys(OWN_TERMS.get(row.recipe, ()))
        if row.recipe == "factor-transfer":
            strings["FT"] = None
        for string in (*row.arguments.get("first", ()), *row.arguments.get("terms", ())):
            strings[string] = None
    return found


@pytest.mark.parametrize(("student", "teacher"), drawn(pairs(), len(pairs()) // 3))
def test_all_terms_of_a_pair_fit_its_maps(student, teacher, batch):
    """All at once: each network runs once for all methods; building and computing the terms checks every shape."""
    networks = {"student": network(student), "teacher": ps.freeze(deepcopy(network(teacher)))}
    if student.startswith("timm:"):
        batch = {**batch, "images": torch.nn.functional.interpolate(batch["images"], 224)}
        learn_with_every_head(networks["student"].train())
    terms = []
    for string in pairs()[student, teacher]:
        if string == "FT":
            maps = (f"{name}.{last_stage(networks, name)}" for name in ("student", "teacher"))
            terms.append(ps.Term(ps.losses.FT(channel_power=2.0), *maps))
        else:
            terms += parse_terms([string], networks)
    terms = [term.scaled(1.0, f"{i} {term.name}") for i, term in enumerate(terms)]
    turned = (
        {"rotated": ps.networks.Rotations()} if any("@rotated" in a for t in terms for a in t.flat_addresses) else {}
    )
    distiller = ps.Distiller({**networks, **turned}, terms, example=batch)
    distiller.set_epoch(50)
    values = distiller(batch)[1]
    assert len(values) == len(terms)
    assert all(torch.isfinite(value) for value in values.values()), values


ROCKETS = {
    tuple(row.arguments[key] for key in ("light", "booster", "share")) for _, row in ROWS if row.recipe == "rocket"
}


@pytest.mark.parametrize(("light", "booster", "share"), sorted(r for r in ROCKETS if r[2] != "none"))
def test_rockets_can_share(light, booster, share):
    small, large = ps.networks.create(light, 10), ps.networks.create(booster, 10)
    ps.networks.share(small, large, share)
    assert set(small.parameters()) & set(large.parameters())
