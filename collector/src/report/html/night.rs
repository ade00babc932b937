//! The page of a collector: its sessions.

use maud::{Markup, html};

use super::doc::Doc;
use super::job_words::Job;
use super::piece::{Table, clipped, code, name, page_in, said};
use super::strip::{Kind, Lane, Mark, duration, strip};
use super::words::Html;
use crate::text::message::{Lang, Text, say};

/// Most sessions in the table; those that hung are all there.
const MOST_ROWS: usize = 500;
/// Most lanes of the strip: sessions by label, else by program.
const MOST_LANES: usize = 12;

/// A session, as far as the page needs it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Session {
    /// Relative to OUT.
    pub(crate) folder: String,
    pub(crate) pid: u32,
    /// Label, else the program.
    pub(crate) group: String,
    pub(crate) command: String,
    /// RFC 3339.
    pub(crate) started: String,
    /// Seconds since the epoch.
    pub(crate) at: f64,
    pub(crate) seconds: f64,
    pub(crate) kind: Kind,
    pub(crate) class: Option<String>,
    /// How it ended: `exit 0`.
    pub(crate) end: String,
    pub(crate) integrity: Text,
    /// Folders of dumps with a page, relative to OUT.
    pub(crate) pages: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Night {
    /// Name of OUT.
    pub(crate) name: String,
    pub(crate) lang: Lang,
    /// In the order of their ends.
    pub(crate) sessions: Vec<Session>,
}

/// The HTML of the page. Reads no file.
pub(crate) fn page(night: &Night) -> String {
    let all = &night.sessions;
    let hung: Vec<&Session> = all.iter().filter(|session| session.kind == Kind::Hung).collect();
    let headline = match hung.len() {
        0 => say!(Job::NightNone { sessions: all.len() }),
        count => say!(Job::NightSome { hung: count, sessions: all.len() }),
    };
    let head = html! {
        p.badges {
            @if hung.is_empty() { span.badge.good { (said(&Html::NotHung {})) } } @else { span.badge.alarm { (said(&Job::KindHung {})) " " (hung.len()) } }
        }
        h1 { (said(&headline)) }
    };
    let about = html! { (name(&night.name)) " · " (said(&Job::AboutNight {})) };
    let mut doc = Doc::new(night.lang, &night.name, about, head);
    doc.section(
        "hung",
        Html::HungSessions {},
        (!hung.is_empty()).then(|| table("hung-sessions", &Html::HungSessions {}, hung.iter().copied())),
    );
    doc.section(
        "strip",
        Html::Timeline {},
        (!all.is_empty()).then(|| html! { p.lead { (said(&Job::SessionsLead {})) } (strip(&lanes(all))) }),
    );
    let more = all.len().saturating_sub(MOST_ROWS);
    doc.section(
        "sessions",
        Html::Sessions {},
        Some(html! {
            (table("all-sessions", &Job::SessionTable {}, all.iter().rev().take(MOST_ROWS)))
            @if more > 0 { p.note { (said(&say!(Job::MoreSessions { more }))) } }
        }),
    );
    doc.finish()
}

fn lanes(sessions: &[Session]) -> Vec<Lane> {
    let mut lanes: Vec<Lane> = vec![];
    for session in sessions {
        let mark = Mark {
            at: session.at,
            seconds: session.seconds,
            kind: session.kind,
            label: format!("{}: pid {}, {}", clipped(&session.command, 120), session.pid, session.end),
            link: session.pages.first().map(|page| page_in(page)),
        };
        let group = clipped(&session.group, 60);
        let full = lanes.len() >= MOST_LANES;
        match lanes.iter_mut().position(|lane| lane.name == group) {
            Some(at) => lanes[at].marks.push(mark),
            None if full => {
                if let Some(last) = lanes.last_mut() {
                    "…".clone_into(&mut last.name);
                    last.marks.push(mark);
                }
            }
            None => lanes.push(Lane { name: group, marks: vec![mark] }),
        }
    }
    lanes
}

fn table<'a>(
    id: &str,
    caption: &impl crate::text::message::Say,
    sessions: impl Iterator<Item = &'a Session>,
) -> Markup {
    let head = [
        Job::ColStarted {},
        Job::ColCommand {},
        Job::ColEnd {},
        Job::ColClass {},
        Job::ColSeconds {},
        Job::ColDso {},
        Job::ColDumps {},
    ];
    let mut table = Table::of(id, caption, &head);
    for session in sessions {
        table.row_of(
            if session.kind == Kind::Hung { "changed" } else { "" },
            [
                name(&session.started),
                html! { (code(&session.command)) br; span.dim { "pid " (session.pid) } },
                name(&session.end),
                html! { @if let Some(class) = &session.class { @if session.kind == Kind::Hung { span.badge.alarm { (class) } } @else { (class) } } },
                html! { (duration(session.seconds)) },
                said(&session.integrity),
                html! { @for page in &session.pages { div { a href=(page_in(page)) { (name(page)) } } } },
            ],
        );
    }
    html! { (table) }
}
