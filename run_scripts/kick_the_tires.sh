#!/usr/bin/env bash
# Kick the tires: the claims that any machine can check, PASS or FAIL each. CPU; nothing to download once
# .venv, or the image, is there.
#
#   bash run_scripts/kick_the_tires.sh                    in this checkout (makes .venv first)
#   bash run_scripts/kick_the_tires.sh --container uvlp   in the image of that name, without network
#
# Results and logs go to ./kick_the_tires (UVLP_KICK_THE_TIRES); a second call resumes. On two cores 15
# minutes at most. SKIP where a claim cannot be checked: bytes with another C library or Python than the
# image's. Exit code 0 if no claim fails, 1 if one does.
set -uo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
out="${UVLP_KICK_THE_TIRES:-$PWD/kick_the_tires}"
methods=full,random,k-center,herding,d4m,vlcp,uvlp
mkdir -p "$out/logs" || exit 2
out="$(cd "$out" && pwd)"

case "${1-}" in
"")
    source "$here/run_scripts/setup.sh" || exit 2
    store="$out/uvlp_store"
    uvlp() { "$environment/bin/uvlp" "$@"; }
    ;;
--container)
    image="${2:?name the image: --container uvlp}"
    store=/out/uvlp_store
    uvlp() { docker run --rm --network none --user "$(id -u):$(id -g)" -v "$out":/out "$image" "$@"; }
    ;;
*)
    echo "kick_the_tires: unknown option: got '$1'; allowed: --container IMAGE" >&2
    exit 2
    ;;
esac

passed=0
claims=0
skipped=0
CANNOT_BE_CHECKED=3
started=$SECONDS

# claim TEXT COMMAND...: run the command with its output in a log, and say whether it succeeded.
claim() {
    claims=$((claims + 1))
    local log="$out/logs/$claims.txt" begun=$SECONDS code=0
    "${@:2}" >"$log" 2>&1 || code=$?
    case $code in
    0) passed=$((passed + 1)) && echo "PASS  $1 ($((SECONDS - begun)) s)" ;;
    "$CANNOT_BE_CHECKED") skipped=$((skipped + 1)) && echo "SKIP  $1: not the packages of the image, see $log" ;;
    *) echo "FAIL  $1 ($((SECONDS - begun)) s): see $log" ;;
    esac
}

prints_published_tables() {
    local name
    for name in nette-idc woof-ipc10 vlcp-nette-idc minimax-woof imagenet1k; do
        uvlp table "$name" --store "$store.none" | cmp - "$here/paper_tables/published/$name.md" || return
    done
}

estimates() { uvlp reproduce imagenette 10 --dry-run --store "$store.none"; }

digits() { uvlp reproduce digits 10 --portable --method "$methods" --store "$store" "$@"; }

verifies() { uvlp verify digits-ipc10-portable --store "$store" "$@"; }

has_committed_bytes() {
    local found
    found="$(verifies)" || return 1
    echo "$found"
    grep -q '^ok .*claims ' <<<"$found" || return $CANNOT_BE_CHECKED
}

builds_nothing_again() { digits --json | grep '"made": 0,'; }

scores_folder() {
    local images
    images="$(ls -d "$out"/uvlp_store/distilled/*/train | head -n 1)" || return
    uvlp evaluate "$store${images#"$out/uvlp_store"}" --dataset digits --ipc 10 --no-random --store "$store"
}

claim "the five published tables print as committed, and name what was not measured" prints_published_tables
claim "time, memory and disk of a published cell are estimated without data or weights" estimates
claim "the chain distils real digits with seven methods and scores them" digits
claim "the stored result is consistent" verifies
claim "the bytes of its scores are the committed ones" has_committed_bytes
claim "a training that is drawn and repeated gives the same bits" verifies --rerun 1
claim "the same command again computes nothing" builds_nothing_again
claim "a folder of images is scored" scores_folder

unchecked="$([ "$skipped" -eq 0 ] || echo " ($skipped skipped)")"
echo "$passed of $claims claims hold$unchecked; $(((SECONDS - started + 59) / 60)) min; logs in $out/logs"
[ $((passed + skipped)) -eq "$claims" ]
