# Sourced by every run script: makes .venv from docker/requirements.lock when it is missing, and again
# when the lock or the path of the repository has changed. Needs Python 3.11 to 3.13 with pip, but
# neither ensurepip (Debian keeps it in another package) nor a build tool.
#
# If two scripts start at once, one waits; an interrupted installation is repeated by the next script. All
# messages go to stderr, so that stdout belongs to the command.

repository="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
environment="$repository/.venv"
turn="$repository/.venv.lock" # locked while .venv is made; not empty if that was interrupted

find_python() {
    local candidate
    for candidate in python3 python3.11 python3.12 python3.13; do
        if "$candidate" -c 'import pip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
            >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
    echo "setup: needs Python 3.11, 3.12 or 3.13 with pip, found $(python3 --version 2>/dev/null || echo none):" \
        "install one (Debian: apt-get install python3 python3-pip), then run this again" >&2
    return 2
}

dependencies_wanted() { echo "$repository" && cat "$repository/docker/requirements.lock"; }

dependencies_are_current() { dependencies_wanted | cmp -s - "$environment/dependencies.stamp"; }

project_is_current() { cmp -s "$repository/pyproject.toml" "$environment/project.stamp"; }

# The lock lives as long as file descriptor 9 is open. Python takes it: not every system has flock(1).
take_turn() {
    "$1" -c 'import fcntl, sys
try:
    fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print("setup: waiting for another run that is making .venv", file=sys.stderr)
    fcntl.flock(9, fcntl.LOCK_EX)'
}

pip_install() {
    local options=(--disable-pip-version-check --no-compile)
    if [ ! -t 2 ]; then options+=(--quiet); fi
    "$1" -m pip --python "$environment/bin/python" install "${options[@]}" "${@:2}"
}

# Compiling apart from pip uses every core, and does not heed PYTHONDONTWRITEBYTECODE. Its exit status says
# that some file could not be compiled; libraries ship templates and tests for which that is expected.
compile_bytecode() { "$environment/bin/python" -m compileall -qq -j 0 "$@" >/dev/null || true; }

install_dependencies() {
    echo "setup: making .venv from docker/requirements.lock (about 4 minutes, 6.5 GB of disk)"
    # A .venv without a stamp is the user's: it gets the locked versions and is not deleted.
    local own=yes
    if [ ! -e "$environment" ] || [ -e "$environment/dependencies.stamp" ] || [ -s "$turn" ]; then own=no; fi
    echo "making .venv" >"$turn"
    if [ $own = no ]; then "$1" -m venv --clear --without-pip "$environment"; fi
    pip_install "$1" --require-hashes -r "$repository/docker/requirements.lock"
    compile_bytecode "$environment/lib"
    dependencies_wanted >"$environment/dependencies.stamp"
    : >"$turn"
}

install_project() {
    pip_install "$1" --no-build-isolation --no-deps --editable "$repository"
    compile_bytecode "$repository/uvlp"
    cp "$repository/pyproject.toml" "$environment/project.stamp"
}

make_environment() (
    set -e
    python="$(find_python)"
    exec 9>>"$turn"
    take_turn "$python"
    if ! dependencies_are_current; then install_dependencies "$python"; fi
    if ! project_is_current; then install_project "$python"; fi
)

if ! dependencies_are_current || ! project_is_current; then
    make_environment >&2
fi
