#!/usr/bin/env bash
# imagenette at 20 images per class with random, d4m, vlcp, uvlp, dit, dm, minimax: distil, train
#   resnet-ap-10 on the images (minimax protocol), score, print the table. Three seeds.
# Published top-1 accuracy, percent:
# random, resnet-ap-10: 63.5 ± 0.5 (uvlp-readme), 63.5 ± 0.5 (vlcp-readme)
# d4m, resnet-ap-10: 66.3 ± 1.3 (uvlp-readme), 66.3 ± 1.3 (vlcp-readme)
# vlcp, resnet-ap-10: 67.5 ± 1.0 (uvlp-readme), 71.4 ± 0.5 (vlcp-readme)
# uvlp, resnet-ap-10: 67.7 ± 0.3 (uvlp-readme)
# dit, resnet-ap-10: 64.8 ± 1.2 (uvlp-readme), 64.8 ± 1.2 (vlcp-readme)
# dm, resnet-ap-10: 66.5 ± 1.1 (uvlp-readme), 66.5 ± 1.1 (vlcp-readme)
# minimax, resnet-ap-10: 64.7 ± 0.8 (uvlp-readme), 64.7 ± 0.8 (vlcp-readme)
# One NVIDIA H200: 9.7 GPU-hours, 37.9 GB of GPU memory, 7.2 GB of memory, 79.3 GB of disk; projected,
#   not measured.
# `--dry-run` prints the estimate for this machine. Any option of `uvlp reproduce` may follow.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
exec "$environment/bin/uvlp" reproduce imagenette 20 --method random,d4m,vlcp,uvlp,dit,dm,minimax --seed 0,1,2 "$@"
