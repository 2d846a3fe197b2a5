#!/usr/bin/env bash
# imagenette at 50 images per class with random, d4m, vlcp, uvlp, dit, dm, minimax: distil, train
#   resnet-ap-10 on the images (minimax protocol), score, print the table. Three seeds.
# Published top-1 accuracy, percent:
# random, resnet-ap-10: 76.1 ± 1.1 (uvlp-readme), 76.1 ± 1.1 (vlcp-readme)
# d4m, resnet-ap-10: 77.7 ± 1.1 (uvlp-readme), 77.7 ± 1.1 (vlcp-readme)
# vlcp, resnet-ap-10: 77.8 ± 0.5 (uvlp-readme), 81.2 ± 0.8 (vlcp-readme)
# uvlp, resnet-ap-10: 77.5 ± 0.3 (uvlp-readme)
# dit, resnet-ap-10: 73.3 ± 0.9 (uvlp-readme), 73.3 ± 0.9 (vlcp-readme)
# dm, resnet-ap-10: 76.2 ± 0.4 (uvlp-readme), 76.2 ± 0.4 (vlcp-readme)
# minimax, resnet-ap-10: 73.9 ± 0.3 (uvlp-readme), 73.9 ± 0.3 (vlcp-readme)
# One NVIDIA H200: 13.4 GPU-hours, 37.9 GB of GPU memory, 7.3 GB of memory, 80.5 GB of disk; projected,
#   not measured.
# `--dry-run` prints the estimate for this machine. Any option of `uvlp reproduce` may follow.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
exec "$environment/bin/uvlp" reproduce imagenette 50 --method random,d4m,vlcp,uvlp,dit,dm,minimax --seed 0,1,2 "$@"
