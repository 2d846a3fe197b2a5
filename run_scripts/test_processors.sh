#!/usr/bin/env bash
# The fast tests as other processors compute: once for each setting of tests/processors/settings.py, with a
# table at the end. About five minutes a setting on two cores; not part of .ci/run.
#   bash run_scripts/test_processors.sh                              every setting
#   bash run_scripts/test_processors.sh portable glibc               only these
#   bash run_scripts/test_processors.sh aten-plain -- tests/models   arguments after -- go to pytest
#   bash run_scripts/test_processors.sh --emulated                   some 350 operations of the libraries here
#       and under qemu as Nehalem and as Haswell, with the settings of --portable: the same bits
#       (Debian: apt-get install qemu-user; some minutes)
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
cd "$repository"
exec "$environment/bin/python" -m tests.processors.suite "$@"
