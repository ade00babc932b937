#!/usr/bin/env bash
# The counts that take too long for every test run, in full: each faulty allocator three times in a row, the end-to-end
# tests ten times over, the rare natural race. Prints what it did; ends at the first difference.
#
#   ./scripts/soak.sh [ROUNDS]     rounds of the end-to-end tests, 10 by default
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-10}

cargo build -q --release -p hangscope-shim
cargo build -q --release -p hangscope -p hangscope-test-workload
cargo build -q --release -p hangscope-test-allocators --examples

echo "== every faulty allocator, three times in a row"
HANGSCOPE_TEST_ROUNDS=3 cargo test -q -p hangscope-test-e2e --test classes -- --test-threads=1

for round in $(seq "$rounds"); do
  echo "== end-to-end tests, round $round of $rounds ($SECONDS s)"
  cargo test -q -p hangscope-test-e2e
done
echo "== soak passed in $SECONDS s"
