#!/usr/bin/env bash
# imagenet1k at 10 images per class with random, d4m, vlcp, uvlp: distil, train resnet18 on the images
#   (rded protocol), score, print the table. Three seeds.
# Published top-1 accuracy, percent:
# random, resnet18: none published
# d4m, resnet18: none published
# vlcp, resnet18: 46.7 ± 0.4 (vlcp-readme)
# uvlp, resnet18: none published
# One NVIDIA H200: 220.6 GPU-hours, 37.9 GB of GPU memory, 24.1 GB of memory, 340.9 GB of disk;
#   projected, not measured.
# Needs `--data FOLDER` with ILSVRC-2012 for imagenet1k (train/ and val/ with one folder per WNID).
#   `--dry-run` prints the estimate for this machine. Any option of `uvlp reproduce` may follow.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
exec "$environment/bin/uvlp" reproduce imagenet1k 10 --seed 0,1,2 "$@"
