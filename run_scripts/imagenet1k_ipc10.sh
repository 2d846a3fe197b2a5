#!/usr/bin/env bash
# imagenet1k at 10 images per class with random, d4m, vlcp, uvlp, sre2l, rded, dit, minimax: distil,
#   train resnet18 on the images (rded protocol), score, print the table. Three seeds.
# Published top-1 accuracy, percent:
# random, resnet18: none published
# d4m, resnet18: none published
# vlcp, resnet18: 46.7 ± 0.4 (vlcp-readme)
# uvlp, resnet18: none published
# sre2l, resnet18: 21.3 ± 0.6 (vlcp-readme), 21.3 ± 0.6 (minimax-readme)
# rded, resnet18: 42.0 ± 0.1 (vlcp-readme), 42.0 ± 0.1 (minimax-readme)
# dit, resnet18: 39.6 ± 0.4 (vlcp-readme), 39.6 ± 0.4 (minimax-readme)
# minimax, resnet18: 44.3 ± 0.5 (vlcp-readme), 44.3 ± 0.5 (minimax-readme)
# One NVIDIA H200: 282.5 GPU-hours, 37.9 GB of GPU memory, 24.1 GB of memory, 531.4 GB of disk;
#   projected, not measured.
# Needs `--data FOLDER` with ILSVRC-2012 for imagenet1k (train/ and val/ with one folder per WNID).
#   `--dry-run` prints the estimate for this machine. Any option of `uvlp reproduce` may follow.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
exec "$environment/bin/uvlp" reproduce imagenet1k 10 --method random,d4m,vlcp,uvlp,sre2l,rded,dit,minimax --seed 0,1,2 "$@"
