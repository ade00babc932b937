//! How a run ended, and what that makes of it: outcome, exit status, and what its DSO is by then.

use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::config::Config;
use super::hang::{self, Captured};
use super::lane::Lane;
use super::run::{MOST_STALLS, PATIENCE};
use super::still;
use super::watch::{Watch, Watched};
use crate::analysis::integrity;
use crate::analysis::{Integrity, RunFacts, RunOutcome};
use crate::files::facts;
use crate::files::facts::FileFacts;
use crate::files::facts::errno;
use crate::launch::bench::{Bench, Ended};
use crate::listen::Listener;
use crate::text::message::{Say as _, Text, say};
use crate::text::note::Note;

/// What a process said before its end is there by then, where others of the run go on and keep their connections.
const LAST_WORDS: Duration = Duration::from_millis(300);
/// The same where nobody is left: the end of each connection must come, as soon as there is a processor for it.
const LAST_OF_ALL: Duration = Duration::from_secs(5);
/// A hello that is on its way when the run ends is there by then.
const LATE_HELLO: Duration = Duration::from_secs(1);

/// Takes what was said until all connections have ended, or nothing more can be expected.
fn last_words(listener: &Listener, watch: &mut Watch, alone: bool) {
    let began = Instant::now();
    while !(watch.hello_seen() && watch.all_ended()) {
        let limit = match watch.hello_seen() {
            false => LATE_HELLO,
            true if alone => LAST_OF_ALL,
            true => LAST_WORDS,
        };
        match listener.events().recv_deadline(began + limit) {
            Ok(event) => watch.take(event),
            Err(_) => return,
        }
    }
}

pub(super) fn exited(
    config: &Config,
    lane: &Lane,
    bench: &mut Bench,
    listener: &Listener,
    watch: &mut Watch,
    facts: &mut RunFacts,
    notes: &mut Vec<Text>,
) -> anyhow::Result<()> {
    let ended = bench.reap().context("hunt: waiting for the run")?;
    let behind = match bench.members() {
        Ok(behind) => behind.len(),
        Err(why) => {
            notes.push(say!(Note::MembersUnknown { why }).said());
            0
        }
    };
    last_words(listener, watch, behind == 0);
    if behind > 0 {
        bench.stop(PATIENCE).context("hunt: stopping what the run left behind")?;
        notes.push(say!(Note::LeftBehind { count: behind }).said());
    }
    bench.kill().context("hunt: reaping the run")?;
    set_end(facts, ended);
    let died = facts.signal.or_else(|| signal_behind_a_wrapper(config, ended));
    facts.signal = died;
    facts.outcome = match (died, ended.code) {
        (Some(_), _) => RunOutcome::Crashed,
        (None, Some(0)) => RunOutcome::Ok,
        _ => RunOutcome::Failed,
    };
    let compared = |now: FileFacts| FileFacts { content_same: lane.same_bytes(&now), ..now };
    let now = facts::now(&lane.dso, None).map(|now| now.map(compared)).map_err(|e| errno(&e));
    judge(facts, watch.processes(), |dso| integrity::post_mortem(dso, now, died.is_some()), notes);

    // What stood still when it ended, before anybody could look at it.
    let stalls = watch.processes().filter_map(|process| still::idle(lane, process));
    notes.extend(stalls.take(MOST_STALLS).map(|note| note.said()));
    // A dump without a request: it was past its time, and came out by itself.
    let late = watch.processes().any(|p| !p.dumps.is_empty() && !watch.is_wrapper(p));
    if late {
        notes.push(say!(Note::EndedLate { seconds: format!("{:.1}", facts.seconds) }).said());
        if facts.outcome == RunOutcome::Ok || facts.outcome == RunOutcome::Failed {
            facts.outcome = RunOutcome::Slow;
        }
        facts.hang = Some(hang::keep(config, lane, facts.run, bench.pid(), watch)?);
    }
    Ok(())
}

pub(super) fn hung(captured: Captured, facts: &mut RunFacts, notes: &mut Vec<Text>) {
    set_end(facts, captured.ended);
    facts.pid = Some(captured.pid);
    facts.signal = None;
    facts.seconds = captured.seconds;
    facts.outcome = if captured.slow { RunOutcome::Slow } else { RunOutcome::Hung };
    facts.cut_off = captured.slow && !captured.ended_by_itself;
    facts.integrity_start = captured.integrity_start;
    facts.integrity_end = captured.integrity_end;
    facts.deleted_seen = captured.deleted_seen;
    facts.hang = Some(captured.hang);
    notes.extend(captured.notes);
}

pub(super) fn set_end(facts: &mut RunFacts, ended: Ended) {
    facts.signal = ended.signal;
    facts.rc = ended.code.or(ended.signal.map(|s| 128 + s));
    facts.max_rss_kib = Some(ended.max_rss_kib);
}

/// A shell or `timeout` gives 128+n for a child that died by signal n.
fn signal_behind_a_wrapper(config: &Config, ended: Ended) -> Option<i32> {
    let direct =
        crate::launch::program::benchmark(&config.command) == config.command.first() && config.only.is_some();
    let n = ended.code? - 128;
    (!direct && (1..=64).contains(&n)).then_some(n)
}

/// Judges the allocator in each process; the worst counts.
pub(super) fn judge<'a>(
    facts: &mut RunFacts,
    processes: impl Iterator<Item = &'a Watched>,
    end: impl Fn(&crate::session::Dso) -> integrity::Judgement,
    notes: &mut Vec<Text>,
) {
    let mut seen: Option<(Integrity, Integrity)> = None;
    for allocator in processes.filter_map(Watched::allocator) {
        let start = at_start(allocator);
        let end = end(allocator);
        if end.integrity > Integrity::Unknown || matches!(end.reason, integrity::Reason::NotLookedAt { .. }) {
            notes.push(say!(Note::Dso { path: &allocator.path, why: end.reason }).said());
        }
        facts.deleted_seen |= end.deleted_seen;
        let (s, e) = seen.unwrap_or((Integrity::Intact, Integrity::Intact));
        seen = Some((s.max(start), e.max(end.integrity)));
    }
    if let Some((start, end)) = seen {
        facts.integrity_start = start;
        facts.integrity_end = end;
    }
}

/// The allocator when the process started: before the first look there is nothing to compare, so what was right at
/// init is intact.
pub(super) fn at_start(dso: &crate::session::Dso) -> Integrity {
    let init = crate::session::Dso { now: None, ..dso.clone() };
    match integrity::judge(&init, None) {
        integrity::Judgement { reason: integrity::Reason::NoLook { .. }, .. } => Integrity::Intact,
        judgement => judgement.integrity,
    }
}

#[cfg(test)]
mod tests {
    use hangscope_protocol::duration::Limit;
    use hangscope_protocol::record::{DsoRecord, dso_flags};

    use super::*;
    use crate::listen::{ConnId, Event, Peer, What};
    use crate::session::Dso;
    use crate::testkit::dump::zero;
    use crate::testkit::fake_shim;
    use crate::testkit::hunt;

    #[test]
    fn a_dso_that_cannot_be_looked_at_after_a_run_is_told_of() {
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
        assert_eq!(said.en(), "/x.so: its file could not be looked at after the run (errno 13)");
    }
}
