//! A session as a run of the history.

use std::path::Path;

use super::night;
use super::record::{self, SessionRecord};
use crate::analysis::Class;
use crate::files::pin;
use crate::history::RunRow;
use crate::history::model::{Build, HangRow, Workload};
use crate::report::night::model::Outcome;

/// `out`: the folder of the sessions. None: a process without an allocator of its own, or one whose end is
/// not known and that did not hang: it says nothing about a build.
pub(super) fn row(record: &SessionRecord, out: &Path) -> Option<RunRow> {
    let path = record.allocator.as_deref()?;
    let outcome = match night::outcome(record) {
        Outcome::Hung => "hung",
        Outcome::Slow => "slow",
        Outcome::Ok => "ok",
        Outcome::Crashed => "crashed",
        Outcome::Failed => "failed",
        _ => return None,
    };
    let bundle = record
        .dump_folders
        .last()
        .map_or_else(|| out.join(&record.folder), |dump| out.join(&record.folder).join(dump));
    Some(RunRow {
        name: record.folder.clone(),
        build: Build {
            name: pin::name_of(Path::new(path)),
            sha1: record.sha1.clone(),
            build_id: record.build_id.clone(),
            path: path.to_owned(),
        },
        workload: Workload {
            stir: record.stir.map(|stir| stir.strategy.to_string()).unwrap_or_default(),
            ..Workload::of(&record.command, Some(&record.label))
        },
        pid: record.pid,
        started: record::seconds(&record.started)?,
        seconds: record.seconds,
        outcome: outcome.to_owned(),
        counts: matches!(outcome, "ok" | "hung" | "slow") && !record.integrity.is_changed(),
        max_rss_kib: Some(record.max_rss_kib).filter(|kib| *kib > 0),
        rc: record.rc,
        hang: record.hung.then(|| {
            let class = record.class.unwrap_or(Class::Unknown);
            HangRow::of(class, record.signature_of.as_ref(), &bundle)
        }),
        ..RunRow::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::record::End;
    use crate::testkit::dump::Make;

    #[test]
    fn a_session_is_a_run_if_it_says_something_about_its_allocator() {
        let out = Path::new("/out");
        let healthy = SessionRecord {
            allocator: Some("/opt/libhz4.so".into()),
            end: End::Exit,
            rc: Some(0),
            started: record::stamp(std::time::SystemTime::now()),
            ..SessionRecord::new(&Make::new().finish().identity, 7, "sessions/s_7".into())
        };
        let of = |record: &SessionRecord| row(record, out).map(|row| (row.outcome, row.counts));
        let counts = |outcome: &str, counts| Some((outcome.to_owned(), counts));
        assert_eq!(of(&healthy), counts("ok", true));
        assert_eq!(row(&healthy, out).unwrap().build.name, "hz4");
        assert_eq!(of(&SessionRecord { allocator: None, ..healthy.clone() }), None);
        assert_eq!(of(&SessionRecord { end: End::Open, rc: None, ..healthy.clone() }), None);
        assert_eq!(of(&SessionRecord { end: End::Lost, rc: None, ..healthy.clone() }), None);
        assert_eq!(of(&SessionRecord { rc: Some(3), ..healthy.clone() }), counts("failed", false));
        assert_eq!(of(&SessionRecord { slow: Some(true), ..healthy.clone() }), counts("slow", true));
        let replaced = crate::analysis::Integrity::Replaced;
        assert_eq!(of(&SessionRecord { integrity: replaced, ..healthy.clone() }), counts("ok", false));
        let hung = SessionRecord {
            hung: true,
            end: End::Open,
            rc: None,
            class: Some(Class::Deadlock),
            dump_folders: vec!["dump_1".into()],
            ..healthy
        };
        assert_eq!(of(&hung), counts("hung", true));
        let hang = row(&hung, out).unwrap().hang.unwrap();
        assert_eq!((hang.class.as_str(), hang.bare), ("deadlock", true));
        assert_eq!(hang.bundle, out.join(&hung.folder).join("dump_1").display().to_string());
    }
}
