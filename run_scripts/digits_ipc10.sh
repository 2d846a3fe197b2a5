#!/usr/bin/env bash
# The demo: distil scikit-learn's digits to 10 images a class, train on them, score, print the table.
# On two cores: 2 min 20 s, 2.1 GB of memory, 20 MB of disk; .venv takes 4 minutes and 6.5 GB once.
# Needs neither GPU, network (once .venv is made) nor weights; any option of `uvlp reproduce` may follow.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
exec "$environment/bin/uvlp" reproduce digits 10 "$@"
