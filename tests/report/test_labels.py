import pytest

from potstill.report.labels import labels, plain


def config(recipe, **arguments):
    return {"recipe": recipe, "arguments": {"seed": 0, "out": "x", **arguments}}


@pytest.mark.parametrize(
    ("configs", "expected"),
    [
        ([config("distill", student="resnet20")], ["distill"]),
        ([config("supervised", network="resnet20"), config("distill", student="resnet20")], ["supervised", "distill"]),
        (
            [config("distill", terms=["CE", "0.9 * KD(temperature=4)"]), config("distill", terms=["CE"])],
            ["CE + 0.9 KD(temperature=4)", "CE"],
        ),
        (
            [config("rocket", share="none", teacher=None), config("rocket", share="interval", teacher="runs/t-0")],
            ["share none", "share interval, from t-0"],
        ),
        (
            [config("supervised", network="a"), config("supervised", network="b"), config("rocket", light="a")],
            ["supervised, a", "supervised, b", "rocket"],
        ),
        ([config("fit", seed=0), config("fit", seed=0)], ["fit (one)", "fit (two)"]),
        ([config("channel", guided=True), config("channel", guided=False)], ["guided", "no guided"]),
        ([config("fit", lr=0.1, out="a"), config("fit", lr=0.05, out="b")], ["lr 0.1", "lr 0.05"]),
    ],
)
def test_a_name_is_what_differs(configs, expected):
    assert labels(configs, ["one", "two", "three"][: len(configs)]) == expected


def test_nobody_reads_where_files_lay():
    assert plain("/home/me/weights.th") == "weights.th"
    assert plain(["/home/me/a", 3]) == "a, 3"
    assert plain("runs/teacher") == "runs/teacher"
