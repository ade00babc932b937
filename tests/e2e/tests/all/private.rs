//! What hangscope writes is for its user alone, and no name of a process rewrites a terminal.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use hangscope_test_e2e::collect::Collect;
use hangscope_test_e2e::hunt::{QUICK, run_hangscope, run_parts, stuck_benchmark};
use hangscope_test_e2e::{hangscope, preload, run};

/// Everything in a folder, folders included.
fn all_in(dir: &Path) -> Vec<PathBuf> {
    let mut found = vec![dir.to_owned()];
    for entry in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        match fs::symlink_metadata(&entry).unwrap().is_dir() {
            true => found.extend(all_in(&entry)),
            false => found.push(entry),
        }
    }
    found
}

/// A hunt that hangs, begun with this mode mask. Gives its folder.
fn hunted_with(mask: u32, options: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (so, command) = stuck_benchmark();
    let mut hunt = hangscope();
    hunt.arg("hunt").arg("--so").arg(so).arg("--out").arg(dir.path().join("out")).args(QUICK).args(options);
    // The benchmark tells which mask it has.
    hunt.args(["--", "sh", "-c", "umask; exec \"$@\"", "-"]).args(command);
    let set = move || {
        // SAFETY: umask cannot fail, and touches nothing but the mask of the new process.
        unsafe { libc::umask(mask) };
        Ok(())
    };
    // SAFETY: between fork and exec it makes one system call.
    unsafe { hunt.pre_exec(set) };
    let output = run(&mut hunt);
    assert_eq!(output.status.code(), Some(10), "{output:?}");
    dir
}

#[test]
fn files_are_the_users_alone_whatever_the_mask_and_the_benchmark_keeps_its_own() {
    for (mask, options, most) in [(0, &[][..], 0o700), (0o022, &["--group-readable"], 0o750)] {
        let dir = hunted_with(mask, options);
        let out = dir.path().join("out");
        let all = all_in(&out);
        assert!(all.len() > 25, "{all:?}");
        for path in all {
            let meta = fs::symlink_metadata(&path).unwrap();
            if meta.is_symlink() {
                continue;
            }
            let (mode, shared) = (meta.mode() & 0o777, most & 0o077);
            let wanted = if meta.is_dir() { shared } else { shared & 0o066 };
            assert_eq!(mode & 0o077, wanted, "{}: {mode:o}", path.display());
        }
        let first = fs::read_to_string(out.join("run_1.out")).unwrap();
        assert_eq!(first.lines().next(), Some(&*format!("{mask:04o}")), "the benchmark's own mask");
    }
}

#[test]
fn a_planted_link_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (out, elsewhere) = (dir.path().join("out"), dir.path().join("elsewhere"));
    fs::create_dir_all(&out).unwrap();
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("precious"), "mine").unwrap();
    // A folder of the collector.
    symlink(&elsewhere, out.join("sessions")).unwrap();
    let collect = ["collect", "--out", out.to_str().unwrap(), "--socket"];
    let socket = dir.path().join("run/s.sock");
    let (status, stdout, stderr) = run_parts(hangscope().args(collect).arg(&socket));
    assert_eq!(status, Some(1), "{stdout}{stderr}");
    assert!(stderr.contains("sessions") && stderr.lines().count() == 1, "{stderr}");
    // A file that it appends to.
    fs::remove_file(out.join("sessions")).unwrap();
    symlink(elsewhere.join("precious"), out.join("sessions.jsonl")).unwrap();
    let (status, stdout, stderr) = run_parts(hangscope().args(collect).arg(&socket));
    assert_eq!(status, Some(1), "{stdout}{stderr}");
    assert!(stderr.contains("sessions.jsonl"), "{stderr}");
    // One that it writes whole takes the place of the link.
    let pinned = dir.path().join("pinned");
    fs::create_dir(&pinned).unwrap();
    symlink(elsewhere.join("precious"), pinned.join("dso_sha1.txt")).unwrap();
    let (so, _) = stuck_benchmark();
    let (status, _, stderr) = run_parts(hangscope().args(["pin"]).arg(so).arg("--out").arg(&pinned));
    assert_eq!(status, Some(0), "{stderr}");
    assert_eq!(fs::read_to_string(elsewhere.join("precious")).unwrap(), "mine");
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 1);
}

