//! What a watched process told, as the judgement of a run's programs takes it.

use super::watch::Watched;
use crate::session::Dso;
use crate::verify::ProcessReport;

/// The report of a process, with its DSOs as they were when it started: what became of them later is judged
/// apart.
pub(super) fn report(process: &Watched) -> ProcessReport {
    ProcessReport {
        pid: process.pid,
        identity: process.identity.clone(),
        dsos: process.dsos.iter().map(|dso| Dso { now: None, ..dso.clone() }).collect(),
        copy: process.sha1.clone(),
        at: process.program_began,
        ended: process.ended_at,
        goes_on: process.goes_on,
        exited: process.has_exited(),
    }
}
