#!/usr/bin/env bash
# Lint, types and tests. Arguments go to pytest: bash scripts/test.sh tests/test_cli.py -k help
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash scripts/setup.sh
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy

if [[ $# -gt 0 ]]; then
    exec .venv/bin/python -m pytest "$@"
fi
# Counting lines takes half as long again: the quick tests alone reach the threshold.
.venv/bin/python -m pytest -m "not slow" --cov --cov-report=term:skip-covered --cov-fail-under=90
exec .venv/bin/python -m pytest -m slow
