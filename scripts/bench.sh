#!/usr/bin/env bash
# The figures: what the shim adds to a process (start, memory, the watchdog's CPU), how long a dump takes, and
# what the collector does under load. Takes some minutes. One part of the load alone: HANGSCOPE_LOAD=idle, many,
# harm or hundred.
# Times depend on the machine; they are shown, and no test asserts them.
set -euo pipefail
cd "$(dirname "$0")/.."
./scripts/build.sh >/dev/null
cargo test -q --release -p hangscope-test-e2e --test figures -- --nocapture --test-threads=1
cargo build -q --release -p hangscope
cargo test -q --release -p hangscope-test-e2e --test load -- --nocapture
