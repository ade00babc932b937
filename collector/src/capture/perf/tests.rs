//! Runs of perf, and of scripts in its place.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn spin() -> std::process::Child {
    Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap()
}

/// Records a thread of a process whose files are as they were mapped.
fn recorded(dir: &Path, tid: u32, options: &PerfOptions) -> Result<Perfed, WriteError> {
    perf(dir, tid, options, &NameSources::default(), &Cancel::never())
}

fn end(mut child: std::process::Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// A perf that does what the script says.
fn fake(dir: &Path, script: &str) -> PerfOptions {
    let program = dir.join("perf");
    std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    PerfOptions { program, time: Duration::from_millis(100), ..PerfOptions::default() }
}

fn both(dir: &Path) -> [String; 2] {
    ["perf_hot_tid.data", "perf_hot_tid.txt"]
        .map(|name| String::from_utf8_lossy(&std::fs::read(dir.join(name)).unwrap()).into_owned())
}

#[test]
fn a_thread_that_spins_is_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let child = spin();
    // Long enough for a machine that is busy elsewhere to give it some of a processor.
    let options = PerfOptions { time: Duration::from_secs(2), ..PerfOptions::default() };
    let perfed = recorded(dir.path(), child.id(), &options).unwrap();
    end(child);
    assert!(matches!(perfed, Perfed::Recorded { samples: Some(10..), .. }), "{perfed:?}");
    let [data, text] = both(dir.path());
    assert!(data.starts_with("PERFILE2"));
    assert!(text.contains("# Samples: ") && text.contains("Overhead"), "{text}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn what_could_not_be_done_is_one_line_in_both_files() {
    let dir = tempfile::tempdir().unwrap();
    let me = std::process::id();
    let said = |options: &PerfOptions, tid| {
        let perfed = recorded(dir.path(), tid, options).unwrap();
        assert!(matches!(perfed, Perfed::Refused(_)), "{perfed:?}");
        let [data, text] = both(dir.path());
        assert_eq!(data, text);
        text
    };
    let missing = PerfOptions { program: "/nonexistent/perf".into(), ..PerfOptions::default() };
    assert_eq!(said(&missing, me), "# perf: not found: install linux-perf\n");

    let forbidden = fake(
        dir.path(),
        "echo 'Error:\nAccess to performance monitoring and observability operations is limited.' >&2; exit 255",
    );
    let paranoid = std::fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").unwrap();
    let expected = format!("# perf: not permitted (perf_event_paranoid={})\n", paranoid.trim());
    assert_eq!(said(&forbidden, me), expected);

    let broken = fake(dir.path(), "echo 'incompatible file format' >&2; exit 1");
    assert_eq!(said(&broken, me), "# perf: failed: incompatible file format\n");
    let mut gone = Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    let expected = format!("# perf: tid {} left before it could be recorded\n", gone.id());
    assert_eq!(said(&broken, gone.id()), expected);
}

#[test]
fn without_hardware_events_the_software_clock_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let script = "case \"$*\" in\n\
        record*cpu-clock*) while [ \"$1\" != -o ]; do shift; done; echo data >\"$2\";;\n\
        record*) echo 'cycles: not supported' >&2; exit 1;;\n\
        report*) echo \"# Samples: 2K of event 'cpu-clock'\";;\n\
        esac";
    let perfed = recorded(dir.path(), std::process::id(), &fake(dir.path(), script));
    assert_eq!(perfed.unwrap(), Perfed::Recorded { samples: Some(2000), event: "cpu-clock".into() });
    assert_eq!(both(dir.path()), ["data\n", "# Samples: 2K of event 'cpu-clock'\n"]);
}

/// A perf that records `data`, and reports as the script says.
fn fake_report(dir: &Path, script: &str) -> PerfOptions {
    let record = "while [ \"$1\" != -o ]; do shift; done; echo data >\"$2\"";
    fake(dir, &format!("case \"$1\" in\nrecord) {record};;\nreport) {script};;\nesac"))
}

#[test]
fn what_was_recorded_stays_when_it_cannot_be_reported() {
    let dir = tempfile::tempdir().unwrap();
    let me = std::process::id();
    let broken = fake_report(dir.path(), "echo 'No space left on device' >&2; exit 1");
    let perfed = recorded(dir.path(), me, &broken).unwrap();
    let reason = "report failed: No space left on device";
    assert_eq!(perfed, Perfed::Unreported(reason.to_owned()));
    assert_eq!(both(dir.path()), ["data\n".to_owned(), format!("# perf: {reason}\n")]);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3);

    for (said, event) in [("nothing", ""), ("# Samples: many  of event 'cycles'", "cycles")] {
        let unknown = fake_report(dir.path(), &format!("echo \"{said}\""));
        let perfed = recorded(dir.path(), me, &unknown).unwrap();
        assert_eq!(perfed, Perfed::Recorded { samples: None, event: event.to_owned() });
        assert_eq!(both(dir.path()), ["data\n".to_owned(), format!("{said}\n")]);
    }
}

#[test]
fn a_thread_that_did_not_run_has_no_samples() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
    let fakes = ["echo '# Samples: 0  of event x'", "echo 'The data has no samples!' >&2; exit 1"]
        .map(|script| fake_report(dir.path(), script));
    let real = PerfOptions { time: Duration::from_millis(100), ..PerfOptions::default() };
    for options in fakes.iter().chain([&real]) {
        // It wakes up no more once it sleeps.
        while !std::fs::read(format!("/proc/{}/wchan", child.id())).unwrap().ends_with(b"nanosleep") {
            std::thread::yield_now();
        }
        let perfed = recorded(dir.path(), child.id(), options).unwrap();
        let reason = format!("no samples of tid {} in 0.1 s: it did not run", child.id());
        assert_eq!(perfed, Perfed::Refused(reason.clone()));
        assert_eq!(both(dir.path()), [(); 2].map(|()| format!("# perf: {reason}\n")));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}
