#!/usr/bin/env bash
# Train on the embedded corpus and show what came of it: bash scripts/demo.sh [SEED]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash scripts/setup.sh

seed="${1:-}"
output="runs/newswire${seed:+-seed-$seed}"
rm -rf "$output" # its own folder: every demo starts afresh

.venv/bin/textae train --config configs/newswire.yaml --run.output "$output" --run.seed "${seed:-0}"

.venv/bin/textae evaluate --model "warm-up=$output/warm" "trained=$output" --data newswire:test --examples 5
