#!/usr/bin/env bash
# Lint, formatting and types, in seconds. Arguments go to `ruff check` (such as --fix).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
cd "$repository"
"$environment/bin/python" -m ruff check "$@"
"$environment/bin/python" -m ruff format --check
"$environment/bin/python" -m mypy
