"""Summarise a corpus: ``accelerate launch scripts/summarize.py --model M --input F --output F``."""

import sys

from textae.cli import main

if __name__ == "__main__":
    sys.exit(main(["summarize", *sys.argv[1:]]))
