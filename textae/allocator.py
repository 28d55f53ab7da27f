"""A setting of the C allocator that training on a CPU gains a lot from."""

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3


def keep_freed_memory() -> bool:
    """Tell glibc to keep freed memory instead of giving it back to the system.

    A training step frees and asks again for the same hundreds of megabytes; without this, each
    time costs page faults. Returns whether the allocator took the setting; other systems than
    Linux with glibc are left as they are.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    settings = [(_MMAP_THRESHOLD, 1 << 30), (_TRIM_THRESHOLD, (1 << 31) - 1), (_TOP_PAD, 1 << 26)]
    return all([bool(mallopt(name, value)) for name, value in settings])
