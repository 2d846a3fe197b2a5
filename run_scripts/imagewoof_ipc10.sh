#!/usr/bin/env bash
# imagewoof at 10 images per class with full, k-center, herding, random, d4m, vlcp, uvlp, dit, dm, glad,
#   minimax, idc-1: distil, train convnet-6, resnet-ap-10, resnet-18 on the images (minimax protocol),
#   score, print the table. Three seeds.
# Published top-1 accuracy, percent:
# full, convnet-6: 86.4 ± 0.2 (uvlp-readme), 86.4 ± 0.2 (minimax-readme)
# k-center, convnet-6: 19.4 ± 0.9 (uvlp-readme), 19.4 ± 0.9 (minimax-readme)
# herding, convnet-6: 26.7 ± 0.5 (uvlp-readme), 26.7 ± 0.5 (minimax-readme)
# random, convnet-6: 24.3 ± 1.1 (uvlp-readme), 24.3 ± 1.1 (minimax-readme)
# d4m, convnet-6: 29.4 ± 0.9 (uvlp-readme)
# vlcp, convnet-6: 32.5 ± 0.4 (uvlp-readme)
# uvlp, convnet-6: 32.2 ± 0.6 (uvlp-readme)
# dit, convnet-6: 34.2 ± 1.1 (uvlp-readme), 34.2 ± 1.1 (minimax-readme)
# dm, convnet-6: 26.9 ± 1.2 (uvlp-readme), 26.9 ± 1.2 (minimax-readme)
# glad, convnet-6: 33.8 ± 0.9 (uvlp-readme), 33.8 ± 0.9 (minimax-readme)
# minimax, convnet-6: 33.3 ± 1.7 (uvlp-readme), 37.0 ± 1.0 (minimax-readme)
# idc-1, convnet-6: 33.3 ± 1.1 (minimax-readme)
# full, resnet-ap-10: 87.5 ± 0.5 (uvlp-readme), 87.5 ± 0.5 (minimax-readme)
# k-center, resnet-ap-10: 22.1 ± 0.1 (uvlp-readme), 22.1 ± 0.1 (minimax-readme)
# herding, resnet-ap-10: 32.0 ± 0.3 (uvlp-readme), 32.0 ± 0.3 (minimax-readme)
# random, resnet-ap-10: 29.4 ± 0.8 (uvlp-readme), 29.4 ± 0.8 (minimax-readme)
# d4m, resnet-ap-10: 33.2 ± 2.1 (uvlp-readme)
# vlcp, resnet-ap-10: 36.6 ± 0.2 (uvlp-readme)
# uvlp, resnet-ap-10: 37.7 ± 0.3 (uvlp-readme)
# dit, resnet-ap-10: 34.7 ± 0.5 (uvlp-readme), 34.7 ± 0.5 (minimax-readme)
# dm, resnet-ap-10: 30.3 ± 1.2 (uvlp-readme), 30.3 ± 1.2 (minimax-readme)
# glad, resnet-ap-10: 32.9 ± 0.9 (uvlp-readme), 32.9 ± 0.9 (minimax-readme)
# minimax, resnet-ap-10: 36.2 ± 3.2 (uvlp-readme), 39.2 ± 1.3 (minimax-readme)
# idc-1, resnet-ap-10: 39.1 ± 0.5 (minimax-readme)
# full, resnet-18: 89.3 ± 1.2 (uvlp-readme), 89.3 ± 1.2 (minimax-readme)
# k-center, resnet-18: 21.1 ± 0.4 (uvlp-readme), 21.1 ± 0.4 (minimax-readme)
# herding, resnet-18: 30.2 ± 1.2 (uvlp-readme), 30.2 ± 1.2 (minimax-readme)
# random, resnet-18: 27.7 ± 0.9 (uvlp-readme), 27.7 ± 0.9 (minimax-readme)
# d4m, resnet-18: 32.3 ± 1.2 (uvlp-readme)
# vlcp, resnet-18: 35.9 ± 0.3 (uvlp-readme)
# uvlp, resnet-18: 36.0 ± 0.4 (uvlp-readme)
# dit, resnet-18: 34.7 ± 0.4 (uvlp-readme), 34.7 ± 0.4 (minimax-readme)
# dm, resnet-18: 33.4 ± 0.7 (uvlp-readme), 33.4 ± 0.7 (minimax-readme)
# glad, resnet-18: 31.7 ± 0.8 (uvlp-readme), 31.7 ± 0.8 (minimax-readme)
# minimax, resnet-18: 35.7 ± 1.6 (uvlp-readme), 37.6 ± 0.9 (minimax-readme)
# idc-1, resnet-18: 37.3 ± 0.2 (minimax-readme)
# One NVIDIA H200: 46.9 GPU-hours, 37.9 GB of GPU memory, 9.9 GB of memory, 78.6 GB of disk; projected,
#   not measured.
# `--dry-run` prints the estimate for this machine. Any option of `uvlp reproduce` may follow.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
exec "$environment/bin/uvlp" reproduce imagewoof 10 --method full,k-center,herding,random,d4m,vlcp,uvlp,dit,dm,glad,minimax,idc-1 --seed 0,1,2 "$@"
