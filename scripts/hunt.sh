#!/usr/bin/env bash
# The main job, on a fresh machine with a Rust toolchain: builds what it needs, then hunts.
#
#   ./scripts/hunt.sh                 the demonstration: this project's benchmark under its demonstration allocator, which
#                                     now and then never comes back; caught in about a minute
#   ./scripts/hunt.sh ARGUMENTS ...   hangscope hunt ARGUMENTS ..., for one's own allocator:
#     ./scripts/hunt.sh --name hz4 --so path/libhakozuna_hz4.so --cpus 0-15 --runs 50 -- ./bench 16 2000000 400 16 32768 90 65536
#
# The exit status is that of the hunt: 0 no hang, 10 a hang was captured, 20 the DSO was not intact, 30 the preload could
# not be verified, 2 wrong usage, 1 anything else.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)

command -v cargo >/dev/null || { echo "hunt.sh: no cargo; install Rust (rustup.rs), then run this again" >&2; exit 1; }
# Where cargo puts what it builds: a setting of the user's may send it elsewhere.
target=$(cd "$root" && cargo metadata --format-version 1 --no-deps --offline 2>/dev/null |
  sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
target=${target:-$root/target}/release

build() { cargo build --release --manifest-path "$root/Cargo.toml" "$@" || { echo "hunt.sh: the build failed" >&2; exit 1; }; }
# The shim is no_std and is built alone: built with the others it would be given their features.
build -p hangscope-shim
if [ $# -gt 0 ]; then
  build -p hangscope
  exec "$target/hangscope" hunt --shim "$target/libhangscope.so" "$@"
fi
build -p hangscope -p hangscope-test-workload
build -p hangscope-test-allocators --example fault_demo
exec "$target/hangscope" hunt --shim "$target/libhangscope.so" \
  --name demo --so "$target/examples/libfault_demo.so" --runs 40 --hang-after 6s \
  --out "$root/out/demo_$(date +%Y%m%d_%H%M%S)_$$" \
  -- "$target/hangscope-bench" 16 20000 400 16 32768 90 65536
