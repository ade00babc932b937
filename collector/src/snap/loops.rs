//! The memory that loops of running threads read: the words that they wait on, and the nodes of a list.

use std::collections::BTreeSet;
use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

use hangscope_protocol::record::{MemoryRecord, NoteRecord, note_code};

use super::memory::ProcessMemory;
use super::zero::zero;
use crate::proc::sysconf;
use crate::session::chain::Chain;
use crate::session::{Dump, Memory, Note};
use crate::symbolize::{self, LINE, LoopMemory, Sources};

/// Most lines that are read.
const MOST_LINES: usize = 8192;
/// Time limit for all of them. Beside threads that spin, this side gets little of a processor.
const READ_FOR: Duration = Duration::from_secs(5);
/// Between two readings of a word. A lock that is in use changes in that time.
const BETWEEN_READINGS: Duration = Duration::from_millis(100);

/// Time limit for lists, each time that they are read.
const LISTS_FOR: Duration = Duration::from_secs(2);
/// Most bytes of variables that are searched for pointers to blocks.
const MOST_VARIABLES: u64 = 8 << 20;

/// What was read for the loops of running threads.
#[derive(Debug, Default)]
pub(super) struct ForLoops {
    /// Records of one place are in order of time.
    pub(super) memory: Vec<Memory>,
    /// The words that the loops read again and again.
    pub(super) words: BTreeSet<u64>,
    /// One for each list.
    pub(super) notes: Vec<Note>,
}

/// Reads the memory that the loops of the threads of a dump read, and lists: those that they walk, and those
/// that a profile names.
pub(super) fn memory_of_loops(dump: &Dump, sources: &Sources, memory: &ProcessMemory) -> ForLoops {
    let until = Instant::now() + READ_FOR;
    let mut left = MOST_LINES;
    let LoopMemory { words, mut lines, lists } = symbolize::memory_of_loops(dump, sources, &mut |at| {
        left = left.checked_sub(1).filter(|_| Instant::now() < until)?;
        line(memory, at)
    });
    let mut word_of = |at| word(memory, at);
    let read = lists.read(&mut word_of, &in_time());
    if words.is_empty() && lines.is_empty() && read.is_empty() {
        return ForLoops { words, ..ForLoops::default() };
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
    if !again.is_empty() || !read.is_empty() {
        thread::sleep(BETWEEN_READINGS);
    }
    found.extend(again.iter().filter_map(|at| Some(record(*at, &line(memory, *at)?))));
    let parts = if read.is_empty() { vec![] } else { variables(&lists.variables, memory) };
    let chains = lists.chains(read, Some((&mut word_of, &in_time())), &parts);
    let notes = chains.iter().filter_map(|(tid, chain)| note(*tid, chain)).collect();
    ForLoops { memory: found, words, notes }
}

fn in_time() -> impl Fn() -> bool {
    let until = Instant::now() + LISTS_FOR;
    move || Instant::now() < until
}

fn word(memory: &ProcessMemory, at: u64) -> Option<u64> {
    memory.up_to(at, 8).ok()?.try_into().ok().map(u64::from_le_bytes)
}

/// The bytes of variables that are in memory: pages that were never written hold no pointer.
fn variables(ranges: &[Range<u64>], memory: &ProcessMemory) -> Vec<(u64, Vec<u8>)> {
    let page = sysconf::page_size();
    let (mut parts, mut left) = (vec![], MOST_VARIABLES);
    for range in ranges {
        let mut at = range.start;
        while at < range.end && left > 0 {
            let bytes = memory.there(at, (range.end - at).min(left) as usize).unwrap_or_default();
            let passed = (bytes.len() as u64).max(page - at % page);
            left = left.saturating_sub(passed);
            if !bytes.is_empty() {
                parts.push((at, bytes));
            }
            at += passed;
        }
    }
    parts
}

fn note(tid: u32, chain: &Chain) -> Option<Note> {
    let record = NoteRecord { code: note_code::CHAIN, tid, ..zero() };
    Some(Note { record, text: serde_json::to_string(chain).ok()? })
}

fn line(memory: &ProcessMemory, at: u64) -> Option<[u8; LINE]> {
    memory.up_to(at, LINE).ok()?.try_into().ok()
}

fn record(address: u64, line: &[u8; LINE]) -> Memory {
    Memory { record: MemoryRecord { address, wanted: LINE as u32, errno: 0 }, bytes: line.to_vec() }
}
