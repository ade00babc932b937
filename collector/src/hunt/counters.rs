//! Counters of the runs, from the lines that the allocator printed and from its memory. The lines of the
//! counter lane also go into files, by prefix.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use hangscope_protocol::record::RangeRecord;

use super::config::Config;
use super::lane::Lane;
use super::memory::{Layout, Values};
use super::watch::{Watch, Watched};
use crate::analysis::counters::{self, Gatherer, LaneCounters, Moment, Reading, RunCounters};
use crate::analysis::{Integrity, RunFacts};
use crate::capture::reason_line;
use crate::files::atomic::{self, WriteError};
use crate::profile::Counter;
use crate::session::{self, Dump, Memory};
use crate::snap;
use crate::text::message::{Say as _, Text, say};
use crate::text::note::Note;

/// Bytes of a line that are parsed. The rest is passed over.
const MOST_LINE: u64 = 1 << 20;

/// Lines found for a counter file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Collected {
    /// Name of the file in OUT.
    pub(crate) file: String,
    pub(crate) lines: usize,
}

/// Writes a counter's file: the lines of `outputs`, in order, that begin with the prefix; else one line that
/// says that there is none.
///
/// # Errors
/// [`WriteError`], also if an output cannot be read.
pub(crate) fn collect(out: &Path, counter: &Counter, outputs: &[PathBuf]) -> Result<Collected, WriteError> {
    let mut lines = 0;
    atomic::write_with(&out.join(&counter.file), atomic::WRITABLE, |file| {
        for output in outputs {
            lines += copy_lines(output, counter.prefix.as_bytes(), file)?;
        }
        if lines == 0 {
            let what = format!("no line begins with {} in {} files", counter.prefix, outputs.len());
            file.write_all(reason_line(&what).as_bytes())?;
        }
        Ok(())
    })?;
    Ok(Collected { file: counter.file.clone(), lines })
}

/// The counters of a run that has ended, from its outputs and from memory: as read at its hang, else at its
/// exit. None if the profile has no counters.
///
/// # Errors
/// An output that cannot be read.
pub(super) fn of_run(
    config: &Config,
    lane: &Lane,
    facts: &RunFacts,
    watch: &Watch,
    at_hang: Option<Result<Read, Text>>,
) -> Result<Option<RunCounters>, WriteError> {
    let profile = &config.profile;
    if profile.counters.is_empty() && profile.memory.is_empty() {
        return Ok(None);
    }
    let prefixes: Vec<&str> = profile.counters.iter().map(|c| &*c.prefix).collect();
    let mut gatherer = Gatherer::new(&prefixes);
    for output in lane.outputs(facts.run) {
        gather(&output, &mut gatherer).map_err(|source| WriteError { path: output, source })?;
    }
    let mut counters = gatherer.end();
    if let Some(layout) = lane.counters.as_ref().filter(|layout| !layout.is_empty()) {
        counters.missing = layout.missing().to_vec();
        let overwritten = facts.integrity_end == Integrity::Overwritten;
        let read = match at_hang {
            _ if overwritten => Err(Note::Reset {}.said()),
            Some(read) => read,
            None => at_exit(layout, lane, watch),
        };
        match read {
            Ok(read) => {
                counters.memory = Some(read.reading);
                counters.missing.extend(read.unread);
            }
            Err(why) => counters.not_read = Some(why),
        }
    }
    Ok(Some(counters))
}

/// Counters that were read from a run's memory.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Read {
    pub(crate) reading: Reading,
    /// Variables that were not read, and why.
    pub(crate) unread: Vec<Text>,
}

impl Read {
    /// Without figures an error says why; `otherwise` is the reason if nothing is known to have failed.
    fn of(moment: Moment, values: Values, otherwise: impl FnOnce() -> Text) -> Result<Read, Text> {
        let Values { figures, unread } = values;
        if figures.is_empty() {
            return Err(Text::joined(&unread).unwrap_or_else(otherwise));
        }
        Ok(Read { reading: Reading { moment, values: figures }, unread })
    }
}

