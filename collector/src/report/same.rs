//! Hangs that are the same hang again, and the threads of a hang whose stacks tell the most.

use std::collections::BTreeSet;

use crate::analysis::facts::PINNED;
use crate::analysis::signature::Signature;
use crate::analysis::verdict::hang_sentence;
use crate::analysis::{Finding, HangFacts, RunFacts, RunOutcome};
use crate::evidence::threads_file::{ThreadPart, ThreadsFile};
use crate::text::message::Lang;

/// Most threads of a ring whose stacks are shown.
const MOST_CULPRITS: usize = 4;

/// Snapshots of hangs with one signature.
#[derive(Debug)]
pub(super) struct Same<'a> {
    /// Names, at least one, in the order of the runs.
    pub(super) names: Vec<&'a str>,
    /// The first of them that is a proven finding, else the first.
    pub(super) file: &'a ThreadsFile,
}

impl<'a> Same<'a> {
    /// Groups snapshots, the largest group first.
    pub(super) fn groups(snapshots: &'a [(String, ThreadsFile)]) -> Vec<Same<'a>> {
        let mut groups: Vec<Same<'a>> = vec![];
        for (name, file) in snapshots {
            let signature = Signature::of(&file.finding);
            match groups.iter_mut().find(|group| Signature::of(&group.file.finding) == signature) {
                Some(group) => group.names.push(name),
                None => groups.push(Same { names: vec![name], file }),
            }
        }
        groups.sort_by_key(|group| std::cmp::Reverse(group.names.len()));
        groups
    }

    /// What waits for what, in one sentence.
    pub(super) fn sentence(&self, lang: Lang) -> String {
        sentence(Some(self.file.finding.clone()), lang)
    }
}

/// What waits for what in a hang, in one sentence. None: nothing was captured from inside.
pub(super) fn sentence(finding: Option<Finding>, lang: Lang) -> String {
    let hang = HangFacts { snapshot: String::new(), finding, dump_ms: None };
    let run = RunFacts { outcome: RunOutcome::Hung, hang: Some(hang), ..RunFacts::new(1, PINNED) };
    hang_sentence(&run, lang)
}

/// The threads whose stacks tell the most: those of a ring, else the culprit and the owner of the lock.
pub(super) fn culprits(file: &ThreadsFile) -> Vec<&ThreadPart> {
    let finding = &file.finding;
    let lock = finding.lock.as_ref();
    // Nobody holds it: a thread that waits tells more than one that runs elsewhere.
    let waiter = lock.filter(|lock| lock.owner_tid.is_none()).and_then(|lock| lock.waiters.first().copied());
    let hot = finding.hot.as_ref();
    let elsewhere = waiter.is_some() && hot.is_some_and(|hot| hot.in_allocator == Some(false));
    let hot = hot.filter(|_| !elsewhere).map(|hot| hot.tid);
    let named = [hot.or(waiter), lock.and_then(|lock| lock.owner_tid)];
    let mut tids: Vec<u32> = match finding.ring.is_empty() {
        true => named.into_iter().flatten().collect(),
        false => finding.ring.iter().map(|edge| edge.tid).take(MOST_CULPRITS).collect(),
    };
    let mut seen = BTreeSet::new();
    tids.retain(|tid| seen.insert(*tid));
    tids.iter().filter_map(|tid| file.threads.iter().find(|t| t.tid == *tid)).collect()
}
