"""Settings of the C allocator for training on a CPU: fast, or small."""

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3


def keep_freed_memory() -> bool:
    """Tell glibc to keep freed memory instead of giving it back to the system.

    A training step frees and asks again for the same hundreds of megabytes; without this, each
    time costs page faults. Returns whether the allocator took the setting; other systems than
    Linux with glibc are left as they are.
    """
    return _set([(_MMAP_THRESHOLD, 1 << 30), (_TRIM_THRESHOLD, (1 << 31) - 1), (_TOP_PAD, 1 << 26)])


def return_freed_memory() -> bool:
    """Tell glibc to give what is freed back to the system at once, where it is a mebibyte or more.

    For networks that lie in pieces on several processes because they would not fit otherwise: what one
    phase of a step has freed is there for the next, whatever its sizes are. Returns what
    :func:`keep_freed_memory` does.
    """
    # Setting a threshold also keeps glibc from raising it to the size of whatever is freed.
    return _set([(_MMAP_THRESHOLD, 1 << 20), (_TRIM_THRESHOLD, 1 << 20), (_TOP_PAD, 1 << 17)])


def _set(settings: list[tuple[int, int]]) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    return all([bool(mallopt(name, value)) for name, value in settings])
