"""Files anywhere: paths of this machine, and URLs of whatever fsspec knows (s3://, hf://, memory://, ...)."""

from pathlib import Path
from typing import Any

from textae.errors import InputError, reason


def is_url(path: str) -> bool:
    """Tell whether ``path`` is a URL such as ``s3://bucket/news.jsonl.gz``, and no path of this machine."""
    return "://" in path


def filesystem(url: str) -> tuple[Any, str]:
    """The fsspec filesystem of a URL, and the path of the URL in it.

    Raises:
        InputError: if nothing is known of its kind, or the library for it is missing.
    """
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError, OSError) as error:
        raise InputError(f"{url} cannot be reached ({reason(error)}): install what its kind needs") from error
    return system, str(path)


def expand(url: str) -> list[str]:
    """The files that a URL with wildcards stands for, as URLs in sorted order; itself without wildcards.

    Raises:
        InputError: if there is none.
    """
    import glob

    if not glob.has_magic(url.partition("://")[2]):
        return [url]
    system, path = filesystem(url)
    try:
        files = sorted(match for match in system.glob(path) if not system.isdir(match))
    except OSError as error:
        raise unreachable(url, error) from error
    if not files:
        raise InputError(f"{url} matches no file: check the pattern")
    return [system.unstrip_protocol(file) for file in files]


def check(url: str) -> None:
    """Raise :class:`InputError` unless there is a file at ``url``."""
    system, path = filesystem(url)
    try:
        if system.isdir(path):
            raise InputError(f"{url} is a folder: name a file in it or a pattern such as {url}/*.jsonl")
        if not system.exists(path):
            raise InputError(f"{url} does not exist: check the address")
    except InputError:
        raise
    except Exception as error:  # every kind of storage has errors of its own
        raise unreachable(url, error) from error


def size(path: str) -> int:
    """Bytes of a file here or elsewhere."""
    if not is_url(path):
        return Path(path).stat().st_size
    system, inner = filesystem(path)
    return int(system.size(inner) or 0)


def open_to_read(path: str) -> Any:
    """A binary stream of a file here or elsewhere."""
    if not is_url(path):
        return open(path, "rb")
    system, inner = filesystem(path)
    return system.open(inner, "rb")


def unreachable(url: str, error: Exception) -> InputError:
    """What is said where a storage does not answer as it should."""
    return InputError(f"{url} cannot be reached ({reason(error)}): check address, permission and network")
