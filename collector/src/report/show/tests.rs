//! What `show` takes, and in which order it says things.

use super::*;
use crate::analysis::{Class, HuntFacts};
use crate::evidence::finding_files;
use crate::report::{Extra, write_hunt};
use crate::session::Dump;
use crate::session::trace::Traces;
use crate::testkit::dump::{LOCK, LOCK2, Make, Sampled, mutex};
use crate::testkit::hunt::{Hunt, hung};

const WAITS: &[&str] = &["pthread_mutex_lock@libc", "foo_malloc@foo:foo.c:85", "worker@bench:bench.c:40"];
const SPINS: &[&str] = &["foo_refill@foo:foo.c:87", "foo_malloc@foo:foo.c:60", "worker@bench:bench.c:40"];

const STYLE: Style = Style { width: 100, colour: false, lang: Lang::En };

/// A holder that loops, and three threads that wait for it; the tids begin at `from`.
fn looping(from: u32) -> Make {
    let mut make = Make::new();
    for tid in from..from + 3 {
        make.futex(tid, &mutex(LOCK, from + 3, 0), WAITS);
    }
    make.runs(from + 3, 0.95, SPINS, Sampled::OneCall(20));
    make
}

fn ring() -> Make {
    let mut make = Make::new();
    make.futex(101, &mutex(LOCK, 102, 0), WAITS).futex(102, &mutex(LOCK2, 101, 0), WAITS);
    make
}

fn write(dir: &Path, mut make: Make) -> crate::analysis::Finding {
    let finding = make.analyse();
    let (dump, traces): (Dump, Traces) = (make.finish(), make.traces);
    std::fs::create_dir_all(dir).unwrap();
    finding_files::write(dir, &dump, &traces, &finding).unwrap();
    finding
}

/// A hunt with a looping holder in runs 1, 2 and 4, and a ring in run 3.
fn hunt(out: &Path) -> HuntFacts {
    let mut hunt = Hunt::new(0);
    for run in 1..=4 {
        let make = if run == 3 { ring() } else { looping(100 + run * 10) };
        let finding = write(&out.join(format!("hang_run_{run}")), make);
        hunt = hunt.push(hung(run, Some(finding)));
    }
    let facts = HuntFacts { stop_at_first: false, ..hunt.facts() };
    write_hunt(out, &facts, &Extra::default()).unwrap();
    facts
}

#[test]
fn the_headline_and_who_waits_are_first_and_last_and_equal_hangs_are_one() {
    let dir = tempfile::tempdir().unwrap();
    hunt(dir.path());
    for (lang, times, heading) in [
        (Lang::En, "3 times: hang_run_1, hang_run_2, hang_run_4", "who waits for whom"),
        (Lang::Ja, "3 回", "待ちの関係"),
    ] {
        let text = show(dir.path(), Style { lang, ..STYLE }, Stacks::Telling).unwrap();
        let front: Vec<&str> = text
            .lines()
            .take_while(|line| !line.starts_with("evidence") && !line.starts_with("根拠"))
            .collect();
        let front = front.join("\n");
        assert!(front.contains(times) && front.contains("hang_run_3"), "{front}");
        assert_eq!(front.matches(heading).count(), 2, "{front}");
        assert_eq!(text.matches(front.trim_end()).count(), 2, "first and last: {text}");
        assert!(text.ends_with(&format!("{}\n", front.trim_end())), "{text}");
        // The culprit's stack, and no other of its group.
        assert!(text.contains("foo_refill (foo.c:87)"), "{text}");
        assert!(text.contains("#2  worker (bench.c:40)"), "{text}");
        let all = show(dir.path(), Style { lang, ..STYLE }, Stacks::All).unwrap();
        assert!(all.len() > text.len() && !all.contains("--stacks") && text.contains("--stacks"), "{all}");
    }
}

#[test]
fn a_report_shows_who_waits_and_the_stack_of_the_culprit_in_both_languages() {
    let dir = tempfile::tempdir().unwrap();
    hunt(dir.path());
    for (name, times, waits) in [
        ("report.md", "The same hang 3 times: hang_run_1, hang_run_2, hang_run_4", "## Who waits for whom"),
        ("report.ja.md", "同じハングが 3 回: hang_run_1, hang_run_2, hang_run_4", "## 待ちの関係"),
    ] {
        let text = std::fs::read_to_string(dir.path().join(name)).unwrap();
        let section =
            text.split("\n## ").find(|part| format!("## {part}").starts_with(waits)).expect("the section");
        assert!(section.contains(times) && section.contains("foo_refill (foo.c:87)"), "{section}");
        assert!(section.contains("g_foo_locks+160") && section.contains("hang_run_3"), "{section}");
        if name == "report.md" {
            insta::assert_snapshot!(section);
        }
    }
}

