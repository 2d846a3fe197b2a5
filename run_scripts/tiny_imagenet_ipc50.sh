#!/usr/bin/env bash
# tiny_imagenet at 50 images per class with random, d4m, vlcp, uvlp: distil, train resnet18_modified on
#   the images (rded protocol), score, print the table. Three seeds.
# Published top-1 accuracy, percent:
# random, resnet18_modified: none published
# d4m, resnet18_modified: none published
# vlcp, resnet18_modified: none published
# uvlp, resnet18_modified: none published
# One NVIDIA H200: 38.5 GPU-hours, 37.9 GB of GPU memory, 8.7 GB of memory, 103.9 GB of disk; projected,
#   not measured.
# `--dry-run` prints the estimate for this machine. Any option of `uvlp reproduce` may follow.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
exec "$environment/bin/uvlp" reproduce tiny-imagenet 50 --seed 0,1,2 "$@"
