//! A dump for those who look: its threads, each with its wait and its innermost frames.

use super::model::{Dump, Stacks};
use crate::analysis::{Finding, HangFacts, RunFacts, verdict};
use crate::evidence::group::groups;
use crate::evidence::stacks;
use crate::evidence::threads_file::ThreadsFile;
use crate::text::message::{Lang, Text};

/// Most groups of threads of a dump.
const MOST_STACKS: usize = 128;
/// Most frames of a thread.
const MOST_FRAMES: usize = 12;
/// Most characters of a text that comes from a process.
const MOST_CHARS: usize = 200;

pub(super) fn dump(file: &ThreadsFile) -> Dump {
    let hot = file.finding.hot.as_ref().map(|hot| hot.tid);
    let mut all: Vec<Stacks> = groups(&file.threads)
        .iter()
        .map(|group| {
            let mut frames = stacks::frames(group.first(), Lang::En);
            frames.truncate(MOST_FRAMES);
            Stacks {
                threads: group.threads.len() as u32,
                what: stacks::heading(&group.threads, &file.finding),
                hot: group.threads.iter().any(|part| Some(part.tid) == hot),
                frames: frames.iter().map(|frame| short(frame)).collect(),
            }
        })
        .collect();
    // A stable sort: the others stay in the order of stacks.txt.
    all.sort_by_key(|stacks| !stacks.hot);
    let left_out = all.iter().skip(MOST_STACKS).map(|stacks| stacks.threads).sum();
    all.truncate(MOST_STACKS);
    Dump { number: file.dump, since_start_s: file.since_start_s, stacks: all, left_out }
}

/// The first characters of a text that comes from a process.
pub(super) fn short(text: &str) -> String {
    text.chars().take(MOST_CHARS).collect()
}

/// What a finding says, in one sentence.
pub(super) fn headline(finding: &Finding) -> Text {
    let hang = HangFacts { snapshot: String::new(), finding: Some(finding.clone()), dump_ms: None };
    let facts = RunFacts { hang: Some(hang), ..RunFacts::new(0, "") };
    Text::of(|lang| verdict::hang_sentence(&facts, lang))
}
