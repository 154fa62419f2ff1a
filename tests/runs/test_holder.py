"""What a claim says of its holder, and whether that can still be there."""

import os
from pathlib import Path

import pytest

from potstill.runs.claim import Claim, Found
from potstill.runs.holder import is_alive, is_here, limit, read_holder, this_process
from potstill.runs.lock import Lock


@pytest.fixture
def me():
    return read_holder(this_process("here", 2.0))


def test_this_process_is_alive_and_one_of_its_number_that_started_earlier_is_not(me):
    assert me["process"] == os.getpid()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert me["kernel"] == f"{boot} {Path('/proc/self/ns/pid').readlink()}"
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


def test_who_waits_for_a_process_of_this_machine_is_given_no_advice(tmp_path, me):
    lock = Lock(tmp_path)
    lock.machine = "here"
    assert lock._hint(None) == lock._hint(Found(this_process("here", 2.0), 0.0)) == ""
    assert lock._hint(Found(this_process("there", 2.0), 0.0)).endswith("no sign of life for 18 seconds)")


def test_a_link_is_nobodys_claim(tmp_path):
    (tmp_path / "elsewhere").write_bytes(this_process("here", 2.0))
    claim = Claim(tmp_path)
    claim.file.symlink_to(tmp_path / "elsewhere")
    assert claim.found() == Found(b"", 0.0)
    assert not claim.make()


def test_a_claim_is_abandoned_by_who_holds_no_lock_or_is_gone(tmp_path):
    lock = Lock(tmp_path)
    mine = Found(this_process(lock.machine, 2.0), 0.0)
    lock.locks = True  # which we got: nobody else holds it
    assert lock._is_abandoned(mine)
    lock.locks = False
    assert not lock._is_abandoned(mine)