fn gather(output: &Path, gatherer: &mut Gatherer<'_>) -> io::Result<()> {
    let mut reader = BufReader::new(File::open(output)?);
    let mut line = vec![];
    // The rest of a longer line counts as a line. It does not begin with a prefix.
    while io::Read::take(&mut reader, MOST_LINE).read_until(b'\n', &mut line)? > 0 {
        gatherer.line(&line);
        line.clear();
    }
    Ok(())
}

/// Adds the memory of the counters to a dump that was taken from outside, if its addresses are proven.
pub(super) fn with_memory(lane: &Lane, pid: u32, dump: Dump) -> Dump {
    let ours = dump.allocator().filter(|dso| lane.is_of(dso));
    let ranges = ours.and_then(|dso| lane.counter_ranges(dso).ok()).unwrap_or_default();
    Dump { memory: snap::read(pid, &ranges), ..dump }
}

/// The counters in the memory of a dump. `process` sent it; none: it was taken from outside.
pub(super) fn at_hang(lane: &Lane, dump: &Dump, process: Option<&Watched>) -> Result<Read, Text> {
    let dso = dump.allocator().filter(|dso| lane.is_of(dso));
    let dso = dso.ok_or_else(|| Note::NotOurMalloc {}.said())?;
    let refused = match process {
        Some(process) => process.memory_asked.clone().and_then(Result::err),
        None => lane.counter_ranges(dso).err(),
    };
    let memory = process.map_or_else(|| dump.memory.clone(), |process| whole(process.pid, &dump.memory));
    let values = lane.counters.as_ref().map(|layout| layout.values(dso, &memory)).unwrap_or_default();
    let moment = if process.is_some() { Moment::Dump } else { Moment::Outside };
    Read::of(moment, values, || refused.unwrap_or_else(|| Note::NotInDump {}.said()))
}

/// The memory of a dump. What the shim left out, because the page was not there and it waits for none, is read
/// from outside.
fn whole(pid: u32, memory: &[Memory]) -> Vec<Memory> {
    let is_short = |m: &&Memory| m.bytes.len() < m.record.wanted as usize;
    let range = |m: &Memory| RangeRecord { address: m.record.address, len: m.record.wanted, reserved: 0 };
    let short: Vec<RangeRecord> = memory.iter().filter(is_short).map(range).collect();
    let mut again = if short.is_empty() { vec![] } else { snap::read(pid, &short) };
    again.retain(|m| !m.bytes.is_empty());
    let better =
        |m: &Memory| again.iter().find(|a| a.record.address == m.record.address).unwrap_or(m).clone();
    memory.iter().map(better).collect()
}

/// Counters at the exits of a run's processes. Of several figures the largest counts.
fn at_exit(layout: &Layout, lane: &Lane, watch: &Watch) -> Result<Read, Text> {
    let mut all = Values::default();
    for process in watch.processes() {
        let ours = process.allocator().filter(|dso| lane.is_of(dso));
        let (Some((record, fd)), Some(dso)) = (&process.last_memory, ours) else { continue };
        let memory = match session::memory::read(fd, record) {
            Ok(Some(memory)) => memory,
            Ok(None) => continue,
            Err(error) => {
                all.unread.push(say!(Note::ExitUnread { pid: process.pid, why: error }).said());
                continue;
            }
        };
        larger(&mut all, layout.values(dso, &memory));
    }
    let refused = || watch.processes().find_map(|p| p.memory_asked.clone()?.err());
    Read::of(Moment::Exit, all, || refused().unwrap_or_else(|| Note::NotAtExit {}.said()))
}

/// Keeps the larger of two figures of a counter, and each reason once.
fn larger(all: &mut Values, of_one: Values) {
    for (name, value) in of_one.figures {
        match all.figures.iter_mut().find(|(n, _)| *n == name) {
            Some((_, before)) => *before = before.max(value),
            None => all.figures.push((name, value)),
        }
    }
    for why in of_one.unread {
        if !all.unread.contains(&why) {
            all.unread.push(why);
        }
    }
}

