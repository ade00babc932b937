//! `hangscope report`.

use std::path::PathBuf;

use anyhow::Context as _;
use comfy_table::Table;

use crate::analysis::integrity::judge;
use crate::analysis::{Finding, conclude};
use crate::console::exit::Status;
use crate::console::out;
use crate::evidence::finding_files;
use crate::evidence::saved::SavedDumps;
use crate::evidence::threads_file::ThreadsFile;
use crate::report;
use crate::session::Dump;
use crate::session::arch::Arch;
use crate::session::trace::{ThreadTrace, Traces};
use crate::text::message::Lang;

/// Analyse a recorded dump again: a dump.bin, the folder of a bundle, or a recording.json.gz.
///
/// Names come from the allocator's copy in the bundle ({name}.so), from the files that the dump names if they are still
/// those, and from separate debug files.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    hangscope report OUT/hang_run_8\n  \
    hangscope report night/sessions/20251123T082211.123Z_4711/dump_1/dump.bin --all-threads\n  \
    hangscope report recording.json.gz         # somebody else's, from anywhere\n  \
    hangscope report OUT/hang_run_8 --write    # threads.json and stacks.txt anew\n  \
    hangscope report OUT --junit hunt.xml")]
pub(crate) struct Args {
    /// dump.bin or recording.json.gz, or their folder.
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Which dump, where the file holds several [default: the last].
    #[arg(long, value_name = "N")]
    dump: Option<u32>,
    /// List every thread, not only those that differ.
    #[arg(long)]
    all_threads: bool,
    /// Write threads.json and stacks.txt beside dump.bin.
    #[arg(long)]
    write: bool,
    /// A JUnit report of the hunt whose OUT is PATH, as `hangscope hunt --junit` writes it.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dump", "all_threads", "write", "json"])]
    junit: Option<PathBuf>,
    /// Only one line of JSON on stdout: what is in threads.json (schema, pid, finding, threads, dsos, notes, ...).
    #[arg(long, conflicts_with = "all_threads")]
    json: bool,
}

/// Runs it.
pub(crate) fn run(args: Args) -> anyhow::Result<Status> {
    if let Some(file) = &args.junit {
        let facts = report::reread::facts(&args.path).context("report")?;
        let out = std::path::absolute(&args.path).context("report")?;
        report::junit::write(file, &facts, &conclude(&facts), &out).context("report: --junit")?;
        return Ok(Status::NoHang);
    }
    let recorded = SavedDumps::read(&args.path).context("report")?;
    let dump = match args.dump {
        Some(n) => recorded.dumps.iter().find(|dump| dump.begin.number == n),
        None => recorded.dumps.last(),
    };
    let numbers = || recorded.dumps.iter().map(|d| d.begin.number.to_string()).collect::<Vec<_>>().join(", ");
    let dump = dump.with_context(|| {
        format!("report: no dump of this number in {}; it has {}", recorded.path.display(), numbers())
    })?;
    let (traces, finding) = recorded.analyse(dump);
    if args.json {
        out::only_json();
        out::json(&ThreadsFile::of(dump, &traces, &finding))?;
        return write(&args, &recorded, dump, &traces, &finding);
    }
    out::line(identity(dump));
    out::line("");
    out::line(dsos(dump));
    out::line("");
    let file = ThreadsFile::of(dump, &traces, &finding);
    out::text(report::show::snapshot(&file, out::style()));
    if args.all_threads {
        out::line("");
        out::line(threads(dump, &traces.threads));
    }
    if recorded.dumps.len() > 1 {
        out::line(format_args!("\ndump {} of {} (--dump)", dump.begin.number, numbers()));
    }
    write(&args, &recorded, dump, &traces, &finding)
}

/// The files beside dump.bin, if they are wanted.
fn write(
    args: &Args,
    recorded: &SavedDumps,
    dump: &Dump,
    traces: &Traces,
    finding: &Finding,
) -> anyhow::Result<Status> {
    if args.write {
        let dir = recorded.path.parent().unwrap_or(std::path::Path::new("."));
        finding_files::write(dir, dump, traces, finding).context("report")?;
    }
    Ok(Status::NoHang)
}

fn identity(dump: &Dump) -> String {
    let (identity, fixed) = (&dump.identity, &dump.identity.fixed);
    let mut lines = vec![
        format!("program    {}", identity.exe),
        format!("command    {}", identity.command.join(" ")),
        format!("pid        {} (parent {}, user {})", fixed.pid, fixed.ppid, fixed.uid),
        format!("started    {}", crate::collect::record::stamp(crate::collect::record::started(identity))),
        format!("preload    {}", identity.ld_preload),
        format!("shim       {}", identity.shim),
    ];
    if !identity.label.is_empty() {
        lines.insert(2, format!("label      {}", identity.label));
    }
    // What a process says of itself may hold anything, escape sequences too.
    let clean = |line: String| line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    lines.into_iter().map(clean).collect::<Vec<_>>().join("\n")
}

fn plain() -> Table {
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    table
}

fn dsos(dump: &Dump) -> Table {
    use hangscope_protocol::record::dso_flags;
    let mut table = plain();
    table.set_header(["DSO", "", "integrity", "why"]);
    for dso in &dump.dsos {
        let judged = judge(dso, None);
        let what = [
            (dso_flags::EXECUTABLE, "program"),
            (dso_flags::ALLOCATOR, "allocator"),
            (dso_flags::SHIM, "shim"),
        ];
        let what = what.iter().find(|(flag, _)| dso.is(*flag)).map_or("", |(_, what)| what);
        table.add_row([dso.path.as_str(), what, judged.integrity.as_str(), &judged.sentence(Lang::En)]);
    }
    table
}

fn threads(dump: &Dump, traces: &std::collections::BTreeMap<u32, ThreadTrace>) -> Table {
    use hangscope_protocol::record::SYSCALL_RUNNING;
    let arch = Arch::from_elf(dump.identity.fixed.arch);
    let mut table = plain();
    table.set_header(["tid", "name", "state", "CPU s", "+CPU ms", "call", "innermost frames"]);
    for thread in dump.threads.iter().filter(|t| t.tid != dump.identity.fixed.watchdog_tid) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned();
        let call = match thread.syscall {
            SYSCALL_RUNNING => "running".to_owned(),
            n if n >= 0 => arch.and_then(|a| a.call(n)).map_or(n.to_string(), |call| call.name.to_owned()),
            _ => "-".to_owned(),
        };
        let later = dump.second_look(thread.tid);
        let spent = later.map(|later| later.cpu_ns.saturating_sub(thread.cpu_ns) as f64 / 1e6);
        let frames = traces.get(&thread.tid).map_or(String::new(), |trace| {
            let names = trace.frames.iter().filter_map(|frame| frame.function.as_deref()).take(4);
            let names = names.collect::<Vec<_>>().join(" < ");
            if names.is_empty() {
                trace.problem.as_ref().map_or(String::new(), |p| p.en().to_owned())
            } else {
                names
            }
        });
        table.add_row([
            thread.tid.to_string(),
            text(&thread.comm),
            char::from(thread.state).to_string(),
            format!("{:.2}", thread.cpu_ns as f64 / 1e9),
            spent.map_or("-".to_owned(), |ms| format!("{ms:.0}")),
            call,
            frames,
        ]);
    }
    table
}
