#!/usr/bin/env bash
# imageidc at 20 images per class with random, d4m, vlcp, uvlp, dit, dm, minimax: distil, train
#   resnet-ap-10 on the images (minimax protocol), score, print the table. Three seeds.
# Published top-1 accuracy, percent:
# random, resnet-ap-10: 52.5 ± 0.9 (uvlp-readme), 52.5 ± 0.9 (vlcp-readme)
# d4m, resnet-ap-10: 55.8 ± 0.2 (uvlp-readme), 55.8 ± 0.2 (vlcp-readme)
# vlcp, resnet-ap-10: 60.0 ± 0.3 (uvlp-readme), 63.3 ± 1.2 (vlcp-readme)
# uvlp, resnet-ap-10: 60.3 ± 0.6 (uvlp-readme)
# dit, resnet-ap-10: 58.9 ± 0.2 (uvlp-readme), 58.9 ± 0.2 (vlcp-readme)
# dm, resnet-ap-10: 58.5 ± 0.4 (uvlp-readme), 58.5 ± 0.4 (vlcp-readme)
# minimax, resnet-ap-10: 59.1 ± 3.7 (uvlp-readme), 59.1 ± 3.7 (vlcp-readme)
# One NVIDIA H200: 9.9 GPU-hours, 37.9 GB of GPU memory, 6.7 GB of memory, 77.8 GB of disk; projected,
#   not measured.
# Needs `--data FOLDER` with ILSVRC-2012 for imageidc (train/ and val/ with one folder per WNID).
#   `--dry-run` prints the estimate for this machine. Any option of `uvlp reproduce` may follow.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
exec "$environment/bin/uvlp" reproduce imageidc 20 --method random,d4m,vlcp,uvlp,dit,dm,minimax --seed 0,1,2 "$@"
