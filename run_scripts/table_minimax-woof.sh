#!/usr/bin/env bash
# Published table minimax-woof (minimax-readme): imagewoof at 10, 20, 50, 70, 100 images per class with
#   random, k-center, herding, dit, dm, idc-1, glad, minimax, full; convnet-6, resnet-ap-10, resnet-18.
#   Three seeds.
# One NVIDIA H200: 373.5 GPU-hours, 18.1 GB of GPU memory, 9.9 GB of memory, 26.1 GB of disk; projected,
#   not measured.
# `--dry-run` prints the estimate for this machine. Any option of `uvlp reproduce` may follow; it goes to
#   every run.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
"$environment/bin/uvlp" reproduce imagewoof 10 --method random,k-center,herding,dit,dm,idc-1,glad,minimax,full --network convnet-6,resnet-ap-10,resnet-18 --seed 0,1,2 "$@"
"$environment/bin/uvlp" reproduce imagewoof 20 --method random,k-center,herding,dit,dm,idc-1,glad,minimax,full --network convnet-6,resnet-ap-10,resnet-18 --seed 0,1,2 "$@"
"$environment/bin/uvlp" reproduce imagewoof 50 --method random,k-center,herding,dit,dm,idc-1,glad,minimax,full --network convnet-6,resnet-ap-10,resnet-18 --seed 0,1,2 "$@"
"$environment/bin/uvlp" reproduce imagewoof 70 --method random,k-center,herding,dit,dm,idc-1,glad,minimax,full --network convnet-6,resnet-ap-10,resnet-18 --seed 0,1,2 "$@"
"$environment/bin/uvlp" reproduce imagewoof 100 --method random,k-center,herding,dit,dm,idc-1,glad,minimax,full --network convnet-6,resnet-ap-10,resnet-18 --seed 0,1,2 "$@"
