"""What a claim says of its holder, and whether that can still be there."""

import os

import pytest

from potstill.runs.holder import is_alive, is_here, limit, read_holder, this_process


@pytest.fixture
def me():
    return read_holder(this_process("here", 2.0))


def test_this_process_is_alive_and_one_of_its_number_that_started_earlier_is_not(me):
    assert me["process"] == os.getpid()
    assert is_alive(me)
    assert is_alive({**me, "started": None})
    assert not is_alive({**me, "started": "1"})
    assert not is_alive({**me, "process": 2**22 + 1})


def test_a_machine_of_the_same_name_is_another_one_if_its_kernel_is(me):
    assert is_here(me, "here")
    assert not is_here(me, "there")
    assert not is_here({**me, "kernel": "another"}, "here")
    assert is_here({**me, "kernel": None}, "here")
    assert is_here({key: value for key, value in me.items() if key != "kernel"}, "here")


def test_who_is_heard_of_counts_as_gone_after_nine_beats(me):
    assert limit(me) == 18.0
    assert limit({key: value for key, value in me.items() if key != "beat"}) is None
    assert read_holder(b"{") is None
