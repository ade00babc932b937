//! The proof, from what a shim would send, and the logs. The end-to-end tests have real processes.

use std::time::Instant;

use hangscope_protocol::record::*;

use super::log::FAILED;
use super::program::Expected;
use super::proof::ProcessReport;
use super::*;
use crate::files::elf::Elf;
use crate::files::facts::FileFacts;
use crate::session::{Dso, Identity};
use crate::testkit::fake_shim::{hello, zero};
use std::path::Path;

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
        over: false,
        at: Instant::now(),
    }
}

fn judge(change: impl FnOnce(&mut ProcessReport)) -> Result<String, String> {
    let mut said = said();
    change(&mut said);
    let expected = Expected::Program("/usr/bin/bench".into());
    let judged = said.judge(&expected, &wanted()).expect("it is the program in question");
    judged.map(|proof| proof.line().en()).map_err(|error| error.to_string())
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
fn hellos_of_others_prove_nothing() {
    let said = said();
    let other = Expected::Program("/usr/bin/env".into());
    assert!(said.judge(&other, &wanted()).is_none());
    let silent = ProcessReport { dsos: vec![], ..said };
    assert!(silent.judge(&Expected::Program("/usr/bin/bench".into()), &wanted()).is_none());
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
        shim: Path::new("/nonexistent/libhangscope.so"),
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
