#!/usr/bin/env bash
# Lint, types and tests. Arguments go to pytest: bash scripts/test.sh tests/test_cli.py -k help
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash scripts/setup.sh
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy

# A part of the suite cannot reach the threshold of the whole.
threshold=()
if [[ $# -eq 0 ]]; then
    threshold=(--cov-fail-under=90)
fi
exec .venv/bin/python -m pytest --cov --cov-report=term:skip-covered "${threshold[@]}" "$@"
