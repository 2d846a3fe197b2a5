#!/usr/bin/env bash
# imagenet1k at 50 images per class with random, d4m, vlcp, uvlp: distil, train resnet18 on the images
#   (rded protocol), score, print the table. Three seeds.
# Published top-1 accuracy, percent:
# random, resnet18: none published
# d4m, resnet18: none published
# vlcp, resnet18: 60.5 ± 0.2 (vlcp-readme)
# uvlp, resnet18: none published
# One NVIDIA H200: 318.0 GPU-hours, 37.9 GB of GPU memory, 36.1 GB of memory, 476.7 GB of disk;
#   projected, not measured.
# Needs `--data FOLDER` with ILSVRC-2012 for imagenet1k (train/ and val/ with one folder per WNID).
#   `--dry-run` prints the estimate for this machine. Any option of `uvlp reproduce` may follow.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
exec "$environment/bin/uvlp" reproduce imagenet1k 50 --seed 0,1,2 "$@"
