//! Where a run crashed: from the record that its shim left, `run_8.crash.txt`.

use super::lane::Lane;
use super::watch::{Watch, Watched};
use crate::analysis::CrashFacts;
use crate::analysis::crash::signal_name;
use crate::evidence::stacks;
use crate::files::atomic::{self, WriteError};
use crate::session::crash::{self, Crash};
use crate::session::trace::ThreadTrace;
use crate::symbolize::{Sources, symbolize};
use crate::text::message::{Say as _, Text, say};
use crate::text::note::Note;

/// The crash of a run that died or failed, with its file; none if no process left a record. Of several, the one
/// with the signal that the run died of, then the last.
///
/// # Errors
/// [`WriteError`]
pub(super) fn of_run(
    watch: &Watch,
    lane: &Lane,
    run: u32,
    signal: Option<i32>,
    notes: &mut Vec<Text>,
) -> Result<Option<CrashFacts>, WriteError> {
    let mut crashes: Vec<(&Watched, Crash)> = vec![];
    for process in watch.processes() {
        let Some((record, fd)) = &process.crash_page else { continue };
        match crash::read(fd, record) {
            Ok(crash) => crashes.extend(crash.map(|crash| (process, crash))),
            Err(why) => notes.push(say!(Note::CrashUnread { pid: process.pid, why }).said()),
        }
    }
    let is_its_signal = |crash: &Crash| signal == i32::try_from(crash.record.signal).ok();
    let Some((process, crash)) =
        crashes.iter().max_by_key(|(_, crash)| (is_its_signal(crash), crash.record.t_ns))
    else {
        return Ok(None);
    };
    let record = crash.record;
    let dump = crash.dump(&process.identity, &process.dsos);
    let sources = Sources { copies: lane.files(), same_boot: true, ..Sources::default() };
    let traces = symbolize(&dump, &sources);
    let trace = traces.threads.get(&record.tid);
    let file = lane.crash_file(run);
    let facts = CrashFacts {
        file: file.clone(),
        pid: process.pid,
        tid: record.tid,
        signal: record.signal as i32,
        code: record.code,
        // Of a signal that was sent, it is the sender's pid.
        address: (record.code > 0).then(|| format!("{:#x}", record.address)),
        function: None,
        source: None,
        in_allocator: None,
        whole: false,
    };
    let facts = trace.map_or(facts.clone(), |trace| facts.at(trace));
    let text = text(&facts, trace, &traces.notes);
    atomic::write(&lane.path(&file), text.as_bytes())?;
    Ok(Some(facts))
}

/// The file for a person. Registers are not in it: they hold what the program works on.
fn text(facts: &CrashFacts, trace: Option<&ThreadTrace>, notes: &[String]) -> String {
    let address = facts.address.as_ref().map_or_else(String::new, |address| format!(", address {address}"));
    let (pid, tid, signal, code) = (facts.pid, facts.tid, signal_name(facts.signal), facts.code);
    let mut text = format!("# pid {pid}, tid {tid}: {signal}, si_code {code}{address}\n");
    for note in notes {
        text += &format!("# {note}\n");
    }
    match trace {
        Some(trace) => text.extend(stacks::of_trace(trace).iter().map(|line| format!("{line}\n"))),
        None => text += "# no stack\n",
    }
    text
}
