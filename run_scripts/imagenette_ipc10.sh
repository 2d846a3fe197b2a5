#!/usr/bin/env bash
# imagenette at 10 images per class with random, d4m, vlcp, uvlp, dit, dm, minimax: distil, train
#   resnet-ap-10 on the images (minimax protocol), score, print the table. Three seeds.
# Published top-1 accuracy, percent:
# random, resnet-ap-10: 54.2 ± 1.6 (uvlp-readme), 54.2 ± 1.6 (vlcp-readme)
# d4m, resnet-ap-10: 60.9 ± 1.7 (uvlp-readme), 60.9 ± 1.7 (vlcp-readme)
# vlcp, resnet-ap-10: 61.0 ± 0.5 (uvlp-readme), 64.8 ± 3.6 (vlcp-readme)
# uvlp, resnet-ap-10: 63.0 ± 0.4 (uvlp-readme)
# dit, resnet-ap-10: 59.1 ± 0.7 (uvlp-readme), 59.1 ± 0.7 (vlcp-readme)
# dm, resnet-ap-10: 60.8 ± 0.6 (uvlp-readme), 60.8 ± 0.6 (vlcp-readme)
# minimax, resnet-ap-10: 57.7 ± 1.2 (uvlp-readme), 57.7 ± 1.2 (vlcp-readme)
# One NVIDIA H200: 8.5 GPU-hours, 37.9 GB of GPU memory, 7.2 GB of memory, 78.8 GB of disk; projected,
#   not measured.
# `--dry-run` prints the estimate for this machine. Any option of `uvlp reproduce` may follow.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
exec "$environment/bin/uvlp" reproduce imagenette 10 --method random,d4m,vlcp,uvlp,dit,dm,minimax --seed 0,1,2 "$@"
