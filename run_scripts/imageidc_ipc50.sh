#!/usr/bin/env bash
# imageidc at 50 images per class with random, d4m, vlcp, uvlp, dit, dm, minimax: distil, train
#   resnet-ap-10 on the images (minimax protocol), score, print the table. Three seeds.
# Published top-1 accuracy, percent:
# random, resnet-ap-10: 68.1 ± 0.7 (uvlp-readme), 68.1 ± 0.7 (vlcp-readme)
# d4m, resnet-ap-10: 69.1 ± 2.4 (uvlp-readme), 69.1 ± 2.4 (vlcp-readme)
# vlcp, resnet-ap-10: 72.7 ± 0.4 (uvlp-readme), 71.9 ± 0.4 (vlcp-readme)
# uvlp, resnet-ap-10: 72.3 ± 0.4 (uvlp-readme)
# dit, resnet-ap-10: 64.3 ± 0.6 (uvlp-readme), 64.3 ± 0.6 (vlcp-readme)
# dm, resnet-ap-10: 69.1 ± 0.8 (uvlp-readme), 69.1 ± 0.8 (vlcp-readme)
# minimax, resnet-ap-10: 69.4 ± 1.4 (uvlp-readme), 69.4 ± 1.4 (vlcp-readme)
# One NVIDIA H200: 13.6 GPU-hours, 37.9 GB of GPU memory, 6.7 GB of memory, 79.1 GB of disk; projected,
#   not measured.
# Needs `--data FOLDER` with ILSVRC-2012 for imageidc (train/ and val/ with one folder per WNID).
#   `--dry-run` prints the estimate for this machine. Any option of `uvlp reproduce` may follow.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
exec "$environment/bin/uvlp" reproduce imageidc 50 --method random,d4m,vlcp,uvlp,dit,dm,minimax --seed 0,1,2 "$@"
