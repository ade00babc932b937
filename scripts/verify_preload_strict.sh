#!/usr/bin/env bash
# Strict verification of a preload, with the options of the script of the same name: `hangscope verify`. The last line of a
# verification that passed is "[STRICT-PRELOAD] verification passed".
#
#   ./scripts/verify_preload_strict.sh --so X.so [--bin PROGRAM] [--runs 3] [--outdir OUT/preload_verify] [--bench-args ARGS]
#
# Without --bin: BENCH, else ./hakozuna/out/ or ./bench/bin/bench_random_mixed_mt_remote_malloc, else sleep. The logs are in
# OUT/preload_verify/. The exit status is that of `hangscope verify`: 0 passed, 30 not. HANGSCOPE names a hangscope that is
# installed; otherwise it is built here.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
fail() { echo "verify_preload_strict.sh: $1" >&2; exit 2; }

so='' bench=${BENCH:-} runs=3 outdir='' bench_args="2 20000 400 16 32768 90 65536"
while [ $# -gt 0 ]; do
  case $1 in -h | --help) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
  [ $# -ge 2 ] || fail "$1 needs a value; see --help"
  case $1 in
    --so) so=$2 ;;
    --bin) bench=$2 ;;
    --runs) runs=$2 ;;
    --outdir) outdir=$2 ;;
    --bench-args) bench_args=$2 ;;
    *) fail "unknown option $1; see --help" ;;
  esac
  shift 2
done
[ -n "$so" ] || fail "give the allocator's file with --so"
for path in ./hakozuna/out ./bench/bin; do
  [ -n "$bench" ] || [ ! -x "$path/bench_random_mixed_mt_remote_malloc" ] || bench=$path/bench_random_mixed_mt_remote_malloc
done
read -ra words <<<"$bench_args"
command=("$bench" "${words[@]}")
[ -n "$bench" ] || command=(sleep 1)
out=()
# `hangscope verify` makes the folder preload_verify itself.
[ -z "$outdir" ] || out=(--out "$(if [ "$(basename "$outdir")" = preload_verify ]; then dirname "$outdir"; else echo "$outdir"; fi)")

if [ -n "${HANGSCOPE:-}" ]; then
  hangscope=("$HANGSCOPE" verify)
else
  release=$("$root/scripts/build.sh") || exit 1
  hangscope=("$release/hangscope" verify --shim "$release/libhangscope.so")
fi
exec "${hangscope[@]}" --so "$so" --runs "$runs" "${out[@]}" -- "${command[@]}"
