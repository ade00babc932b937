//! Programs that die: what a hunt says of them, and that they die under the shim as they do without it.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use hangscope_test_e2e::hunt::{Hunt, bench_with};
use hangscope_test_e2e::{TestCollector, debian, run};

/// Compiles C code in `dir`.
fn compile(dir: &Path, name: &str, code: &str, options: &[&str]) -> PathBuf {
    let (source, program) = (dir.join(format!("{name}.c")), dir.join(name));
    std::fs::write(&source, code).expect("a source file");
    let mut gcc = Command::new("gcc");
    let output = run(gcc.args(["-g", "-O1", "-pthread"]).args(options).arg("-o").arg(&program).arg(&source));
    assert!(output.status.success(), "gcc: {}", String::from_utf8_lossy(&output.stderr));
    program
}

fn allocator(dir: &Path) -> PathBuf {
    compile(dir, "libcrash.so", include_str!("crash/allocator.c"), &["-fPIC", "-shared", "-fno-builtin"])
}

fn host(dir: &Path) -> PathBuf {
    compile(dir, "host", include_str!("crash/host.c"), &["-Wno-unused-result"])
}

const BENCH: [&str; 7] = ["2", "400000", "400", "16", "4096", "50", "1024"];
const QUICK: [&str; 4] = ["--no-perf", "--verify-runs", "0", "--runs"];

#[test]
fn a_hunt_whose_runs_all_crash_says_where_and_ends_with_3() {
    let dir = tempfile::tempdir().unwrap();
    let so = allocator(dir.path());
    let hunt = Hunt::new(&so, &[&QUICK[..], &["3"]].concat(), &[], &bench_with(&BENCH));
    assert_eq!(hunt.code(), 3, "{}", hunt.outputs());
    let verdict = hunt.verdict();
    let headline = verdict["headline"].as_str().unwrap();
    let begin = "all 3 runs died by SIGSEGV in `crash_refill` (libcrash.so.c:";
    assert!(headline.starts_with(begin), "{headline}");
    assert!(
        headline.ends_with("last line on stderr: \"[CRASH_FAIL] page 7 of class 3 is not ours\"."),
        "{headline}"
    );
    assert_eq!((&verdict["letter"], &verdict["next_action"]), (&serde_json::Value::Null, &"fix-code".into()));
    let crash = &verdict["crashes"][0];
    assert_eq!((&crash["signal"], &crash["address"]), (&"SIGSEGV".into(), &"0x70".into()), "{crash}");
    assert_eq!((&crash["code"], &crash["in_allocator"]), (&1.into(), &true.into()), "{crash}");
    let text = hunt.text("run_1.crash.txt");
    assert!(text.contains("SIGSEGV, si_code 1, address 0x70\n#0  crash_refill"), "{text}");
    assert!(text.contains("malloc (libcrash.so.c:") && text.contains("libcrash"), "{text}");
    assert!(
        hunt.text("report.ja.md").contains("3 回すべてが `crash_refill`"),
        "{}",
        hunt.text("report.ja.md")
    );
}

#[test]
fn an_abort_is_named_after_who_called_it_and_a_record_can_be_refused() {
    let dir = tempfile::tempdir().unwrap();
    let so = allocator(dir.path());
    let options = [&QUICK[..], &["1", "--env", "CRASH_ABORT=1"]].concat();
    let hunt = Hunt::new(&so, &options, &[], &bench_with(&BENCH));
    let headline = hunt.verdict()["headline"].as_str().unwrap().to_owned();
    assert!(
        headline.starts_with("the only run died by SIGABRT in `crash_refill` (libcrash.so.c:"),
        "{headline}"
    );

    let options = [&QUICK[..], &["1", "--env", "HANGSCOPE_CRASH=off"]].concat();
    let hunt = Hunt::new(&so, &options, &[], &bench_with(&BENCH));
    assert_eq!(hunt.code(), 3, "{}", hunt.outputs());
    let headline = hunt.verdict()["headline"].as_str().unwrap().to_owned();
    assert!(headline.starts_with("the only run died by SIGSEGV, last line"), "{headline}");
    assert!(!hunt.out().join("run_1.crash.txt").exists());
}

#[test]
fn a_crash_before_the_first_look_and_one_in_a_thread_have_a_stack() {
    let dir = tempfile::tempdir().unwrap();
    let host = host(dir.path());
    let all = [("segv", "fault"), ("thread", "fault"), ("fpe", "main"), ("bus", "fault"), ("reset", "fault")];
    for (how, function) in all {
        let command = [host.to_str().unwrap(), how];
        let hunt = Hunt::new(&debian("libmimalloc.so.2"), &[&QUICK[..], &["1"]].concat(), &[], &command);
        assert_eq!(hunt.code(), 3, "{how}: {}", hunt.outputs());
        let crash = hunt.verdict()["crashes"][0].clone();
        assert_eq!(
            (&crash["function"], &crash["in_allocator"]),
            (&function.into(), &false.into()),
            "{how}: {crash}"
        );
        let innermost_last = if how == "thread" { "clone3" } else { "_start" };
        let text = hunt.text("run_1.crash.txt");
        assert!(text.lines().last().unwrap().contains(innermost_last), "{how}: {text}");
    }
}

