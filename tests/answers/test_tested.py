"""What a teacher answers to the test images is found once, and every run tells the same of it."""

import json
from dataclasses import replace

import pytest
from safetensors import safe_open

import potstill as ps
from potstill.engine import measuring
from potstill.engine.evaluate import evaluate
from potstill.losses import CE, KD
from potstill.training import Training

SHORT = Training(data="digits", epochs=1, batch_size=100, lr=0.05, images=200)


@pytest.fixture
def seen(monkeypatch):
    """The networks, by their titles, and how many images of each were measured at once."""
    found = []

    def counted(network, batches, *also):
        measured = evaluate(network, batches, *also)
        found.append((getattr(network, "title", "teacher"), measured["n"]))
        return measured

    monkeypatch.setattr(measuring, "evaluate", counted)
    monkeypatch.setattr(ps.fit, "__kwdefaults__", {**ps.fit.__kwdefaults__, "measure": counted})
    return found


def run(out, cache, teacher=5, **changes):
    training = replace(SHORT, out=out, teacher_cache=cache, **changes)
    data = training.load_data()
    student = ps.networks.create("resnet8", 10, seed=0)
    student.title = "student"
    networks = {"student": student, "teacher": ps.freeze(ps.networks.create("resnet14", 10, seed=teacher))}
    terms = [ps.Term(CE(), "student", "labels"), ps.Term(KD(), "student", "teacher")]
    summary = ps.fit(ps.Distiller(networks, terms, example=data.example()), data, training)
    return summary["teachers"], json.loads((out / "insight.json").read_text())["agreement"]


def test_it_is_measured_once(tmp_path, seen, capsys):
    wanted, cache = run(tmp_path / "off", "off"), str(tmp_path / "answers")
    assert seen == [("teacher", 797), ("student", 797)]
    for out, asked in (("cold", [32, 797]), ("warm", [32])):
        seen.clear()
        assert run(tmp_path / out, cache) == wanted
        assert seen == [*(("teacher", count) for count in asked), ("student", 797)]
    seen.clear()
    assert run(tmp_path / "other", cache, teacher=6) != wanted
    assert run(tmp_path / "fewer", cache, test_images=700)[0]["teacher"]["n"] == 700
    assert [count for name, count in seen if name == "teacher"] == [32, 797, 32, 700]
    for file in (tmp_path / "answers").glob("test-*"):
        with safe_open(file, "pt") as kept:  # in whose order several entries would lie is left to chance
            assert list(kept.metadata()) == ["about"]
        content = bytearray(file.read_bytes())
        content[-5] ^= 1
        file.write_bytes(content)
    assert run(tmp_path / "damaged", cache) == wanted
    assert "is damaged and made again: its checksum does not fit" in capsys.readouterr().err


def test_a_run_with_a_cache_leaves_them_there(tmp_path):
    run(tmp_path / "run", str(tmp_path / "answers"))
    assert len(list((tmp_path / "answers").glob("test-*"))) == 1
