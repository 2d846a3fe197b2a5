#!/usr/bin/env bash
# imagewoof at 20 images per class with full, k-center, herding, random, d4m, vlcp, uvlp, dit, dm, idc-1,
#   minimax: distil, train convnet-6, resnet-ap-10, resnet-18 on the images (minimax protocol), score,
#   print the table. Three seeds.
# Published top-1 accuracy, percent:
# full, convnet-6: 86.4 ± 0.2 (uvlp-readme), 86.4 ± 0.2 (minimax-readme)
# k-center, convnet-6: 21.5 ± 0.8 (minimax-readme)
# herding, convnet-6: 29.5 ± 0.3 (minimax-readme)
# random, convnet-6: 29.1 ± 0.7 (minimax-readme)
# d4m, convnet-6: none published
# vlcp, convnet-6: none published
# uvlp, convnet-6: none published
# dit, convnet-6: 36.1 ± 0.8 (minimax-readme)
# dm, convnet-6: 29.9 ± 1.0 (minimax-readme)
# idc-1, convnet-6: 35.5 ± 0.8 (minimax-readme)
# minimax, convnet-6: 37.6 ± 0.2 (minimax-readme)
# full, resnet-ap-10: 87.5 ± 0.5 (uvlp-readme), 87.5 ± 0.5 (minimax-readme)
# k-center, resnet-ap-10: 25.1 ± 0.7 (minimax-readme)
# herding, resnet-ap-10: 34.9 ± 0.1 (minimax-readme)
# random, resnet-ap-10: 32.7 ± 0.4 (minimax-readme)
# d4m, resnet-ap-10: none published
# vlcp, resnet-ap-10: none published
# uvlp, resnet-ap-10: none published
# dit, resnet-ap-10: 41.1 ± 0.8 (minimax-readme)
# dm, resnet-ap-10: 35.2 ± 0.6 (minimax-readme)
# idc-1, resnet-ap-10: 43.4 ± 0.3 (minimax-readme)
# minimax, resnet-ap-10: 45.8 ± 0.5 (minimax-readme)
# full, resnet-18: 89.3 ± 1.2 (uvlp-readme), 89.3 ± 1.2 (minimax-readme)
# k-center, resnet-18: 23.6 ± 0.3 (minimax-readme)
# herding, resnet-18: 32.2 ± 0.6 (minimax-readme)
# random, resnet-18: 29.7 ± 0.5 (minimax-readme)
# d4m, resnet-18: none published
# vlcp, resnet-18: none published
# uvlp, resnet-18: none published
# dit, resnet-18: 40.5 ± 0.5 (minimax-readme)
# dm, resnet-18: 29.8 ± 1.7 (minimax-readme)
# idc-1, resnet-18: 38.6 ± 0.2 (minimax-readme)
# minimax, resnet-18: 42.5 ± 0.6 (minimax-readme)
# One NVIDIA H200: 47.4 GPU-hours, 37.9 GB of GPU memory, 9.9 GB of memory, 79.2 GB of disk; projected,
#   not measured.
# `--dry-run` prints the estimate for this machine. Any option of `uvlp reproduce` may follow.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
exec "$environment/bin/uvlp" reproduce imagewoof 20 --method full,k-center,herding,random,d4m,vlcp,uvlp,dit,dm,idc-1,minimax --seed 0,1,2 "$@"
