//! What is left to a person: the process itself (`--on-hang keep`), and its core (`--core`).

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use hangscope_test_e2e::cores::{self, snap};
use hangscope_test_e2e::hunt::{Hunt, file_names, run_hangscope, stuck_benchmark};
use hangscope_test_e2e::{GIVE_UP_AFTER, hangscope, output_parts, run};

/// Hunts an allocator that hangs in every run.
fn hunt(options: &[&str]) -> Hunt {
    let (so, command) = stuck_benchmark();
    let usual = ["--hang-after", "2s", "--no-perf", "--verify-runs", "0"];
    Hunt::new(&so, &[&usual, options].concat(), &[], &command)
}

/// State letter of a process; none if it is gone.
fn state(pid: &str) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(") ").next()?.chars().next()
}

#[test]
fn a_process_that_is_kept_goes_on_after_the_hunt_until_somebody_ends_it() {
    let hunt = hunt(&["--on-hang", "keep", "--runs", "3"]);
    assert_eq!(hunt.code(), 10, "{}", hunt.outputs());
    let pid = hunt.text("hang_run_1/pid.txt").trim().to_owned();
    let end = format!("kill -KILL -{pid}");
    let said = hunt.outputs();
    assert!(said.contains(&format!("gdb -p {pid}")) && said.contains(&end), "{said}");
    assert_eq!(hunt.text("runs.tsv").lines().count(), 2, "no further run: {said}");
    assert!(hunt.text("runs.jsonl").contains("was left alive for a debugger"));
    assert!(state(&pid).is_some_and(|state| "RS".contains(state)), "{:?}", state(&pid));
    let backtrace =
        run(Command::new("gdb").args(["-nx", "-batch", "-p", &pid, "-ex", "thread apply all bt"]));
    let backtrace = String::from_utf8_lossy(&backtrace.stdout).into_owned();
    let killed = run(Command::new("sh").args(["-c", &end]));
    assert!(backtrace.contains("deadlock_inversion_move"), "{backtrace}");
    assert!(killed.status.success(), "{killed:?}");
    let until = Instant::now() + GIVE_UP_AFTER;
    // Whoever is its parent now may not reap it.
    while state(&pid).is_some_and(|state| !"ZX".contains(state)) {
        assert!(Instant::now() < until, "{:?}", state(&pid));
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_cannot_follow_a_hang_is_refused() {
    let (so, command) = stuck_benchmark();
    let refused = |options: &[&str], word: &str| {
        let hunt = Hunt::new(&so, options, &[], &command);
        assert_eq!(hunt.code(), 2, "{}", hunt.outputs());
        assert!(hunt.outputs().contains(word), "{}", hunt.outputs());
    };
    refused(&["--on-hang", "retry"], "matrix");
    refused(&["--on-hang", "keep", "--arm", "pinned", "--arm", "deleted"], "one arm");
    refused(&["--on-hang", "next", "--until-decided"], "--until-decided");
    refused(&["--core-limit", "2G"], "--core");
}

#[test]
fn a_core_over_its_limit_is_left_out_with_a_line() {
    let hunt = hunt(&["--core", "--core-limit", "1M", "--runs", "1"]);
    assert_eq!(hunt.code(), 10, "{}", hunt.outputs());
    let line = "no core: it is larger than 1 MB: give a larger --core-limit";
    assert_eq!(hunt.text("hang_run_1/core.zst"), format!("# {line}\n"));
    assert!(hunt.text("runs.jsonl").contains("hang_run_1 has no core: it is larger than 1 MB"));
    let left = file_names(&hunt.out().join("hang_run_1"));
    assert!(left.iter().all(|name| !name.starts_with('.')), "{left:?}");
    // The rest of the evidence is there.
    assert_eq!(hunt.verdict()["hangs"][0]["class"], "deadlock");
    assert!(Path::new(&hunt.out().join("hang_run_1/dump.bin")).exists());
    let help = run_hangscope(&["hunt", "--help"]);
    assert!(String::from_utf8_lossy(&help.stdout).contains("every secret in it"));
}

/// Everything that must be said in one line, for a core of another kind in its place.
#[test]
fn what_is_no_core_of_this_machine_is_refused_with_what_to_do() {
    let hunt = hunt(&["--core", "--runs", "1"]);
    assert_eq!(hunt.code(), 10, "{}", hunt.outputs());
    let said = hunt.outputs();
    assert!(said.contains("zstd -d ") && said.contains("hangscope snap --core "), "{said}");
    let dir = hunt.dir.path();
    let packed = hunt.out().join("hang_run_1/core.zst");
    assert_eq!(fs::metadata(&packed).expect("a core").permissions().mode() & 0o777, 0o600);
    let core = cores::unpack(&packed);
    let bytes = fs::read(&core).expect("a core");
    let refused = |name: &str, bytes: &[u8], words: &str| {
        let path = dir.join(name);
        fs::write(&path, bytes).expect("a file");
        let (output, _) = snap(&path, &dir.join(format!("out_{name}")), &[]);
        let (status, _, stderr) = output_parts(&output);
        assert!(output.status.code() == Some(1) && stderr.lines().count() == 1, "{name}: {status} {stderr}");
        assert!(stderr.contains(words), "{name}: {stderr}");
    };
    let changed = |at: usize, to: u8| {
        let mut changed = bytes.clone();
        changed[at] = to;
        changed
    };
    refused("cut", &bytes[..bytes.len() - 5000], "ulimit -c unlimited");
    refused("cut_early", &bytes[..3000], "is cut off");
    refused("bits32", &changed(4, 1), "32-bit");
    refused("machine", &changed(18, 243), "ELF number 243");
    refused("program", &changed(16, 3), "is no ELF core");
    refused("text", b"no core at all", "is no ELF core");
    refused("empty", b"", "is no ELF core");
    refused("refused.zst", b"# no core: it is larger than 1 MB\n", "it is larger than 1 MB");
    let mut broken = fs::read(&packed).expect("a core");
    broken.truncate(broken.len() / 2);
    refused("half.zst", &broken, "cannot be unpacked");
}

/// gdb's own core of the same process, which has no names and no states of threads, like the kernel's.
#[test]
fn a_core_of_gdb_is_analysed_too_and_what_is_missing_has_no_names() {
    let hunt = hunt(&["--on-hang", "keep", "--runs", "1"]);
    let pid = hunt.text("hang_run_1/pid.txt").trim().to_owned();
    let core = hunt.dir.path().join("core.gdb");
    let save = format!("generate-core-file {}", core.display());
    let gdb = run(Command::new("gdb").args(["-nx", "-batch", "-p", &pid, "-ex", &save]));
    let killed = run(Command::new("sh").args(["-c", &format!("kill -KILL -{pid}")]));
    assert!(core.exists() && killed.status.success(), "{gdb:?}");
    let (output, threads) = snap(&core, &hunt.dir.path().join("snap"), &["--json"]);
    let finding = &threads["finding"];
    assert_eq!(
        (&finding["class"], &finding["confidence"]),
        (&"deadlock".into(), &"likely".into()),
        "{output:?}"
    );
    assert!(threads.to_string().contains("deadlock_inversion_move"));
    let comms = threads["threads"].as_array().expect("threads").iter().map(|t| t["comm"].as_str());
    assert_eq!(comms.filter(|comm| *comm == Some("hangscope")).count(), 0, "the shim's thread is left out");
    assert_eq!(threads["threads"].as_array().expect("threads").len(), 5);
    // The allocator's pinned copy is gone: no names of it, and never those of another file.
    let pinned = fs::read_dir(hunt.out()).expect("a folder").flatten().map(|entry| entry.path());
    let pinned = pinned.filter(|path| path.extension().is_some_and(|e| e == "so")).collect::<Vec<_>>();
    let [pinned] = &pinned[..] else { panic!("{pinned:?}") };
    fs::remove_file(pinned).expect("removed");
    fs::copy(hangscope_test_e2e::allocator("healthy"), pinned).expect("another build");
    let (_, threads) = snap(&core, &hunt.dir.path().join("without"), &[]);
    let text = threads.to_string();
    assert!(!text.contains("deadlock_inversion_move") && !text.contains("healthy"), "{text}");
    assert!(threads["notes"].to_string().contains("its file is another build now"), "{}", threads["notes"]);
    // With the right file beside the core the names are there again.
    fs::copy(hangscope_test_e2e::allocator("deadlock_inversion"), hunt.dir.path().join("right.so"))
        .expect("a copy");
    let (_, threads) = snap(&core, &hunt.dir.path().join("with"), &[]);
    assert!(threads.to_string().contains("deadlock_inversion_move"));
}

/// Answers requests for one debug file.
fn serve(build_id: &str, debug: Vec<u8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let wanted = format!("/buildid/{build_id}/debuginfo");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut lines = BufReader::new(stream.try_clone().expect("a stream")).lines();
            let first = lines.next().and_then(Result::ok).unwrap_or_default();
            while lines.next().and_then(Result::ok).is_some_and(|line| !line.is_empty()) {}
            let found = first.split(' ').nth(1) == Some(&wanted);
            let (status, body) = if found { ("200 OK", &debug[..]) } else { ("404 Not Found", &b""[..]) };
            let head =
                format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            // The client may have gone.
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        }
    });
    port
}

