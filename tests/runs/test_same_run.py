"""One rule for `fit`, for tables and for the rows of a report."""

from dataclasses import replace

import pytest

from potstill.runs.same_run import DIGEST, NOT_COMPARED, SEED, Asked, asked, difference

DATA = {"name": "own", "classes": ["cat", "dog"], "images": {"train": 20, "test": 4}}
RUN = Asked(
    "distill",
    {"student": "resnet8", "teacher": "runs/table/teacher/seed-0", "lr": 0.1, "terms": ["CE"], "seed": 0, "out": "a"},
    {"student": {"spec": "resnet8", "classes": 10}},
    {"weights of teacher": "abc"},
    DATA,
)

NO_SPEC = replace(RUN, networks={"student": {"classes": 10}})


def other(recipe="distill", networks=RUN.networks, teachers=RUN.teachers, data=DATA, **arguments):
    return Asked(recipe, {**RUN.arguments, **arguments}, networks, teachers, data)


SAME = {
    "itself": other(),
    "elsewhere": other(out="b", data_dir="/data"),
    "on another machine": other(device="cuda", workers=4),
    "a null": other(student_weights=None),
    "a tuple": other(terms=("CE",)),
    "the table has moved": other(teacher="/mnt/table/teacher/seed-0"),
    "another table's folder": other(teacher="/mnt/copy/teacher/seed-0"),
    "of an earlier version": other(networks=None, teachers=None, data=None),
    "classes that are not known": other(data={"name": "own", "images": {"train": 20, "test": 4}}),
    "a digest that is not known": other(data={**DATA, "digest": "abcdefghijklmnop"}),
    "a null of a network": other(networks={"student": {"spec": "resnet8", "classes": 10, "input": None}}),
}
DIFFERENT = {
    "recipe was 'distill' there and is 'rocket' now": other("rocket"),
    "--lr was 0.1 there and is 0.2 now": other(lr=0.2),
    "--seed was 0 there and is 1 now": other(seed=1),
    "--batch-size was None there and is 8 now": other(batch_size=8),
    "--terms was ['CE'] there and is ['CE', 'KD'] now": other(terms=["CE", "KD"]),
    "--teacher was 'runs/table/teacher/seed-0' there and is 'runs/table/second/seed-0' now": other(
        teacher="runs/table/second/seed-0"
    ),
    "network student was 'resnet8' there and is 'resnet14' now": other(
        networks={"student": {"spec": "resnet14", "classes": 10}}
    ),
    "network assistant was None there and is 'resnet8' now": other(
        networks={**RUN.networks, "assistant": {"spec": "resnet8"}}
    ),
    "network student was {'spec': 'resnet8', 'classes': 10} there and is {'spec': 'resnet8', 'classes': 5} now": other(
        networks={"student": {"spec": "resnet8", "classes": 5}}
    ),
    "network student was {'classes': 10} there and is 'resnet8' now": other(),
    "network student was {'classes': 10} there and is {'classes': 5} now": other(networks={"student": {"classes": 5}}),
    "weights of teacher was 'abc' there and is 'xyz' now": other(teachers={"weights of teacher": "xyz"}),
    "of 2 classes there and 3 now; different: cow": other(data={**DATA, "classes": ["cat", "cow", "dog"]}),
    "of 2 classes there and 2 now; different: their order": other(data={**DATA, "classes": ["dog", "cat"]}),
    "own had 20 train images then and has 19 now": other(data={**DATA, "images": {"train": 19, "test": 4}}),
}


@pytest.mark.parametrize("now", SAME.values(), ids=SAME)
def test_the_same_run(now):
    assert difference(RUN, now) is None
    assert difference(now, RUN) is None


@pytest.mark.parametrize("words", DIFFERENT)
def test_another_run(words):
    before = NO_SPEC if "{'classes'" in words else RUN
    assert difference(before, DIFFERENT[words]) == words
    assert difference(DIFFERENT[words], before) is not None


def test_of_a_mean_of_networks_it_does_not_matter_where_their_source_lies():
    members = [{"spec": "net.py:net", "source": "source/net.py"}, {"spec": "resnet8", "input": None}]
    there, here = ([{**one, "source": source} for one in members] for source in ("source/net.py", None))
    both = [replace(RUN, networks={"teacher": {"mean_of": mean}}) for mean in (there, here)]
    assert difference(*both) is None
    less = replace(RUN, networks={"teacher": {"mean_of": there[:1]}})
    assert difference(both[0], less) is not None


def test_what_a_configuration_says():
    config = {"recipe": "fit", "arguments": {"lr": 1}, "networks": {}, "teachers": {"weights of t": "a"}, "data": DATA}
    assert asked(config) == Asked("fit", {"lr": 1}, {}, {"weights of t": "a"}, DATA)
    assert asked({key: config[key] for key in ("recipe", "arguments", "networks")}) == Asked("fit", {"lr": 1}, {})


def test_an_argument_that_is_gone():
    fewer = Asked("distill", {key: value for key, value in RUN.arguments.items() if key != "lr"})
    assert difference(RUN, fewer) == "lr was 0.1 there and is None now"


def test_seeds_of_one_row_differ_in_the_seed_alone():
    assert difference(RUN, other(seed=1), but=SEED) is None
    assert difference(RUN, other(seed=1, lr=1.0), but=SEED) is not None


def test_an_argument_that_came_later_had_its_default():
    assert difference(RUN, other(momentum=0.9), defaults={"momentum": 0.9}) is None
    assert difference(RUN, other(momentum=0.5), defaults={"momentum": 0.9}) is not None
    assert difference(other(momentum=0.5), other(momentum=0.9), defaults={"momentum": 0.9}) is not None


def test_what_is_not_compared_changes_no_number():
    of_the_machine = {"device", "workers", "graph", "keep_memory", "teacher_cache"}
    assert of_the_machine | {"out", "log", "data_dir", "on_bad_image", "save_every", "extend", "keep"} == NOT_COMPARED


def test_other_images_of_the_same_names():
    one, two = (other(data={**DATA, "digest": f"{letter}bcdefghijklmnop"}) for letter in "ax")
    words = "the images of own are not those they were: their digest was abcdefghijkl and is xbcdefghijkl now"
    assert difference(one, two) == words
    assert difference(one, one) is None
    assert difference(one, two, frozenset({DIGEST})) is None
