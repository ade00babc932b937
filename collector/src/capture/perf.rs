//! `perf record` of one thread and `perf report` of what it recorded.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::part::write_reason;
use super::perf_names::{self, Known, NameSources};
use super::tool::{self, Ran};
use crate::console::cancel::Cancel;
use crate::files::atomic::{self, WriteError};
use crate::files::free;
use crate::files::private;
use crate::text::escape;

/// Samples a second. 199 is no multiple of the usual rates of timers.
pub(crate) const FREQUENCY: u32 = 199;

/// How much longer than its recording `perf record` may take.
const RECORD_GRACE: Duration = Duration::from_secs(15);
/// Time limit of `perf report` and `perf inject`.
const REPORT_LIMIT: Duration = Duration::from_secs(30);

const DATA: &str = "perf_hot_tid.data";
const TEXT: &str = "perf_hot_tid.txt";

/// How perf unwinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum CallGraph {
    /// By frame pointers (`-g`).
    #[default]
    Fp,
    /// By unwind tables; larger files, whole stacks without frame pointers.
    Dwarf,
}

#[derive(Clone, Debug)]
pub struct PerfOptions {
    /// The program.
    pub program: PathBuf,
    /// How long it records.
    pub time: Duration,
    pub call_graph: CallGraph,
}

impl Default for PerfOptions {
    fn default() -> Self {
        PerfOptions { program: "perf".into(), time: Duration::from_secs(3), call_graph: CallGraph::Fp }
    }
}

/// What became of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Perfed {
    /// The data and its report are there.
    Recorded {
        /// Samples; none if the report does not say how many.
        samples: Option<u64>,
        /// The event that perf counted.
        event: String,
    },
    /// The data is there, but no report, for this reason. The report's file says so too.
    Unreported(String),
    /// Nothing was recorded, for this reason. Both files say so too.
    Refused(String),
}

/// Records thread `tid` into `dir/perf_hot_tid.data` and writes the report `dir/perf_hot_tid.txt`. Both files
/// are there afterwards. Where a step failed, its file has the reason; the data stays if only the report
/// failed. perf's default event is tried first, then `cpu-clock`, which needs no hardware.
///
/// # Errors
/// [`WriteError`] if a file could not be written.
pub fn perf(
    dir: &Path,
    tid: u32,
    options: &PerfOptions,
    sources: &NameSources,
    cancel: &Cancel,
) -> Result<Perfed, WriteError> {
    let perf = Perf { dir, tid, options, sources, cancel };
    let outcome = match perf.attempt(None) {
        Err(Failed::Event(_)) => perf.attempt(Some("cpu-clock")),
        other => other,
    };
    let _ = std::fs::remove_file(perf.part());
    match outcome {
        Ok(perfed) => Ok(perfed),
        Err(Failed::Write(e)) => Err(e),
        Err(Failed::Event(reason) | Failed::Other(reason)) => match refuse(dir, &reason).into_iter().next() {
            Some(error) => Err(error),
            None => Ok(Perfed::Refused(reason)),
        },
    }
}

/// Writes the reason into the files that perf would have made. Gives those that could not be written.
pub(crate) fn refuse(dir: &Path, reason: &str) -> Vec<WriteError> {
    [DATA, TEXT].iter().filter_map(|name| leave_reason(dir, name, reason).err()).collect()
}

fn leave_reason(dir: &Path, name: &str, reason: &str) -> Result<(), WriteError> {
    write_reason(&dir.join(name), &format!("perf: {reason}"))
}

enum Failed {
    /// Another event may work.
    Event(String),
    Other(String),
    Write(WriteError),
}

/// One recording.
struct Perf<'a> {
    dir: &'a Path,
    tid: u32,
    options: &'a PerfOptions,
    sources: &'a NameSources,
    cancel: &'a Cancel,
}