#[test]
fn a_debuginfod_server_gives_names_after_the_fact_and_nobody_waits_for_one_in_a_capture() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name).to_str().expect("text").to_owned();
    let (so, debug) = (path("libfault_deadlock_inversion.so"), path("debug"));
    fs::copy(hangscope_test_e2e::allocator("deadlock_inversion"), &so).expect("a copy");
    for args in [vec!["objcopy", "--only-keep-debug", &*so, &*debug], vec!["strip", &*so]] {
        assert!(run(Command::new(args[0]).args(&args[1..])).status.success());
    }
    // A client that never ends: in a capture it is not even started.
    let (bin, called) = (path("bin"), path("called"));
    fs::create_dir(&bin).expect("a folder");
    let client = format!("{bin}/debuginfod-find");
    fs::write(&client, format!("#!/bin/sh\necho $$ >> {called}\nexec sleep 1000\n")).expect("a script");
    fs::set_permissions(&client, fs::Permissions::from_mode(0o755)).expect("a script");
    let search = format!("{bin}:{}", std::env::var("PATH").expect("PATH"));
    let env = [("DEBUGINFOD_URLS", "http://127.0.0.1:1"), ("PATH", &*search)];
    let (_, command) = stuck_benchmark();
    let options = ["--runs", "1", "--hang-after", "2s", "--no-perf", "--verify-runs", "0"];
    let hunt = Hunt::new(Path::new(&so), &options, &env, &command);
    assert_eq!(hunt.code(), 10, "{}", hunt.outputs());
    assert!(!Path::new(&called).exists(), "asked in a capture");
    let dump = hunt.out().join("hang_run_1/dump.bin");
    let report = |more: &[(&str, &str)]| {
        let output = run(hangscope().arg("report").arg(&dump).envs(more.iter().copied()));
        format!("{}{}", output_parts(&output).1, output_parts(&output).2)
    };
    let begun = Instant::now();
    let said = report(&env);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    assert!(said.contains("no answer of DEBUGINFOD_URLS") && said.contains("deadlock"), "{said}");
    let calls = fs::read_to_string(&called).expect("the client was started");
    let pids: Vec<&str> = calls.lines().collect();
    assert!(pids.len() == 1 && state(pids[0]).is_none_or(|s| "ZX".contains(s)), "{pids:?} is left behind");
    // A real client, and a server that has the file.
    let id = hunt.verdict()["dso"]["build_id"].as_str().expect("a build-id").to_owned();
    let url = format!("http://127.0.0.1:{}", serve(&id, fs::read(&debug).expect("the debug file")));
    let cache = path("cache");
    let env = [("DEBUGINFOD_URLS", &*url), ("DEBUGINFOD_CACHE_PATH", &*cache)];
    let without = report(&[("DEBUGINFOD_URLS", "")]);
    assert!(!without.contains("fault_deadlock_inversion.rs:"), "{without}");
    assert!(report(&env).contains("fault_deadlock_inversion.rs:"), "{}", report(&env));
    assert!(Path::new(&cache).join(&id).exists(), "the client keeps what it got");
}
