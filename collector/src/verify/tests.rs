//! The proof, from what a shim would send, and the logs. The end-to-end tests have real processes.

use std::time::Instant;

use hangscope_protocol::record::*;

use super::log::FAILED;
use super::proof::ProcessReport;
use super::*;
use crate::analysis::judged::Doubt;
use crate::files::elf::Elf;
use crate::files::facts::FileFacts;
use crate::launch::census::{Left, Seen};
use crate::launch::shim_path::Shim;
use crate::profile::Profile;
use crate::session::{Dso, Identity};
use crate::testkit::fake_shim::{hello, zero};
use std::path::Path;
use std::time::Duration;

fn wanted() -> Wanted {
    Wanted {
        path: "/p/libhz4.so".into(),
        elf: Elf {
            target: crate::files::elf::Target::own(),
            kind: crate::files::elf::Kind::SharedObject,
            interpreter: None,
            build_id: None,
            defines_malloc: true,
        },
        sha1: "aa".into(),
        file: FileFacts {
            dev: 1,
            ino: 2,
            size: 3,
            mtime_ns: 4,
            ctime_ns: 5,
            nlink: 1,
            mode: 0o644,
            uid: 0,
            content_same: None,
        },
    }
}

/// What the shim sends if all is well: libc, and the allocator before it in symbol order.
fn said() -> ProcessReport {
    let bytes = hello(hangscope_protocol::VERSION, 2);
    let identity = Identity::from_hello(&Hello::get(&mut hangscope_protocol::Reader::new(&bytes)).unwrap());
    let libc = DsoRecord { id: 1, flags: dso_flags::SAME_FILE_AT_INIT, dev: 1, ino: 77, ..zero() };
    let flags = dso_flags::SAME_FILE_AT_INIT | dso_flags::ALLOCATOR | dso_flags::PROVIDES_MALLOC;
    let mine = DsoRecord { flags, dev: 1, ino: 2, size: 3, mtime_ns: 4, ctime_ns: 5, nlink: 1, ..zero() };
    let dso = |init, path: &str| Dso { init, path: path.into(), now: None };
    ProcessReport {
        pid: 7,
        identity,
        dsos: vec![dso(mine, "/p/libhz4.so"), dso(libc, "/lib/libc.so.6")],
        copy: Some(Ok("aa".into())),
        at: Instant::now(),
        ended: None,
        goes_on: false,
        exited: false,
    }
}

fn judge(change: impl FnOnce(&mut ProcessReport)) -> Result<String, String> {
    let mut said = said();
    change(&mut said);
    said.prove(&wanted()).map(|proof| proof.line().en()).map_err(|error| error.to_string())
}

#[test]
fn the_given_dso_as_provider_of_malloc_is_the_proof() {
    let begin = "hello from /usr/bin/bench (pid 7), malloc from /p/libhz4.so";
    assert_eq!(judge(|_| {}).unwrap(), format!("{begin} (same file, same bytes)"));
    // The process ended before it could send the bytes. The file's identity is proof enough.
    assert_eq!(judge(|s| s.copy = None).unwrap(), format!("{begin} (same file)"));
    // The file system shows other numbers in the process. The bytes are proof enough.
    assert_eq!(judge(|s| s.dsos[0].init.ino = 9).unwrap(), format!("{begin} (same bytes)"));
}

#[test]
fn anything_else_is_a_failure_with_its_reason() {
    let error = |change: fn(&mut ProcessReport)| judge(change).unwrap_err();
    let not_there = error(|s| {
        s.dsos.remove(0);
        s.dsos[0].init.flags |= dso_flags::PROVIDES_MALLOC;
    });
    insta::assert_snapshot!(not_there, @"malloc comes from /lib/libc.so.6, not from /p/libhz4.so, in /usr/bin/bench: it is not even mapped; does something in front of the program clear LD_PRELOAD?");
    insta::assert_snapshot!(error(|s| s.dsos[0].init.flags &= !dso_flags::PROVIDES_MALLOC), @"malloc comes from nothing that is known, not from /p/libhz4.so, in /usr/bin/bench: something comes before it in symbol order");
    insta::assert_snapshot!(error(|s| s.copy = Some(Ok("bb".into()))), @"/usr/bin/bench does not run the bytes of /p/libhz4.so: sha1 bb, not aa; something changes that file: pin it");
    insta::assert_snapshot!(error(|s| {
        s.copy = None;
        s.dsos[0].init.ctime_ns = 6;
    }), @"/usr/bin/bench does not run the bytes of /p/libhz4.so: another file or time, and no copy of its bytes came; something changes that file: pin it");
    insta::assert_snapshot!(error(|s| s.dsos[0].init.flags |= dso_flags::DELETED_AT_INIT), @"the DSO is not intact in /usr/bin/bench: /p/libhz4.so: its file was gone when the program started; pin it");
}

#[test]
fn without_its_dsos_a_hello_proves_nothing() {
    let silent = ProcessReport { dsos: vec![], ..said() };
    assert!(matches!(silent.prove(&wanted()), Err(VerifyError::Rejected { .. })));
}

