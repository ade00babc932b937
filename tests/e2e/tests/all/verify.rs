//! `hangscope verify`, `pin` and `env` with the real shim, as a user runs them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use hangscope_test_e2e::{debian, hangscope, output_parts, run};

/// Runs `hangscope verify`. Returns its status, stdout and stderr.
fn verify(so: &Path, options: &[&str], command: &[&str]) -> (String, String, String) {
    let mut hangscope = hangscope();
    hangscope.arg("verify").arg("--so").arg(so).args(options).arg("--").args(command);
    output_parts(&run(&mut hangscope))
}

fn jemalloc() -> PathBuf {
    debian("libjemalloc.so.2")
}

/// Runs a `hangscope verify` that must fail. Returns its one line on stderr.
fn refused(so: &Path, options: &[&str], command: &[&str]) -> String {
    let (status, stdout, stderr) = verify(so, options, command);
    assert_eq!((status.as_str(), stdout.as_str()), ("exit status: 30", ""), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    stderr.trim_end().to_owned()
}

fn script(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

#[test]
fn a_program_behind_wrappers_a_script_and_one_that_ends_at_once_pass() {
    let dir = tempfile::tempdir().unwrap();
    let run = script(dir.path(), "run.sh", "#!/bin/sh\nsleep 0.2\ntrue\n");
    for command in [
        &["true"][..],
        &["sleep", "0.2"],
        // dash ends by `_exit`, which runs no destructor.
        &["sh", "-c", "echo"],
        &["env", "A=b", "taskset", "-c", "0", "timeout", "9", "nice", "sleep", "0.2"],
        &[&run],
    ] {
        let (status, stdout, stderr) = verify(&jemalloc(), &["--runs", "2"], command);
        assert_eq!((status.as_str(), stderr.as_str()), ("exit status: 0", ""), "{command:?}");
        assert_eq!(stdout.lines().last(), Some("[STRICT-PRELOAD] verification passed"));
        assert_eq!(stdout.matches("malloc from").count(), 2, "{stdout}");
    }
    let (_, stdout, _) = verify(&jemalloc(), &["--runs", "1", "--only", "sleep"], &[&run]);
    assert!(
        stdout.contains("hello from /usr/bin/sleep") || stdout.contains("hello from /bin/sleep"),
        "{stdout}"
    );
}

/// The shell may have the settings of another job: `eval "$(hangscope env --stir 3 --export ...)"`.
#[test]
fn settings_of_the_shell_do_not_reach_a_verification() {
    let dir = tempfile::tempdir().unwrap();
    let mut hangscope = hangscope();
    for name in hangscope_protocol::variable::ALL {
        hangscope.env(name, "3");
    }
    hangscope.args(["verify", "--runs", "1", "--env", "HANGSCOPE_DEBUG=1", "--out"]).arg(dir.path());
    let output = run(hangscope.arg("--so").arg(jemalloc()).args(["--", "sh", "-c", "printenv; sleep 0.2"]));
    assert!(output.status.success(), "{output:?}");
    let log = fs::read_to_string(dir.path().join("preload_verify/run_1.log")).unwrap();
    // HANGSCOPE_SHIM is a variable of the command, not of the shim.
    let names = log.lines().filter_map(|line| Some(line.split_once('=')?.0));
    let mut names: Vec<&str> =
        names.filter(|name| hangscope_protocol::variable::ALL.contains(name)).collect();
    names.sort_unstable();
    let set = ["DEBUG", "GREET", "HANG_AFTER", "LABEL", "SOCKET"].map(|name| format!("HANGSCOPE_{name}"));
    assert_eq!(names, set, "{log}");
    assert!(log.contains("HANGSCOPE_HANG_AFTER=off") && log.contains("HANGSCOPE_DEBUG=1"), "{log}");
}

#[test]
fn the_logs_say_what_was_run_and_what_came_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().display().to_string();
    let command = ["sh", "-c", "echo to stdout; echo to stderr >&2; sleep 0.2; exit 3"];
    let (status, ..) = verify(&jemalloc(), &["--runs", "2", "--grace", "5s", "--out", &out], &command);
    assert_eq!(status, "exit status: 0", "the status of the command itself says nothing about the preload");
    let read = |name: &str| fs::read_to_string(dir.path().join("preload_verify").join(name)).unwrap();
    for log in [read("run_1.log"), read("run_2.log")] {
        for line in
            ["ended: exit 3 after", "passed: hello from", "--- stdout\nto stdout\n--- stderr\nto stderr\n"]
        {
            assert!(log.contains(line), "{line} in {log}");
        }
    }
    assert_eq!(read("result.txt").lines().last(), Some("[STRICT-PRELOAD] verification passed"));
    refused(&jemalloc(), &["--out", &out], &["/nonexistent/bench"]);
    let last = read("result.txt").lines().last().unwrap().to_owned();
    assert!(last.starts_with("[STRICT-PRELOAD] verification failed: benchmark not found"), "{last}");
}

#[test]
fn what_keeps_a_preload_out_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("x.c");
    fs::write(&source, "int main(void) { return 0; }\nvoid gone(void);\nvoid f(void) { gone(); }\n").unwrap();
    let cc = |args: &[&str]| {
        let status = Command::new("cc").current_dir(dir.path()).args(args).status().expect("a C compiler");
        assert!(status.success(), "cc {args:?}");
    };
    fs::write(dir.path().join("gone.c"), "void gone(void) {}\n").unwrap();
    cc(&["-shared", "-fPIC", "-o", "libgone.so", "gone.c"]);
    cc(&["-shared", "-fPIC", "-o", "libneedy.so", "x.c", "-L.", "-lgone"]);
    let static_program = dir.path().join("static").display().to_string();
    fs::write(&source, "int main(void) { return 0; }\n").unwrap();
    cc(&["-static", "-o", "static", "x.c"]);
    let line = refused(&jemalloc(), &[], &["env", "A=b", &static_program]);
    assert!(line.contains("static binary"), "{line}");

    // A missing dependency ends the program before it starts.
    let line = refused(&dir.path().join("libneedy.so"), &["--runs", "1"], &["sleep", "0.1"]);
    assert!(line.contains("no hello from") && line.contains("libgone.so"), "{line}");

    let changed = |name: &str, at: usize, bytes: &[u8]| {
        let mut dso = fs::read(jemalloc()).unwrap();
        dso[at..at + bytes.len()].copy_from_slice(bytes);
        let path = dir.path().join(name);
        fs::write(&path, dso).unwrap();
        path
    };
    // ld.so rejects this EI_OSABI. It prints one line and starts the program anyway.
    let line = refused(&changed("abi.so", 7, &[0x63]), &["--runs", "1"], &["sleep", "0.1"]);
    assert!(line.contains("cannot be preloaded") && line.contains("ld.so says: "), "{line}");
    let line = refused(&changed("foreign.so", 18, &8u16.to_le_bytes()), &[], &["sleep", "0.1"]);
    assert!(line.contains("wrong architecture"), "{line}");
    let line = refused(&debian("libz.so.1"), &["--runs", "1"], &["sleep", "0.1"]);
    assert!(line.contains("malloc comes from") && line.contains("it defines no malloc"), "{line}");
    let line = refused(&jemalloc(), &["--runs", "1"], &["env", "-i", "sleep", "0.1"]);
    assert!(line.contains("no hello from") && line.contains("clear LD_PRELOAD"), "{line}");
    let line = refused(&source, &[], &["sleep", "0.1"]);
    assert!(line.contains("not an ELF file"), "{line}");
}

