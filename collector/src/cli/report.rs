//! `hangscope report`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;
use hangscope_protocol::record::SYSCALL_RUNNING;

use crate::analysis::integrity::judge;
use crate::analysis::{Finding, conclude};
use crate::collect::record;
use crate::console::exit::{Ended, Status};
use crate::console::out;
use crate::console::table::table;
use crate::evidence::finding_files;
use crate::evidence::saved::{NotRead, SavedDumps};
use crate::evidence::threads_file::ThreadsFile;
use crate::files::{folder, private};
use crate::night::{Kind, Report};
use crate::report;
use crate::report::night::file::NightFile;
use crate::session::Dump;
use crate::session::record_text::padded;
use crate::session::syscalls::Syscalls;
use crate::session::trace::{ThreadTrace, Traces};
use crate::text::escape;
use crate::text::message::{Lang, messages, say};
use crate::text::night::NightLine;

messages! {
    /// A piece of what `report` prints above and below the snapshot.
    pub(crate) Cell {
        // The process.
        Exe { exe } => "program    {exe}", "プログラム {exe}";
        Command { command } => "command    {command}", "コマンド   {command}";
        Label { label } => "label      {label}", "ラベル     {label}";
        Pid { pid, ppid, uid } => "pid        {pid} (parent {ppid}, user {uid})", "pid        {pid} (親 {ppid}、ユーザ {uid})";
        Started { time } => "started    {time}", "開始時刻   {time}";
        Preload { preload } => "preload    {preload}", "プリロード {preload}";
        ShimPath { shim } => "shim       {shim}", "シム       {shim}";
        // Columns of the DSOs, and what is in them.
        Dso {} => "DSO", "共有ライブラリ (DSO)";
        Role {} => "role", "役割";
        Integrity {} => "integrity", "状態";
        Reason {} => "reason", "理由";
        Program {} => "program", "プログラム";
        Allocator {} => "allocator", "アロケータ";
        Shim {} => "shim", "シム";
        // Columns of the threads.
        Tid {} => "tid", "スレッド";
        Name {} => "name", "名前";
        State {} => "state", "状態";
        CpuSeconds {} => "CPU s", "CPU 秒";
        CpuBetween {} => "+CPU ms", "CPU 増分 ms";
        Call {} => "call", "システムコール";
        Frames {} => "innermost frames", "最も内側のフレーム";
        Running {} => "running", "実行中";
        OneOf { dump, all } => "dump {dump} of {all} (--dump)", "ダンプ {dump} (全部で {all}。--dump で選択)";
    }
}

/// Report a whole night (OUT of a collect or a matrix), or analyse one recorded dump again.
///
/// Of a night: runs, hangs with exact intervals, crashes, ops/s and memory by label (lane) and allocator, and
/// the hangs, those of one bug together. It writes report.html, report.md and report.ja.md there, also while
/// the collector or the matrix is at work. Of a dump (a dump.bin, the folder of a bundle, a
/// recording.json.gz): names come from the allocator's copy in the bundle ({name}.so), from the files that
/// the dump names if they are still those, and from separate debug files.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    hangscope report night                     # OUT of hangscope collect or matrix: one page of all of it\n  \
    hangscope report OUT/hang_run_8\n  \
    hangscope report night/sessions/20251123T082211.123Z_4711/dump_1/dump.bin --all-threads\n  \
    hangscope report recording.json.gz         # somebody else's, from anywhere\n  \
    hangscope report OUT/hang_run_8 --write    # threads.json and stacks.txt anew\n  \
    hangscope report OUT --junit hunt.xml")]
pub(crate) struct Args {
    /// OUT of a collect, a matrix or a hunt; or a dump.bin or recording.json.gz, or their folder.
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
    /// Only one line of JSON on stdout: of a night its table, totals, signatures (each with its hangs),
    /// stuck, not_intact, open, lost and damaged; of a dump what is in threads.json (schema, pid, finding,
    /// threads, dsos, notes, ...).
    #[arg(long, conflicts_with = "all_threads")]
    json: bool,
}

pub(crate) fn run(args: Args) -> anyhow::Result<Status> {
    if let Some(file) = &args.junit {
        let facts = report::reread::facts(&args.path).context("report")?;
        let out = std::path::absolute(&args.path).context("report")?;
        report::junit::write(file, &facts, &conclude(&facts), &out).context("report: --junit")?;
        return Ok(Status::NoHang);
    }
    if let Some(kind) = Kind::of(&args.path) {
        return night(&args, &kind);
    }
    let recorded = match SavedDumps::read(&args.path) {
        Err(NotRead::Read { .. }) if args.path.is_dir() => {
            let path = args.path.display();
            let what = format!(
                "report: {path} is no OUT and no bundle of hangscope: looked for {}, and for dump.bin or recording.json.gz",
                crate::night::LOOKED_FOR
            );
            return Err(Ended::new(Status::Failed, what).into());
        }
        read => read.context("report")?,
    };
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
        out::json(&ThreadsFile::of(dump, &traces, &finding).with_history(dump, &recorded.history(dump)))?;
        return write(&args, &recorded, dump, &traces, &finding);
    }
    out::line(identity(dump, out::lang()));
    out::line("");
    out::text(dsos(dump, out::lang()));
    out::line("");
    let file = ThreadsFile::of(dump, &traces, &finding);
    out::text(report::show::snapshot(&file, out::style(), report::Stacks::All));
    for note in &traces.notes {
        out::line(escape::line(note));
    }
    if args.all_threads {
        out::line("");
        out::text(threads(dump, &traces.threads, out::lang()));
    }
    if recorded.dumps.len() > 1 {
        out::line("");
        out::say(&say!(Cell::OneOf { dump: dump.begin.number, all: numbers() }));
    }
    write(&args, &recorded, dump, &traces, &finding)
}

