"""What the C library does with memory that was freed.

A message of some MB goes through several buffers of its size. glibc gives each back to the kernel and asks for it
again, page by page: for mails of 5 MB this was a fifth of the CPU that they cost.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from typing import Final

KEPT_BYTES: Final = 16 * 1024 * 1024
"""Of freed memory that an arena keeps, and the size from which on a buffer is mapped by itself."""
ARENAS: Final = 2
"""What is kept is kept once for each; threads share them, and seldom allocate at the same time."""

_SETTINGS: Final = {-3: KEPT_BYTES, -1: KEPT_BYTES, -8: ARENAS}
"""M_MMAP_THRESHOLD, M_TRIM_THRESHOLD and M_ARENA_MAX of malloc.h."""


def keep_freed_memory(environment: Mapping[str, str] = os.environ) -> bool:
    """Tell glibc (mallopt(3)); before threads are started.

    Returns False, and changes nothing, under another C library and where the operator has settings of their own
    (``MALLOC_*``, ``GLIBC_TUNABLES``).
    """
    if any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in environment):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    taken = [mallopt(parameter, value) for parameter, value in _SETTINGS.items()]
    return all(taken)
