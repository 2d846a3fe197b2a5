#!/usr/bin/env bash
# imageidc at 10 images per class with random, d4m, vlcp, uvlp, dit, dm, minimax: distil, train
#   resnet-ap-10 on the images (minimax protocol), score, print the table. Three seeds.
# Published top-1 accuracy, percent:
# random, resnet-ap-10: 48.1 ± 0.8 (uvlp-readme), 48.1 ± 0.8 (vlcp-readme)
# d4m, resnet-ap-10: 50.3 ± 1.0 (uvlp-readme), 50.3 ± 1.0 (vlcp-readme)
# vlcp, resnet-ap-10: 54.5 ± 0.6 (uvlp-readme), 57.0 ± 1.4 (vlcp-readme)
# uvlp, resnet-ap-10: 55.3 ± 0.5 (uvlp-readme)
# dit, resnet-ap-10: 54.1 ± 0.4 (uvlp-readme), 54.1 ± 0.4 (vlcp-readme)
# dm, resnet-ap-10: 52.8 ± 0.5 (uvlp-readme), 52.8 ± 0.5 (vlcp-readme)
# minimax, resnet-ap-10: 51.9 ± 1.4 (uvlp-readme), 51.9 ± 1.4 (vlcp-readme)
# One NVIDIA H200: 8.7 GPU-hours, 37.9 GB of GPU memory, 6.7 GB of memory, 77.4 GB of disk; projected,
#   not measured.
# Needs `--data FOLDER` with ILSVRC-2012 for imageidc (train/ and val/ with one folder per WNID).
#   `--dry-run` prints the estimate for this machine. Any option of `uvlp reproduce` may follow.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
exec "$environment/bin/uvlp" reproduce imageidc 10 --method random,d4m,vlcp,uvlp,dit,dm,minimax --seed 0,1,2 "$@"
