"""Freed memory is kept by glibc, unless the user says otherwise."""

import platform
import subprocess
import sys

import pytest

from potstill import allocator
from potstill.allocator import keep_freed_memory

FAULTS = """
import resource, sys
from potstill.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
def step():
    kept = [b"x" * 2**22 for _ in range(20)]
    del kept
for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
GLIBC = platform.libc_ver()[0] == "glibc"


@pytest.mark.skipif(not GLIBC, reason="the C library is not glibc")
def test_pages_are_not_asked_for_again():
    def faults(how):
        done = subprocess.run([sys.executable, "-c", FAULTS, how], check=True, capture_output=True, text=True)
        return int(done.stdout)

    assert faults("keep") < faults("leave") / 10


@pytest.mark.parametrize(
    "environment", [{"MALLOC_TRIM_THRESHOLD_": "0"}, {"GLIBC_TUNABLES": "glibc.malloc.trim_threshold=1"}]
)
def test_what_the_user_says_wins(environment):
    assert not keep_freed_memory(environment)


@pytest.mark.parametrize("library", [("", ""), ("libc", "")])
def test_other_libraries_are_left_alone(library, monkeypatch):
    monkeypatch.setattr(allocator.platform, "libc_ver", lambda: library)
    assert not keep_freed_memory({})
