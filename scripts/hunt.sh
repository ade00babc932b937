#!/usr/bin/env bash
# The main job, on a fresh machine with a Rust toolchain: builds what it needs, then hunts.
#
#   ./scripts/hunt.sh                 the demonstration: this project's benchmark under its demonstration allocator, which
#                                     sometimes hangs; the hang is caught in about 20 seconds
#   ./scripts/hunt.sh ARGUMENTS ...   hangscope hunt ARGUMENTS ..., for one's own allocator:
#     ./scripts/hunt.sh --name hz4 --so path/libhakozuna_hz4.so --cpus 0-15 --runs 50 -- ./bench 16 2000000 400 16 32768 90 65536
#
# The build says how long it took, and the demonstration ends with a line on stderr: seconds of the build, seconds to the
# verdict.
# The exit status is that of the hunt: 0 no hang, 10 a hang was captured, 20 the DSO was not intact, 30 the preload could
# not be verified, 3 no run came to a good end (all died or failed), 2 wrong usage, 1 anything else.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)

release=$("$root/scripts/build.sh") || exit 1
hunt=("$release/hangscope" hunt --shim "$release/libhangscope.so")
# In the place of this shell: signals and the exit status are the hunt's own.
if [ $# -gt 0 ]; then exec "${hunt[@]}" "$@"; fi

built=$SECONDS status=0
# Ctrl-C ends the hunt, and not this shell before it.
trap : INT
"${hunt[@]}" --name demo --so "$release/examples/libfault_demo.so" --runs 40 --hang-after 6s \
  --out "$root/out/demo_$(date +%Y%m%d_%H%M%S)_$$" \
  -- "$release/hangscope-bench" 16 20000 400 16 32768 90 65536 || status=$?
echo "hunt.sh: build $built s, verdict after $SECONDS s" >&2
exit "$status"
