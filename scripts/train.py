"""Train: ``accelerate launch scripts/train.py --config configs/NAME.yaml [--section.field value ...]``."""

import sys

from textae.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
