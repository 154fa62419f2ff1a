import json

import pytest

from potstill.errors import BadInput
from potstill.export import choose_network


@pytest.mark.parametrize(
    ("run", "name", "spec", "larger"),
    [
        ("moonshine", "student", "resnet8+DConv", "teacher"),
        ("rocket", "light", "wrn-10-1", "booster"),
        ("rocket:booster", "booster", "wrn-16-1", None),
        ("mutual:b", "b", "resnet8", None),
        ("lone", "net", "resnet8", None),
    ],
)
def test_which_network_is_meant(runs, run, name, spec, larger):
    chosen = choose_network(str(runs / run))
    assert (chosen.name, chosen.spec, chosen.classes, chosen.larger) == (name, spec, 10, larger)
    assert (chosen.weights.name, chosen.epoch) == (f"{name}.safetensors", "last epoch")


def test_the_student_comes_first_and_a_colon_may_be_in_the_path(made_run, tmp_path):
    run = made_run(tmp_path / "of: two", {"light": "wrn-10-1", "student": "resnet8"})
    assert (choose_network(str(run)).name, choose_network(str(run)).larger) == ("student", None)  # it has no teacher
    assert choose_network(f"{run}:light").name == "light"


def test_the_best_epoch(runs):
    chosen = choose_network(str(runs / "rocket"), best=True)
    assert (chosen.weights.name, chosen.name, chosen.epoch) == ("light-best.safetensors", "light", "best epoch")


def test_what_cannot_be_exported_is_said(runs, made_run, tmp_path):
    with pytest.raises(BadInput, match=r"several networks; say which: .*mutual:a, .*mutual:b$"):
        choose_network(str(runs / "mutual"))
    with pytest.raises(BadInput, match=r"did you mean booster\?"):
        choose_network(f"{runs}/rocket:boster")
    with pytest.raises(BadInput, match=r"no weights teacher\.safetensors"):
        choose_network(f"{runs}/moonshine:teacher")
    with pytest.raises(BadInput, match=r"no run folder '.*rockt'; did you mean .*rocket"):
        choose_network(f"{runs}/rockt")
    run = made_run(tmp_path / "run", {"student": "resnet8"})
    (run / "student-best.safetensors").unlink()
    with pytest.raises(BadInput, match=r"no weights student-best\.safetensors"):
        choose_network(str(run), best=True)
    config = json.loads((run / "config.json").read_text())
    config["networks"]["student"]["spec"] = None
    (run / "config.json").write_text(json.dumps(config))
    with pytest.raises(BadInput, match="student of .*run was made by hand"):
        choose_network(str(run))
