//! The memory that loops of running threads read: the words that they wait on, and the nodes of a list.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use hangscope_protocol::record::MemoryRecord;

use super::memory::ProcessMemory;
use crate::session::{Dump, Memory};
use crate::symbolize::{self, LINE, LoopMemory, Sources};

/// Most lines that are read.
const MOST_LINES: usize = 8192;
/// Time limit for all of them. Beside threads that spin, this side gets little of a processor.
const READ_FOR: Duration = Duration::from_secs(5);
/// Between two readings of a word. A lock that is in use changes in that time.
const BETWEEN_READINGS: Duration = Duration::from_millis(100);

/// The memory that the loops of the threads of a dump read, and the words that they read again and again.
/// Records of one place are in order of time.
pub(super) fn memory_of_loops(
    dump: &Dump,
    sources: &Sources,
    memory: &ProcessMemory,
) -> (Vec<Memory>, BTreeSet<u64>) {
    let until = Instant::now() + READ_FOR;
    let mut left = MOST_LINES;
    let LoopMemory { words, mut lines } = symbolize::memory_of_loops(dump, sources, &mut |at| {
        left = left.checked_sub(1).filter(|_| Instant::now() < until)?;
        line(memory, at)
    });
    if words.is_empty() && lines.is_empty() {
        return (vec![], words);
    }
    // A mutex is 40 bytes long.
    let of = |word: &u64| [*word, word.saturating_add(40)].map(|at| at & !(LINE as u64 - 1));
    let again: BTreeSet<u64> = words.iter().flat_map(of).collect();
    for at in &again {
        if !lines.contains_key(at)
            && let Some(line) = line(memory, *at)
        {
            lines.insert(*at, line);
        }
    }
    let mut found: Vec<Memory> = lines.iter().map(|(at, line)| record(*at, line)).collect();
    if !again.is_empty() {
        thread::sleep(BETWEEN_READINGS);
    }
    found.extend(again.iter().filter_map(|at| Some(record(*at, &line(memory, *at)?))));
    (found, words)
}

fn line(memory: &ProcessMemory, at: u64) -> Option<[u8; LINE]> {
    memory.up_to(at, LINE).ok()?.try_into().ok()
}

fn record(address: u64, line: &[u8; LINE]) -> Memory {
    Memory { record: MemoryRecord { address, wanted: LINE as u32, errno: 0 }, bytes: line.to_vec() }
}