/// The report of a whole OUT.
fn night(args: &Args, kind: &Kind) -> anyhow::Result<Status> {
    if args.dump.is_some() || args.all_threads || args.write {
        let path = args.path.display();
        let what = format!(
            "report: {path} is no dump, and --dump, --all-threads and --write are for one: give its folder"
        );
        return Err(Ended::new(Status::Usage, what).into());
    }
    private::keep(false);
    folder::claim(&args.path);
    let made = Report::read(&args.path, kind);
    if args.json {
        out::only_json();
        out::json(&NightFile::of(&made.night))?;
    } else {
        out::text(report::night::terminal::text(&made.night, out::style()));
    }
    let written = made.write(&args.path).context("report")?;
    let paths = written.iter().map(|name| args.path.join(name).display().to_string());
    let files = paths.collect::<Vec<_>>().join(", ");
    if !files.is_empty() {
        out::line("");
        out::say(&say!(NightLine::Wrote { files }));
    }
    Ok(Status::NoHang)
}

/// Writes the files beside dump.bin, with --write.
fn write(
    args: &Args,
    recorded: &SavedDumps,
    dump: &Dump,
    traces: &Traces,
    finding: &Finding,
) -> anyhow::Result<Status> {
    if args.write {
        private::keep(false);
        let dir = recorded.path.parent().unwrap_or(std::path::Path::new("."));
        let history = recorded.history(dump);
        let file = finding_files::write_with(dir, dump, traces, finding, &history).context("report")?;
        report::html::write_again(dir, &file).context("report")?;
    }
    Ok(Status::NoHang)
}

fn identity(dump: &Dump, lang: Lang) -> String {
    let (identity, fixed) = (&dump.identity, &dump.identity.fixed);
    let mut lines = vec![
        say!(Cell::Exe { exe: identity.exe }),
        say!(Cell::Command { command: identity.command.join(" ") }),
        say!(Cell::Pid { pid: fixed.pid, ppid: fixed.ppid, uid: fixed.uid }),
        say!(Cell::Started { time: record::stamp(record::started(identity)) }),
        say!(Cell::Preload { preload: identity.ld_preload }),
        say!(Cell::ShimPath { shim: identity.shim }),
    ];
    if !identity.label.is_empty() {
        lines.insert(2, say!(Cell::Label { label: identity.label }));
    }
    lines.iter().map(|line| line.text(lang)).collect::<Vec<_>>().join("\n")
}

fn dsos(dump: &Dump, lang: Lang) -> String {
    use hangscope_protocol::record::dso_flags;
    let heading = [Cell::Dso {}, Cell::Role {}, Cell::Integrity {}, Cell::Reason {}];
    let mut rows = vec![heading.iter().map(|cell| cell.text(lang)).collect()];
    for dso in &dump.dsos {
        let judged = judge(dso, None);
        let roles = [
            (dso_flags::EXECUTABLE, Cell::Program {}),
            (dso_flags::ALLOCATOR, Cell::Allocator {}),
            (dso_flags::SHIM, Cell::Shim {}),
        ];
        let role = roles.iter().find(|(flag, _)| dso.is(*flag)).map(|(_, role)| role.text(lang));
        let word = judged.integrity.said().text(lang).to_owned();
        rows.push(vec![dso.path.clone(), role.unwrap_or_default(), word, judged.sentence(lang)]);
    }
    table(&rows)
}

fn threads(dump: &Dump, traces: &BTreeMap<u32, ThreadTrace>, lang: Lang) -> String {
    let arch = Syscalls::from_elf(dump.identity.fixed.arch);
    let none = || "-".to_owned();
    let heading = [
        Cell::Tid {},
        Cell::Name {},
        Cell::State {},
        Cell::CpuSeconds {},
        Cell::CpuBetween {},
        Cell::Call {},
        Cell::Frames {},
    ];
    let mut rows = vec![heading.iter().map(|cell| cell.text(lang)).collect()];
    for thread in dump.threads.iter().filter(|t| t.tid != dump.identity.fixed.watchdog_tid) {
        let call = match thread.syscall {
            SYSCALL_RUNNING => Cell::Running {}.text(lang),
            n if n >= 0 => arch.and_then(|a| a.call(n)).map_or(n.to_string(), |call| call.name.to_owned()),
            _ => none(),
        };
        let later = dump.second_look(thread.tid);
        let spent = later.map(|later| later.cpu_ns.saturating_sub(thread.cpu_ns) as f64 / 1e6);
        rows.push(vec![
            thread.tid.to_string(),
            padded(&thread.comm),
            char::from(thread.state).to_string(),
            format!("{:.2}", thread.cpu_ns as f64 / 1e9),
            spent.map_or_else(none, |ms| format!("{ms:.0}")),
            call,
            traces.get(&thread.tid).map_or_else(String::new, |trace| innermost(trace, lang)),
        ]);
    }
    table(&rows)
}

/// The innermost functions of a stack, or why there are none.
fn innermost(trace: &ThreadTrace, lang: Lang) -> String {
    const MOST: usize = 4;
    let names = trace.frames.iter().filter_map(|frame| frame.function.as_deref()).take(MOST);
    let names = names.collect::<Vec<_>>().join(" < ");
    match &trace.problem {
        Some(problem) if names.is_empty() => problem.text(lang).to_owned(),
        _ => names,
    }
}