/// How a program ended: the status as wait(2) has it (with the bit for a core), the output, and the signal of its core.
#[derive(Debug, PartialEq, Eq)]
struct End {
    status: i32,
    stdout: String,
    stderr: String,
    /// si_signo, si_code and si_addr (or the sender) of a core; none without a core.
    signal: Option<(i32, i32, u64)>,
}

impl End {
    fn of(output: &Output, cwd: &Path) -> End {
        // Numbers and addresses of threads differ.
        let mask = |word: &str| {
            if word.contains(|c: char| c.is_ascii_digit()) { "#".to_owned() } else { word.to_owned() }
        };
        let text = |bytes: &[u8]| {
            String::from_utf8_lossy(bytes).split_inclusive(char::is_whitespace).map(mask).collect()
        };
        End {
            status: output.status.into_raw(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: text(&output.stderr),
            signal: core_in(cwd).and_then(|core| siginfo(&core)),
        }
    }
}

/// The core that a program left, if this machine puts cores into the working directory.
fn core_in(cwd: &Path) -> Option<Vec<u8>> {
    let entries = std::fs::read_dir(cwd).unwrap().flatten();
    let core = entries
        .map(|e| e.path())
        .find(|path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("core")))?;
    let bytes = std::fs::read(&core).unwrap();
    std::fs::remove_file(core).unwrap();
    Some(bytes)
}

/// The NT_SIGINFO note of a core (elf.h): name "CORE", 128 bytes.
fn siginfo(core: &[u8]) -> Option<(i32, i32, u64)> {
    let head =
        [&5u32.to_le_bytes()[..], &128u32.to_le_bytes(), &0x5349_4749u32.to_le_bytes(), b"CORE\0\0\0\0"]
            .concat();
    let at = core.windows(head.len()).position(|bytes| bytes == head)? + head.len();
    let word = |i: usize| u32::from_le_bytes(core[at + i..at + i + 4].try_into().unwrap());
    let (signo, code) = (word(0) as i32, word(8) as i32);
    // The pid of a sender differs.
    let address =
        if code > 0 { u64::from(word(16)) | u64::from(word(20)) << 32 } else { u64::from(word(20)) };
    let about_memory = matches!(signo, libc::SIGSEGV) && address < 1 << 20;
    Some((signo, code, if about_memory || code <= 0 { address } else { 0 }))
}

fn ends(cwd: &Path, program: &Path, args: &[&str], collector: Option<&TestCollector>) -> End {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -c unlimited; exec \"$@\"", "sh"]).arg(program).args(args).current_dir(cwd);
    if let Some(collector) = collector {
        collector.preload(&mut command, None);
        command
            .env("HANGSCOPE_CRASH", "on")
            .env("HANGSCOPE_TICK", "10ms")
            .env("HANGSCOPE_ONLY", "host,hangscope-host");
    }
    End::of(&run(&mut command), cwd)
}

#[test]
fn a_program_dies_under_the_shim_as_it_does_without() {
    let (dir, cwd) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let host = host(dir.path());
    let collector = TestCollector::new();
    let mut cores = 0;
    for how in [
        "segv",
        "bus",
        "ill",
        "fpe",
        "abort",
        "kill",
        "blocked",
        "thread",
        "threads",
        "deep",
        "alternate",
        "child",
        "ignored",
        "query",
        "own",
        "chained",
        "restored",
    ] {
        // At once, and after some looks.
        for after in ["0", "60"] {
            let plain = ends(cwd.path(), &host, &[how, after], None);
            let mut watched = ends(cwd.path(), &host, &[how, after], Some(&collector));
            if how == "deep" {
                // The kernel cannot put a handler on this stack, and says so in the core.
                watched.signal = watched.signal.map(|(signal, _, address)| (signal, 1, address));
            }
            assert_eq!(plain, watched, "{how} after {after} ms: without and with the shim");
            cores += u32::from(plain.signal.is_some());
        }
    }
    println!("{cores} cores compared");
}

/// Rust's std puts in its handler for an overflow of the stack only where the default action is in force.
#[test]
fn a_rust_program_says_that_its_stack_overflowed() {
    let cwd = tempfile::tempdir().unwrap();
    let host = Path::new(env!("CARGO_BIN_EXE_hangscope-host"));
    let collector = TestCollector::new();
    for part in ["overflow", "overflow-thread"] {
        let plain = ends(cwd.path(), host, &[part], None);
        assert!(plain.stderr.contains("has overflowed its stack"), "{plain:?}");
        for _ in 0..5 {
            assert_eq!(plain, ends(cwd.path(), host, &[part], Some(&collector)), "{part}");
        }
    }
}

#[test]
fn python_reports_its_fault_and_jvm_like_chains_see_no_handler() {
    let cwd = tempfile::tempdir().unwrap();
    let collector = TestCollector::new();
    let script = "import faulthandler, sys, signal; print(signal.getsignal(signal.SIGSEGV)); faulthandler.enable(); \
        sys.stdout.flush(); faulthandler._sigsegv()";
    let python = |collector: Option<&TestCollector>| {
        let mut command = Command::new("/usr/bin/env");
        command.args(["python3", "-c", script]).current_dir(cwd.path());
        if let Some(collector) = collector {
            collector.preload(&mut command, None).env("HANGSCOPE_CRASH", "on");
        }
        End::of(&run(&mut command), cwd.path())
    };
    let plain = python(None);
    assert!(plain.stderr.contains("Fatal Python error"), "{plain:?}");
    assert_eq!(plain, python(Some(&collector)));
}