#[test]
fn the_program_behind_a_launcher_is_proven_and_both_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let lock = dir.path().display().to_string();
    let (status, stdout, stderr) = verify(&jemalloc(), &["--runs", "1"], &["flock", &lock, "sleep", "1000"]);
    assert_eq!(status, "exit status: 0", "{stderr}");
    assert!(stdout.contains("bin/sleep (pid ") && stdout.contains(", started by /usr/bin/flock"), "{stdout}");

    // The hello of the launcher comes first, and is no proof.
    let within = ["--runs", "1", "--hello-within", "2s"];
    let line = refused(&jemalloc(), &within, &["flock", &lock, "env", "-i", "sleep", "1000"]);
    for part in
        ["no hello from ", "bin/flock (pid ", "hello with the DSO) > ", "bin/sleep (pid ", "no hello)"]
    {
        assert!(line.contains(part), "{part}: {line}");
    }
    let other = format!("LD_PRELOAD={}", debian("libmimalloc.so.2").display());
    let line = refused(&jemalloc(), &within, &["flock", &lock, "env", &other, "sleep", "0.3"]);
    // The shim is in front of what `env` preloads, and tells of it.
    assert!(line.contains("malloc comes from ") && line.contains("libmimalloc.so.2"), "{line}");
}

#[test]
fn a_run_is_killed_as_soon_as_its_program_is_proven() {
    let began = Instant::now();
    let (status, stdout, stderr) = verify(&jemalloc(), &["--runs", "3"], &["sleep", "1000"]);
    assert_eq!(status, "exit status: 0", "{stderr}");
    assert_eq!(stdout.matches("same file, same bytes").count(), 3, "{stdout}");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[test]
fn a_small_run_comes_to_its_end_and_one_that_hangs_is_captured() {
    let dir = tempfile::tempdir().unwrap();
    let bench = hangscope_test_e2e::bench().display().to_string();
    let command = ["env", "A=b", &bench, "16", "2000000000", "400", "16", "32768", "90", "65536"];
    let small = ["--verify-args", "2 1000 50 16 256 50 64", "--runs", "1", "--out"];
    let out = dir.path().join("small").display().to_string();
    let (status, stdout, stderr) = verify(&jemalloc(), &[&small[..], &[&out]].concat(), &command);
    assert_eq!(status, "exit status: 0", "{stdout}{stderr}");
    let log = fs::read_to_string(dir.path().join("small/preload_verify/run_1.log")).unwrap();
    assert!(log.contains("ended: exit 0 after") && log.contains("ops/s="), "{log}");

    let (so, words) = hangscope_test_e2e::hunt::stuck_benchmark();
    let words = words[1..].join(" ");
    let stuck = ["--verify-args", &words, "--hang-after", "2s", "--out"];
    let out = dir.path().join("stuck").display().to_string();
    let (status, stdout, stderr) = verify(&so, &[&stuck[..], &[&out]].concat(), &command);
    assert_eq!(status, "exit status: 10", "{stdout}{stderr}");
    assert!(stdout.contains("verification run 1 hangs: ") && stdout.contains(" wait"), "{stdout}");
    assert_eq!(stdout.lines().last(), Some("[STRICT-PRELOAD] verification passed"));
    let bundle = dir.path().join("stuck/preload_verify/hang_run_1");
    for file in ["dump.bin", "threads.json", "stacks.txt", "ps_L.txt"] {
        assert!(bundle.join(file).exists(), "{file}");
    }
}

/// The constructor of the shim runs after that of the allocator. So an allocator that hangs there says
/// nothing.
#[test]
fn an_allocator_that_hangs_before_the_hello_is_captured() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("x.c");
    let text = "static volatile int never;\n\
        __attribute__((constructor)) static void begin_of_time(void) { while (!never) { } }\n\
        void *malloc(unsigned long n) { return 0; }\n";
    fs::write(&source, text).unwrap();
    let so = dir.path().join("libx.so");
    let mut cc = Command::new("cc");
    let built =
        cc.args(["-g", "-fno-builtin", "-w", "-shared", "-fPIC", "-o"]).arg(&so).arg(&source).status();
    assert!(built.expect("a C compiler").success());
    let out = dir.path().join("out").display().to_string();
    let options = ["--runs", "1", "--hello-within", "1s", "--out", &out];
    let line = refused(&so, &options, &["sleep", "1"]);
    assert!(line.contains("no hello from ") && line.contains("it hangs: "), "{line}");
    let stacks = fs::read_to_string(dir.path().join("out/preload_verify/hang_run_1/stacks.txt")).unwrap();
    assert!(stacks.contains("begin_of_time"), "{stacks}");
}

