//! We and gdb look at the same stuck process. The function names of all threads must be equal.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use super::support::{JEMALLOC, MIMALLOC, Stuck, build};
use hangscope_collector::session::Dump;
use hangscope_collector::session::trace::Frame;
use hangscope_collector::symbolize::{Sources, symbolize};
use hangscope_protocol::record::SYSCALL_RUNNING;

/// A gdb script that prints every frame: thread, how gdb found the frame, program counter, line,
/// function.
const GDB_SCRIPT: &str = r#"
import gdb
kinds = {gdb.INLINE_FRAME: "inline", gdb.SIGTRAMP_FRAME: "signal", gdb.TAILCALL_FRAME: "tailcall"}
for thread in gdb.selected_inferior().threads():
    thread.switch()
    frame = gdb.newest_frame()
    while frame is not None and frame.is_valid():
        kind = kinds.get(frame.type(), "normal")
        print("frame", thread.ptid[1], kind, "%x" % frame.pc(), frame.find_sal().line, frame.name() or "??", sep="\t")
        try:
            frame = frame.older()
        except gdb.error:
            break
"#;

#[derive(Clone, Debug, PartialEq, Eq)]
struct GdbFrame {
    kind: String,
    pc: u64,
    line: u32,
    function: String,
}

/// Frames by thread, innermost first. Frames that gdb infers for tail calls are left out: they are on no
/// stack.
fn gdb(pid: u32, debug_files: bool) -> BTreeMap<u32, Vec<GdbFrame>> {
    let script = tempfile::Builder::new().suffix(".py").tempfile().unwrap();
    std::fs::write(script.path(), GDB_SCRIPT).unwrap();
    let dir = if debug_files { "/usr/lib/debug" } else { "/nonexistent" };
    let output = Command::new("gdb")
        .args(["-nx", "-batch", "-iex", "set debuginfod enabled off", "-iex", "set backtrace past-main on"])
        .args(["-iex", &format!("set debug-file-directory {dir}"), "-p", &pid.to_string(), "-x"])
        .arg(script.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let mut threads: BTreeMap<u32, Vec<GdbFrame>> = BTreeMap::new();
    for line in text.lines().filter_map(|l| l.strip_prefix("frame\t")) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [tid, kind, pc, line, function] = fields[..] else { panic!("{line}") };
        if kind != "tailcall" {
            threads.entry(tid.parse().unwrap()).or_default().push(GdbFrame {
                kind: kind.to_owned(),
                pc: u64::from_str_radix(pc, 16).unwrap(),
                line: line.parse().unwrap(),
                function: function.to_owned(),
            });
        }
    }
    assert!(!threads.is_empty(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    threads
}

/// The last part of a name, without generic arguments. gdb builds qualified names from the debug
/// information, we demangle the linkage name. They write closures, impls and generics of Rust in
/// different ways.
fn last_part(name: &str) -> String {
    let mut plain = String::new();
    let mut depth = 0;
    for c in name.chars() {
        match c {
            '<' => depth += 1,
            '>' if depth > 0 => depth -= 1,
            _ if depth == 0 => plain.push(c),
            _ => {}
        }
    }
    // A shim of rustc's (`call_once::{shim:vtable#0}`) has the name of what it calls, as in gdb.
    let named = |part: &&str| !part.is_empty() && !part.starts_with("{shim:");
    let last = plain.rsplit("::").find(named).unwrap_or_default();
    if last.starts_with("{closure") || last.starts_with("{{closure") {
        return "{closure}".into();
    }
    // gdb shows `call_once{{vtable.shim}}` as call_once.
    last.split("{{").next().unwrap_or_default().to_owned()
}

/// Whether a function of the C library or of an allocator has both names.
fn are_aliases(ours: &str, theirs: &str) -> bool {
    static EXPORTED: std::sync::LazyLock<Vec<BTreeMap<String, String>>> = std::sync::LazyLock::new(|| {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let libc = maps.split_whitespace().find(|word| word.ends_with("/libc.so.6")).unwrap();
        let exported = |file| {
            let output = Command::new("nm").args(["-D", "--defined-only", file]).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let symbol = |line: &str| {
                let (address, rest) = line.split_once(' ')?;
                let name = rest.split_once(' ')?.1.split('@').next()?;
                Some((name.to_owned(), address.to_owned()))
            };
            text.lines().filter_map(symbol).collect()
        };
        [libc, JEMALLOC, MIMALLOC].map(exported).to_vec()
    });
    EXPORTED.iter().any(|file| file.get(ours).is_some_and(|address| file.get(theirs) == Some(address)))
}

#[derive(Debug, Default)]
struct Compared {
    /// Reasons of cut stacks, a line each.
    why_cut: Vec<String>,
    threads: usize,
    whole: usize,
    cut: usize,
    late: usize,
    frames: usize,
    lines: usize,
    unequal: Vec<String>,
}

impl Compared {
    /// Compares all threads. A running thread has moved on when gdb looks. Its frames are compared from
    /// the function `runs_in` on, which it never leaves.
    fn add(&mut self, dump: &Dump, sources: &Sources, gdb: &BTreeMap<u32, Vec<GdbFrame>>, runs_in: &[&str]) {
        let traces = symbolize(dump, sources);
        assert!(gdb.keys().eq(traces.threads.keys()));
        assert_eq!(traces.notes, Vec::<String>::new());
        for (tid, trace) in &traces.threads {
            let mut ours: &[Frame] = &trace.frames;
            let mut theirs: &[GdbFrame] = &gdb[tid];
            let running = dump.thread(*tid).unwrap().syscall == SYSCALL_RUNNING;
            let stays = |name: &str| running && runs_in.contains(&last_part(name).as_str());
            let begins = ours.iter().position(|f| stays(f.function.as_deref().unwrap_or_default()));
            let runs = begins.zip(theirs.iter().position(|f| stays(&f.function)));
            if let Some((i, j)) = runs {
                (ours, theirs) = (&ours[i..], &theirs[j..]);
            }
            self.threads += 1;
            // On a busy machine, a thread may take longer than snap waits for it. snap then says so, and
            // there is nothing to compare.
            if trace.problem.as_ref().is_some_and(|why| why.en().contains("in time")) {
                self.late += 1;
                continue;
            }
            // A cut stack must be right as far as it goes, and have a reason.
            if trace.truncated {
                self.cut += 1;
                assert!(trace.problem.is_some() && !ours.is_empty(), "{trace:?}");
                let innermost = ours[0].function.as_deref().unwrap_or("??");
                self.why_cut.push(format!(
                    "{tid} in {innermost}: {}",
                    trace.problem.as_ref().map_or("", |why| why.en())
                ));
                theirs = theirs.get(..ours.len()).unwrap_or(theirs);
            } else {
                self.whole += 1;
            }
            let same = |(i, (ours, theirs)): (usize, (&Frame, &GdbFrame))| {
                let name = ours.function.as_deref().unwrap_or("??");
                // gdb knows the frame of a signal by its name. We know it by a mark in the unwind table.
                let signal =
                    name == "<signal handler called>" && (theirs.kind == "signal" || theirs.function == "??");
                (signal && ours.pc == theirs.pc)
                    || ((last_part(name) == last_part(&theirs.function)
                        || are_aliases(name, &theirs.function))
                        && (ours.pc == theirs.pc || (i == 0 && runs.is_some())))
            };
            if ours.len() == theirs.len() && ours.iter().zip(theirs).enumerate().all(same) {
                self.frames += ours.len();
                let line = |(ours, theirs): &(&Frame, &GdbFrame)| ours.line.unwrap_or(0) == theirs.line;
                self.lines += ours.iter().zip(theirs).filter(line).count();
            } else {
                let ours: Vec<_> =
                    ours.iter().map(|f| (f.pc, f.function.as_deref().unwrap_or("??"))).collect();
                let theirs: Vec<_> = theirs.iter().map(|f| (f.pc, f.function.as_str())).collect();
                let (source, problem) = (trace.source, &trace.problem);
                self.unequal
                    .push(format!("{tid} ({source:?}, {problem:?})\n  ours {ours:x?}\n  gdb  {theirs:x?}"));
            }
        }
    }

    fn report(&self, what: &str) {
        println!(
            "{what}: {} frames of {} threads have gdb's function and address ({} of them its line); \
             {} threads whole, {} cut, {} unequal",
            self.frames,
            self.threads,
            self.lines,
            self.whole,
            self.cut,
            self.unequal.len()
        );
        assert!(self.unequal.is_empty(), "{what}:\n{}", self.unequal.join("\n"));
    }
}

fn compare(program: &Path, preload: Option<&str>, runs_in: &[&str], loops: usize, what: &str) -> Compared {
    let stuck = Stuck::start(program, preload, loops);
    let dumps = loop {
        let before = stuck.calls();
        let dumps = [stuck.snap(false), stuck.snap(true)];
        if stuck.calls() == before {
            break dumps;
        }
    };
    // Its loops have been seen. From here on they would only take the processors from what compares.
    stuck.stop();
    let gdb = gdb(stuck.pid(), true);
    let sources = stuck.sources();
    let [without, with] = dumps.map(|dump| {
        let mut compared = Compared::default();
        compared.add(&dump, &sources, &gdb, runs_in);
        compared
    });
    without.report(&format!("{what}, blocked threads not stopped"));
    with.report(&format!("{what}, all threads stopped"));
    with
}

#[test]
fn c_programs() {
    let dir = tempfile::tempdir().unwrap();
    const ALLOCATORS: [Option<&str>; 3] = [None, Some(JEMALLOC), Some(MIMALLOC)];
    for (name, flags, preloads) in [
        ("o2", &["-O2", "-g", "-pthread"][..], &ALLOCATORS[..]),
        ("fp", &["-O2", "-g", "-fno-omit-frame-pointer", "-pthread"], &[Some(JEMALLOC)]),
        ("o0", &["-O0", "-g", "-pthread"], &[None]),
        ("no_debug_info", &["-O2", "-pthread"], &[None]),
    ] {
        let program = build(dir.path(), "gcc", "waits.c", name, flags);
        for preload in preloads.iter().copied() {
            let what = format!("{name} {}", preload.unwrap_or("glibc malloc"));
            let with = compare(&program, preload, &["in_loop", "in_malloc"], 10, &what);
            // The copy of a stack is limited. A stack with larger frames is cut, and has a reason.
            let cut = with.cut..=with.cut + with.late;
            assert!(cut.contains(&10), "{what}: {cut:?}\n{}", with.why_cut.join("\n"));
            println!("{}", with.why_cut.join("\n"));
        }
    }
}

/// Without debug files, and for a program without symbols: exported names only.
#[test]
fn stripped_programs() {
    let dir = tempfile::tempdir().unwrap();
    let program = build(dir.path(), "gcc", "waits.c", "stripped", &["-O2", "-pthread", "-s"]);
    for preload in [None, Some(JEMALLOC), Some(MIMALLOC)] {
        let stuck = Stuck::start(&program, preload, 10);
        // Without names, a loop cannot be recognised. So no loop may run while the two look.
        stuck.stop();
        let gdb = gdb(stuck.pid(), false);
        let sources = Sources { debug_dirs: vec![], ..stuck.sources() };
        let mut compared = Compared::default();
        compared.add(&stuck.snap(true), &sources, &gdb, &[]);
        compared.report(&format!("stripped, no debug files, {}", preload.unwrap_or("glibc malloc")));
    }
}

#[test]
fn a_rust_program() {
    let dir = tempfile::tempdir().unwrap();
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let program = build(dir.path(), &rustc, "waits.rs", "rust", &["--edition=2024", "-O", "-g"]);
    let with = compare(&program, None, &["deep"], 2, "rust");
    assert_eq!(with.cut, 0);
}

/// The thread stands after the epilogue has popped the saved registers. They are below SP.
#[test]
fn at_the_end_of_a_function() {
    let dir = tempfile::tempdir().unwrap();
    let program = build(dir.path(), "gcc", "epilogue.c", "epilogue", &["-O2", "-pthread"]);
    let with = compare(&program, None, &[], 1, "epilogue");
    assert_eq!((with.cut, with.threads), (0, 2));
}

/// A working program is stopped at random places. `HANGSCOPE_TEST_STOPS` is the number of stops; 7 by
/// default, 100 in `scripts/soak.sh`. Each allocator has a test of its own, so that gdb runs on all
/// processors.
fn a_live_program(preload: Option<&str>) {
    let stops = std::env::var("HANGSCOPE_TEST_STOPS").ok().and_then(|n| n.parse().ok()).unwrap_or(7_usize);
    let dir = tempfile::tempdir().unwrap();
    let program = build(dir.path(), "gcc", "churn.c", "churn", &["-O2", "-g", "-pthread"]);
    let live = Stuck::spawn(&program, preload);
    let mut compared = Compared::default();
    let mut places = std::collections::BTreeSet::new();
    for _ in 0..stops {
        live.stop();
        let dump = live.snap(true);
        compared.add(&dump, &live.sources(), &gdb(live.pid(), true), &[]);
        places.extend(dump.probes.iter().map(|p| p.record.regs[16]));
        live.go_on();
    }
    compared.report(&format!("live, {stops} stops, {}", preload.unwrap_or("glibc malloc")));
    println!("at {} different places", places.len());
    assert_eq!(compared.cut, 0);
    // This fails if the threads stand still: each would then be at one place in all stops.
    assert!(places.len() > compared.threads / stops, "it was not live");
}

#[test]
fn a_live_program_under_glibc() {
    a_live_program(None);
}

#[test]
fn a_live_program_under_jemalloc() {
    a_live_program(Some(JEMALLOC));
}

#[test]
fn a_live_program_under_mimalloc() {
    a_live_program(Some(MIMALLOC));
}
