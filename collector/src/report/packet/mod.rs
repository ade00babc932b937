//! `hangscope packet`: a hang in one Markdown file, for whoever takes over: another engineer, or another AI.
//!
//! - [`case`]: what it is made from
//! - `place`: the stacks, the loop, the source, the ring
//! - `size`: texts that are cut to their size
//! - `repeat`: settings, and the commands that repeat it
//! - `known`: what was ruled out, and what is not known
//! - [`redact`]: the text without user, host and home

mod case;
mod known;
mod place;
pub(crate) mod redact;
mod repeat;
mod size;
#[cfg(test)]
mod tests;

pub(crate) use case::Case;

use super::page::{Page, escaped};
use super::tree;
use crate::analysis::Class;
use crate::text::message::{Lang, say};
use crate::text::packet::Packet;
use size::{MOST_OF_ITEM, clipped, cut, item};

/// Size of a packet, bytes, at most.
pub(crate) const MOST_BYTES: usize = 60_000;
/// Items of a list, at most.
const MOST_ITEMS: usize = 16;

/// A section, and its size in bytes, at most. Together they are less than [`MOST_BYTES`]; the stacks of the
/// other threads get what is left.
type Section = (usize, fn(&mut Page, &Case));

const SECTIONS: [Section; 10] = [
    (5_000, head),
    (6_000, waits),
    (9_000, place::culprits),
    (8_000, place::hot_loop),
    (4_000, place::ring),
    (6_000, place::source),
    (6_000, counters),
    (3_000, known::ruled_out),
    (5_000, known::not_known),
    (7_000, go_on),
];

/// The packet in one language, at most [`MOST_BYTES`] long.
pub(crate) fn text(case: &Case, lang: Lang) -> String {
    let mut text = String::new();
    for (most, section) in SECTIONS {
        let mut page = Page::new(lang);
        section(&mut page, case);
        text += &cut(page.finish(), most, lang);
    }
    let room = MOST_BYTES.saturating_sub(text.len());
    text + &place::others(case, room, lang)
}

fn head(page: &mut Page, case: &Case) {
    let (finding, lang) = (&case.hang.file.finding, page.lang);
    page.line(&say!(Packet::Title { name: case.name() }));
    page.raw("\n");
    page.line(&Packet::Intro {});
    page.heading(&Packet::Question {});
    let command = clipped(&case.command(), MOST_OF_ITEM).into_owned();
    page.line(&match case.hunt.as_ref().filter(|hunt| !hunt.facts.is_snap()) {
        Some(_) => say!(Packet::Asked { command, name: case.name() }),
        None => say!(Packet::AskedPlain { command }),
    });
    page.heading(&Packet::Verdict {});
    page.raw(&format!("**{}**\n\n", escaped(&clipped(&case.headline(lang), 2 * MOST_OF_ITEM))));
    let (class, confidence) = (finding.class, finding.confidence);
    item(page, &say!(Packet::Class { class, confidence, meaning: meaning(class) }));
    if let Some(cause) = finding.cause {
        item(page, &say!(Packet::Cause { cause: cause.as_str() }));
    }
    page.heading(&Packet::Seen {});
    for sentence in super::show::sentences_of(&finding.why, &finding.said, lang).iter().take(MOST_ITEMS) {
        item(page, sentence);
    }
}

/// What a class means, in few words.
fn meaning(class: Class) -> Packet {
    match class {
        Class::Deadlock => Packet::IsDeadlock {},
        Class::OwnerSpinning => Packet::IsOwnerSpinning {},
        Class::OwnerBlocked => Packet::IsOwnerBlocked {},
        Class::OwnerLeft => Packet::IsOwnerLeft {},
        Class::OwnerGone => Packet::IsOwnerGone {},
        Class::LostWakeup => Packet::IsLostWakeup {},
        Class::SpinWait => Packet::IsSpinWait {},
        Class::Livelock => Packet::IsLivelock {},
        Class::Runaway => Packet::IsRunaway {},
        Class::Reentry => Packet::IsReentry {},
        Class::KernelWait => Packet::IsKernelWait {},
        Class::OutsideAllocator => Packet::IsOutside {},
        Class::Slow => Packet::IsSlow {},
        Class::Unknown => Packet::IsUnknown {},
    }
}

fn waits(page: &mut Page, case: &Case) {
    let lang = page.lang;
    page.heading(&Packet::Waits {});
    let tree = tree::lines(&case.hang.file);
    if tree.is_empty() {
        page.line(&Packet::NoWaits {});
    }
    let line = |line: &tree::Line| format!("{}{}", "  ".repeat(line.depth), line.text.text(lang));
    page.block(tree.iter().map(|one| clipped(&line(one), MOST_OF_ITEM).into_owned()));
}

/// Of good runs against hung ones.
fn counters(page: &mut Page, case: &Case) {
    if let Some(hunt) = &case.hunt {
        super::counters::section(page, &hunt.extra);
    }
}

fn go_on(page: &mut Page, case: &Case) {
    repeat::settings(page, case);
    repeat::commands(page, case);
    page.heading(&Packet::Files {});
    page.line(&say!(Packet::FilesIn { folder: case.folder() }));
}
