//! DSOs that change under a process that lives on: what the shim sees, and what the analysis makes of it.

use std::path::{Path, PathBuf};
use std::process::Command;

use hangscope_collector::analysis::Integrity;
use hangscope_collector::analysis::integrity::judge;
use hangscope_collector::listen::What;
use hangscope_test_e2e::{Ears, Running, debian};

/// A process under a copy of jemalloc, `change` done to the copy; the first judgement that is not `intact`, or
/// `intact` if a look after the change still says so.
fn after(change: impl FnOnce(&Path)) -> (Integrity, String) {
    let ears = Ears::new();
    let dso = ears.dir.path().join("libje.so");
    std::fs::copy(debian("libjemalloc.so.2"), &dso).expect("a copy");
    let mut command = Command::new("/bin/sleep");
    let running = Running::start(ears.preload(command.arg("60"), Some(&dso)).env("HANGSCOPE_TICK", "20ms"));
    let conn = ears.until("a hello", |event| match &event.what {
        What::Hello(identity) => {
            assert_eq!(identity.fixed.pid, running.pid());
            Some(event.conn)
        }
        _ => None,
    });
    let look = |what: &str| {
        ears.until(what, |event| match &event.what {
            What::Dsos(dsos) => {
                dsos.iter().find(|d| d.path == dso.to_str().expect("text") && d.now.is_some()).cloned()
            }
            _ => None,
        })
    };
    let at_start = look("the first look");
    assert_eq!(judge(&at_start, None).integrity, Integrity::Intact);
    assert!(at_start.is(hangscope_protocol::record::dso_flags::ALLOCATOR));
    // The program sleeps before its DSO is changed: one that is still on its way to `main` runs that DSO's code, and
    // a copy in place would end it before the next look.
    ears.until("a heartbeat of a sleeper", |event| match &event.what {
        What::Heartbeat(beat) => {
            beat.threads.iter().find(|t| i64::from(t.syscall) == libc::SYS_clock_nanosleep).map(|_| ())
        }
        _ => None,
    });
    change(&dso);
    let later = look("a look that differs");
    let judged = judge(&later, None);
    drop(running);
    assert!(conn.0 < u64::MAX);
    (judged.integrity, judged.sentence(hangscope_collector::text::message::Lang::En))
}

fn other() -> PathBuf {
    debian("libtcmalloc_minimal.so.4")
}

#[test]
fn removed() {
    let (integrity, why) = after(|dso| std::fs::remove_file(dso).expect("rm"));
    assert_eq!(integrity, Integrity::Deleted, "{why}");
}

#[test]
fn another_file_moved_over_it() {
    let (integrity, why) = after(|dso| {
        let beside = dso.with_extension("new");
        std::fs::copy(other(), &beside).expect("a copy");
        std::fs::rename(&beside, dso).expect("mv");
    });
    assert_eq!(integrity, Integrity::Replaced, "{why}");
}

/// What `cp -f` does to a file that is there: opens it with O_TRUNC.
fn copy_over(from: &Path, to: &Path) {
    let bytes = std::fs::read(from).expect("the bytes");
    std::fs::write(to, bytes).expect("a copy in place");
}

#[test]
fn the_identical_file_copied_over_it() {
    let (integrity, why) = after(|dso| copy_over(&debian("libjemalloc.so.2"), dso));
    assert_eq!(integrity, Integrity::Overwritten, "{why}");
}

#[test]
fn another_build_copied_over_it() {
    let (integrity, why) = after(|dso| copy_over(&other(), dso));
    assert_eq!(integrity, Integrity::Overwritten, "{why}");
}

#[test]
fn a_change_of_mode_is_no_change_of_the_dso() {
    let (integrity, why) = after(|dso| {
        let mut permissions = std::fs::metadata(dso).expect("metadata").permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o444);
        std::fs::set_permissions(dso, permissions).expect("chmod");
    });
    assert_eq!(integrity, Integrity::Intact, "{why}");
}

#[test]
fn written_in_place_with_the_same_bytes_without_truncating() {
    let (integrity, why) = after(|dso| {
        let bytes = std::fs::read(dso).expect("the bytes");
        let file = std::fs::OpenOptions::new().write(true).open(dso).expect("the file");
        std::os::unix::fs::FileExt::write_all_at(&file, &bytes, 0).expect("a write in place");
    });
    assert_ne!(integrity, Integrity::Deleted, "{why}");
    assert_ne!(integrity, Integrity::Replaced, "{why}");
    println!("{integrity}: {why}");
}
