#!/usr/bin/env bash
# Published table nette-idc (uvlp-readme): imageidc, imagenette at 10, 20, 50 images per class with
#   random, dit, dm, minimax, d4m, vlcp, uvlp; resnet-ap-10. Three seeds.
# One NVIDIA H200: 55.9 GPU-hours, 37.9 GB of GPU memory, 7.3 GB of memory, 111.2 GB of disk; projected,
#   not measured.
# Needs `--data FOLDER` with ILSVRC-2012 for imageidc (train/ and val/ with one folder per WNID).
#   `--dry-run` prints the estimate for this machine. Any option of `uvlp reproduce` may follow; it goes
#   to every run.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
"$environment/bin/uvlp" reproduce imageidc 10 --method random,dit,dm,minimax,d4m,vlcp,uvlp --network resnet-ap-10 --seed 0,1,2 "$@"
"$environment/bin/uvlp" reproduce imageidc 20 --method random,dit,dm,minimax,d4m,vlcp,uvlp --network resnet-ap-10 --seed 0,1,2 "$@"
"$environment/bin/uvlp" reproduce imageidc 50 --method random,dit,dm,minimax,d4m,vlcp,uvlp --network resnet-ap-10 --seed 0,1,2 "$@"
"$environment/bin/uvlp" reproduce imagenette 10 --method random,dit,dm,minimax,d4m,vlcp,uvlp --network resnet-ap-10 --seed 0,1,2 "$@"
"$environment/bin/uvlp" reproduce imagenette 20 --method random,dit,dm,minimax,d4m,vlcp,uvlp --network resnet-ap-10 --seed 0,1,2 "$@"
"$environment/bin/uvlp" reproduce imagenette 50 --method random,dit,dm,minimax,d4m,vlcp,uvlp --network resnet-ap-10 --seed 0,1,2 "$@"
