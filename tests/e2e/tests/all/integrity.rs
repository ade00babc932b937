//! DSOs that change while a process uses them: what the shim reports, and how the analysis judges the report.

use std::path::{Path, PathBuf};
use std::process::Command;

use hangscope_collector::analysis::Integrity;
use hangscope_collector::analysis::integrity::judge;
use hangscope_collector::listen::What;
use hangscope_test_e2e::{Running, TestCollector, debian};

/// Starts a process under a copy of jemalloc, and applies `change` to
/// the copy. Returns the judgement of the next report about the copy.
fn judge_after(change: impl FnOnce(&Path)) -> (Integrity, String) {
    let collector = TestCollector::new();
    let dso = collector.dir.path().join("libje.so");
    std::fs::copy(debian("libjemalloc.so.2"), &dso).expect("a copy");
    let mut command = Command::new("/bin/sleep");
    let running =
        Running::start(collector.preload(command.arg("60"), Some(&dso)).env("HANGSCOPE_TICK", "20ms"));
    let conn = collector.until("a hello", |event| match &event.what {
        What::Hello(identity) => {
            assert_eq!(identity.fixed.pid, running.pid());
            Some(event.conn)
        }
        _ => None,
    });
    let look = |what: &str| {
        collector.until(what, |event| match &event.what {
            What::Dsos(dsos) => {
                dsos.iter().find(|d| d.path == dso.to_str().expect("text") && d.now.is_some()).cloned()
            }
            _ => None,
        })
    };
    let at_start = look("the first look");
    assert_eq!(judge(&at_start, None).integrity, Integrity::Intact);
    assert!(at_start.is(hangscope_protocol::record::dso_flags::ALLOCATOR));
    // The DSO changes only after the program sleeps. Before `main`, the program runs the DSO's code, and a
    // copy in place would end the program before the next look.
    collector.until("a heartbeat of the sleeping program", |event| match &event.what {
        What::Heartbeat(beat) => {
            beat.threads.iter().find(|t| i64::from(t.syscall) == libc::SYS_clock_nanosleep).map(|_| ())
        }
        _ => None,
    });
    change(&dso);
    let later = look("a look after the change");
    let judged = judge(&later, None);
    drop(running);
    assert!(conn.0 < u64::MAX);
    (judged.integrity, judged.sentence(hangscope_collector::text::message::Lang::En))
}

fn other_build() -> PathBuf {
    debian("libtcmalloc_minimal.so.4")
}

#[test]
fn removed() {
    let (integrity, why) = judge_after(|dso| std::fs::remove_file(dso).expect("rm"));
    assert_eq!(integrity, Integrity::Deleted, "{why}");
}

#[test]
fn another_file_moved_over_it() {
    let (integrity, why) = judge_after(|dso| {
        let beside = dso.with_extension("new");
        std::fs::copy(other_build(), &beside).expect("a copy");
        std::fs::rename(&beside, dso).expect("mv");
    });
    assert_eq!(integrity, Integrity::Replaced, "{why}");
}

/// Does what `cp -f` does to an existing file: opens it with O_TRUNC and writes it.
fn copy_over(from: &Path, to: &Path) {
    let bytes = std::fs::read(from).expect("the bytes");
    std::fs::write(to, bytes).expect("a copy in place");
}

#[test]
fn the_identical_file_copied_over_it() {
    let (integrity, why) = judge_after(|dso| copy_over(&debian("libjemalloc.so.2"), dso));
    assert_eq!(integrity, Integrity::Overwritten, "{why}");
}

#[test]
fn another_build_copied_over_it() {
    let (integrity, why) = judge_after(|dso| copy_over(&other_build(), dso));
    assert_eq!(integrity, Integrity::Overwritten, "{why}");
}

#[test]
fn a_change_of_mode_is_no_change_of_the_dso() {
    let (integrity, why) = judge_after(|dso| {
        let mut permissions = std::fs::metadata(dso).expect("metadata").permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o444);
        std::fs::set_permissions(dso, permissions).expect("chmod");
    });
    assert_eq!(integrity, Integrity::Intact, "{why}");
}

#[test]
fn written_in_place_with_the_same_bytes_without_truncating() {
    let (integrity, why) = judge_after(|dso| {
        let bytes = std::fs::read(dso).expect("the bytes");
        let file = std::fs::OpenOptions::new().write(true).open(dso).expect("the file");
        std::os::unix::fs::FileExt::write_all_at(&file, &bytes, 0).expect("a write in place");
    });
    assert_ne!(integrity, Integrity::Deleted, "{why}");
    assert_ne!(integrity, Integrity::Replaced, "{why}");
    println!("{integrity}: {why}");
}
