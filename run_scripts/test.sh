#!/usr/bin/env bash
# Lint, types and every test that needs neither GPU nor container. With words of your own only pytest
# runs, with those: `bash run_scripts/test.sh tests/core -k seeds`.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
cd "$repository"
if [ $# -eq 0 ]; then bash run_scripts/check.sh; fi
exec "$environment/bin/python" -m pytest -n 2 --dist worksteal -m "not container and not gpu" "$@"
