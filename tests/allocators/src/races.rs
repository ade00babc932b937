//! The table of the natural races: what each process of `libraces.so` may do, and where its bug is.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use crate::artifacts::{self, workspace};

/// One race. All rows are one DSO, and the environment chooses the race.
#[derive(Clone, Copy, Debug)]
pub struct Race {
    pub name: &'static str,
    pub env: &'static [(&'static str, &'static str)],
    /// Arguments for the benchmark. With them, a run takes about 0.1 s on two cores that are otherwise idle.
    pub workload_args: &'static [&'static str],
    /// The classes, as words of the class table, that are true of a process that the race hangs. Which of
    /// them it is depends on how many threads get stuck, and on what the analysis can read.
    pub classes: &'static [&'static str],
    /// The file of the race, relative to the workspace's root.
    pub file: &'static str,
    /// Facts for the reader of the table. Tests do not read them.
    pub notes: &'static str,
}

impl Race {
    /// Returns the row with this name.
    pub fn named(name: &str) -> &'static Race {
        RACES.iter().find(|race| race.name == name).unwrap_or_else(|| panic!("no race is named {name:?}"))
    }

    /// Builds the DSO if it is out of date, and returns its path.
    pub fn path() -> PathBuf {
        artifacts::allocator("libraces.so")
    }

    /// The lines of `file`, counted from 1, that are the race: those between each `race: begin` and the
    /// next `race: end`. A hang needs a thread that is delayed there while others go on.
    pub fn lines(&self) -> Vec<RangeInclusive<u32>> {
        let path = workspace().join(self.file);
        let source = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let (mut ranges, mut begin) = (vec![], None);
        for (number, line) in (1..).zip(source.lines().map(str::trim)) {
            match line {
                "// race: begin" => assert_eq!(begin.replace(number), None, "{}:{number}: begun", self.file),
                "// race: end" => {
                    let first =
                        begin.take().unwrap_or_else(|| panic!("{}:{number}: not begun", self.file)) + 1;
                    ranges.push(first..=number - 1);
                }
                _ => (),
            }
        }
        assert_eq!(begin, None, "{}: no end", self.file);
        ranges
    }
}

/// 50,000 operations of each of 8 threads, with three blocks of four in the central part.
const USUAL_ARGS: &[&str] = &["8", "50000", "100", "16", "4096", "50", "1024"];

macro_rules! race {
    ($name:literal, $classes:expr, $notes:literal) => {
        Race {
            name: $name,
            env: &[("RACE", $name)],
            workload_args: USUAL_ARGS,
            classes: &$classes,
            file: concat!("tests/allocators/examples/races/", $name, ".rs"),
            notes: $notes,
        }
    };
}

pub const RACES: &[Race] = &[
    race!(
        "lock_inversion",
        ["deadlock"],
        "g_page_heap_lock and one of g_mid_locks. All threads soon wait for one of the two"
    ),
    race!(
        "wake_lost",
        ["lost-wakeup", "unknown"],
        "the sleepers wait on g_purge_turnstile+12, whose word is what they expect. The turn (at +4) belongs \
         to one of them. The word is no lock: owner-left would be wrong"
    ),
    race!(
        "mark_after_release",
        ["spin-wait", "livelock", "runaway"],
        "threads that move the page table compare two words of g_purge_lock and yield the processor. No lock \
         is held, so owner-left would be wrong. The last word is too small by the number of lost purges"
    ),
    race!(
        "aba_list",
        ["runaway", "livelock"],
        "a purge walks a circular list without a lock. Others that purge later may find another list, and end"
    ),
    race!(
        "double_checked_init",
        ["runaway", "livelock"],
        "each purge after the race walks the circular list of arenas without a lock"
    ),
    race!(
        "refcount_twice",
        ["owner-spinning", "runaway"],
        "one thread walks a circular list with g_span_list_lock held. The others wait for the lock, or ended"
    ),
    race!(
        "stale_queue_entry",
        ["spin-wait", "livelock", "runaway"],
        "one receiver or more wait for entries, and yield the processor. All others may go on and end"
    ),
    race!(
        "cond_signalled_early",
        ["lost-wakeup"],
        "the first sleeper has its flag set and waits on its condition in g_permit_seats. The others queue up"
    ),
];
