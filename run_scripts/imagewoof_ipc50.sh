#!/usr/bin/env bash
# imagewoof at 50 images per class with full, k-center, herding, random, d4m, vlcp, uvlp, dit, dm, idc-1,
#   minimax: distil, train convnet-6, resnet-ap-10, resnet-18 on the images (minimax protocol), score,
#   print the table. Three seeds.
# Published top-1 accuracy, percent:
# full, convnet-6: 86.4 ± 0.2 (uvlp-readme), 86.4 ± 0.2 (minimax-readme)
# k-center, convnet-6: 36.5 ± 1.0 (minimax-readme)
# herding, convnet-6: 40.3 ± 0.7 (minimax-readme)
# random, convnet-6: 41.3 ± 0.6 (minimax-readme)
# d4m, convnet-6: none published
# vlcp, convnet-6: none published
# uvlp, convnet-6: none published
# dit, convnet-6: 46.5 ± 0.8 (minimax-readme)
# dm, convnet-6: 44.4 ± 1.0 (minimax-readme)
# idc-1, convnet-6: 43.9 ± 1.2 (minimax-readme)
# minimax, convnet-6: 53.9 ± 0.6 (minimax-readme)
# full, resnet-ap-10: 87.5 ± 0.5 (uvlp-readme), 87.5 ± 0.5 (minimax-readme)
# k-center, resnet-ap-10: 40.6 ± 0.4 (minimax-readme)
# herding, resnet-ap-10: 49.1 ± 0.7 (minimax-readme)
# random, resnet-ap-10: 47.2 ± 1.3 (minimax-readme)
# d4m, resnet-ap-10: none published
# vlcp, resnet-ap-10: none published
# uvlp, resnet-ap-10: none published
# dit, resnet-ap-10: 49.3 ± 0.2 (minimax-readme)
# dm, resnet-ap-10: 47.1 ± 1.1 (minimax-readme)
# idc-1, resnet-ap-10: 48.3 ± 1.0 (minimax-readme)
# minimax, resnet-ap-10: 56.3 ± 1.0 (minimax-readme)
# full, resnet-18: 89.3 ± 1.2 (uvlp-readme), 89.3 ± 1.2 (minimax-readme)
# k-center, resnet-18: 39.6 ± 1.0 (minimax-readme)
# herding, resnet-18: 48.3 ± 1.2 (minimax-readme)
# random, resnet-18: 47.9 ± 1.8 (minimax-readme)
# d4m, resnet-18: none published
# vlcp, resnet-18: none published
# uvlp, resnet-18: none published
# dit, resnet-18: 50.1 ± 0.5 (minimax-readme)
# dm, resnet-18: 46.2 ± 0.6 (minimax-readme)
# idc-1, resnet-18: 48.3 ± 0.8 (minimax-readme)
# minimax, resnet-18: 57.1 ± 0.6 (minimax-readme)
# One NVIDIA H200: 65.9 GPU-hours, 37.9 GB of GPU memory, 9.9 GB of memory, 81.2 GB of disk; projected,
#   not measured.
# `--dry-run` prints the estimate for this machine. Any option of `uvlp reproduce` may follow.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
exec "$environment/bin/uvlp" reproduce imagewoof 50 --method full,k-center,herding,random,d4m,vlcp,uvlp,dit,dm,idc-1,minimax --seed 0,1,2 "$@"
