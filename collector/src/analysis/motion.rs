//! Whether a thread that woke has gone on. A thread that wakes for a signal or at a timeout, and waits again for the same
//! object, held by the same owner, in the same activation of the function that waits, has not.

use std::collections::BTreeMap;

use super::role::{AllocatorIs, Role, role};
use super::stack::Proof;
use crate::session::trace::{Frame, ThreadTrace, is_signal_frame};

/// Fewer stacks prove nothing: each may have met the thread in another call by chance.
pub(super) const LEAST_STACKS: usize = 6;

/// How well the stacks of a thread prove that it stayed in the function in which `waits` shows it. None: they do not.
pub(super) fn stays<'a>(
    waits: &ThreadTrace,
    all: impl Iterator<Item = &'a ThreadTrace>,
    is: AllocatorIs,
) -> Option<Proof> {
    let outside_handlers = interrupted(&waits.frames);
    let function = outside_handlers.iter().find(|f| role(f, is) != Role::System)?.cfa?;
    let reference = Activation::of(&waits.frames, function)?;
    let mut seen = 0;
    let mut kept: BTreeMap<Vec<u64>, Vec<u64>> = BTreeMap::new();
    for trace in all.filter(|t| !t.truncated && !t.frames.is_empty()) {
        let activation = Activation::of(&trace.frames, function)?;
        if activation.outward != reference.outward {
            return None;
        }
        seen += 1;
        kept.entry(activation.inward).or_default().extend(activation.kept);
    }
    // Digests of one position differ only if the caller went on in between.
    let returned = kept.values().any(|kept| kept.iter().any(|k| *k != kept[0]));
    if seen < LEAST_STACKS || returned || waits.truncated {
        return None;
    }
    let compared: usize = kept.values().map(Vec::len).filter(|n| *n > 1).sum();
    Some(if compared >= LEAST_STACKS { Proof::Bytes } else { Proof::Frames })
}

/// The frames that the outermost signal handler interrupted; all frames without one.
fn interrupted(frames: &[Frame]) -> &[Frame] {
    let handler = frames.iter().rposition(is_signal_frame);
    handler.map_or(frames, |at| &frames[at + 1..])
}

/// One activation of a function on a stack.
struct Activation {
    /// Program counters from the innermost frame to the function's.
    inward: Vec<u64>,
    /// `pc` and CFA of each frame outside.
    outward: Vec<(u64, Option<u64>)>,
    /// [`Frame::kept`] of the function.
    kept: Option<u64>,
}

impl Activation {
    /// Of the function whose frame has this CFA.
    fn of(frames: &[Frame], cfa: u64) -> Option<Activation> {
        let at = frames.iter().rposition(|f| f.cfa == Some(cfa))?;
        Some(Activation {
            inward: frames[..=at].iter().map(|f| f.pc).collect(),
            outward: frames[at + 1..].iter().map(|f| (f.pc, f.cfa)).collect(),
            kept: frames[at].kept,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::trace::{SIGNAL_FRAME, TraceSource};

    const IS: AllocatorIs = AllocatorIs { shared: false };

    /// The function, its CFA, and the digest of its caller.
    fn trace(frames: &[(&str, u64, Option<u64>)]) -> ThreadTrace {
        let frame = |(function, cfa, kept): &(&str, u64, Option<u64>)| Frame {
            pc: function.bytes().map(u64::from).sum(),
            function: Some((*function).to_owned()),
            dso: Some(
                if function.starts_with("pthread") { "/lib/libc.so.6" } else { "/opt/libfoo.so" }.to_owned(),
            ),
            in_allocator: !function.starts_with("pthread"),
            cfa: Some(*cfa),
            kept: *kept,
            ..Frame::default()
        };
        let frames = frames.iter().map(frame).collect();
        ThreadTrace { tid: 1, source: TraceSource::Blocked, frames, truncated: false, problem: None }
    }

    fn waits(kept: u64) -> ThreadTrace {
        trace(&[("pthread_mutex_timedlock", 0x10, None), ("take", 0x20, Some(kept)), ("malloc", 0x40, None)])
    }

    fn of(all: &[ThreadTrace]) -> Option<Proof> {
        stays(&all[0], all.iter(), IS)
    }

    #[test]
    fn one_activation_in_all_stacks_is_no_progress() {
        let same = vec![waits(7); 8];
        assert_eq!(of(&same), Some(Proof::Bytes));
        assert_eq!(of(&same[..3]), None, "too few");
        let mut handler = same.clone();
        handler[3] = trace(&[
            ("tick", 0x4, None),
            (SIGNAL_FRAME, 0x8, None),
            ("pthread_mutex_timedlock", 0x10, None),
            ("take", 0x20, Some(9)),
            ("malloc", 0x40, None),
        ]);
        assert_eq!(of(&handler), Some(Proof::Bytes), "other registers are known there");
        let mut clock = same.clone();
        clock[4] = trace(&[("take", 0x20, Some(8)), ("malloc", 0x40, None)]);
        assert_eq!(of(&clock), Some(Proof::Bytes));
        let unknown: Vec<ThreadTrace> = (0..8)
            .map(|_| {
                trace(&[
                    ("pthread_mutex_timedlock", 0x10, None),
                    ("take", 0x20, None),
                    ("malloc", 0x40, None),
                ])
            })
            .collect();
        assert_eq!(of(&unknown), Some(Proof::Frames));
    }

    #[test]
    fn a_thread_that_returned_has_gone_on() {
        let mut again = vec![waits(7); 8];
        again[5] = waits(8);
        assert_eq!(of(&again), None, "the caller went on");
        let mut outside = vec![waits(7); 8];
        outside[5] = trace(&[("malloc", 0x40, None)]);
        assert_eq!(of(&outside), None);
        let mut elsewhere = vec![waits(7); 8];
        elsewhere[5] = trace(&[
            ("pthread_mutex_timedlock", 0x10, None),
            ("take", 0x20, Some(7)),
            ("calloc", 0x40, None),
        ]);
        assert_eq!(of(&elsewhere), None);
    }
}
