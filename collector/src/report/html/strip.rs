//! Runs as a strip: one mark a run, by time and outcome, arms under each other.

use maud::{Markup, html};

use super::job_words::Job;
use super::piece::{clipped, name, percent, said};
use crate::analysis::RunOutcome;

/// Most marks of one lane. Of more runs, good ones are left out evenly.
const MOST: usize = 1200;
const HEIGHT: u32 = 26;

/// How a run ended: the colour and the shape of its mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ok,
    Hung,
    Slow,
    Crashed,
    Failed,
    /// Not over, or not known.
    Open,
}

impl Kind {
    const ALL: [(Kind, Job); 6] = [
        (Kind::Ok, Job::KindOk {}),
        (Kind::Hung, Job::KindHung {}),
        (Kind::Slow, Job::KindSlow {}),
        (Kind::Crashed, Job::KindCrashed {}),
        (Kind::Failed, Job::KindFailed {}),
        (Kind::Open, Job::KindOpen {}),
    ];

    pub(super) fn of(outcome: RunOutcome) -> Kind {
        match outcome {
            RunOutcome::Ok => Kind::Ok,
            RunOutcome::Hung => Kind::Hung,
            RunOutcome::Slow => Kind::Slow,
            RunOutcome::Crashed => Kind::Crashed,
            RunOutcome::Failed => Kind::Failed,
            RunOutcome::Interrupted => Kind::Open,
        }
    }

    pub(super) fn word(self) -> Job {
        Kind::ALL.into_iter().find(|(kind, _)| *kind == self).map_or(Job::KindOpen {}, |(_, word)| word)
    }

    fn class(self) -> &'static str {
        match self {
            Kind::Ok => "ok",
            Kind::Hung => "hung",
            Kind::Slow => "slow",
            Kind::Crashed => "crashed",
            Kind::Failed => "failed",
            Kind::Open => "open",
        }
    }

    /// Top and height of the mark: a hang is the tallest.
    fn shape(self) -> (u32, u32) {
        match self {
            Kind::Ok => (9, 8),
            Kind::Hung => (0, HEIGHT),
            Kind::Slow => (6, 14),
            Kind::Crashed => (0, 13),
            Kind::Failed => (13, 13),
            Kind::Open => (11, 4),
        }
    }
}

/// A run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mark {
    /// When it began, seconds of any clock.
    pub(crate) at: f64,
    pub(crate) seconds: f64,
    pub(crate) kind: Kind,
    /// What it is, for a pointer over it.
    pub(crate) label: String,
    pub(crate) link: Option<String>,
}

/// The runs of an arm.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lane {
    pub(crate) name: String,
    pub(crate) marks: Vec<Mark>,
}

/// The strip. It is hidden from screen readers: the tables beside it say the same.
pub(super) fn strip(lanes: &[Lane]) -> Markup {
    let marks = || lanes.iter().flat_map(|lane| &lane.marks);
    let from = marks().map(|mark| mark.at).fold(f64::INFINITY, f64::min);
    let to = marks().map(|mark| mark.at + mark.seconds).fold(f64::NEG_INFINITY, f64::max);
    let span = (to - from).max(0.001);
    let used: Vec<&(Kind, Job)> =
        Kind::ALL.iter().filter(|(kind, _)| marks().any(|m| m.kind == *kind)).collect();
    html! {
        ul.legend {
            @for (kind, word) in used {
                li { svg.swatch width="8" height=(HEIGHT) aria-hidden="true" { (shape(*kind, "0", "6")) } (said(word)) }
            }
        }
        div.timeline aria-hidden="true" {
            @for lane in lanes {
                div.label { (name(&lane.name)) }
                svg.strip width="100%" height=(HEIGHT) {
                    @for mark in thinned(&lane.marks) {
                        @let x = percent((mark.at - from) / span);
                        @let width = percent((mark.seconds / span).max(0.0012) * 0.86);
                        @match &mark.link {
                            Some(link) => a href=(link) tabindex="-1" { title { (clipped(&mark.label, 200)) } (shape(mark.kind, &x, &width)) },
                            None => g { title { (clipped(&mark.label, 200)) } (shape(mark.kind, &x, &width)) },
                        }
                    }
                }
            }
            div.label {}
            div.axis { span { "0 s" } span { (duration(span / 2.0)) } span { (duration(span)) } }
        }
    }
}

fn shape(kind: Kind, x: &str, width: &str) -> Markup {
    let (y, height) = kind.shape();
    html! { rect class=(kind.class()) x=(x) width=(width) y=(y) height=(height) {} }
}

/// All that are not good, and as many good ones as there is room for.
fn thinned(marks: &[Mark]) -> Vec<&Mark> {
    let good = marks.iter().filter(|mark| mark.kind == Kind::Ok).count();
    let every = good.div_ceil(MOST).max(1);
    let mut number = 0;
    let kept = marks.iter().filter(|mark| {
        number += usize::from(mark.kind == Kind::Ok);
        mark.kind != Kind::Ok || number % every == 0
    });
    kept.take(MOST * 2).collect()
}

/// `90 s`, `12 min`, `8.5 h`.
pub(super) fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.1} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}
