//! `perf record` of one thread and `perf report` of what it recorded.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::perf_names::{self, Known};
use super::tool::{self, Ran};
use super::write_part;
use crate::console::cancel::Cancel;
use crate::files::atomic::WriteError;

/// Samples a second: 199 is no multiple of what timers commonly run at.
pub(crate) const FREQUENCY: u32 = 199;

/// What `perf report` may take.
const REPORT_LIMIT: Duration = Duration::from_secs(30);

/// What was recorded.
const DATA: &str = "perf_hot_tid.data";
/// Its report.
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

/// What is recorded, and how.
#[derive(Clone, Debug)]
pub struct PerfOptions {
    /// The program.
    pub program: PathBuf,
    /// For how long.
    pub time: Duration,
    /// How it unwinds.
    pub call_graph: CallGraph,
    /// The process's maps, and files that have the bytes which were mapped from a path that no longer has them: perf
    /// then takes names from them. `(path as maps has it, without " (deleted)"; file)`.
    pub maps: Vec<u8>,
    /// See `maps`.
    pub copies: Vec<(PathBuf, PathBuf)>,
}

impl Default for PerfOptions {
    fn default() -> Self {
        PerfOptions {
            program: "perf".into(),
            time: Duration::from_secs(3),
            call_graph: CallGraph::Fp,
            maps: vec![],
            copies: vec![],
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Perfed {
    /// It is there, with so many samples.
    Recorded {
        /// Samples; none if the report does not say it.
        samples: Option<u64>,
        /// Event that was counted.
        event: String,
    },
    /// What was recorded is there, and no report, and why; its file says so too.
    Unreported(String),
    /// It is not, and why; the files say so too.
    Refused(String),
}

/// Records thread `tid` into `dir/perf_hot_tid.data` and reports on it in `dir/perf_hot_tid.txt`. Both files are there
/// afterwards: with the reason, if it could not be done; what was recorded stays where only the report could not be.
/// perf's default event is tried first, then `cpu-clock`, which needs no hardware.
///
/// # Errors
/// [`WriteError`] if a file could not be written.
pub fn perf(dir: &Path, tid: u32, options: &PerfOptions, cancel: &Cancel) -> Result<Perfed, WriteError> {
    let outcome = attempt(dir, tid, options, None, cancel);
    let outcome = match outcome {
        Err(Failed::Event(_)) => attempt(dir, tid, options, Some("cpu-clock"), cancel),
        other => other,
    };
    let _ = std::fs::remove_file(part(dir));
    match outcome {
        Ok(perfed) => Ok(perfed),
        Err(Failed::Write(e)) => Err(e),
        Err(Failed::Event(reason) | Failed::Other(reason)) => {
            refuse(dir, &reason)?;
            Ok(Perfed::Refused(reason))
        }
    }
}

/// Leaves the reason in the files that perf would have made.
///
/// # Errors
/// [`WriteError`] if a file could not be written.
pub(crate) fn refuse(dir: &Path, reason: &str) -> Result<(), WriteError> {
    [DATA, TEXT].iter().try_for_each(|name| leave_reason(dir, name, reason))
}

fn leave_reason(dir: &Path, name: &str, reason: &str) -> Result<(), WriteError> {
    write_part(&dir.join(name), &Err(format!("perf: {reason}")))
}

enum Failed {
    /// The event may be to blame.
    Event(String),
    Other(String),
    Write(WriteError),
}

fn part(dir: &Path) -> PathBuf {
    dir.join(".perf_hot_tid.part")
}

fn attempt(
    dir: &Path,
    tid: u32,
    options: &PerfOptions,
    event: Option<&str>,
    cancel: &Cancel,
) -> Result<Perfed, Failed> {
    let part = part(dir);
    // perf renames what is there to `.old`.
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
    let ran = tool::run(&mut record, Stdio::null(), options.time + Duration::from_secs(15), cancel);
    if let Some(problem) = ran.problem() {
        let gone = !Path::new(&format!("/proc/{tid}/stat")).exists();
        return Err(why_not(&ran, problem, gone.then_some(tid)));
    }
    if !std::fs::metadata(&part).is_ok_and(|meta| meta.len() > 0) {
        return Err(Failed::Event("record left no data".to_owned()));
    }

    let identified = identify(dir, &part, options, cancel);
    // Kept before the report: whatever becomes of that, these samples cannot be had again.
    let data = dir.join(DATA);
    let fail = |source| Failed::Write(WriteError { path: data.clone(), source });
    let readable = File::open(&part).and_then(|mut file| set_mode(&mut file));
    readable.and_then(|()| std::fs::rename(&part, &data)).map_err(fail)?;
    match report(dir, &data, identified, options, cancel) {
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

/// Tells what was recorded which bytes ran, and makes the bundle the cache that has them. False if there is nothing to
/// tell, or this perf cannot be told.
fn identify(dir: &Path, data: &Path, options: &PerfOptions, cancel: &Cancel) -> bool {
    let attempt = || -> io::Result<bool> {
        let known = perf_names::cache(dir, &options.copies)?;
        if known.is_empty() {
            return Ok(false);
        }
        let list = tempfile::NamedTempFile::new()?;
        std::fs::write(list.path(), Known::lines(&known))?;
        let told = tempfile::NamedTempFile::new_in(dir)?;
        let mut inject = command(&options.program);
        inject.args(["inject", "--build-ids", "--force"]);
        inject.arg(format!("--known-build-ids=file://{}", list.path().display()));
        inject.arg("-i").arg(data).arg("-o").arg(told.path());
        if tool::run(&mut inject, Stdio::null(), REPORT_LIMIT, cancel).problem().is_some() {
            return Ok(false);
        }
        // One that says nothing of it and makes no file would lose what was recorded.
        let made = std::fs::metadata(told.path())?.len() > 0;
        if made {
            told.persist(data)?;
        }
        Ok(made)
    };
    attempt().unwrap_or(false)
}

fn report(
    dir: &Path,
    data: &Path,
    identified: bool,
    options: &PerfOptions,
    cancel: &Cancel,
) -> Result<(Option<u64>, String), Failed> {
    let text = dir.join(TEXT);
    let fail = |source: io::Error| Failed::Write(WriteError { path: text.clone(), source });
    let by_path = identified || perf_names::are_at_their_paths(&options.copies);
    let symfs = if by_path { None } else { Some(perf_names::symfs(options).map_err(fail)?) };
    let mut last = None;
    // Lines of inlined functions are worth having, but with large debug information perf can take minutes for them.
    for inline in [&[][..], &["--no-inline"]] {
        let mut out = tempfile::NamedTempFile::new_in(dir).map_err(fail)?;
        let mut report = command(&options.program);
        if identified {
            report.arg("--buildid-dir").arg(dir);
        }
        report.args(["report", "--stdio", "--no-children", "-n"]).args(inline);
        if let Some(symfs) = &symfs {
            report.arg("--symfs").arg(symfs.path()).arg("--kallsyms=/proc/kallsyms");
        }
        report.arg("-i").arg(data);
        let stdout = Stdio::from(out.as_file().try_clone().map_err(fail)?);
        let ran = tool::run(&mut report, stdout, REPORT_LIMIT, cancel);
        // perf 6.1 says so with status 0, and with a report that has no count.
        if matches!(&ran, Ran::Exited(_, said) if said.contains("no samples")) {
            return Ok((Some(0), String::new()));
        }
        let Some(problem) = ran.problem() else {
            let said = std::fs::read_to_string(out.path()).map_err(fail)?;
            let found = samples(&said);
            set_mode(out.as_file_mut()).map_err(fail)?;
            out.persist(&text).map_err(|e| fail(e.error))?;
            return Ok(found);
        };
        let slow = matches!(ran, Ran::TooLong(_));
        last = Some(Failed::Other(format!("report {problem}")));
        if !slow {
            break;
        }
    }
    Err(last.unwrap_or_else(|| Failed::Other("report failed".to_owned())))
}

/// 0644: perf's files and temporary ones are 0600, and a bundle is made to be handed on.
fn set_mode(file: &mut File) -> io::Result<()> {
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
}

/// perf without what would make it ask the network, page its output, or read the user's settings.
fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_remove("DEBUGINFOD_URLS")
        .env_remove("LD_PRELOAD")
        .env("PERF_CONFIG", "/dev/null")
        .env("LC_ALL", "C");
    command
}

/// Samples and event that a report says at its top: `# Samples: 597  of event 'cpu-clock:pppH'`. perf shortens large
/// numbers (`2K`). No number if none is said, or one that makes no sense.
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
    let said = match ran {
        Ran::Exited(_, said) => said.as_str(),
        Ran::NotFound => return Failed::Other("not found: install linux-perf".to_owned()),
        _ => "",
    };
    let forbidden = [
        "perf_event_paranoid",
        "Access to performance monitoring",
        "Operation not permitted",
        "Permission denied",
    ];
    if forbidden.iter().any(|text| said.contains(text)) {
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