#[test]
fn a_session_and_all_of_them_are_shown() {
    let dir = tempfile::tempdir().unwrap();
    let session = |name: &str, hung: bool, folders: &[&str]| {
        let folder = dir.path().join("sessions").join(name);
        for dump in folders {
            write(&folder.join(dump), looping(110));
        }
        let record = serde_json::json!({
            "pid": 4711, "command": ["./bench", "16"], "hung": hung, "seconds": 17.25, "end": "exit", "rc": 0,
            "class": if hung { Some(Class::OwnerSpinning) } else { None }, "dump_folders": folders,
            "notes": ["a note"],
        });
        std::fs::write(folder.join("session.json"), record.to_string()).unwrap();
        folder
    };
    std::fs::create_dir_all(dir.path().join("sessions/c")).unwrap();
    let one = session("a", true, &["dump_1", "dump_2"]);
    session("b", true, &["dump_1"]);
    session("c", false, &[]);
    let text = show(&one, STYLE, Stacks::Telling).unwrap();
    assert!(
        text.starts_with("pid 4711, ./bench 16: hung (owner-spinning), exit status 0 after 17.2 s\n"),
        "{text}"
    );
    assert!(text.contains("2 times: dump_1, dump_2") && text.contains("a note"), "{text}");
    let text = show(dir.path(), STYLE, Stacks::Telling).unwrap();
    assert!(text.starts_with("3 sessions, 2 hung\n"), "{text}");
    assert!(text.contains("2 times: sessions/a/dump_2, sessions/b/dump_1"), "{text}");
    let japanese = show(dir.path(), Style { lang: Lang::Ja, ..STYLE }, Stacks::Telling).unwrap();
    assert!(japanese.starts_with("セッション 3 件、うちハング 2 件\n"), "{japanese}");
    let data = bundle(dir.path()).unwrap();
    assert_eq!((data.verdict, data.snapshots.len()), (None, 2));
}

#[test]
fn sessions_without_a_folder_are_counted_and_listed_each_once() {
    let dir = tempfile::tempdir().unwrap();
    let record = |name: &str, pid: u32, end: &str, folded: bool| {
        serde_json::json!({
            "folder": name, "pid": pid, "command": ["./bench"], "hung": false, "seconds": 2.0, "end": end,
            "rc": if end == "exit" { Some(0) } else { None }, "folded": folded, "dump_folders": [], "notes": [],
        })
    };
    let kept = record("sessions/b", 2, "exit", false);
    let lines = [
        record("sessions/a", 1, "exit", true),
        kept.clone(),
        // Two programs of one process in the same millisecond.
        record("sessions/c", 3, "exit", true),
        record("sessions/c", 3, "exit", true),
        // Open at the end of one collector, and ended under the next.
        record("sessions/d", 4, "open", false),
        record("sessions/d", 4, "exit", true),
        // Not a session's folder.
        record("sessions/../..", 5, "exit", false),
        record("/etc", 6, "exit", false),
    ];
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(dir.path().join("sessions.jsonl"), text + "{\"folder\":\"sess").unwrap();
    for (name, record) in [("b", kept), ("e", record("sessions/e", 7, "open", false))] {
        std::fs::create_dir_all(dir.path().join("sessions").join(name)).unwrap();
        std::fs::write(dir.path().join("sessions").join(name).join("session.json"), record.to_string())
            .unwrap();
    }
    let text = show(dir.path(), STYLE, Stacks::Telling).unwrap();
    assert!(text.starts_with("6 sessions, 0 hung\n"), "{text}");
    let ended = |pid: u32| format!("pid {pid}, ./bench: no hang, exit status 0 after 2.0 s");
    let expected = [
        "sessions/e: pid 7, ./bench: no hang, still there when the collector ended after 2.0 s".to_owned(),
        ended(4),
        ended(3),
        ended(3),
        format!("sessions/b: {}", ended(2)),
        ended(1),
    ];
    let listed: Vec<&str> =
        text.lines().filter(|line| line.contains("./bench")).map(str::trim_start).collect();
    assert_eq!(listed, expected, "{text}");
    // What is no plain file is said, and the folders are shown all the same.
    std::fs::remove_file(dir.path().join("sessions.jsonl")).unwrap();
    nix::unistd::mkfifo(&dir.path().join("sessions.jsonl"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let text = show(dir.path(), STYLE, Stacks::Telling).unwrap();
    assert!(text.starts_with("2 sessions, 0 hung\n") && text.contains("sessions.jsonl: "), "{text}");
}

#[test]
fn what_a_hunt_kept_without_a_hang_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let facts = Hunt::new(2).facts();
    write_hunt(dir.path(), &facts, &Extra::default()).unwrap();
    write(&dir.path().join("interrupted_run_3"), looping(110));
    let text = show(dir.path(), STYLE, Stacks::Telling).unwrap();
    assert!(text.contains("who waits for whom (interrupted_run_3):"), "{text}");
}
