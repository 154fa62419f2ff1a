"""Methods by their names: usual weights, groups, terms, folders' names, and what can be tuned of them."""

import pytest

from potstill.catalogue import cards
from potstill.comparing.methods import GROUPS, methods
from potstill.comparing.settings import ranges_of, with_settings
from potstill.comparing.usual import Usual
from potstill.errors import BadInput
from potstill.tables.row import Budget


def named(*words, teacher=True):
    return {method.name: method for method in methods(words, teacher)}


@pytest.mark.parametrize(("name", "recipe", "terms"), [
    ("KD", "distill", ("0.1 * CE", "0.9 * KD")),
    ("AT", "distill", ("1 * CE", "1000 * AT")),
    ("AFM", "distill", ("1 * CE", "0.9 * KD", "200 * AFM")),
    ("Manifold", "distill", ("1 * CE", "1 * KD", "1 * Manifold")),
    ("OFA", "distill", ("1 * CE", "1 * OFA on student=teacher", "1 * OFA")),
    ("KDSVD", "distill", ("1 * CE", "1 * KDSVD")),
    ("FunctionMatching", "distill", ("1 * FunctionMatching",)),
    ("SSKD", "distill", ("1 * SSKD",)),
    ("PSKD", "supervised", ("1 * PSKD",)),
    ("TfKD", "supervised", ("0.9 * CE", "0.1 * TfKD")),
    ("ONE", "native-ensemble", ()),
])  # fmt: skip
def test_usual_terms(name, recipe, terms):
    usual = named(name)[name].usual
    assert (usual.recipe, usual.terms) == (recipe, terms)


def test_a_loss_for_before_the_training_has_a_stage_of_its_own():
    assert named("AB")["AB"].usual == Usual("two-stage", ("CE",), ("3.3 * AB",))


def test_schedules_of_the_authors_are_shortened_with_the_run_and_ones_own_are_not():
    usual = named("DKD")["DKD"].usual
    assert usual.arguments(Budget(240, 24)) == {"terms": ("1 * CE", "warmup(1, 2) * DKD")}
    assert not named("CE; warmup(1, 20) * DKD")["CE-warmup-1-20-DKD"].scaled


def test_groups_are_kinds_and_leave_out_what_is_no_method():
    every = named("all")
    assert {card.name for card in cards()} - {*every} == {"CE", "BCE", "ONE"}
    assert {*named("all-logit")} == {card.name for card in cards() if card.is_of("responses")} - {"ONE"}
    assert all({*named(group)} < {*every} for group in GROUPS if group != "all")
    assert {*named("all", teacher=False)} == {name for name, one in every.items() if one.usual.recipe == "supervised"}
    assert named("all", "KD")["KD"].group == ""  # named, it is no longer one of many
    assert named("KD", "all")["KD"].group == ""


def test_terms_of_one_name_are_two_methods():
    first, second = methods(["CE; 2 * DKD(beta=8)", "CE; 2 * DKD (beta=8)", "CE; 2 * DKD(beta=8)"], True)
    assert first.name == "CE-2-DKD-beta=8"
    assert second.name.startswith(f"{first.name}-")
    (long,) = methods(["CE; " + "; ".join(f"{i} * AT on stage{i}" for i in range(1, 9))], True)
    assert len(long.name) < 70


@pytest.mark.parametrize(("word", "message"), [
    ("KDD", "unknown method 'KDD'; did you mean KD or KDSVD or SKD?"),
    ("all-logits", "unknown method 'all-logits'; did you mean all-logit"),
    ("CE", "CE is what the student alone is trained by"),
])  # fmt: skip
def test_names_that_are_none(word, message):
    with pytest.raises(BadInput, match=message.replace("?", r"\?")):
        methods([word], True)


def test_ones_own_loss_by_its_file(tmp_path):
    file = tmp_path / "lab.py"
    file.write_text(
        'class Mine:\n    """Mine.\n\n    Usual weight: 3, beside 0.5 of cross-entropy.\n    """\n'
        "    def __call__(self, student, teacher):\n        return (student - teacher).abs().mean()\n"
        "def plain(student, teacher):\n    return (student - teacher).abs().mean()\n"
    )
    (mine,), (plain,) = (methods([f"{file}:{name}"], True) for name in ("Mine", "plain"))
    assert mine.usual == Usual("distill", ("0.5 * CE", f"3 * {file}:Mine"))
    assert plain.usual == Usual("distill", ("1 * CE", f"1 * {file}:plain"))
    (written,) = methods([f"CE; 0.5 * {file}:Mine"], True)
    assert written.usual.terms == ("CE", f"0.5 * {file}:Mine")


def test_settings():
    usual = Usual("distill", ("CE", "warmup(2, 20) * KD(temperature=2)", "0.5 * AT on stages"))
    found = ranges_of(usual)
    assert (found["temperature"].least, found["temperature"].usual, found["temperature"].most) == (0.5, 2.0, 8.0)
    tried = with_settings(usual.terms, {"weight": 3.0, "temperature": 1.5})
    assert tried == ("CE", "warmup(6, 20) * KD(temperature=1.5)", "1.5 * AT on stages")
    assert with_settings(usual.terms, {"weight": 1.0, "temperature": 2.0})[2] == "0.5 * AT on stages"
    assert with_settings(("CE", "AT"), {"weight": 3.0}) == ("CE", "3 * AT")


@pytest.mark.parametrize("terms", [("1 * SimKD",), ("2 * Logits", "1 * AT"), ("CE",), ()])
def test_what_has_no_setting(terms):
    assert ranges_of(Usual("distill", terms)) == {}
    assert ranges_of(Usual("two-stage", ("CE",), ("3.3 * AB",))) == {}
