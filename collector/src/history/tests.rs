//! The database with several writers, kills, damage and older schemas.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::StoreError;
use super::model::{Build, HangRow, JobRow, RunRow, Workload};
use super::query::{Filter, Period};
use super::recorder::Recorder;
use super::store::Store;
use super::trend::trends;
use super::{schema, seen};
use crate::text::message::Lang;

mod files;

/// File of the database, for a test that is started again as a writer of its own.
const FILE: &str = "TEST_HISTORY_FILE";

fn job(node: &str) -> JobRow {
    JobRow { node: node.to_owned(), started: 1.0, ..JobRow::now("hunt", "hz4", Path::new("/out")) }
}

fn build(sha1: &str) -> Build {
    Build { name: "hz4".into(), sha1: Some(sha1.into()), build_id: None, path: "hz4.so".into() }
}

fn run(number: u32, sha1: &str, hung: bool) -> RunRow {
    let hang = HangRow {
        class: "deadlock".into(),
        signature: Some("0123456789ab".into()),
        words: "deadlock g_locks".into(),
        bare: false,
        bundle: format!("/out/hang_run_{number}"),
    };
    RunRow {
        name: number.to_string(),
        arm: "pinned".into(),
        build: build(sha1),
        workload: Workload { command: "bench 16".into(), ..Workload::default() },
        pid: number,
        // One a day.
        started: 1_770_000_000.0 + 86400.0 * f64::from(number),
        seconds: 1.0,
        outcome: if hung { "hung" } else { "ok" }.into(),
        counts: true,
        hang: hung.then_some(hang),
        ..RunRow::default()
    }
}

fn new_store() -> (tempfile::TempDir, PathBuf, Store) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data/history.db");
    let (store, aside) = Store::open(&path).unwrap();
    assert_eq!(aside, None);
    (dir, path, store)
}

#[test]
fn two_writers_lose_nothing() {
    const ROWS: u32 = 10_000;
    let (_dir, path, store) = new_store();
    let writers = ["a", "b"].map(|node| {
        let recorder = Recorder::begin(path.clone(), job(node));
        let remember = recorder.remember();
        let sends = std::thread::spawn(move || {
            (1..=ROWS).for_each(|n| remember.run(|| Some(run(n, node, n % 100 == 0))))
        });
        (recorder, sends)
    });
    for (recorder, sends) in writers {
        sends.join().unwrap();
        let written = recorder.end();
        assert!(written.notes.is_empty() && written.store.is_some(), "{:?}", written.notes);
    }
    let size = store.size().unwrap();
    assert_eq!((size.jobs, size.runs, size.hangs), (2, 2 * ROWS, ROWS / 50));
    for group in store.groups(&Filter::default(), Period::Build).unwrap() {
        assert_eq!((group.runs, group.counted, group.hung), (ROWS, ROWS, ROWS / 100), "{group:?}");
    }
}

/// Run by the next test as a process of its own: writes rows and says each, until it is killed.
#[test]
fn writer() {
    let Some(path) = std::env::var_os(FILE) else { return };
    let (mut store, _) = Store::open(Path::new(&path)).unwrap();
    let job = JobRow { started: f64::from(std::process::id()), ..job("a") };
    let number = store.begin_job(&job).unwrap();
    for n in 1.. {
        let row = RunRow { pid: std::process::id(), ..run(n, "4ed7", false) };
        store.add(number, &job.node, &[row]).unwrap();
        println!("written {n}");
        std::io::stdout().flush().unwrap();
    }
}

#[test]
fn a_kill_while_it_writes_costs_no_row() {
    const KILLS: u32 = 50;
    let (_dir, path, store) = new_store();
    let mut written = 0;
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "history::tests::writer", "--nocapture", "--test-threads=1"])
            .env(FILE, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Another moment each time, and in the middle of a row that nobody has said yet.
        let wanted = format!("written {}", 1 + kill % 7);
        lines.find(|line| line.as_ref().unwrap().ends_with(&wanted)).unwrap().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        written += 1 + kill % 7;
        // Rows that it said before it was dead.
        written +=
            lines.filter(|line| line.as_ref().is_ok_and(|line| line.contains("written "))).count() as u32;
    }
    let (runs, said) = (store.size().unwrap().runs, written);
    // A row may be written and not said.
    assert!((said..=said + KILLS).contains(&runs), "{runs} rows, {said} said");
    let check: String = store.connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}

