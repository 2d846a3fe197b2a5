#!/usr/bin/env bash
# Published table woof-ipc10 (uvlp-readme): imagewoof at 10 images per class with random, k-center,
#   herding, dit, dm, glad, minimax, d4m, vlcp, uvlp, full; convnet-6, resnet-ap-10, resnet-18. Three
#   seeds.
# One NVIDIA H200: 24.6 GPU-hours, 37.9 GB of GPU memory, 9.9 GB of memory, 78.6 GB of disk; projected,
#   not measured.
# `--dry-run` prints the estimate for this machine. Any option of `uvlp reproduce` may follow; it goes to
#   every run.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
"$environment/bin/uvlp" reproduce imagewoof 10 --method random,k-center,herding,dit,dm,glad,minimax,d4m,vlcp,uvlp,full --network convnet-6,resnet-ap-10,resnet-18 --seed 0,1,2 "$@"
