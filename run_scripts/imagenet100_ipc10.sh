#!/usr/bin/env bash
# imagenet100 at 10 images per class with random, d4m, vlcp, uvlp: distil, train resnet-ap-10 on the
#   images (minimax protocol), score, print the table. Three seeds.
# Published top-1 accuracy, percent:
# random, resnet-ap-10: none published
# d4m, resnet-ap-10: none published
# vlcp, resnet-ap-10: none published
# uvlp, resnet-ap-10: none published
# One NVIDIA H200: 21.3 GPU-hours, 37.9 GB of GPU memory, 7.8 GB of memory, 105.9 GB of disk; projected,
#   not measured.
# Needs `--data FOLDER` with ILSVRC-2012 for imagenet100 (train/ and val/ with one folder per WNID).
#   `--dry-run` prints the estimate for this machine. Any option of `uvlp reproduce` may follow.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
exec "$environment/bin/uvlp" reproduce imagenet100 10 --seed 0,1,2 "$@"
