#!/usr/bin/env bash
# Lint, types and the fast tests; none needs a GPU or a container. `bash run_scripts/test.sh --slow` runs the
# slow ones alone. With other words only pytest runs, with those: `bash run_scripts/test.sh tests/core -k seeds`.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
cd "$repository"
tests="not container and not gpu"
if [ $# -eq 0 ]; then
    bash run_scripts/check.sh
    tests="$tests and not slow"
elif [ "$1" = --slow ]; then
    shift
    tests="$tests and slow"
fi
exec "$environment/bin/python" -m pytest -n 2 --dist worksteal -m "$tests" "$@"