#[test]
fn one_that_does_not_end_is_ended_and_leaves_nobody() {
    let began = Instant::now();
    let mark = format!("sleep-{}", std::process::id());
    let mut hangscope = hangscope();
    hangscope.arg("verify").arg("--so").arg(jemalloc()).args(["--runs", "1", "--grace", "200ms", "--"]);
    hangscope.args(["sh", "-c", "sleep 1000 & sleep 1000 & wait", &mark]);
    let (status, _, stderr) = output_parts(&run(&mut hangscope));
    assert_eq!(status, "exit status: 0", "{stderr}");
    assert!(began.elapsed() < Duration::from_secs(60));
    let left = fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let cmdline = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        cmdline.windows(mark.len()).any(|w| w == mark.as_bytes())
    });
    assert!(!left, "the command still runs");
}

#[test]
fn a_path_that_ld_preload_cannot_hold_is_linked_to() {
    let dir = tempfile::tempdir().unwrap();
    let odd = dir.path().join("with a space:and a colon");
    fs::create_dir(&odd).unwrap();
    let so = odd.join("libx.so");
    fs::copy(jemalloc(), &so).unwrap();
    let (status, stdout, stderr) = verify(&so, &["--runs", "1"], &["sleep", "0.1"]);
    assert_eq!(status, "exit status: 0", "{stdout}{stderr}");
    // `env` prints a line for later use. A temporary link would not exist any more by then.
    let output = run(hangscope().arg("env").arg("--so").arg(&so));
    let (status, stdout, stderr) = output_parts(&output);
    assert_eq!((status.as_str(), stdout.as_str()), ("exit status: 1", ""));
    assert!(stderr.contains("cannot be in LD_PRELOAD"), "{stderr}");
}

