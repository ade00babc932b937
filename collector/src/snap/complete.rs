//! What a dump of the shim's lacks and can still be had from outside, while the process lives: registers and stacks of
//! threads that took no signal, and samples of them and of those that nap.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use hangscope_protocol::record::{ThreadRecord, probe_outcome};

use super::memory::Memory;
use super::remark::Remark;
use super::{MOST_SAMPLED, SAMPLE_STACK, deaf, stop, threads};
use crate::evidence::recorded;
use crate::files::atomic;
use crate::files::atomic::WriteError;
use crate::session::{Dump, record};
use crate::text::message::say;

/// For so long threads are sampled.
const SAMPLED_FOR: Duration = Duration::from_secs(1);
/// Between two samples.
const PAUSE: Duration = Duration::from_millis(20);

/// Adds to a dump of a live process what its shim could not have, and keeps it in `dir` ([`recorded::OUTSIDE`]), so that
/// the dump can be read again with it. What is not permitted, or what ended in between, stays as the dump had it.
///
/// # Errors
/// [`WriteError`] if the file could not be written.
pub(crate) fn complete<'d>(pid: u32, dump: &'d Dump, dir: &Path) -> Result<Cow<'d, Dump>, WriteError> {
    let Some(outside) = look(pid, dump) else { return Ok(Cow::Borrowed(dump)) };
    atomic::write(&dir.join(recorded::OUTSIDE), &record::frames(&outside))?;
    Ok(Cow::Owned(dump.with_outside(&outside)))
}

/// As [`complete`], of a dump that is not kept.
pub(crate) fn completed(pid: u32, dump: &Dump) -> Cow<'_, Dump> {
    look(pid, dump).map_or(Cow::Borrowed(dump), |outside| Cow::Owned(dump.with_outside(&outside)))
}

/// What is to be added, as a dump that holds no more than that; none if nothing is missing.
fn look(pid: u32, dump: &Dump) -> Option<Dump> {
    let memory = Memory::of(pid);
    let mut outside = Dump::begun(dump.identity.clone(), dump.begin);
    outside.probes = deaf::ask(dump, memory);
    let answered = outside.probes.iter().map(|p| p.record.tid);
    let deaf: Vec<u32> = answered.clone().take(MOST_SAMPLED).collect();
    outside.notes = answered.map(|tid| say!(Remark::Deaf { tid }).note(tid)).collect();
    let nappers = nappers(dump);
    if deaf.is_empty() && nappers.is_empty() {
        return None;
    }
    let until = Instant::now() + SAMPLED_FOR;
    let mut number = dump.samples.iter().map(|p| p.record.sample).max().unwrap_or(0);
    while Instant::now() < until {
        number += 1;
        let stopped = deaf.iter().map(|tid| stop::ask(*tid, number, SAMPLE_STACK, memory));
        outside.samples.extend(stopped.filter(|p| p.record.outcome == probe_outcome::ANSWERED));
        let read = nappers.iter().filter_map(|t| threads::sample(pid, *t, number, SAMPLE_STACK, memory));
        outside.samples.extend(read);
        thread::sleep(PAUSE);
    }
    Some(outside)
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
