"""Write the result files of a recipe: ``scripts/results.py --config F --runs DIR --data F --output NAME``."""

import sys

from textae.cli import main

if __name__ == "__main__":
    sys.exit(main(["results", *sys.argv[1:]]))
