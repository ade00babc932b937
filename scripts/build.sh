#!/usr/bin/env bash
# Builds what a user needs, into the target folder's release/: the command (hangscope), the shim (libhangscope.so,
# libhangscope_follow.so, libhangscope_stir.so), the benchmark (hangscope-bench) and the demonstration allocator
# (examples/libfault_demo.so).
#
#   ./scripts/build.sh                           build
#   ./scripts/build.sh --prefix DIR              build, then install: bin/hangscope, lib/hangscope/*.so, man pages, completions
#   ./scripts/build.sh --prefix DIR --uninstall  remove what --prefix DIR installed
#   BUILD_QUICK=1 ./scripts/build.sh ...         build sooner, with a slower command: for the tests
#   ./scripts/build.sh --help                    print this text
#
# The last line on stdout is the folder of what was built. Everything else goes to stderr.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)

fail() { echo "build.sh: $1" >&2; exit "${2:-1}"; }

prefix='' uninstall='' settings=()
[ -z "${BUILD_QUICK:-}" ] || settings=(--config "$root/scripts/quick.toml")
while [ $# -gt 0 ]; do
  case $1 in
    --prefix) [ -n "${2:-}" ] || fail "--prefix needs a folder" 2; prefix=$2; shift 2 ;;
    --prefix=?*) prefix=${1#*=}; shift ;;
    --uninstall) uninstall=yes; shift ;;
    -h | --help) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit ;;
    *) fail "unknown argument: $1; see --help" 2 ;;
  esac
done

# One line for each file and folder that was made, in that order. A folder ends with "/".
manifest=lib/hangscope/manifest

remove_installed() {
  local entry
  # The last first: files go before the folders that hold them. A folder that holds other files stays.
  tac "$prefix/$manifest" | while read -r entry; do
    case $entry in
      */) rmdir "$prefix/$entry" 2>/dev/null || true ;;
      *) rm -f "$prefix/$entry" ;;
    esac
  done
}

if [ -n "$uninstall" ]; then
  [ -n "$prefix" ] || fail "--uninstall needs --prefix DIR" 2
  [ -f "$prefix/$manifest" ] || fail "nothing is installed in $prefix: no $manifest there"
  remove_installed
  echo "build.sh: removed from $prefix" >&2
  exit
fi

command -v cargo >/dev/null || fail "no cargo; install Rust (rustup.rs), then run this again"
# Paths in the user's environment and arguments are relative to the folder that the user is in.
[ -z "$prefix" ] || prefix=$(mkdir -p "$prefix" && cd "$prefix" && pwd) || fail "cannot make the folder $prefix"
# The user's cargo settings may name another target folder.
target=$(cd "$root" && cargo metadata --format-version 1 --no-deps --offline 2>/dev/null |
  sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
target=${target:-$root/target}

build() { cargo "${settings[@]}" build --manifest-path "$root/Cargo.toml" "$@" >&2 || fail "the build failed"; }

# The shim is no_std. Cargo gives everything that one call builds the same features of a dependency, so the shim is built alone.
build_shim() {
  local so
  build --profile shim -p hangscope-shim -p hangscope-follow -p hangscope-stir
  mkdir -p "$target/release"
  # A new file in the place of the old one: a process may have that one mapped.
  for so in libhangscope.so libhangscope_follow.so libhangscope_stir.so; do
    cp "$target/shim/$so" "$target/release/$so.new"
    mv "$target/release/$so.new" "$target/release/$so"
  done
}

# The shim beside the rest: what is left of one keeps one core busy and no more.
# The same packages as in test.sh, with a target that has development dependencies (an example): so each dependency gets
# the same features in both scripts, and is built once.
build_shim &
shim=$!
build --release -p hangscope -p hangscope-test-workload -p hangscope-test-allocators --bins --example fault_demo
wait "$shim" || exit 1
echo "build.sh: built in $SECONDS s" >&2

install_file() { # MODE FROM TO
  local folder made=()
  folder=$(dirname "$3")
  while [ "$folder" != . ] && [ ! -d "$prefix/$folder" ]; do
    made=("$folder" "${made[@]}")
    folder=$(dirname "$folder")
  done
  for folder in "${made[@]}"; do
    mkdir "$prefix/$folder"
    echo "$folder/" >>"$list"
  done
  install -m "$1" "$2" "$prefix/$3"
  echo "$3" >>"$list"
}

if [ -n "$prefix" ]; then
  build --release -p hangscope --example install_files
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  list=$work/manifest
  "$target/release/examples/install_files" "$work/share"
  [ ! -f "$prefix/$manifest" ] || remove_installed
  strip -o "$work/hangscope" "$target/release/hangscope"
  install_file 755 "$work/hangscope" bin/hangscope
  for so in "$target"/release/libhangscope*.so; do
    strip -o "$work/stripped.so" "$so"
    install_file 644 "$work/stripped.so" "lib/hangscope/$(basename "$so")"
  done
  while read -r file; do
    install_file 644 "$work/share/$file" "share/$file"
  done < <(cd "$work/share" && find . -type f -printf '%P\n' | sort)
  echo "$manifest" >>"$list"
  install -m 644 "$list" "$prefix/$manifest"
  echo "build.sh: installed in $prefix: $(grep -vc '/$' "$list") files" >&2
fi
echo "$target/release"
