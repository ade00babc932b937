//! What one moment can show. A core has no second look: a thread that sleeps for a millisecond inside the
//! allocator may be in a loop that never ends, or at work. Beside such a thread, a lock that is held, a thread
//! that runs, and a waiter that was not woken yet are what any busy program shows.

use hangscope_protocol::record::dump_reason;

use super::case::{Case, tids};
use super::other;
use crate::analysis::scene::{Scene, is_nap};
use crate::analysis::why::Why;
use crate::analysis::words::Class;
use crate::text::message::say;

/// The case of a core, if one moment is enough for it; else that nothing is known.
pub(super) fn judge(scene: &Scene<'_>, case: Case) -> Case {
    if scene.dump.begin.reason != dump_reason::CORE {
        return case;
    }
    // No time ends these: a ring of locks, an owner that is no thread, a sleep that nothing interrupts.
    if matches!(case.class, Class::Deadlock | Class::Reentry | Class::OwnerGone | Class::KernelWait) {
        return case;
    }
    let naps = scene.all().filter(|t| t.inside == Some(true) && !t.runs() && is_nap(scene.dump, t.record));
    let naps: Vec<_> = naps.collect();
    if naps.is_empty() {
        return case;
    }
    let mut unknown = other::unknown(scene);
    unknown.missing.push(say!(Why::MomentNaps { tids: tids(naps) }));
    unknown
}
