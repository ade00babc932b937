#!/usr/bin/env bash
# The figures: what the shim adds to a process (start, memory, the watchdog's CPU), and how long a dump takes.
# Times depend on the machine; they are shown, and no test asserts them.
set -euo pipefail
cd "$(dirname "$0")/.."
./scripts/build.sh >/dev/null
cargo test -q --release -p hangscope-test-e2e --test figures -- --nocapture --test-threads=1
