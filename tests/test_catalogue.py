import doctest
import inspect
import json

import pytest
from torch import nn

from potstill import losses
from potstill.catalogue import KINDS, Paper, cards, paragraphs, read_card
from potstill.cli import main
from potstill.commands.describe_loss import describe_loss

CARDS = {card.name: card for card in cards()}
LIGHTLY_TRAINS = ("PatchMSE", "QueueKL", "QueuePatchKL")  # of a framework, whose pages tell of them


def test_every_loss_has_a_card_in_alphabetical_order():
    assert sorted(CARDS) == sorted(losses.__all__)
    assert list(CARDS) == sorted(CARDS, key=str.lower)


@pytest.mark.parametrize("name", CARDS)
def test_a_loss_with_a_teacher_has_a_paper(name):
    card = CARDS[name]
    if card.paper is None:
        assert "teacher" not in card.taps or name in LIGHTLY_TRAINS
        return
    assert 2010 < card.paper.year < 2030
    assert card.paper.url.startswith("https://")
    assert card.paper.url[-1].isalnum()


@pytest.mark.parametrize("name", CARDS)
def test_what_builds_parts_says_so(name):
    # A loss may build what is not trained, or only on demand; it cannot train without building.
    assert bool(CARDS[name].trained) == hasattr(getattr(losses, name), "build")


@pytest.mark.parametrize("name", CARDS)
def test_every_loss_has_an_example_that_uses_it(name):
    # That it runs, --doctest-modules checks.
    examples = doctest.DocTestParser().get_examples(getattr(losses, name).__doc__)
    assert any(f"{name}(" in example.source for example in examples)
    assert any(example.want for example in examples)
    assert paragraphs(getattr(losses, name))[-1].startswith(">>> import torch")


def test_a_card_word_by_word():
    card = CARDS["VID"]
    authors = "Ahn, Hu, Damianou, Lawrence and Dai"
    title = "Variational information distillation for knowledge transfer"
    assert card.paper == Paper(authors, title, "CVPR", 2019, "https://arxiv.org/abs/1904.05835")
    assert str(card.paper) == f'{authors}, "{title}", CVPR'
    assert (card.knowledge, card.taps) == ("features", "student.stages, teacher.stages")
    assert card.trained == "a regressor and a variance for each channel"


def test_citations_in_other_places_of_a_docstring():
    assert CARDS["RKD"].paper.authors == "Park et al."  # after a sentence
    assert CARDS["KD"].paper.venue == ""  # never published but as a preprint
    assert CARDS["KD"].paper.year == 2015
    assert CARDS["Logits"].paper.url == "https://arxiv.org/abs/1312.6184"  # in parentheses, and a question mark before
    assert CARDS["CRD"].taps == "student.pooled, teacher.pooled, index, labels, size"  # known once it is made


def test_kinds_of_losses():
    kinds = {kind: [card.name for card in CARDS.values() if card.is_of(kind)] for kind in KINDS}
    assert {"KD", "NKD", "MLKD", "USKD"} <= {*kinds["responses"]}
    assert {"AT", "FitNet", "DISTPlus"} <= {*kinds["features"]}
    assert {"RKD", "SP", "MLKD"} <= {*kinds["relations"]}
    assert "USKD" in kinds["self"]
    assert "KDCL" in kinds["online"]
    assert not {*kinds["self"]} & {"CE", "BCE", "LabelSmoothing", "KD", "AT", "KDCL"}
    assert {name for names in kinds.values() for name in names} == {*CARDS}


def test_the_command_lists_a_kind_and_describes_every_loss(capsys):
    assert main(["list", "losses", "--kind", "online", "--json"]) == 0
    assert "KDCL" in json.loads(capsys.readouterr().out)["losses"]
    assert main(["list", "data", "--kind", "online"]) == 2
    assert "--kind online is of losses, not of data" in capsys.readouterr().err
    for name in CARDS:
        told = describe_loss(name)
        assert told["equation"][0], name
        loss = getattr(losses, name)
        assert len(told["table"]) == ("__init__" in vars(loss)) * len(inspect.signature(loss).parameters), name
    assert main(["describe", "KD"]) == 0
    shown = capsys.readouterr().out
    assert "KL(softmax(z_t / T) || softmax(z_s / T))" in shown
    assert all(text in shown for text in ("Hinton, Vinyals and Dean", "1503.02531", "0.9, beside 0.1", "standardize"))
    assert main(["describe", "KD", "--classes", "5"]) == 2
    assert "KD is a loss, which has no flags of a network" in capsys.readouterr().err


def test_a_loss_says_how_it_is_trained_alone():
    assert CARDS["MGD"].run == 'distill --terms "7e-5 * MGD"'
    assert CARDS["ABKD"].run == 'distill --terms "1 * ABKD"'  # no weight is known
    assert CARDS["LumiNet"].run == 'distill --terms "1 * LumiNet"'  # a schedule, but not which
    assert describe_loss("USKD")["alone"] == 'potstill supervised --terms "1 * USKD"'
    assert [card.name for card in CARDS.values() if card.own_recipe] == ["ONE"]


def test_a_docstring_without_its_kind_of_knowledge():
    class Bare(nn.Module):
        """One sentence."""

    with pytest.raises(ValueError, match="docstring of Bare has no line 'Knowledge: "):
        read_card(Bare)


def test_the_command_prints_the_same(capsys, monkeypatch):
    assert main(["list", "losses", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["losses"]
    assert list(rows) == list(CARDS)
    assert rows["FitNet"]["trained parts"] == CARDS["FitNet"].trained
    assert rows["CE"]["year"] is None
    monkeypatch.setenv("COLUMNS", "900")
    assert main(["list", "losses"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["name", "paper", "year", "knowledge", "taps", "trained", "parts"]
    for line, card in zip(lines, CARDS.values(), strict=False):
        assert line.split()[0] == card.name
        year = str(card.paper.year) if card.paper else ""
        assert all(text in line for text in (str(card.paper or ""), year, card.knowledge, card.taps, card.trained))