/// A program that /proc showed, from one moment to another (seconds after `start`).
fn seen(start: Instant, pid: u32, exe: &str, times: [u64; 2]) -> Seen {
    let at = |s| start + Duration::from_secs(s);
    Seen {
        pid,
        ppid: if pid == 7 { 1 } else { 7 },
        start_ticks: 0,
        exe: exe.into(),
        comm: exe.rsplit('/').next().unwrap().into(),
        ticks: 0,
        threads: 1,
        from: at(times[0]),
        until: at(times[1]),
        alive: true,
        copy_of_parent: false,
    }
}

/// The judged program of a run at its end: its file, and the doubt.
fn at_end(seen: &[Seen], reports: &[ProcessReport], left: Option<&Left>) -> (String, Option<Doubt>) {
    let wanted = wanted();
    let judged = Programs { seen, reports, wanted: &wanted, names: None }.at_end(7, left);
    (judged.program().map(|program| program.exe.clone()).unwrap_or_default(), judged.doubt)
}

#[test]
fn a_process_that_executes_another_program_loses_its_proof() {
    let start = Instant::now();
    let at = |s| start + Duration::from_secs(s);
    let bench = "/usr/bin/bench";
    let report = |ended| ProcessReport { at: at(1), ended, ..said() };
    let of = |seen: &[Seen], report: ProcessReport| at_end(seen, &[report], None);
    assert_eq!(of(&[seen(start, 7, bench, [0, 5])], report(Some(at(6)))), (bench.into(), None));
    // The hello came after the last look.
    assert_eq!(of(&[seen(start, 7, bench, [0, 0])], report(Some(at(6)))), (bench.into(), None));
    // Nobody has seen it, and it said hello.
    assert_eq!(of(&[], report(Some(at(6)))), (bench.into(), None));
    let other = [seen(start, 7, bench, [0, 1]), seen(start, 7, "/usr/bin/other", [3, 5])];
    assert_eq!(of(&other, report(Some(at(2)))), ("/usr/bin/other".into(), Some(Doubt::NotProven)));
    // The same file, executed again without the shim.
    let again = [seen(start, 7, bench, [0, 5])];
    assert_eq!(of(&again, report(Some(at(2)))), (bench.into(), Some(Doubt::NotProven)));
    let goes_on = ProcessReport { goes_on: true, ..report(Some(at(2))) };
    assert_eq!(of(&again, goes_on), (bench.into(), None));
    // A look while it was ending.
    let exited = ProcessReport { exited: true, ..report(Some(at(2))) };
    assert_eq!(of(&again, exited), (bench.into(), None));
}

#[test]
fn the_name_of_the_first_process_shows_a_program_that_nobody_saw() {
    let start = Instant::now();
    let report = ProcessReport { at: start, ended: Some(start + Duration::from_secs(1)), ..said() };
    let left = |comm: &str| Left { comm: comm.into(), ticks: 0, children_ticks: 0, had_children: false };
    let of = |comm| at_end(&[], std::slice::from_ref(&report), Some(&left(comm)));
    assert_eq!(of("bench"), ("/usr/bin/bench".into(), None));
    assert_eq!(of("other"), ("other".into(), Some(Doubt::NotProven)));
    let children = Left { had_children: true, ..left("bench") };
    assert_eq!(at_end(&[], &[report], Some(&children)).1, Some(Doubt::Unseen));
}

#[test]
fn a_copy_of_a_proven_program_is_proven() {
    let start = Instant::now();
    let bench = "/usr/bin/bench";
    let copy = Seen { copy_of_parent: true, ..seen(start, 8, bench, [1, 5]) };
    let report = ProcessReport { at: start, ..said() };
    let all = [seen(start, 7, bench, [0, 5]), copy.clone()];
    assert_eq!(at_end(&all, std::slice::from_ref(&report), None), (bench.into(), None));
    let other = [all[0].clone(), Seen { copy_of_parent: false, ..copy }];
    assert_eq!(at_end(&other, &[report], None).1, Some(Doubt::NotProven));
}

#[test]
fn a_result_of_an_earlier_verification_does_not_stand() {
    let dir = tempfile::tempdir().unwrap();
    let result = dir.path().join("preload_verify/result.txt");
    std::fs::create_dir(result.parent().unwrap()).unwrap();
    std::fs::write(&result, format!("{PASSED}\n")).unwrap();
    let request = Request {
        command: &["/nonexistent/bench".into()],
        so: Path::new("/nonexistent/x.so"),
        system: false,
        carrier: None,
        source: Path::new("/nonexistent/x.so"),
        name: "x",
        profile: &Profile::plain("x"),
        shim: &Shim { file: "/nonexistent/libhangscope.so".into(), follow: "/nonexistent/f.so".into() },
        runs: 1,
        cpus: None,
        env: &[],
        only: None,
        out: Some(dir.path()),
        times: Times::default(),
    };
    let error = verify(&request, &Cancel::never()).unwrap_err();
    assert_eq!(error.status(), crate::console::exit::Status::NotVerified);
    let text = std::fs::read_to_string(result).unwrap();
    assert_eq!(text, format!("{FAILED}: {error}\n"));
}