#[test]
fn an_older_schema_is_brought_up_and_keeps_its_rows() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let mut old = rusqlite::Connection::open(&path).unwrap();
    schema::first(1).to_latest(&mut old).unwrap();
    old.execute_batch(
        "INSERT INTO job VALUES (1, 'k', 'hunt', 'hz4', 'n', 'k', '/out', 1.0, NULL, NULL, NULL);
         INSERT INTO run VALUES (1, 'r', 1, '8', 'pinned', 'hz4', '4ed7', NULL, 'p', '', '', 'bench', '', 7, 5.0, 1.0,
           'hung', 1, NULL, NULL, NULL, 'deadlock', '/out/hang_run_8');",
    )
    .unwrap();
    drop(old);
    let (mut store, aside) = Store::open(&path).unwrap();
    assert_eq!(aside, None);
    let number = store.begin_job(&job("a")).unwrap();
    store.add(number, "a", &[run(1, "4ed7", true)]).unwrap();
    let hangs = store.hangs(&Filter::default()).unwrap();
    let signatures: Vec<_> = hangs.iter().map(|hang| hang.signature.as_deref()).collect();
    assert_eq!(signatures, [Some("0123456789ab"), None]);
    assert_eq!(store.signatures(&Filter::default()).unwrap().len(), 2);
}

#[test]
fn a_newer_schema_is_left_alone() {
    let (_dir, path, store) = new_store();
    store.connection.pragma_update(None, "user_version", 99).unwrap();
    drop(store);
    let before = std::fs::read(&path).unwrap();
    assert!(matches!(Store::open(&path), Err(StoreError::Newer(_))));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let written = Recorder::begin(path, job("a")).end();
    assert_eq!(written.notes.len(), 1, "{:?}", written.notes);
    assert!(written.notes[0].en().contains("newer hangscope"), "{:?}", written.notes);
}

#[test]
fn a_damaged_file_is_set_aside_and_the_job_is_remembered() {
    let (dir, path, mut store) = new_store();
    let number = store.begin_job(&job("a")).unwrap();
    let rows: Vec<RunRow> = (1..500).map(|n| run(n, "4ed7", n % 9 == 0)).collect();
    store.add(number, "a", &rows).unwrap();
    store.connection.pragma_update_and_check(None, "wal_checkpoint", "TRUNCATE", |_| Ok(())).unwrap();
    drop(store);
    let whole = std::fs::read(&path).unwrap();
    let halves = |from: usize| {
        let mut bytes = whole.clone();
        bytes[from..].iter_mut().for_each(|byte| *byte ^= 0x5a);
        bytes
    };
    // Of the whole header only what says whose it is.
    for (damage, bytes) in [("header", halves(100)), ("pages", halves(4096))] {
        std::fs::write(&path, &bytes).unwrap();
        let recorder = Recorder::begin(path.clone(), job("b"));
        recorder.remember().run(|| Some(run(1, "9b01", true)));
        let written = recorder.end();
        assert_eq!(written.notes.len(), 1, "{damage}: {:?}", written.notes);
        assert!(written.notes[0].en().contains("set aside"), "{damage}: {:?}", written.notes);
        assert_eq!(written.store.unwrap().size().unwrap().runs, 1, "{damage}");
        let named = |name: &str| {
            name.starts_with("history.db.damaged-") && !name.ends_with("-wal") && !name.ends_with("-shm")
        };
        let entries = std::fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap());
        let aside: Vec<PathBuf> =
            entries.filter(|e| named(&e.file_name().to_string_lossy())).map(|e| e.path()).collect();
        assert_eq!(aside.len(), 1, "{damage}");
        assert_eq!(std::fs::read(&aside[0]).unwrap(), bytes, "{damage}: the damaged file is kept as it was");
        std::fs::remove_file(&aside[0]).unwrap();
    }
    drop(dir);
}

#[test]
fn a_folder_that_cannot_be_written_costs_the_job_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let recorder = Recorder::begin(file.join("history.db"), job("a"));
    recorder.remember().run(|| Some(run(1, "4ed7", false)));
    let written = recorder.end();
    assert!(written.store.is_none());
    assert!(written.notes[0].en().contains("--history FILE"), "{:?}", written.notes);
}

#[test]
fn another_history_is_added_once_whatever_the_order() {
    let (_a, first, mut one) = new_store();
    let (_b, second, mut two) = new_store();
    let (_c, _, mut both) = new_store();
    for (store, node) in [(&mut one, "a"), (&mut two, "b")] {
        let number = store.begin_job(&job(node)).unwrap();
        store.add(number, node, &(1..=10).map(|n| run(n, "4ed7", n == 3)).collect::<Vec<_>>()).unwrap();
        store.end_job(number, Some("allocator-bug"), Some("a sentence")).unwrap();
    }
    assert_eq!(both.import(&first).unwrap(), 10);
    assert_eq!(both.import(&second).unwrap(), 10);
    assert_eq!(both.import(&first).unwrap(), 0);
    assert_eq!(one.import(&second).unwrap(), 10);
    for store in [&both, &one] {
        let size = store.size().unwrap();
        assert_eq!((size.jobs, size.runs, size.hangs), (2, 20, 2));
        let signature = &store.signatures(&Filter::default()).unwrap()[0];
        assert_eq!((signature.times, signature.nodes), (2, 2));
    }
    assert!(both.import(Path::new("/no/such/history.db")).is_err());
}

