//! What a dump of the shim's lacks and can still be had from outside, while the process lives: threads that took no
//! signal, and samples of those that nap.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::thread;
use std::time::Instant;

use hangscope_protocol::record::ThreadRecord;
use nix::unistd::Pid;

use super::deaf::{PAUSE, SAMPLED_FOR, ask_deaf};
use super::memory::Memory;
use super::{MOST_SAMPLED, SAMPLE_STACK, threads};
use crate::session::Dump;

/// Adds to a dump of a live process what its shim could not have. What is not permitted, or what ended in between, stays as
/// the dump had it.
pub fn complete(pid: u32, dump: &Dump) -> Cow<'_, Dump> {
    let dump = ask_deaf(pid, dump);
    let nappers = nappers(&dump);
    if nappers.is_empty() {
        return dump;
    }
    let mut dump = dump.into_owned();
    let memory = Memory(Pid::from_raw(pid as i32));
    let until = Instant::now() + SAMPLED_FOR;
    let mut number = dump.samples.iter().map(|p| p.record.sample).max().unwrap_or(0);
    while Instant::now() < until {
        number += 1;
        let samples = nappers.iter().filter_map(|t| threads::sample(pid, *t, number, SAMPLE_STACK, memory));
        dump.samples.extend(samples);
        thread::sleep(PAUSE);
    }
    Cow::Owned(dump)
}

/// Threads that were blocked in both looks and awake in between, and of which there is no sample: the shim samples only who
/// runs, and two looks cannot tell one who is slow from one who never comes out of its naps.
fn nappers(dump: &Dump) -> Vec<u32> {
    let sampled: BTreeSet<u32> = dump.samples.iter().map(|p| p.record.tid).collect();
    let awake = |t: &&ThreadRecord| {
        let second = dump.second_look(t.tid).filter(|second| threads::is_blocked(second));
        threads::is_blocked(t) && second.is_some_and(|second| second.nvcsw > t.nvcsw)
    };
    let open = |t: &&ThreadRecord| t.tid != dump.identity.fixed.watchdog_tid && !sampled.contains(&t.tid);
    dump.threads.iter().filter(awake).filter(open).map(|t| t.tid).take(MOST_SAMPLED).collect()
}