#[test]
fn env_is_one_line_for_a_script_and_export_any_value() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s.sock");
    let line = |options: &[&str]| {
        let mut env = hangscope();
        env.arg("env").arg("--so").arg(jemalloc()).arg("--socket").arg(&socket).args(options);
        run(&mut env)
    };
    let output = line(&["--label", "a", "--hang-after", "off", "--tick", "500ms", "--only", "bench,x"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1);
    let shell = |script: String| {
        let output = run(Command::new("sh").arg("-c").arg(script));
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let seen = shell(format!("env {} sh -c 'env | grep ^HANGSCOPE | sort'", text.trim_end()));
    let expected = format!(
        "HANGSCOPE_HANG_AFTER=off\nHANGSCOPE_LABEL=a\nHANGSCOPE_ONLY=bench,x\nHANGSCOPE_SOCKET={}\nHANGSCOPE_TICK=500ms\n",
        socket.display()
    );
    assert_eq!(seen, expected);
    let label = "it's \"two\" $words * \\";
    let refused = line(&["--label", label]);
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(2), 0));
    let exports = String::from_utf8(line(&["--label", label, "--export"]).stdout).unwrap();
    assert_eq!(shell(format!("{exports}\nprintf %s \"$HANGSCOPE_LABEL\"")), label);
}

#[test]
fn a_file_that_is_rebuilt_while_it_is_pinned_is_refused_or_pinned_whole() {
    let dir = tempfile::tempdir().unwrap();
    let so = dir.path().join("libx.so");
    let (one, other) = (fs::read(jemalloc()).unwrap(), fs::read(debian("libmimalloc.so.2.0")).unwrap());
    fs::write(&so, &one).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Does what a linker does: truncates the file and writes it piece by piece.
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                for bytes in [&one, &other] {
                    let mut file = fs::File::create(&so).unwrap();
                    for piece in bytes.chunks(64 << 10) {
                        std::io::Write::write_all(&mut file, piece).unwrap();
                    }
                }
            }
        });
        let mut refused = 0;
        for n in 0..20 {
            let out = dir.path().join(format!("out{n}"));
            let (status, stdout, stderr) =
                output_parts(&run(hangscope().arg("pin").arg(&so).arg("--out").arg(&out)));
            if status == "exit status: 0" {
                let bytes = fs::read(stdout.trim_end()).unwrap();
                assert!(bytes == one || bytes == other, "an incomplete file was pinned");
            } else {
                refused += 1;
                assert_eq!(stderr.lines().count(), 1, "{stderr}");
                let left = fs::read_dir(&out).map_or(0, |entries| entries.count());
                assert_eq!(left, 0, "no half-written file");
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(refused > 0, "no attempt was refused, although the file changed all the time");
    });
}
