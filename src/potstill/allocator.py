"""Memory that is kept: glibc returns what a step frees, and asks for it again, page by page, in the next one.

The bits are the same. A process holds what its largest step took until it ends: `Training.keep_memory` is the switch.
"""

import ctypes
import os
import platform
from collections.abc import Mapping

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # of mallopt, in malloc.h
KEPT = 2**31 - 1
"""Bytes at the end of the heap that are not returned: the largest number that mallopt takes."""
LARGEST = 2**25
"""Bytes of a block up to which it is one of the heap, where it can be used again: the most that glibc allows."""
OWN = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_", "MALLOC_MMAP_MAX_", "MALLOC_ARENA_MAX")


def keep_freed_memory(environment: Mapping[str, str] = os.environ) -> bool:
    """Have the allocator keep what is freed, from now on, if it is glibc's; whether it does.

    What the user has said wins: a ``MALLOC_…`` variable, or ``glibc.malloc`` in ``GLIBC_TUNABLES``.

    >>> keep_freed_memory({"MALLOC_TRIM_THRESHOLD_": "131072"})
    False
    """
    told = any(name in environment for name in OWN) or "glibc.malloc" in environment.get("GLIBC_TUNABLES", "")
    if told or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    # Either one alone stops glibc from finding the other by itself.
    return bool(mallopt(MMAP_THRESHOLD, LARGEST)) and bool(mallopt(TRIM_THRESHOLD, KEPT))
