#!/usr/bin/env bash
# The demo: distil scikit-learn's digits to 10 images a class, train on them, score, print the table.
# Needs neither GPU, network (once .venv is made) nor weights; any option of `uvlp reproduce` may follow.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
exec "$environment/bin/uvlp" reproduce digits 10 "$@"