/// A note if the lane's DSO has none of the variables in the profile.
pub(super) fn none_in_memory(lane: &Lane) -> Option<Text> {
    const MOST: usize = 3;
    let layout = lane.counters.as_ref().filter(|layout| layout.is_empty())?;
    let missing = layout.missing();
    let list = Text::joined(missing.get(..MOST.min(missing.len()))?)?;
    let list = match missing.len() {
        count if count > MOST => say!(Note::AndMore { list, count }).said(),
        _ => list,
    };
    Some(say!(Note::NoneInMemory { lane: lane.arm, list }).said())
}

/// The counters of each lane: those of the arms, then the counter lane.
pub(super) fn lanes(config: &Config, runs: &[RunFacts], stats: &[RunFacts]) -> Vec<LaneCounters> {
    let mut lanes: Vec<(&str, Vec<&RunFacts>)> = vec![];
    for run in runs.iter().chain(stats) {
        match lanes.iter_mut().find(|(name, _)| *name == run.arm) {
            Some((_, of)) => of.push(run),
            None => lanes.push((&run.arm, vec![run])),
        }
    }
    lanes.iter().filter_map(|(name, runs)| counters::lane(name, runs, &config.profile.ratios)).collect()
}

fn copy_lines(from: &Path, prefix: &[u8], to: &mut File) -> io::Result<usize> {
    let mut reader = BufReader::new(File::open(from)?);
    let mut lines = 0;
    let mut line = vec![];
    while reader.read_until(b'\n', &mut line)? > 0 {
        if line.starts_with(prefix) {
            if !line.ends_with(b"\n") {
                line.push(b'\n');
            }
            to.write_all(&line)?;
            lines += 1;
        }
        line.clear();
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_does_not_hide_what_was_not_read() {
        let values = |figures: &[(&str, f64)], unread: &[&str]| Values {
            figures: figures.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
            unread: unread.iter().map(|why| why.said()).collect(),
        };
        let mut all = values(&[], &["what process 7 left"]);
        larger(&mut all, values(&[("calls", 2.0), ("frees", 9.0)], &["x"]));
        larger(&mut all, values(&[("calls", 3.0), ("frees", 1.0)], &["x", "y"]));
        let read = Read::of(Moment::Exit, all, || "nothing".said()).unwrap();
        assert_eq!(read.reading.values, [("calls".to_owned(), 3.0), ("frees".to_owned(), 9.0)]);
        assert_eq!(read.unread, ["what process 7 left".said(), "x".said(), "y".said()]);

        let none = |unread: &[&str]| Read::of(Moment::Dump, values(&[], unread), || "nothing".said());
        assert_eq!(none(&["x", "y"]), Err("x; y".said()));
        assert_eq!(none(&[]), Err("nothing".said()));
    }

    #[test]
    fn lines_go_by_their_prefix_and_none_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let outputs = ["a.err", "b.err"].map(|name| dir.path().join(name));
        std::fs::write(&outputs[0], "[HZ4_OS_STATS] a=1\nx [HZ4_OS_STATS] no\n[HZ4_OS_STATS_B6] b=2\n")
            .unwrap();
        std::fs::write(&outputs[1], "[HZ4_MID] c\n[HZ4_OS_STATS] a=3").unwrap();
        let counter = |prefix: &str| Counter { prefix: prefix.into(), file: "os_stats.log".into() };
        let read = || std::fs::read_to_string(dir.path().join("os_stats.log")).unwrap();

        let found = collect(dir.path(), &counter("[HZ4_OS_STATS"), &outputs).unwrap();
        assert_eq!(found.lines, 3);
        assert_eq!(read(), "[HZ4_OS_STATS] a=1\n[HZ4_OS_STATS_B6] b=2\n[HZ4_OS_STATS] a=3\n");
        assert_eq!(collect(dir.path(), &counter("[NONE]"), &outputs).unwrap().lines, 0);
        assert_eq!(read(), "# no line begins with [NONE] in 2 files\n");
    }
}
