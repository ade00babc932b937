//! A job and a run, as they are written.

use std::ffi::OsStr;

use nix::sys::utsname::{UtsName, uname};
use serde::Serialize;

use crate::analysis::signature::Signature;
use crate::analysis::{Class, RunFacts, RunOutcome};
use crate::files::pin::Pinned;

/// A hunt, a matrix or a collector.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct JobRow {
    /// `hunt`, `matrix`, `collect`.
    pub(crate) kind: String,
    /// Name of the allocator or, where there are several, of OUT.
    pub(crate) name: String,
    /// Name of the machine.
    pub(crate) node: String,
    pub(crate) kernel: String,
    /// Absolute.
    pub(crate) out: String,
    /// Equal in all starts of a job that goes on in its OUT. None: it cannot go on.
    pub(crate) series: Option<String>,
    /// Seconds since the epoch.
    pub(crate) started: f64,
    /// None: it has not ended, or it was killed.
    pub(crate) ended: Option<f64>,
    /// Words of `verdict.json`; none until the end.
    pub(crate) verdict: Option<String>,
    pub(crate) headline: Option<String>,
}

impl JobRow {
    /// A job that begins now, on this machine.
    pub(crate) fn now(kind: &str, name: &str, out: &std::path::Path) -> JobRow {
        JobRow {
            kind: kind.to_owned(),
            name: name.to_owned(),
            node: of_system(UtsName::nodename),
            kernel: of_system(UtsName::release),
            out: out.display().to_string(),
            started: now(),
            ..JobRow::default()
        }
    }

    /// Equal for one job in two databases.
    pub(super) fn key(&self) -> String {
        format!("{} {:.6} {}", self.node, self.started, self.out)
    }
}

fn of_system(of: fn(&UtsName) -> &OsStr) -> String {
    uname().map(|system| of(&system).to_string_lossy().into_owned()).unwrap_or_default()
}

/// A new [`JobRow::series`]: a machine begins no two jobs with one pid at one time.
pub(crate) fn new_series() -> String {
    format!("{} {:.6} {}", of_system(UtsName::nodename), now(), std::process::id())
}

/// Seconds since the epoch.
pub(super) fn now() -> f64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

/// The allocator's DSO of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Build {
    /// Short name of the allocator.
    pub(crate) name: String,
    /// SHA-1 of its bytes, hex.
    pub(crate) sha1: Option<String>,
    pub(crate) build_id: Option<String>,
    /// Where the user had it.
    pub(crate) path: String,
}

impl Build {
    pub(crate) fn of(name: &str, pinned: &Pinned) -> Build {
        Build {
            name: name.to_owned(),
            sha1: Some(pinned.sha1.clone()),
            build_id: pinned.build_id().map(str::to_owned),
            path: pinned.source.display().to_string(),
        }
    }
}

/// What ran, under which conditions. Only runs of equal workloads have rates that can be compared.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Workload {
    /// Lane of a matrix.
    pub(crate) lane: String,
    /// The user's label.
    pub(crate) label: String,
    /// As a shell would take it.
    pub(crate) command: String,
    /// `--stir` of the run: a disturbed run hangs more often. Empty: not disturbed.
    pub(crate) stir: String,
}

/// A run, or a session of a collector.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct RunRow {
    /// Its name in the job: `8`, `deleted 3`, `rss hz4 1`, the folder of a session.
    pub(crate) name: String,
    pub(crate) arm: String,
    pub(crate) build: Build,
    pub(crate) workload: Workload,
    pub(crate) pid: u32,
    /// Seconds since the epoch.
    pub(crate) started: f64,
    pub(crate) seconds: f64,
    /// `ok`, `hung`, `slow`, `crashed`, `failed`, `open`.
    pub(crate) outcome: String,
    /// Whether the run says something about how often this build hangs: its malloc was proven to be this DSO,
    /// the DSO stayed intact, and the run came to an end or hung.
    pub(crate) counts: bool,
    pub(crate) ops_s: Option<f64>,
    pub(crate) max_rss_kib: Option<u64>,
    pub(crate) rc: Option<i32>,
    pub(crate) hang: Option<HangRow>,
}

/// A hang of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct HangRow {
    pub(crate) class: String,
    /// Id of the [`Signature`]. None: nothing was found out, so it matches no other hang.
    pub(crate) signature: Option<String>,
    /// The signature in words.
    pub(crate) words: String,
    /// Nothing but the class is known.
    pub(crate) bare: bool,
    /// Folder of the evidence, absolute.
    pub(crate) bundle: String,
}

impl HangRow {
    pub(crate) fn of(class: Class, signature: Option<&Signature>, bundle: &std::path::Path) -> HangRow {
        HangRow {
            class: class.to_string(),
            signature: signature.map(Signature::id),
            words: signature.map(Signature::words).unwrap_or_default(),
            bare: signature.is_none_or(Signature::is_bare),
            bundle: bundle.display().to_string(),
        }
    }
}

impl Workload {
    /// Of a command without a lane of a matrix.
    pub(crate) fn of(command: &[String], label: Option<&str>) -> Workload {
        let words = shlex::try_join(command.iter().map(String::as_str));
        Workload {
            command: words.unwrap_or_else(|_| command.join(" ")),
            label: label.unwrap_or_default().to_owned(),
            ..Workload::default()
        }
    }
}

impl RunRow {
    /// A run of a hunt or a matrix. `out`: the folder of its bundles. None: a run that counts for nothing (it
    /// was interrupted), or never began.
    pub(crate) fn of(
        facts: &RunFacts,
        name: &str,
        build: &Build,
        workload: &Workload,
        out: &std::path::Path,
    ) -> Option<RunRow> {
        let outcome = match facts.outcome {
            RunOutcome::Ok => "ok",
            RunOutcome::Hung => "hung",
            RunOutcome::Slow => "slow",
            RunOutcome::Crashed => "crashed",
            RunOutcome::Failed => "failed",
            RunOutcome::Interrupted => return None,
        };
        let could_hang = matches!(facts.outcome, RunOutcome::Ok | RunOutcome::Hung | RunOutcome::Slow);
        let hang = facts.hang.as_ref().filter(|_| facts.outcome == RunOutcome::Hung);
        Some(RunRow {
            name: name.to_owned(),
            arm: facts.arm.clone(),
            build: build.clone(),
            workload: Workload {
                stir: facts.stir.map(|stir| stir.strategy.to_string()).unwrap_or_default(),
                ..workload.clone()
            },
            pid: facts.pid?,
            started: facts.started?,
            seconds: facts.seconds,
            outcome: outcome.to_owned(),
            counts: could_hang && !facts.cut_off && facts.has_dso() && !facts.integrity().is_changed(),
            ops_s: facts.ops.filter(|ops| ops.is_finite()),
            max_rss_kib: facts.max_rss_kib,
            rc: facts.rc,
            hang: hang.map(|hang| {
                let (finding, bundle) = (hang.finding.as_ref(), out.join(&hang.snapshot));
                let class = finding.map_or(Class::Unknown, |finding| finding.class);
                HangRow::of(class, finding.map(Signature::of).as_ref(), &bundle)
            }),
        })
    }

    /// Equal for one run in two databases: no machine starts two processes with one pid at one time.
    pub(super) fn key(&self, node: &str) -> String {
        format!("{node} {:.6} {} {}", self.started, self.pid, self.name)
    }
}