#[test]
fn a_socket_is_in_no_folder_that_others_can_write() {
    let dir = tempfile::tempdir().unwrap();
    let open = dir.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o1777)).unwrap();
    let socket = open.join("s.sock");
    let out = dir.path().join("out");
    for command in [
        hangscope().args(["collect", "--out"]).arg(&out).arg("--socket").arg(&socket),
        hangscope().arg("env").arg("--socket").arg(&socket),
        hangscope().arg("env").env("HANGSCOPE_SOCKET", &socket),
        hangscope().arg("env").env_remove("HANGSCOPE_SOCKET").env("XDG_RUNTIME_DIR", &open).env("UNUSED", ""),
    ] {
        let by_default = command.get_envs().any(|(name, _)| name == "UNUSED");
        let (status, stdout, stderr) = run_parts(command);
        if by_default {
            // Its own folder in a sticky one is made for the user alone.
            assert_eq!(status, Some(0), "{stderr}");
            assert!(stdout.contains(&*open.join("hangscope/collector.sock").to_string_lossy()), "{stdout}");
            assert_eq!(fs::metadata(open.join("hangscope")).unwrap().mode() & 0o777, 0o700);
            continue;
        }
        assert_ne!(status, Some(0), "{stdout}");
        assert!(
            stderr.contains("can be written by other users") && stderr.contains("chmod go-w"),
            "{stderr}"
        );
        assert_eq!((stdout.as_str(), socket.exists()), ("", false), "no path is given out");
    }
}

/// A pipe that nobody writes to.
fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn what_is_no_bundle_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fifo(&path("pipe"));
    fs::File::create(path("sparse")).unwrap().set_len(20 << 30).unwrap();
    // 64 GB of zeros in a file of 64 MB would take minutes to make. 300 MB are too much, too.
    let bomb = fs::File::create(path("bomb.gz")).unwrap();
    let mut gzip = Command::new("sh")
        .args(["-c", "head -c 300000000 /dev/zero | gzip -1"])
        .stdout(bomb)
        .spawn()
        .unwrap();
    assert!(gzip.wait().unwrap().success());
    for name in ["verdict.json", "dump.bin", "recording.json.gz", "threads.json"] {
        let folder = path(&format!("in_{name}"));
        fs::create_dir(&folder).unwrap();
        fifo(&folder.join(name));
    }
    for entry in fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().path()).chain(["/dev/zero".into()]) {
        for command in ["show", "report"] {
            let (status, stdout, stderr) = run_parts(hangscope().arg(command).arg(&entry));
            assert_eq!((status, stdout.as_str()), (Some(1), ""), "{command} {entry:?}: {stderr}");
            assert_eq!(stderr.lines().count(), 1, "{command} {entry:?}: {stderr}");
        }
    }
}

/// What a terminal obeys: colours, a title, the order of letters, a line of its own.
const NASTY: &str = "\u{1b}[31mR\n\u{202e}\u{9b}2J";

fn assert_harmless(what: &str, text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    let bad = text.chars().find(|c| *c != '\n' && *c != '\t' && (c.is_control() || *c == '\u{202e}'));
    assert_eq!(bad, None, "{what}: {text}");
    assert!(!text.lines().any(|line| line.starts_with('\u{202e}')), "{what}: {text}");
}

#[test]
fn no_name_of_a_process_rewrites_a_terminal() {
    let mut collector = Collect::new(&["--no-perf"]);
    // The name of the file is also the name of its first thread.
    let program = collector.dir.path().join(NASTY);
    fs::copy("/bin/sleep", &program).unwrap();
    let mut host = Command::new(&program);
    host.arg("1000").env("LD_PRELOAD", preload(None)).env("HANGSCOPE_SOCKET", collector.socket());
    host.env("HANGSCOPE_LABEL", NASTY).env("HANGSCOPE_HANG_AFTER", "500ms");
    let mut host = host.spawn().unwrap();
    let session = collector.line_with(&["[SESSION]"]);
    let hang = collector.line_with(&["[WAITS]", "[HANG]"]);
    host.kill().unwrap();
    host.wait().unwrap();
    let end = collector.line_with(&["[END]"]);
    collector.interrupt();
    for line in [&session, &hang, &end] {
        assert_harmless("collect", line.as_bytes());
    }
    assert!(session.contains("\\x1b[31mR\\x0a\\u{202e}\\x9b2J"), "{session}");
    let mut texts = 0;
    for path in all_in(&collector.out()).iter().filter(|path| path.is_file()) {
        if path
            .extension()
            .is_some_and(|e| ["txt", "tsv", "json", "jsonl", "md", "folded"].iter().any(|t| e == *t))
        {
            assert_harmless(&path.display().to_string(), &fs::read(path).unwrap());
            texts += 1;
        }
    }
    assert!(texts > 8, "{texts}");
    let saved = collector.sessions().pop().unwrap();
    assert_eq!(saved["label"], NASTY, "JSON says what it was");
    let session = collector.out().join(saved["folder"].as_str().unwrap());
    let bundle = session.join(saved["dump_folders"][0].as_str().unwrap());
    let (bundle, out) = (bundle.to_str().unwrap().to_owned(), collector.out());
    for args in [
        &["show", &bundle][..],
        &["show", &bundle, "--lang", "ja", "--stacks"],
        &["show", out.to_str().unwrap()],
        &["report", &bundle, "--all-threads"],
        &["report", &bundle, "--json"],
    ] {
        let output = run_hangscope(args);
        assert!(output.status.success() && output.stdout.len() > 100, "{args:?}: {output:?}");
        assert_harmless(&args.join(" "), &output.stdout);
    }
}
