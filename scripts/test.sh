#!/usr/bin/env bash
# Every test there is: format, lints, unit tests, end-to-end tests with the real shim in real processes.
#
#   ./scripts/test.sh            all of it (under 15 minutes on two cores)
#   ./scripts/test.sh NAME ...   only the tests whose names contain NAME
#
# What the tests need beyond Rust is installed, with root or sudo; otherwise it is named, and this stops.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n== %s (%s s)\n' "$1" "$SECONDS"; }

# command or file -> Debian package
need=(
  perf:linux-perf gdb:gdb eu-stack:elfutils gcc:gcc git:git python3:python3 tar:tar strace:strace
  redis-server:redis-server
  /usr/include/stdio.h:libc6-dev
  libjemalloc.so.2:libjemalloc2 libmimalloc.so.2:libmimalloc2.0 libtcmalloc_minimal.so.4:libtcmalloc-minimal4
)
missing=()
for entry in "${need[@]}"; do
  what=${entry%%:*} package=${entry#*:}
  case $what in
    /*) [ -e "$what" ] ;;
    lib*.so*) ls /usr/lib/*/"$what"* >/dev/null 2>&1 ;;
    *) command -v "$what" >/dev/null 2>&1 ;;
  esac || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  as_root=()
  if [ "$(id -u)" != 0 ]; then as_root=(sudo -n); fi
  if ! command -v apt-get >/dev/null || { [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; }; then
    echo "test.sh: missing: ${missing[*]}; install these Debian packages (or your system's own), then run this again" >&2
    exit 1
  fi
  step "installing ${missing[*]}"
  "${as_root[@]}" apt-get update -q >/dev/null
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null
fi
command -v cargo >/dev/null || { echo "test.sh: no cargo; install Rust (rustup.rs), then run this again" >&2; exit 1; }

members=(-p hangscope-protocol -p hangscope -p hangscope-test-workload -p hangscope-test-allocators -p hangscope-test-e2e)
# The shim is no_std and is built alone: see Cargo.toml.
lints() {
  cargo clippy -q "${members[@]}" --all-targets -- -D warnings
  cargo clippy -q -p hangscope-shim --all-targets -- -D warnings
}
linting=
if [ $# = 0 ]; then
  step "format"
  cargo fmt --all --check
  # Beside the build, in a folder of its own (target/debug): much of either keeps one core busy and no more.
  step "lints, and beside them"
  lints &
  linting=$!
  trap 'kill "$linting" 2>/dev/null || true' EXIT
fi

step "build, release"
cargo build -q --release -p hangscope-shim
cargo build -q --release -p hangscope -p hangscope-test-workload
cargo build -q --release -p hangscope-test-allocators --examples
if [ -n "$linting" ]; then
  step "lints, to their end"
  wait "$linting"
  trap - EXIT
fi

step "unit tests"
cargo test -q -p hangscope-protocol -p hangscope -p hangscope-test-workload -p hangscope-test-allocators "$@"
cargo test -q -p hangscope-shim "$@"

step "end-to-end tests"
# They mostly wait for hangs: more at a time than there are cores.
cargo test -p hangscope-test-e2e --lib --bins --test all "$@" -- --test-threads=4
step "figures"
cargo test -p hangscope-test-e2e --test figures "$@" -- --test-threads=1 --nocapture
step "all passed"