impl Perf<'_> {
    /// The file that perf writes to.
    fn part(&self) -> PathBuf {
        self.dir.join(".perf_hot_tid.part")
    }

    fn attempt(&self, event: Option<&str>) -> Result<Perfed, Failed> {
        let Perf { dir, tid, options, .. } = *self;
        let part = self.part();
        self.has_room()?;
        // perf renames an old file to `.old`.
        let _ = std::fs::remove_file(&part);
        let seconds = options.time.as_secs_f64();
        let mut record = command(&options.program);
        // No copies into the user's ~/.debug.
        record.args(["record", "--no-buildid-cache", "-F", &FREQUENCY.to_string()]);
        match options.call_graph {
            CallGraph::Fp => record.arg("-g"),
            CallGraph::Dwarf => record.args(["--call-graph", "dwarf"]),
        };
        if let Some(event) = event {
            record.args(["-e", event]);
        }
        record.args(["-t", &tid.to_string(), "-o"]).arg(&part).args(["--", "sleep", &seconds.to_string()]);
        let ran = tool::run(&mut record, Stdio::null(), options.time + RECORD_GRACE, self.cancel);
        if let Some(problem) = ran.problem() {
            let gone = !Path::new(&format!("/proc/{tid}/stat")).exists();
            return Err(why_not(&ran, problem, gone.then_some(tid)));
        }
        if !std::fs::metadata(&part).is_ok_and(|meta| meta.len() > 0) {
            return Err(Failed::Event("record left no data".to_owned()));
        }

        self.has_room()?;
        let identified = self.identify(&part).unwrap_or(false);
        // The data gets its name before the report: these samples cannot be taken again.
        let data = dir.join(DATA);
        let fail = |source| Failed::Write(WriteError { path: data.clone(), source });
        let readable = File::open(&part).and_then(|file| private::set_mode(&file));
        readable.and_then(|()| std::fs::rename(&part, &data)).map_err(fail)?;
        match self.report(&data, identified) {
            Ok((Some(0), _)) => {
                let _ = [DATA, TEXT].map(|name| std::fs::remove_file(dir.join(name)));
                Err(Failed::Event(format!("no samples of tid {tid} in {seconds} s: it did not run")))
            }
            Ok((samples, event)) => Ok(Perfed::Recorded { samples, event }),
            Err(Failed::Event(reason) | Failed::Other(reason)) => {
                leave_reason(dir, TEXT, &reason).map_err(Failed::Write)?;
                Ok(Perfed::Unreported(reason))
            }
            Err(failed) => Err(failed),
        }
    }

    /// Small files say more than the data of perf, and need the last room on a disk.
    fn has_room(&self) -> Result<(), Failed> {
        free::check(&self.part(), 0).map_err(|error| Failed::Other(error.reason()))
    }

    /// Writes the build-ids of the bytes that ran into the data, and makes the bundle a cache of those bytes.
    /// False if no build-id is known, or if this perf has no `inject --known-build-ids`.
    fn identify(&self, data: &Path) -> io::Result<bool> {
        let known = perf_names::cache(self.dir, &self.sources.copies)?;
        if known.is_empty() {
            return Ok(false);
        }
        let list = tempfile::NamedTempFile::new()?;
        std::fs::write(list.path(), Known::lines(&known))?;
        let injected = tempfile::NamedTempFile::new_in(self.dir)?;
        let mut inject = command(&self.options.program);
        inject.args(["inject", "--build-ids", "--force"]);
        inject.arg(format!("--known-build-ids=file://{}", list.path().display()));
        inject.arg("-i").arg(data).arg("-o").arg(injected.path());
        if tool::run(&mut inject, Stdio::null(), REPORT_LIMIT, self.cancel).problem().is_some() {
            return Ok(false);
        }
        // A perf that ends with status 0 and writes no file must not cost the data.
        let written = std::fs::metadata(injected.path())?.len() > 0;
        if written {
            injected.persist(data)?;
        }
        Ok(written)
    }

    /// Samples and event, as [`samples`] gives them.
    fn report(&self, data: &Path, identified: bool) -> Result<(Option<u64>, String), Failed> {
        let text = self.dir.join(TEXT);
        let fail = |source: io::Error| Failed::Write(WriteError { path: text.clone(), source });
        let by_path = identified || perf_names::are_at_their_paths(&self.sources.copies);
        let symfs = if by_path { None } else { Some(perf_names::symfs(self.sources).map_err(fail)?) };
        let mut last = None;
        // The lines of inlined functions help, but with large debug information perf can take minutes for
        // them.
        for inline in [&[][..], &["--no-inline"]] {
            let out = tempfile::NamedTempFile::new_in(self.dir).map_err(fail)?;
            let mut report = command(&self.options.program);
            if identified {
                report.arg("--buildid-dir").arg(self.dir);
            }
            report.args(["report", "--stdio", "--no-children", "-n"]).args(inline);
            if let Some(symfs) = &symfs {
                report.arg("--symfs").arg(symfs.path()).arg("--kallsyms=/proc/kallsyms");
            }
            report.arg("-i").arg(data);
            let stdout = Stdio::from(out.as_file().try_clone().map_err(fail)?);
            let ran = tool::run(&mut report, stdout, REPORT_LIMIT, self.cancel);
            // perf 6.1 ends with status 0 then, and its report has no count.
            if matches!(&ran, Ran::Exited(_, stderr) if stderr.contains("no samples")) {
                return Ok((Some(0), String::new()));
            }
            let Some(problem) = ran.problem() else {
                let report = escape::bytes(&std::fs::read(out.path()).map_err(fail)?);
                atomic::write(&text, &report).map_err(Failed::Write)?;
                return Ok(samples(&String::from_utf8_lossy(&report)));
            };
            let slow = matches!(ran, Ran::TooLong(_));
            last = Some(Failed::Other(format!("report {problem}")));
            if !slow {
                break;
            }
        }
        Err(last.unwrap_or_else(|| Failed::Other("report failed".to_owned())))
    }
}

