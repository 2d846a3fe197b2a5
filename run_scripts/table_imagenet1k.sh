#!/usr/bin/env bash
# Published table imagenet1k (vlcp-readme): imagenet1k at 10, 50 images per class with sre2l, rded, dit,
#   minimax, vlcp; resnet-18. Three seeds.
# One NVIDIA H200: 468.4 GPU-hours, 37.9 GB of GPU memory, 36.1 GB of memory, 571.8 GB of disk;
#   projected, not measured.
# Needs `--data FOLDER` with ILSVRC-2012 for imagenet1k (train/ and val/ with one folder per WNID).
#   `--dry-run` prints the estimate for this machine. Any option of `uvlp reproduce` may follow; it goes
#   to every run.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
"$environment/bin/uvlp" reproduce imagenet1k 10 --method sre2l,rded,dit,minimax,vlcp --network resnet-18 --seed 0,1,2 "$@"
"$environment/bin/uvlp" reproduce imagenet1k 50 --method sre2l,rded,dit,minimax,vlcp --network resnet-18 --seed 0,1,2 "$@"
