#!/usr/bin/env bash
# Creates .venv if it is missing and installs textae with its pinned dependencies into it.
# A second run finds nothing to do and takes no time. PYTHON chooses the interpreter.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

stamp=.venv/.textae-installed
log=.venv/install.log

if [[ ! -x .venv/bin/python ]]; then
    python="${PYTHON:-python3}"
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        echo "setup: $python is missing or older than Python 3.11; set PYTHON to a newer one" >&2
        exit 1
    fi
    echo "setup: creating .venv"
    "$python" -m venv .venv
fi

# The folder belongs in it: an editable installation points at one place.
wanted="$(pwd; cat pyproject.toml configs/constraints.txt)"
if [[ ! -f "$stamp" || "$(cat "$stamp")" != "$wanted" ]]; then
    echo "setup: installing into .venv (minutes the first time; log in $log)"
    if ! .venv/bin/python -m pip install --disable-pip-version-check \
        -c configs/constraints.txt -e ".[dev]" >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        echo "setup: installing failed; the whole log is in $log" >&2
        exit 1
    fi
    printf '%s\n' "$wanted" >"$stamp"
fi
