"""``python -m textae`` is the same as ``textae``."""

import sys

from textae.cli import main

if __name__ == "__main__":
    sys.exit(main())
