#!/usr/bin/env bash
# A matrix of one lane, with the options of the runner of the same name: a drop-in for it that goes on when a run hangs.
#
#   ./scripts/ssot_mt_remote_matrix.sh --runs 10 --rss-runs 3 --allocs hz3,hz4,mimalloc,tcmalloc \
#     --hz3-so A.so --hz4-so B.so --mimalloc-so C.so --tcmalloc-so D.so --outdir OUT \
#     --bench-args "16 2000000 400 16 32768 90 65536" [--timeout-sec 15] [--resume]
#
# Further options: --bench-bin PATH (else BENCH, else ./hakozuna/out/ or ./bench/bin/bench_random_mixed_mt_remote_malloc),
# --cpu-list 0-15, --warmup N, --on-hang next|retry|stop, --order shuffled|interleaved|blocks. --NAME-so gives the file of any
# allocator NAME; system and glibc have none. OUT/ops.tsv and OUT/rss.tsv are links to those of the lane.
# The exit status is that of `hangscope matrix`: 0 no hang, 10 a hang was captured, and so on.
# HANGSCOPE names a hangscope that is installed; otherwise it is built here.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
fail() { echo "ssot_mt_remote_matrix.sh: $1" >&2; exit 2; }

runs=10 rss_runs=3 allocs=hz3,hz4,mimalloc,tcmalloc outdir='' timeout_sec=60 warmup=0 cpu_list='' on_hang=next order=interleaved
bench=${BENCH:-} bench_args="16 2000000 400 16 32768 90 65536" resume=()
declare -A so=()
while [ $# -gt 0 ]; do
  case $1 in
    --resume) resume=(--resume); shift; continue ;;
    -h | --help) sed -n '2,13s/^# \{0,1\}//p' "$0"; exit 0 ;;
  esac
  [ $# -ge 2 ] || fail "$1 needs a value; see --help"
  case $1 in
    --runs) runs=$2 ;;
    --rss-runs) rss_runs=$2 ;;
    --allocs) allocs=$2 ;;
    --outdir) outdir=$2 ;;
    --bench-args) bench_args=$2 ;;
    --bench-bin) bench=$2 ;;
    --timeout-sec) timeout_sec=$2 ;;
    --warmup) warmup=$2 ;;
    --cpu-list) cpu_list=$2 ;;
    --on-hang) on_hang=$2 ;;
    --order) order=$2 ;;
    --*-so) name=${1#--}; so[${name%-so}]=$2 ;;
    *) fail "unknown option $1; see --help" ;;
  esac
  shift 2
done
for number in "$runs" "$rss_runs" "$timeout_sec" "$warmup"; do
  [[ $number =~ ^[0-9]+$ ]] || fail "$number is no number"
done
[ -n "$outdir" ] || fail "give --outdir"
for path in ./hakozuna/out ./bench/bin; do
  [ -n "$bench" ] || [ ! -x "$path/bench_random_mixed_mt_remote_malloc" ] || bench=$path/bench_random_mixed_mt_remote_malloc
done
[ -n "$bench" ] || fail "give the benchmark with --bench-bin"

# A string of TOML.
quoted() { local text=${1//\\/\\\\}; printf '"%s"' "${text//\"/\\\"}"; }

read -ra words <<<"$bench_args"
matrix="hang_after = \"${timeout_sec}s\"
order = $(quoted "$order")
on_hang = $(quoted "$on_hang")
"
[ -z "$cpu_list" ] || matrix+="cpus = $(quoted "$cpu_list")
"
IFS=, read -ra names <<<"$allocs"
for name in "${names[@]}"; do
  matrix+="[[allocator]]
name = $(quoted "$name")
"
  if [ -n "${so[$name]:-}" ]; then
    matrix+="so = $(quoted "$(realpath -m -- "${so[$name]}")")
"
  elif [ "$name" != system ] && [ "$name" != glibc ]; then
    fail "$name has no file: give --$name-so PATH"
  fi
done
case $bench in */*) bench=$(realpath -m -- "$bench") ;; esac
command=$(quoted "$bench")
for word in "${words[@]}"; do command+=", $(quoted "$word")"; done
matrix+="[[lane]]
name = \"main\"
command = [$command]
"
[ "$runs" = 0 ] || matrix+="[phase.ops]
runs = $runs
warmup = $warmup
"
[ "$rss_runs" = 0 ] || matrix+="[phase.rss]
rss_runs = $rss_runs
"

if [ -n "${HANGSCOPE:-}" ]; then
  hangscope=("$HANGSCOPE" matrix)
else
  release=$("$root/scripts/build.sh") || exit 1
  hangscope=("$release/hangscope" matrix --shim "$release/libhangscope.so")
fi
# The runs are started in the folder of the file: in this one.
file=$(mktemp "$PWD/.hangscope_XXXXXX.toml") || fail "cannot write to $PWD"
trap 'rm -f "$file"' EXIT
printf '%s' "$matrix" >"$file"
# Ctrl-C ends the matrix, and not this shell before it.
trap : INT
status=0
"${hangscope[@]}" "$file" --out "$outdir" "${resume[@]}" || status=$?
for table in ops rss; do
  [ ! -f "$outdir/main/$table.tsv" ] || ln -sf "main/$table.tsv" "$outdir/$table.tsv"
done
exit "$status"
