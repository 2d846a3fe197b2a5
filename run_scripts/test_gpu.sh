#!/usr/bin/env bash
# The tests that need an NVIDIA GPU (torch from 2.11). Arguments go to pytest, for example
# `bash run_scripts/test_gpu.sh tests/models -k training`. UVLP_PYTHON=/path/of/python uses an existing
# environment instead of .venv; test files that import missing packages are reported, and the others run.
set -euo pipefail
if ! nvidia-smi -L >/dev/null 2>&1; then
    echo "test_gpu: no NVIDIA GPU: nvidia-smi lists none; bash run_scripts/test.sh runs the tests without one" >&2
    exit 2
fi
if [ -n "${UVLP_PYTHON:-}" ]; then
    repository="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
    python="$UVLP_PYTHON"
else
    source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
    python="$environment/bin/python"
fi
cd "$repository"
"$python" - >&2 <<'CHECK'
import importlib.util
import sys

lacking = [name for name in ("torch", "pytest") if importlib.util.find_spec(name) is None]
if lacking:
    print(f"test_gpu: {sys.executable} lacks {' and '.join(lacking)}: install it, or leave UVLP_PYTHON out")
    raise SystemExit(2)
import torch

if tuple(map(int, torch.__version__.split(".")[:2])) < (2, 11):
    print(f"test_gpu: torch {torch.__version__} is too old: needs 2.11 or newer")
    raise SystemExit(2)
if not torch.cuda.is_available():
    print("test_gpu: torch finds no GPU: `uvlp doctor` says why")
    raise SystemExit(2)
CHECK
# Must be set before the first matrix product: torch up to 2.14 needs it for deterministic results.
export CUBLAS_WORKSPACE_CONFIG="${CUBLAS_WORKSPACE_CONFIG:-:4096:8}"
# Only the files with such tests are read: others may import packages that UVLP_PYTHON lacks.
if [ $# -eq 0 ]; then
    mapfile -t files < <(grep -rl --include='test_*.py' 'pytest\.mark\.gpu' tests)
    set -- "${files[@]}"
fi
exec "$python" -m pytest -m gpu --continue-on-collection-errors "$@"
