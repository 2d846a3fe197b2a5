#!/usr/bin/env bash
# Lint, types and the fast tests; none needs a GPU, a cluster or a container. `--slow` runs the slow ones
# alone, `--long` those that take minutes and are not part of .ci/run. With other arguments only pytest runs,
# with those: `bash run_scripts/test.sh tests/core -k seeds`.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
cd "$repository"
tests="not cluster and not container and not gpu"
check=
case "${1:-}" in
    "")
        # The checker of types uses one core, and would leave the other idle.
        bash run_scripts/check.sh &
        check=$!
        trap 'kill "$check" 2>/dev/null || true' EXIT
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
# Pytest compiles every file of tests in every process, unless it may keep the bytecode.
export PYTHONDONTWRITEBYTECODE=
failed=0
"$environment/bin/python" -m pytest -n 2 --dist worksteal -m "$tests" \
    --durations 30 --durations-min 1 "$@" || failed=$?
if [ -n "$check" ] && ! wait "$check"; then
    echo "test: lint or types failed; bash run_scripts/check.sh shows them alone" >&2
    failed=1
fi
exit "$failed"
