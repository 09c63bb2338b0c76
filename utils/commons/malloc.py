"""Process settings that must be made before torch is imported; this file imports nothing heavy.

glibc maps and page-faults every big temporary tensor anew; keeping them on the heap halves the time of a rendered frame
on a CPU. Spinning OpenMP threads collapse when cores are shared, passive ones do not.
"""

from __future__ import annotations

import ctypes
import os
import platform

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_SETTINGS = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 256 * 2**20))


def tune_process() -> bool:
    """Set glibc's allocator and OpenMP's waiting; return whether the allocator took the settings.

    ``GENEFACE_MALLOC=off`` leaves the allocator alone.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    if os.environ.get("GENEFACE_MALLOC", "") == "off" or platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    return all(libc.mallopt(option, value) == 1 for option, value in _SETTINGS)
