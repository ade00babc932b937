//! A dump that begins while the process still moves: threads go on after the first look, and all stand still
//! by the second one. What is a ring of locks then was none in the first look.

use std::collections::{BTreeMap, BTreeSet};

use crate::analysis::motion;
use crate::analysis::scene::{Motion, Scene, Thread, is_running};
use crate::session::Dump;
use crate::session::trace::{ThreadTrace, TraceSource, Traces};

/// The dump as if its first look had been made at the time of the second one, with its stacks. None if no
/// thread has moved in between, or if a thread is not known to stand still since.
pub(super) fn settled(scene: &Scene<'_>) -> Option<(Dump, Traces)> {
    if !scene.whole || !scene.dump.second_look_is_whole() || !scene.came.is_empty() {
        return None;
    }
    let mut rests: BTreeMap<u32, &[ThreadTrace]> = BTreeMap::new();
    for thread in scene.threads.values().filter(|t| t.motion != Motion::Asleep) {
        if thread.motion != Motion::Left {
            rests.insert(thread.tid(), rest(scene, thread)?);
        }
    }
    if rests.is_empty() {
        return None;
    }
    let dump = scene.dump;
    let mut settled = Dump {
        end: dump.end,
        dsos: dump.dsos.clone(),
        maps: dump.maps.clone(),
        threads: dump.second.clone(),
        second: dump.second.clone(),
        fds: dump.fds.clone(),
        marks: dump.marks.clone(),
        notes: dump.notes.clone(),
        ..Dump::begun(dump.identity.clone(), dump.begin)
    };
    // The same look twice: no time lies in between.
    settled.begin.second_look_after_ns = 1;
    settled.marks.iter_mut().for_each(|mark| mark.records = 0);
    let there: BTreeSet<u32> = settled.threads.iter().map(|r| r.tid).collect();
    let mut traces = scene.traces.clone();
    traces.samples.clear();
    traces.loops.clear();
    traces.threads.retain(|tid, _| there.contains(tid));
    for (tid, still) in rests {
        traces.threads.insert(tid, still[0].clone());
        traces.samples.insert(tid, still.to_vec());
    }
    Some((settled, traces))
}

/// The samples of a thread since it stands where the second look found it. None if they do not prove that it
/// stands still.
fn rest<'a>(scene: &Scene<'_>, thread: &Thread<'a>) -> Option<&'a [ThreadTrace]> {
    let second = thread.second.filter(|second| !is_running(second))?;
    let there = |t: &ThreadTrace| {
        t.source == TraceSource::Blocked && t.frames.first().is_some_and(|frame| frame.pc == second.pc)
    };
    let moved = thread.samples.iter().rposition(|t| !there(t));
    let still = &thread.samples[moved.map_or(0, |at| at + 1)..];
    motion::stays(still.first()?, still.iter(), scene.is)?;
    Some(still)
}
