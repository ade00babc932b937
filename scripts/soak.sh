#!/usr/bin/env bash
# The counts that take too long for every test run, in full. Prints what it did; ends at the first difference.
#
#   ./scripts/soak.sh [PART ...]   all parts, or those that are named:
#     classes      every faulty allocator, three times in a row; each with signals blocked, and without symbols
#     confusion    20 hunts of each thing whose truth is known, and the table of verdicts
#     statistics   intervals and sequential tests against the truth, 10,000 experiments a row, and their tables
#     stir         200 disturbed runs of each sound allocator, and how much more often the natural race hangs; then
#                  the table of the eight races (SOAK_RACE_SECONDS a row, 20 by default; more in tests/all/races.rs)
#     gdb          names and addresses of a live program's frames against gdb's, 100 stops under each of three allocators
#     shrink       the natural race, from the numbers of the incident to a fifth or less of its run time
#     fuzz         a minute (SOAK_FUZZ seconds) of each target of tests/fuzz; needs a nightly compiler and cargo-fuzz
#     miri         what Miri can run of the shim and of what it shares; needs a nightly compiler, installs Miri
#     rounds       the end-to-end tests, ten times over (SOAK_ROUNDS)
set -euo pipefail
cd "$(dirname "$0")/.."
parts=("$@")
if [ $# = 0 ]; then parts=(classes confusion statistics stir gdb shrink fuzz miri rounds); fi

./scripts/build.sh >/dev/null
# All faulty allocators, with the features that build.sh gave the dependencies.
cargo build -q --release -p hangscope -p hangscope-test-workload -p hangscope-test-allocators --bins --examples

e2e() { cargo test -q --release -p hangscope-test-e2e --test all "$@"; }

# The table itself, and the same under two handicaps.
classes() { HANGSCOPE_TEST_ROUNDS=3 e2e class -- --nocapture --test-threads=1; }

confusion() { HANGSCOPE_TEST_HUNTS=20 e2e confusion:: -- --nocapture; }

statistics() {
  HANGSCOPE_TEST_EXPERIMENTS=10000 cargo test -q --release -p hangscope --test statistics -- --nocapture --test-threads=1
}

stir() {
  HANGSCOPE_TEST_STIRRED=${SOAK_STIRRED:-200} e2e stir:: -- --include-ignored --nocapture --test-threads=1
  HANGSCOPE_TEST_RACE_SECONDS=${SOAK_RACE_SECONDS:-20} e2e races:: -- --ignored --nocapture
}

gdb() { HANGSCOPE_TEST_STOPS=${SOAK_STOPS:-100} cargo test -q --release -p hangscope --test symbolize live -- --nocapture; }

shrink() { e2e shrink:: -- --ignored --nocapture; }

fuzz() {
  if ! cargo +nightly fuzz --version >/dev/null 2>&1; then
    echo "not fuzzed: install a nightly compiler (rustup toolchain install nightly) and cargo-fuzz (cargo install cargo-fuzz)"
    return
  fi
  local target found
  found=$(mktemp -d)
  for target in tests/fuzz/targets/fuzz_targets/*.rs; do
    target=$(basename "$target" .rs)
    # What it finds new goes to a folder of its own; a crash is left in tests/fuzz/targets/artifacts.
    mkdir "$found/$target"
    cargo +nightly fuzz run --fuzz-dir tests/fuzz/targets "$target" "$found/$target" "tests/fuzz/corpus/$target" -- \
      -max_total_time="${SOAK_FUZZ:-60}" -rss_limit_mb=4096 -timeout=25 -print_final_stats=1
  done
  rm -rf "$found"
}

miri() {
  if ! cargo +nightly miri --version >/dev/null 2>&1 &&
    ! rustup component add miri rust-src --toolchain nightly >/dev/null 2>&1; then
    echo "not run by Miri: rustup component add miri rust-src --toolchain nightly (after rustup toolchain install nightly)"
    return
  fi
  # In a folder of its own: other flags would have the rest built anew.
  local under=(env CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/miri" MIRIFLAGS=-Zmiri-disable-isolation)
  "${under[@]}" cargo +nightly miri test -q -p hangscope-protocol -p hangscope-reader
  # Without what makes system calls or jumps. What threads share there has its argument in its module.
  "${under[@]}" cargo +nightly miri test -q -p hangscope-shim -- instructions_that_matter registers_of_a_sample stall:: random:: \
    safe:: every_variable durations other_settings what_is_disturbed programs_that_are_watched text_of_a_fixed_size
  # Threads meet in another order with each seed.
  under+=(MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-many-seeds=0..${SOAK_SEEDS:-32}")
  "${under[@]}" cargo +nightly miri test -q -p hangscope-shim slots::
}

rounds() {
  for round in $(seq "${SOAK_ROUNDS:-10}"); do
    echo "== end-to-end tests, round $round ($SECONDS s)"
    e2e -- --test-threads=4
  done
}

for part in "${parts[@]}"; do
  case $part in
    classes | confusion | statistics | stir | gdb | shrink | fuzz | miri | rounds) echo "== $part ($SECONDS s)" && "$part" ;;
    *) echo "soak.sh: no part is named $part; see the head of this file" >&2 && exit 2 ;;
  esac
done
echo "== soak passed in $SECONDS s"
