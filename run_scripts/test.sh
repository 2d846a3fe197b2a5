#!/usr/bin/env bash
# Lint, types and the fast tests; none needs a GPU, a cluster or a container. `--slow` runs the slow ones
# alone, `--long` those that take minutes and are not part of .ci/run. With other arguments only pytest runs,
# with those: `bash run_scripts/test.sh tests/core -k seeds`.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
cd "$repository"
tests="not cluster and not container and not gpu"
case "${1:-}" in
    "")
        bash run_scripts/check.sh
        tests="$tests and not slow and not long"
        ;;
    --slow)
        shift
        tests="$tests and slow and not long"
        ;;
    --long)
        shift
        tests="$tests and long"
        ;;
    *) tests="$tests and not long" ;;
esac
exec "$environment/bin/python" -m pytest -n 2 --dist worksteal -m "$tests" \
    --durations 30 --durations-min 1 "$@"
