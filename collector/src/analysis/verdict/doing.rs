//! What the hot thread does, where, and for how long, as parts of a headline.

use super::lines::Line;
use crate::analysis::finding::{Finding, Hot};
use crate::text::message::{Lang, say};

/// What a thread does (walking a ring, looping, or running), where, and for how long.
pub(super) fn doing(finding: &Finding, hot: &Hot, lang: Lang) -> (String, String, String) {
    // A loop shows few instructions in many samples.
    let tight = hot.samples >= 10 && hot.distinct_pcs * 5 <= hot.samples;
    let ring = finding.list_ring.as_ref().filter(|ring| ring.tid == hot.tid && ring.both_looks);
    let doing = match ring {
        Some(ring) => say!(Line::Walking { nodes: ring.nodes }),
        None if tight => Line::Looping {},
        None => Line::Running {},
    };
    let time = hot.for_s.map(|s| say!(Line::SomeTime { seconds: format!("{s:.1}") }).text(lang));
    (doing.text(lang), place(hot, lang), time.unwrap_or_default())
}

/// The place of a thread. In Japanese, a space separates a name from the particle that follows.
pub(super) fn place(hot: &Hot, lang: Lang) -> String {
    let space = if lang == Lang::Ja && hot.function.is_some() { " " } else { "" };
    named(hot, lang) + space
}

pub(super) fn named(hot: &Hot, lang: Lang) -> String {
    match (&hot.function, &hot.source) {
        (Some(function), Some(source)) => format!("`{function}` ({source})"),
        (Some(function), None) => format!("`{function}`"),
        (None, _) => Line::NoPlace {}.text(lang),
    }
}