#[test]
fn an_earlier_hang_is_known_again() {
    let (_dir, _, mut store) = new_store();
    let before = store.begin_job(&job("a")).unwrap();
    store
        .add(before, "a", &[run(1, "4ed7a1c2d3", true), run(2, "4ed7a1c2d3", false), run(3, "9b01", true)])
        .unwrap();
    let now = store.begin_job(&JobRow { started: 2.0, ..job("a") }).unwrap();
    store.add(now, "a", &[run(9, "9b01", true)]).unwrap();
    let known = store.known_again(now).unwrap();
    let [(words, Some(seen))] = &known[..] else { panic!("{known:?}") };
    assert_eq!((seen.times, seen.sha1.as_deref()), (2, Some("4ed7a1c2d3")));
    let said = seen::said(words, Some(seen));
    insta::assert_snapshot!(said.en(), @"seen 2 times before (deadlock g_locks), since 2026-02-03, first with hz4 4ed7a1c2");
    insta::assert_snapshot!(said.text(Lang::Ja), @"同じハング (deadlock g_locks) を以前に 2 回観測した。最初は 2026-02-03、hz4 4ed7a1c2");
    // A hang whose class alone is known, and one that is new.
    let mut rows = [run(1, "9b01", true), run(2, "9b01", true)];
    for (row, (id, bare)) in rows.iter_mut().zip([("aaaa", true), ("bbbb", false)]) {
        let hang = row.hang.as_mut().unwrap();
        (hang.signature, hang.bare, hang.words) = (Some(id.into()), bare, id.into());
    }
    let third = JobRow { started: 3.0, kind: "matrix".into(), ..job("a") };
    let number = store.begin_job(&third).unwrap();
    store.add(number, "c", &rows).unwrap();
    assert_eq!(store.known_again(number).unwrap(), [("bbbb".to_owned(), None)]);
    // Another start of the same job, later; then a new one in the same folder.
    let later = |at: f64| rows.clone().map(|row| RunRow { started: row.started + at, ..row });
    let series = |id: &str, started: f64| JobRow { series: Some(id.into()), started, ..third.clone() };
    store.begin_job(&JobRow { series: Some("first".into()), ..third.clone() }).unwrap();
    let again = store.begin_job(&series("first", 4.0)).unwrap();
    store.add(again, "c", &later(1.0)).unwrap();
    assert_eq!(store.known_again(again).unwrap(), [("bbbb".to_owned(), None)]);
    let new = store.begin_job(&series("second", 5.0)).unwrap();
    store.add(new, "c", &later(2.0)).unwrap();
    let times = |known: &[(String, Option<seen::Seen>)]| known[0].1.as_ref().map(|seen| seen.times);
    assert_eq!(times(&store.known_again(new).unwrap()), Some(2));
    // A run that began later is not earlier.
    assert_eq!(store.known_again(number).unwrap(), [("bbbb".to_owned(), None)]);
}

#[test]
fn the_first_build_that_hung_and_the_last_that_did_not() {
    let (_dir, _, mut store) = new_store();
    let number = store.begin_job(&job("a")).unwrap();
    let mut rows: Vec<RunRow> = (1..=200).map(|n| run(n, "aaaa", false)).collect();
    rows.extend((201..=203).map(|n| run(n, "bbbb", false)));
    // A run that does not count, and hung.
    rows.push(RunRow { counts: false, ..run(204, "bbbb", true) });
    rows.extend((205..=244).map(|n| run(n, "cccc", n % 2 == 0)));
    store.add(number, "a", &rows).unwrap();
    let all = trends(store.groups(&Filter::default(), Period::Build).unwrap());
    let [trend] = &all[..] else { panic!("{all:?}") };
    let counts: Vec<_> = trend.builds.iter().map(|b| (b.group.runs, b.group.counted, b.group.hung)).collect();
    assert_eq!(counts, [(200, 200, 0), (4, 3, 0), (40, 40, 20)]);
    let change = trend.change.as_ref().unwrap();
    // The second build hung, in a run that does not count. 0 of 200 is below 2 %, 20 of 40 above 34 %.
    assert_eq!(all[0].builds[1].group.all_hung, 1);
    assert_eq!((change.before, change.hung, change.apart), (0, 2, true));
    let only = Filter { build: Some("cc".into()), ..Filter::default() };
    assert_eq!(trends(store.groups(&only, Period::Build).unwrap())[0].change, None);
    let late = Filter { since: Some(rows[202].started + 1.0), ..Filter::default() };
    assert_eq!(store.groups(&late, Period::Build).unwrap().iter().map(|group| group.runs).sum::<u32>(), 41);
    let months = store.groups(&Filter::default(), Period::Month).unwrap();
    assert!(months.len() > 7 && months.iter().all(|group| group.period.len() == 7), "{months:?}");
    let weeks = store.groups(&Filter::default(), Period::Week).unwrap();
    // The first run is of 2026-02-03, a Tuesday.
    assert_eq!(weeks[0].period, "2026-02-02");
    assert!(weeks.iter().all(|group| group.runs <= 7));
    assert_eq!(weeks.iter().map(|group| group.runs).sum::<u32>(), 244);
}
