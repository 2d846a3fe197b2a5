#!/usr/bin/env bash
# imagenet1k at 50 images per class with random, d4m, vlcp, uvlp, sre2l, rded, dit, minimax: distil,
#   train resnet18 on the images (rded protocol), score, print the table. Three seeds.
# Published top-1 accuracy, percent:
# random, resnet18: none published
# d4m, resnet18: none published
# vlcp, resnet18: 60.5 ± 0.2 (vlcp-readme)
# uvlp, resnet18: none published
# sre2l, resnet18: 46.8 ± 0.2 (vlcp-readme), 46.8 ± 0.2 (minimax-readme)
# rded, resnet18: 56.5 ± 0.1 (vlcp-readme), 56.5 ± 0.1 (minimax-readme)
# dit, resnet18: 52.9 ± 0.6 (vlcp-readme), 52.9 ± 0.6 (minimax-readme)
# minimax, resnet18: 58.6 ± 0.3 (vlcp-readme), 58.6 ± 0.3 (minimax-readme)
# One NVIDIA H200: 500.6 GPU-hours, 37.9 GB of GPU memory, 36.1 GB of memory, 708.1 GB of disk;
#   projected, not measured.
# Needs `--data FOLDER` with ILSVRC-2012 for imagenet1k (train/ and val/ with one folder per WNID).
#   `--dry-run` prints the estimate for this machine. Any option of `uvlp reproduce` may follow.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
exec "$environment/bin/uvlp" reproduce imagenet1k 50 --method random,d4m,vlcp,uvlp,sre2l,rded,dit,minimax --seed 0,1,2 "$@"
