"""What a result came from: the code and the machine."""

import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

from textae import __version__


def commit() -> str | None:
    """The commit of the checkout that this package is run from; ``-dirty`` behind it if files were changed.

    None where the package does not lie in a checkout of its own, as after a plain installation.
    """
    root = Path(__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return None
    try:
        ran = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--abbrev=7", "--exclude=*", "--dirty"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return ran.stdout.strip() or None


def processor() -> str:
    """The processor's name, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def provenance() -> dict[str, Any]:
    """What a results file tells of code and machine.

    Returns:
        ``textae`` (version), ``commit`` or None, ``torch``, ``processor``, ``threads`` of this process, and
        ``accelerator`` or None.
    """
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return {
        "textae": __version__,
        "commit": commit(),
        "torch": torch.__version__,
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "accelerator": None if accelerator is None else str(accelerator),
    }
