import json

import pytest

from potstill import networks
from potstill.export import choose_network, compare, rebuild, run_images


def compared(run, run_of_file=None, latency=False):
    chosen = choose_network(str(run))
    data = run_images(chosen)
    network = rebuild(chosen.identity, data.input, chosen.weights)
    return compare(chosen, network, data, run_of_file and run_of_file(network), latency)


def twice(network):
    return lambda images: network(images) + network(images)


def costs(spec):
    network = networks.create(spec)
    numbers = [value for value in network.state_dict().values() if value.dim()]
    counters = [value for value in network.state_dict().values() if not value.dim()]
    size = 4 * sum(value.numel() for value in numbers) + 8 * len(counters)  # float32, and int64 of batch norms
    return networks.parameters(network), networks.macs(network, (3, 8, 8)), size


@pytest.mark.parametrize(
    ("run", "small", "large"),
    [("moonshine", ("student", "resnet8+DConv"), ("teacher", "resnet8")), ("rocket", ("light", "wrn-10-1"), None)],
)
def test_student_and_teacher_side_by_side(runs, run, small, large):
    found = compared(runs / run)
    name, spec = large or ("booster", "wrn-16-1")
    assert (found["parameters"], found["macs"]) == costs(small[1])[:2]
    assert found["beside"] == {name: spec}
    for row, ours, theirs in zip(found["table"], costs(small[1]), costs(spec), strict=True):
        assert (row[small[0]], row[name], row["ratio"]) == (ours, theirs, ours / theirs)
    assert "note" not in found


def test_a_lone_network(runs):
    found = compared(runs / "lone")
    assert [set(row) for row in found["table"]] == [{"cost", "net"}] * 3
    assert "beside" not in found


@pytest.mark.parametrize(
    ("teacher", "why"),
    [
        ({"spec": None, "classes": 10}, "without teacher: it was made by hand"),
        ({"spec": "gone/net.py:Net", "classes": 10}, "without teacher: no file 'gone/net.py'"),
    ],
)
def test_a_teacher_that_cannot_be_made_again_is_left_out_with_the_reason(made_run, tmp_path, teacher, why):
    found = compared(made_run(tmp_path / "run", {"student": "resnet8"}, teacher=teacher))
    assert found["note"].startswith(why)
    assert [set(row) for row in found["table"]] == [{"cost", "student"}] * 3


def test_several_teachers_as_one(made_run, tmp_path):
    members = [{"spec": "resnet8", "classes": 10}, {"spec": "resnet14", "classes": 10}]
    teacher = {"spec": None, "classes": 10, "mean_of": members}
    found = compared(made_run(tmp_path / "run", {"student": "resnet8"}, teacher=teacher))
    assert found["beside"] == {"teacher": "resnet8, resnet14"}
    assert found["table"][0]["teacher"] == costs("resnet8")[0] + costs("resnet14")[0]


def test_accuracies_are_those_of_the_summary(made_run, tmp_path):
    run = made_run(tmp_path / "run", {"student": "resnet8"}, teacher={"spec": "resnet14", "classes": 10})
    student = {which: {"epoch": 0, "test": {"top1": top1}} for which, top1 in (("last", 80.0), ("best", 81.256))}
    summary = {"learners": {"student": student}, "teachers": {"teacher": {"parameters": 5, "top1": 90.5}}}
    summary |= {"data": "digits", "epochs": 1, "seconds": 1.0, "best_chosen_on": "test"}

    def accuracies():
        (run / "summary.json").write_text(json.dumps(summary))
        return compared(run)["table"][3:]

    assert accuracies() == [{"cost": "top-1, %, last epoch", "student": "80.00", "teacher": "90.50", "ratio": ""}]
    summary["teachers"]["teacher"].pop("top1")  # its outputs are no classes of these data
    assert accuracies() == [{"cost": "top-1, %, last epoch", "student": "80.00", "teacher": "-", "ratio": ""}]
    student["last"]["test"] = {}
    assert accuracies() == []


def test_latencies_of_both_networks_and_of_the_file(runs):
    found = compared(runs / "rocket", twice, True)
    assert found["threads"] == 1
    assert [row["batch"] for row in found["latency_ms"]] == [1, 64]
    for row in found["latency_ms"]:
        assert row["ratio"]["median"] < 1
        assert row["file"]["median"] > row["light"]["median"]
    assert [row["cost"] for row in found["table"]][:3] == ["parameters", "multiply-adds", "bytes of weights"]
    assert found["table"][0]["file"] == ""
    assert found["table"][-1]["file"].startswith(f"{found['latency_ms'][1]['file']['median']:.3g} (")
