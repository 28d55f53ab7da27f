"""Run an ablation: ``scripts/ablation.py --config configs/ablations/gigaword.yaml``."""

import sys

from textae.cli import main

if __name__ == "__main__":
    sys.exit(main(["ablate", *sys.argv[1:]]))
