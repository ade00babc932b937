//! What the status socket tells, and what `hangscope top --json` prints.

use serde::{Deserialize, Serialize};

use crate::analysis::Integrity;
use crate::text::message::Text;

/// `schema` of every answer.
pub(crate) const SCHEMA: &str = "hangscope/status/1";

/// The answer to `status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) schema: String,
    pub(crate) job: Job,
    pub(crate) counts: Counts,
    /// Those that run, and the last ones that have ended, in the order of their hellos.
    pub(crate) processes: Vec<Process>,
    /// Processes that are left out: there are too many.
    pub(crate) left_out: u64,
}

/// The answer to `process`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct OneProcess {
    pub(crate) schema: String,
    /// Null: the job knows no such process, or not any more.
    pub(crate) process: Option<Process>,
    /// Its last dump that was analysed; null without one.
    pub(crate) dump: Option<Dump>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    #[default]
    Collect,
    Hunt,
    Matrix,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) kind: Kind,
    /// Short name of the allocator of a hunt; empty for others.
    pub(crate) name: String,
    /// Absolute path of the folder.
    pub(crate) out: String,
    pub(crate) pid: u32,
    /// RFC 3339, UTC.
    pub(crate) started: String,
    /// Seconds since then.
    pub(crate) age_s: f64,
    /// Runs; null where their number is not known, as for a collector.
    pub(crate) planned: Option<u32>,
    /// Runs that have ended; for a collector: sessions that have ended or hung.
    pub(crate) made: u32,
    pub(crate) hung: u32,
    /// The share of runs that hang, lower bound at 95 % (Clopper-Pearson).
    pub(crate) low: f64,
    /// The same, upper bound.
    pub(crate) high: f64,
    /// Runs under way.
    pub(crate) running: Vec<Run>,
}

/// A run under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) name: String,
    pub(crate) age_s: f64,
    /// It hangs, and its evidence is written.
    pub(crate) capturing: bool,
}

/// Totals since the start of the job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Processes that said hello.
    pub(crate) sessions: u64,
    /// Of these, processes that have not ended.
    pub(crate) open: u64,
    pub(crate) hangs: Vec<HangCount>,
    /// Runs by outcome.
    pub(crate) runs: Vec<RunCount>,
    /// Bytes that processes have sent.
    pub(crate) received_bytes: u64,
    /// Messages that processes could not send.
    pub(crate) dropped_frames: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HangCount {
    pub(crate) allocator: String,
    pub(crate) label: String,
    pub(crate) class: String,
    pub(crate) hangs: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunCount {
    pub(crate) outcome: String,
    pub(crate) runs: u64,
}

/// A process that said hello.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Process {
    /// Number of the process in its job. A process id may come again, this number does not.
    pub(crate) key: u64,
    pub(crate) pid: u32,
    /// Name of its run; null for a collector.
    pub(crate) run: Option<String>,
    pub(crate) label: String,
    pub(crate) command: String,
    /// Short name; null if it is not known.
    pub(crate) allocator: Option<String>,
    /// Of the DSOs, at the last look.
    pub(crate) integrity: Integrity,
    /// From the start of its program until now, or until its end.
    pub(crate) age_s: f64,
    /// Deadline; null without one.
    pub(crate) hang_after_s: Option<f64>,
    /// Time without progress that counts as a hang; null: off.
    pub(crate) stall_s: Option<f64>,
    pub(crate) threads: Threads,
    /// Processors in use between the last two looks: 1.0 is one of them. Null before the second look.
    pub(crate) cpu: Option<f64>,
    /// Resident set, KiB.
    pub(crate) rss_kib: u64,
    /// The same at the last looks, oldest first.
    pub(crate) rss_history: Vec<u64>,
    /// Looks so far.
    pub(crate) looks: u64,
    /// Looks in a row in which nothing had moved.
    pub(crate) still: u32,
    /// A dump is under way or is analysed.
    pub(crate) dumping: bool,
    pub(crate) dumps: u32,
    pub(crate) hung: bool,
    /// Of the last dump that was analysed.
    pub(crate) class: Option<String>,
    /// What that dump shows, in one sentence.
    pub(crate) headline: Option<Text>,
    /// Absolute path of its bundle.
    pub(crate) bundle: Option<String>,
    pub(crate) marks: Vec<Mark>,
    /// Null while it runs.
    pub(crate) ended: Option<Ended>,
}

/// Threads of a process by what they did at the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Threads {
    pub(crate) all: u32,
    pub(crate) running: u32,
    /// In a futex wait.
    pub(crate) futex: u32,
    /// In another system call.
    pub(crate) sleeping: u32,
    /// In an uninterruptible wait (D).
    pub(crate) disk: u32,
    /// Stopped, or not readable.
    pub(crate) other: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ended {
    /// Exit status; null if a signal ended it, or it is not known.
    pub(crate) rc: Option<i32>,
    pub(crate) signal: Option<i32>,
    /// What else is known, in English.
    pub(crate) why: Option<String>,
}

/// A remark of a person: a line of `marks.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// RFC 3339, UTC.
    pub(crate) time: String,
    pub(crate) pid: u32,
    pub(crate) run: Option<String>,
    pub(crate) label: String,
    pub(crate) text: String,
}

/// A dump that was analysed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Dump {
    /// Number of the dump in its process, from 1.
    pub(crate) number: u32,
    /// Seconds since the start of the program.
    pub(crate) since_start_s: f64,
    /// Threads with equal stacks are together. The one to look at first comes first.
    pub(crate) stacks: Vec<Stacks>,
    /// Threads that are left out: there are too many.
    pub(crate) left_out: u32,
}

/// Threads with equal stacks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stacks {
    pub(crate) threads: u32,
    /// Ids of the threads and what they wait for.
    pub(crate) what: Text,
    /// The thread to look at first is one of them.
    pub(crate) hot: bool,
    /// The innermost frames, innermost first.
    pub(crate) frames: Vec<String>,
}

/// The answer to `mark`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Marked {
    pub(crate) schema: String,
    pub(crate) mark: Mark,
}

/// The answer to `dump`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Dumped {
    pub(crate) schema: String,
    pub(crate) dumps: Vec<crate::listen::request::Answer>,
}

/// The answer to a request that could not be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refused {
    pub(crate) schema: String,
    /// One line, in English.
    pub(crate) problem: String,
}
