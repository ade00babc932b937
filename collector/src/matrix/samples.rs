//! `samples.csv`: a row for each run that counts, written when the run ends. Rows are never changed. After a
//! kill, only the last one may be torn: it is cut off, and its run is made again.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::analysis::{RunFacts, RunOutcome};
use crate::files::atomic::{Lines, WriteError};
use crate::files::journal;

/// Name of the file in OUT.
pub(crate) const FILE: &str = "samples.csv";
pub(crate) const HEADER: &str = "allocator,lane,phase,run,status,class,seconds,ops_s,max_rss_kib,rc,bundle";

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Status {
    Ok,
    /// Past its deadline, but its threads still came and went.
    Timeout,
    Hang,
    /// Died by a signal.
    Crash,
    /// Another exit status than 0, or did not start.
    Fail,
    /// The kernel killed it, since there was no memory left.
    Oom,
}

impl Status {
    pub(crate) const ALL: [Status; 6] =
        [Status::Ok, Status::Timeout, Status::Hang, Status::Crash, Status::Fail, Status::Oom];

    /// Of a run that was made. `oom`: the kernel killed a process for memory during the run.
    pub(crate) fn of(facts: &RunFacts, oom: bool) -> Status {
        let killed = facts.signal == Some(libc::SIGKILL) || facts.rc == Some(128 + libc::SIGKILL);
        match facts.outcome {
            RunOutcome::Ok => Status::Ok,
            RunOutcome::Hung => Status::Hang,
            RunOutcome::Slow | RunOutcome::Interrupted => Status::Timeout,
            RunOutcome::Crashed | RunOutcome::Failed if killed && oom => Status::Oom,
            RunOutcome::Crashed => Status::Crash,
            RunOutcome::Failed => Status::Fail,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Status::Ok => "OK",
            Status::Timeout => "TIMEOUT",
            Status::Hang => "HANG",
            Status::Crash => "CRASH",
            Status::Fail => "FAIL",
            Status::Oom => "OOM",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub(crate) allocator: String,
    pub(crate) lane: String,
    pub(crate) phase: String,
    pub(crate) run: u32,
    pub(crate) status: Status,
    /// A word of the verdict; none: the run did not hang and was not too slow.
    pub(crate) class: Option<String>,
    /// Wall clock. Of a hung run: until it was found to hang.
    pub(crate) seconds: f64,
    pub(crate) ops_s: Option<f64>,
    /// Peak of the program's own memory. None: it could not be had.
    pub(crate) max_rss_kib: Option<u64>,
    pub(crate) rc: Option<i32>,
    /// Folder of the evidence, in OUT.
    pub(crate) bundle: Option<String>,
}

impl Sample {
    /// The row, without a line end. No field needs quotes: names and words have no commas.
    pub(crate) fn row(&self) -> String {
        let fields = [
            self.allocator.clone(),
            self.lane.clone(),
            self.phase.clone(),
            self.run.to_string(),
            self.status.to_string(),
            self.class.clone().unwrap_or_default(),
            format!("{:.6}", self.seconds),
            self.ops_s.filter(|ops| ops.is_finite()).map(|ops| ops.to_string()).unwrap_or_default(),
            self.max_rss_kib.map(|kib| kib.to_string()).unwrap_or_default(),
            self.rc.map(|rc| rc.to_string()).unwrap_or_default(),
            self.bundle.clone().unwrap_or_default(),
        ];
        fields.join(",")
    }

    /// Reads a row. None: it is none of such a file.
    pub(super) fn of_row(row: &str) -> Option<Sample> {
        let fields: Vec<&str> = row.split(',').collect();
        let [allocator, lane, phase, run, status, class, seconds, ops_s, max_rss_kib, rc, bundle] =
            fields[..]
        else {
            return None;
        };
        let text = |field: &str| (!field.is_empty()).then(|| field.to_owned());
        Some(Sample {
            allocator: allocator.to_owned(),
            lane: lane.to_owned(),
            phase: phase.to_owned(),
            run: run.parse().ok()?,
            status: *Status::ALL.iter().find(|of| of.as_str() == status)?,
            class: text(class),
            seconds: seconds.parse().ok()?,
            ops_s: number(ops_s)?,
            max_rss_kib: number(max_rss_kib)?,
            rc: number(rc)?,
            bundle: text(bundle),
        })
    }
}

/// A number, or nothing. None: another text.
fn number<T: std::str::FromStr>(field: &str) -> Option<Option<T>> {
    if field.is_empty() { Some(None) } else { field.parse().ok().map(Some) }
}

/// The reason why a file of an earlier start cannot be gone on with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadFile {
    #[error("{}:{line}: {what}; begin anew with another --out", path.display())]
    Line {
        path: PathBuf,
        /// From 1.
        line: usize,
        what: String,
    },
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// The open file.
#[derive(Debug)]
pub(crate) struct Samples {
    rows: Vec<Sample>,
    lines: Lines,
}

impl Samples {
    /// Opens the file in OUT, or begins it.
    pub(crate) fn open(out: &Path) -> Result<Samples, BadFile> {
        let path = out.join(FILE);
        let text = whole_lines(&path)?;
        let bad = |line, what: &str| BadFile::Line { path: path.clone(), line, what: what.to_owned() };
        let mut rows = vec![];
        for (line, row) in (1..).zip(text.lines()) {
            match (line, Sample::of_row(row)) {
                (1, _) if row == HEADER => {}
                (1, _) => return Err(bad(1, "not the header of a matrix")),
                (_, Some(sample)) => rows.push(sample),
                (_, None) => return Err(bad(line, "no row of a matrix")),
            }
        }
        let mut lines = Lines::open(&path)?;
        if text.is_empty() {
            lines.push(HEADER)?;
        }
        Ok(Samples { rows, lines })
    }

    /// The rows, in the order in which the runs were made.
    pub(crate) fn rows(&self) -> &[Sample] {
        &self.rows
    }

    /// Adds a run that has ended.
    pub(crate) fn push(&mut self, sample: Sample) -> Result<(), WriteError> {
        self.lines.push(&sample.row())?;
        self.rows.push(sample);
        Ok(())
    }
}

/// The whole lines of a file, as text.
fn whole_lines(path: &Path) -> Result<String, BadFile> {
    String::from_utf8(journal::whole_lines(path)?).map_err(|_| BadFile::Line {
        path: path.to_owned(),
        line: 1,
        what: "not UTF-8".to_owned(),
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::matrix) fn sample(run: u32) -> Sample {
        Sample {
            allocator: "hz4".into(),
            lane: "main".into(),
            phase: "ops".into(),
            run,
            status: Status::Ok,
            class: None,
            seconds: 1.25,
            ops_s: Some(7095204.36),
            max_rss_kib: Some(2048),
            rc: Some(0),
            bundle: None,
        }
    }

    fn hang(run: u32) -> Sample {
        Sample {
            status: Status::Hang,
            class: Some("owner-spinning".into()),
            ops_s: None,
            max_rss_kib: None,
            rc: Some(137),
            bundle: Some("hangs/ops_hz4_2".into()),
            ..sample(run)
        }
    }

    #[test]
    fn rows_are_what_peoples_scripts_read_and_are_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut samples = Samples::open(dir.path()).unwrap();
        let unknown = Sample { rc: None, status: Status::Fail, ops_s: None, max_rss_kib: None, ..sample(3) };
        for row in [sample(1), hang(2), unknown.clone()] {
            samples.push(row).unwrap();
        }
        let text = std::fs::read_to_string(dir.path().join(FILE)).unwrap();
        insta::assert_snapshot!(text, @r"
        allocator,lane,phase,run,status,class,seconds,ops_s,max_rss_kib,rc,bundle
        hz4,main,ops,1,OK,,1.250000,7095204.36,2048,0,
        hz4,main,ops,2,HANG,owner-spinning,1.250000,,,137,hangs/ops_hz4_2
        hz4,main,ops,3,FAIL,,1.250000,,,,
        ");
        assert_eq!(Samples::open(dir.path()).unwrap().rows(), [sample(1), hang(2), unknown]);
    }

    #[test]
    fn a_torn_last_row_is_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        let mut samples = Samples::open(dir.path()).unwrap();
        samples.push(sample(1)).unwrap();
        samples.push(hang(2)).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let mut samples = Samples::open(dir.path()).unwrap();
            let kept = samples.rows().len();
            for row in [sample(1), hang(2)].into_iter().skip(kept) {
                samples.push(row).unwrap();
            }
            assert_eq!(std::fs::read(&path).unwrap(), whole, "cut at {cut}");
        }
    }

    #[test]
    fn a_file_of_something_else_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let error = |text: &str| {
            std::fs::write(dir.path().join(FILE), text).unwrap();
            Samples::open(dir.path()).unwrap_err().to_string()
        };
        assert!(
            error("a,b\n")
                .ends_with("samples.csv:1: not the header of a matrix; begin anew with another --out")
        );
        let row = sample(1).row();
        for bad in [row.replace("OK", "GOOD"), format!("{row},x"), row.replace("2048", "2048.5")] {
            assert!(
                error(&format!("{HEADER}\n{row}\n{bad}\n")).contains("samples.csv:3: no row of a matrix")
            );
        }
    }

    #[test]
    fn the_kernel_kills_for_memory_only_where_it_says_so() {
        let killed = RunFacts {
            outcome: RunOutcome::Crashed,
            signal: Some(9),
            rc: Some(137),
            ..RunFacts::new(1, "pinned")
        };
        assert_eq!(Status::of(&killed, true), Status::Oom);
        assert_eq!(Status::of(&killed, false), Status::Crash);
        let failed = RunFacts { rc: Some(1), ..RunFacts::new(1, "pinned") };
        assert_eq!(Status::of(&failed, true), Status::Fail);
    }
}
