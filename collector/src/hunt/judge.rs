//! Whether the DSO of a run was intact.

use super::watch::Watched;
use crate::analysis::integrity::{self, Judgement, Reason};
use crate::analysis::{Integrity, RunFacts};
use crate::session::Dso;
use crate::text::message::{Say as _, Text, say};
use crate::text::note::Note;

/// Judges the allocator of each process, and puts the worst into the facts.
///
/// `end` judges a DSO as it is now, or was when its process ended.
pub(super) fn judge<'a>(
    facts: &mut RunFacts,
    processes: impl Iterator<Item = &'a Watched>,
    end: impl Fn(&Dso) -> Judgement,
    notes: &mut Vec<Text>,
) {
    let mut worst: Option<(Integrity, Integrity)> = None;
    for allocator in processes.filter_map(Watched::allocator) {
        let start = at_start(allocator);
        let end = end(allocator);
        if end.integrity > Integrity::Unknown || matches!(end.reason, Reason::NotLookedAt { .. }) {
            notes.push(say!(Note::Dso { path: &allocator.path, why: end.reason }).said());
        }
        facts.deleted_seen |= end.deleted_seen;
        let (s, e) = worst.unwrap_or((Integrity::Intact, Integrity::Intact));
        worst = Some((s.max(start), e.max(end.integrity)));
    }
    if let Some((start, end)) = worst {
        facts.integrity_start = start;
        facts.integrity_end = end;
    }
}

/// The allocator when the process started. Before the first look there is nothing to compare: then a DSO that
/// was right at init is intact.
pub(super) fn at_start(dso: &Dso) -> Integrity {
    let init = Dso { now: None, ..dso.clone() };
    match integrity::judge(&init, None) {
        Judgement { reason: Reason::NoLook { .. }, .. } => Integrity::Intact,
        judgement => judgement.integrity,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use hangscope_protocol::duration::Limit;
    use hangscope_protocol::record::{DsoRecord, dso_flags};

    use super::*;
    use crate::hunt::watch::Watch;
    use crate::listen::{ConnId, Event, Peer, What};
    use crate::testkit::dump::zero;
    use crate::testkit::fake_shim;
    use crate::testkit::hunt;

    #[test]
    fn a_dso_that_cannot_be_looked_at_after_a_run_has_a_note() {
        let mut watch = Watch::new(Instant::now(), Limit::Off);
        let init = DsoRecord { flags: dso_flags::SAME_FILE_AT_INIT, ..zero() };
        let dsos = vec![Dso { init, path: "/x.so".into(), now: None }];
        for what in [What::Hello(Box::new(fake_shim::identity(zero()))), What::Dsos(dsos)] {
            watch.take(Event::new(ConnId(1), Peer { pid: 7, uid: 0, pidfd: None }, what));
        }
        let (mut facts, mut notes) = (hunt::run(1), vec![]);
        let end = |dso: &Dso| integrity::post_mortem(dso, Err(13), true);
        judge(&mut facts, watch.processes(), end, &mut notes);
        assert_eq!((facts.integrity_start, facts.integrity_end), (Integrity::Intact, Integrity::Unknown));
        let said = Text::joined(&notes).unwrap();
        assert_eq!(said.en(), "/x.so: its file could not be examined after the run (errno 13)");
    }
}