/// perf with an environment in which it asks no network, pages no output, and reads no user's settings.
fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_remove("DEBUGINFOD_URLS")
        .env_remove("LD_PRELOAD")
        .env("PERF_CONFIG", "/dev/null")
        .env("LC_ALL", "C");
    command
}

/// Samples and event from the head of a report: `# Samples: 597  of event 'cpu-clock:pppH'`. perf shortens
/// large numbers (`2K`). None if there is no number, or one that makes no sense.
fn samples(report: &str) -> (Option<u64>, String) {
    let mut counts = vec![];
    let mut event = String::new();
    for line in report.lines() {
        let Some(rest) = line.strip_prefix("# Samples: ") else { continue };
        let (count, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let digits = count.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = match &count[digits.len()..] {
            "" => Some(1u64),
            "K" => Some(1_000),
            "M" => Some(1_000_000),
            _ => None,
        };
        counts.push(unit.and_then(|unit| digits.parse::<u64>().ok()?.checked_mul(unit)));
        event = rest.split('\'').nth(1).unwrap_or_default().to_owned();
    }
    (counts.into_iter().reduce(|a, b| a?.checked_add(b?)).flatten(), event)
}

fn why_not(ran: &Ran, problem: String, gone: Option<u32>) -> Failed {
    let stderr = match ran {
        Ran::Exited(_, stderr) => stderr.as_str(),
        Ran::NotFound => return Failed::Other("not found: install linux-perf".to_owned()),
        _ => "",
    };
    let forbidden = [
        "perf_event_paranoid",
        "Access to performance monitoring",
        "Operation not permitted",
        "Permission denied",
    ];
    if forbidden.iter().any(|text| stderr.contains(text)) {
        let paranoid = std::fs::read_to_string("/proc/sys/kernel/perf_event_paranoid");
        let paranoid = paranoid.as_deref().map_or("unknown", str::trim);
        return Failed::Other(format!("not permitted (perf_event_paranoid={paranoid})"));
    }
    match (gone, ran) {
        (Some(tid), Ran::Exited(..)) => Failed::Other(format!("tid {tid} left before it could be recorded")),
        (_, Ran::Exited(..)) => Failed::Event(problem),
        _ => Failed::Other(problem),
    }
}

#[cfg(test)]
mod tests;
