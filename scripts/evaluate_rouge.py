"""Score: ``scripts/evaluate_rouge.py --model M --data F`` or ``--predictions F --references F``."""

import sys

from textae.cli import main

if __name__ == "__main__":
    sys.exit(main(["evaluate", *sys.argv[1:]]))
