//! What was ruled out, and what is not known.

use super::case::Case;
use super::size::item;
use crate::analysis::integrity::Reason;
use crate::analysis::{Class, Confidence, Integrity, RunFacts};
use crate::report::page::Page;
use crate::report::show::{sentences_of, would_change};
use crate::symbolize::problem::StackProblem;
use crate::text::message::{Text, in_both, say};
use crate::text::packet::Packet;

/// Most notes of a bundle.
const MOST_NOTES: usize = 12;

pub(super) fn ruled_out(page: &mut Page, case: &Case) {
    page.heading(&Packet::RuledOut {});
    let all = out(case);
    if all.is_empty() {
        page.line(&Packet::NothingRuledOut {});
    }
    all.iter().for_each(|line| item(page, line));
}

/// Each of these follows from what is in the files.
fn out(case: &Case) -> Vec<Packet> {
    let file = &case.hang.file;
    let finding = &file.finding;
    let proven = finding.confidence == Confidence::Proven;
    let mut out = vec![];
    if let Some(dso) = file.dsos.iter().find(|dso| dso.allocator && dso.integrity == Integrity::Intact) {
        out.push(say!(Packet::OutDso { why: in_both::<Reason>(&dso.reason) }));
    }
    if case.run().is_some_and(RunFacts::is_proven) {
        out.push(Packet::OutMalloc {});
    }
    if let Some(seconds) = file.between_looks_s.filter(|_| proven && finding.class != Class::Slow) {
        let idle = file.threads.iter().filter(|thread| thread.cpu_between_s == Some(0.0)).count();
        let seconds = format!("{seconds:.1}");
        out.push(say!(Packet::OutSlow { seconds, idle, all: file.threads.len() }));
    }
    let states = || file.threads.iter().flat_map(|thread| [thread.state, thread.state_later]);
    if finding.class != Class::KernelWait && states().all(|state| state.is_some_and(|letter| letter != 'D')) {
        out.push(Packet::OutKernel {});
    }
    if finding.ring.is_empty() && finding.class != Class::Deadlock && finding.is_whole() && file.whole {
        out.push(Packet::OutCycle {});
    }
    let owner = finding.lock.as_ref().and_then(|lock| lock.owner_tid);
    if let Some(owner) =
        owner.filter(|owner| proven && file.threads.iter().any(|thread| thread.tid == *owner))
    {
        out.push(say!(Packet::OutWakeup { owner }));
    }
    if proven && finding.in_allocator == Some(true) && finding.blame.is_none() && finding.cause.is_none() {
        out.push(Packet::OutProgram {});
    }
    out
}

pub(super) fn not_known(page: &mut Page, case: &Case) {
    page.heading(&Packet::NotKnown {});
    let file = &case.hang.file;
    let finding = &file.finding;
    let lang = page.lang;
    let missing = sentences_of(&finding.missing, &finding.said_missing, lang);
    let mut lines: Vec<Text> = missing.into_iter().map(Text::Same).collect();
    let cut = finding.threads.truncated_stacks;
    if cut > 0 {
        lines.push(Text::Same(say!(Packet::CutStacks { count: cut }).text(lang)));
    }
    lines.extend(file.notes.iter().take(MOST_NOTES).map(|note| in_both::<StackProblem>(note)));
    if let Some(why) = &case.no_perf {
        lines.push(Text::Same(say!(Packet::Perf { why }).text(lang)));
    }
    let about = case.hunt.as_ref().zip(case.run()).filter(|(hunt, run)| hunt.conclusion.is_about(run));
    if let Some((hunt, _)) = about {
        // What is missing stands above.
        let changes = would_change(&hunt.conclusion, finding, lang);
        lines.extend(
            changes.into_iter().map(|what| Text::Same(say!(Packet::WouldChange { what }).text(lang))),
        );
    }
    if lines.is_empty() {
        page.line(&Packet::AllKnown {});
    }
    lines.iter().for_each(|line| item(page, line));
}
