//! One row for each thing that can happen to a file: what the shim sees, and the expected word.

use hangscope_protocol::record::{DsoNowRecord, DsoRecord, dso_flags, maps_deleted};

use super::*;
use crate::files::facts::FileFacts;
use crate::testkit::fake_shim::zero;
use crate::text::message::{Lang, check_templates};

fn id(byte: u8) -> [u8; 32] {
    [byte; 32]
}

fn init() -> DsoRecord {
    DsoRecord {
        flags: dso_flags::ALLOCATOR | dso_flags::SAME_FILE_AT_INIT,
        map_ino: 1000,
        map_dev: 7,
        dev: 7,
        ino: 1000,
        size: 41_000,
        mtime_ns: 10,
        ctime_ns: 20,
        nlink: 1,
        mode: 0o100644,
        uid: 1000,
        got_addr: 0x7f00_0000_1000,
        got_value: 0x7f11,
        build_id: id(0xaa),
        build_id_len: 20,
        ..zero()
    }
}

/// A look without any change.
fn same() -> DsoNowRecord {
    DsoNowRecord {
        maps_deleted: maps_deleted::NO,
        path_dev: 7,
        path_ino: 1000,
        path_size: 41_000,
        path_mtime_ns: 10,
        path_ctime_ns: 20,
        path_nlink: 1,
        path_mode: 0o100644,
        path_uid: 1000,
        fd_nlink: 1,
        fd_ctime_ns: 20,
        fd_size: 41_000,
        got_value: 0x7f11,
        build_id: id(0xaa),
        build_id_len: 20,
        ..zero()
    }
}

/// A look after which the path does not exist.
fn missing() -> DsoNowRecord {
    DsoNowRecord {
        path_errno: 2,
        path_dev: 0,
        path_ino: 0,
        path_size: 0,
        path_mtime_ns: 0,
        path_ctime_ns: 0,
        path_nlink: 0,
        path_mode: 0,
        path_uid: 0,
        ..same()
    }
}

/// A look after which the path names another file.
fn other() -> DsoNowRecord {
    DsoNowRecord {
        maps_deleted: maps_deleted::YES,
        path_ino: 2000,
        path_mtime_ns: 30,
        path_ctime_ns: 30,
        fd_nlink: 0,
        fd_ctime_ns: 30,
        ..same()
    }
}

fn dso(init: DsoRecord, now: impl Into<Option<DsoNowRecord>>) -> Dso {
    Dso { init, path: "/opt/libfoo.so".to_owned(), now: now.into() }
}

#[test]
fn every_change_of_a_file_has_its_word() {
    use Integrity::{Deleted, Intact, Overwritten, Replaced, Unknown};
    let touched = DsoNowRecord { path_mtime_ns: 30, path_ctime_ns: 30, fd_ctime_ns: 30, ..same() };
    let ctime_only = DsoNowRecord { path_ctime_ns: 30, fd_ctime_ns: 30, ..same() };
    let no_word = DsoRecord { got_addr: 0, got_value: 0, ..init() };
    let at_init = |flags| DsoRecord { flags, ..init() };
    // ENODATA: nobody looked at the start.
    let unseen = DsoRecord { errno: 61, ..at_init(0) };
    #[rustfmt::skip]
    let table: Vec<(&str, DsoRecord, DsoNowRecord, Option<bool>, Integrity)> = vec![
        ("nothing", init(), same(), None, Intact),
        ("nothing, no relocated word", no_word, same(), None, Intact),
        ("nothing, maps not looked at", init(), DsoNowRecord { maps_deleted: maps_deleted::NOT_SEEN, ..same() }, None, Intact),
        ("nothing, on overlayfs", DsoRecord { map_ino: 5, map_dev: 99, ..init() }, same(), None, Intact),
        ("the host closed the descriptor", init(), DsoNowRecord { fd_errno: 9, fd_nlink: 0, fd_ctime_ns: 0, fd_size: 0, ..same() }, None, Intact),
        ("rm", init(), DsoNowRecord { maps_deleted: maps_deleted::YES, fd_nlink: 0, ..missing() }, None, Deleted),
        ("rm, maps not looked at", init(), DsoNowRecord { maps_deleted: maps_deleted::NOT_SEEN, fd_nlink: 0, ..missing() }, None, Deleted),
        ("rm of one of two links", DsoRecord { nlink: 2, ..init() }, DsoNowRecord { maps_deleted: maps_deleted::YES, ..missing() }, None, Deleted),
        ("rm of one of two links, maps not looked at", DsoRecord { nlink: 2, ..init() }, DsoNowRecord { maps_deleted: maps_deleted::NOT_SEEN, ..missing() }, None, Deleted),
        ("rm, no descriptor", init(), DsoNowRecord { maps_deleted: maps_deleted::YES, fd_errno: 9, ..missing() }, None, Deleted),
        ("gone, no descriptor, maps not looked at", init(), DsoNowRecord { maps_deleted: maps_deleted::NOT_SEEN, fd_errno: 9, ..missing() }, None, Unknown),
        ("rm and ln back", init(), DsoNowRecord { maps_deleted: maps_deleted::YES, ..ctime_only }, Some(true), Intact),
        ("rm and a new file", init(), other(), None, Replaced),
        ("mv of another over it", init(), other(), None, Replaced),
        ("mv away, other put there", init(), DsoNowRecord { maps_deleted: maps_deleted::NO, fd_nlink: 1, ..other() }, None, Replaced),
        ("mv away", init(), DsoNowRecord { fd_ctime_ns: 30, ..missing() }, None, Intact),
        ("mv away, written there", init(), DsoNowRecord { fd_ctime_ns: 30, fd_size: 50_000, ..missing() }, None, Overwritten),
        ("chmod", init(), DsoNowRecord { path_mode: 0o100444, ..ctime_only }, None, Intact),
        ("chown", init(), DsoNowRecord { path_uid: 0, ..ctime_only }, None, Intact),
        ("ln", init(), DsoNowRecord { path_nlink: 2, fd_nlink: 2, ..ctime_only }, None, Intact),
        ("chmod and written with the time kept", init(), DsoNowRecord { path_mode: 0o100444, ..ctime_only }, Some(false), Overwritten),
        ("touch", init(), touched, Some(true), Intact),
        ("touch, bytes not compared", init(), touched, None, Unknown),
        ("touch, no relocated word", no_word, touched, Some(true), Unknown),
        ("cp -f of the identical file", init(), DsoNowRecord { got_value: 0x1036, ..touched }, Some(true), Overwritten),
        ("cp -f of the identical file, pages gone for a moment", init(), DsoNowRecord { got_errno: 14, got_value: 0, ..touched }, None, Overwritten),
        ("cp -f of another build", init(), DsoNowRecord { path_size: 42_000, fd_size: 42_000, got_value: 0x1036, build_id: id(0xbb), ..touched }, Some(false), Overwritten),
        ("cp -fp of another build of the same size", init(), DsoNowRecord { got_value: 0x1036, build_id: id(0xbb), ..ctime_only }, None, Overwritten),
        ("other build, no relocated word", no_word, DsoNowRecord { build_id: id(0xbb), ..touched }, None, Overwritten),
        ("written without truncation, other bytes", init(), touched, Some(false), Overwritten),
        ("written without truncation, times kept, other bytes", init(), same(), Some(false), Overwritten),
        ("truncated", no_word, DsoNowRecord { path_size: 0, fd_size: 0, build_id_len: 0, ..touched }, None, Overwritten),
        ("path hidden, file untouched", init(), DsoNowRecord { path_errno: 13, ..missing() }, None, Intact),
        ("path hidden, file removed", init(), DsoNowRecord { path_errno: 13, fd_nlink: 0, ..missing() }, None, Deleted),
        ("path hidden, file grew", init(), DsoNowRecord { path_errno: 13, fd_size: 1, ..missing() }, None, Overwritten),
        ("path hidden, file written", init(), DsoNowRecord { path_errno: 13, fd_ctime_ns: 99, ..missing() }, None, Unknown),
        ("dlclose", init(), DsoNowRecord { maps_deleted: maps_deleted::GONE, got_errno: 14, ..same() }, None, Unknown),
        ("another file at init", at_init(dso_flags::ALLOCATOR), same(), None, Replaced),
        ("deleted at init", DsoRecord { errno: 2, ..at_init(dso_flags::DELETED_AT_INIT) }, DsoNowRecord { fd_errno: 9, ..missing() }, None, Deleted),
        ("deleted at init, a new file since", DsoRecord { errno: 2, ..at_init(dso_flags::DELETED_AT_INIT) }, other(), None, Replaced),
        ("deleted at init, other file there", at_init(dso_flags::DELETED_AT_INIT), other(), None, Replaced),
        ("a profiler patched the word", init(), DsoNowRecord { got_value: 0x7f55_0000_2000, ..same() }, None, Intact),
        ("no shim, rm", unseen, DsoNowRecord { maps_deleted: maps_deleted::YES, fd_errno: 9, ..missing() }, None, Deleted),
        ("no shim, a new file moved over it", unseen, DsoNowRecord { fd_errno: 9, ..other() }, None, Replaced),
        ("no shim, mv away", unseen, DsoNowRecord { fd_errno: 9, ..missing() }, None, Intact),
        ("no shim, a young file", unseen, DsoNowRecord { fd_errno: 9, ..same() }, None, Unknown),
        ("no shim, cp -f", unseen, DsoNowRecord { fd_errno: 9, got_value: 0x1036, ..same() }, None, Overwritten),
        ("no stat at init", DsoRecord { errno: 13, ..at_init(0) }, same(), None, Unknown),
    ];
    for (what, init, now, content_same, expected) in table {
        let judged = judge(&dso(init, now), content_same);
        assert_eq!(judged.integrity, expected, "{what}: {}", judged.sentence(Lang::En));
        let deleted = now.maps_deleted == maps_deleted::YES || init.flags & dso_flags::DELETED_AT_INIT != 0;
        assert_eq!(judged.deleted_seen, deleted, "{what}");
    }
}

#[test]
fn a_dso_without_a_second_look_is_unknown() {
    let judged = judge(&dso(init(), None), None);
    assert_eq!((judged.integrity, judged.reason), (Integrity::Unknown, Reason::NoLook {}));
}

#[test]
fn the_sentence_names_what_moved() {
    let now = DsoNowRecord { path_mode: 0o100444, path_uid: 0, path_ctime_ns: 30, ..same() };
    let judged = judge(&dso(init(), now), None);
    insta::assert_snapshot!(judged.sentence(Lang::En), @"same file and bytes: its change time moved only with its mode, uid");
    let now = DsoNowRecord { build_id: id(0xbb), ..same() };
    let mut short = init();
    short.build_id_len = 2;
    let judged = judge(&dso(short, DsoNowRecord { build_id_len: 2, ..now }), None);
    insta::assert_snapshot!(judged.sentence(Lang::En), @"the build-id in memory is bbbb, was aaaa: the mapped code is not the code that was loaded");
}

fn after() -> FileFacts {
    FileFacts {
        dev: 7,
        ino: 1000,
        size: 41_000,
        mtime_ns: 10,
        ctime_ns: 20,
        nlink: 1,
        mode: 0o100644,
        uid: 1000,
        content_same: None,
    }
}

#[test]
fn after_the_end_the_file_is_compared_with_the_snapshot() {
    use Integrity::{Deleted, Intact, Overwritten, Replaced, Unknown};
    let written = FileFacts { mtime_ns: 30, ctime_ns: 30, ..after() };
    #[rustfmt::skip]
    let table: Vec<(&str, Option<FileFacts>, bool, Integrity)> = vec![
        ("crash, file untouched", Some(after()), true, Intact),
        ("end, file untouched", Some(after()), false, Intact),
        ("crash, cp -f identical", Some(FileFacts { content_same: Some(true), ..written }), true, Overwritten),
        ("crash, cp -f other build of the same size", Some(FileFacts { content_same: Some(false), ..written }), true, Overwritten),
        ("crash, cp -f, not compared", Some(written), true, Overwritten),
        ("crash, cp -fp", Some(FileFacts { ctime_ns: 30, ..after() }), true, Overwritten),
        ("crash, touch -a, chmod there and back, mv there and back", Some(FileFacts { ctime_ns: 30, content_same: Some(true), ..after() }), true, Unknown),
        ("crash, other size", Some(FileFacts { size: 1, ..written }), true, Overwritten),
        ("crash, chmod", Some(FileFacts { ctime_ns: 30, mode: 0o100755, ..after() }), true, Intact),
        ("crash, rm", None, true, Deleted),
        ("crash, mv over", Some(FileFacts { ino: 1001, ..written }), true, Replaced),
        ("end, touch", Some(FileFacts { content_same: Some(true), ..written }), false, Intact),
        ("end, touch, not compared", Some(written), false, Unknown),
        ("end, other bytes", Some(FileFacts { content_same: Some(false), ..written }), false, Overwritten),
    ];
    for (what, file, died, expected) in table {
        for now in [None, Some(same())] {
            let judged = post_mortem(&dso(init(), now), Ok(file), died);
            assert_eq!(judged.integrity, expected, "{what}: {}", judged.sentence(Lang::En));
        }
    }
}

#[test]
fn a_problem_of_the_last_look_stands_after_the_end() {
    let judged = post_mortem(&dso(init(), other()), Ok(Some(after())), true);
    assert_eq!((judged.integrity, judged.deleted_seen), (Integrity::Replaced, true));
    let away = DsoNowRecord { fd_ctime_ns: 30, ..missing() };
    let judged = post_mortem(&dso(init(), away), Ok(None), true);
    assert_eq!(judged.integrity, Integrity::Intact, "it was there under another name");
    let unseen = DsoRecord { errno: 13, flags: 0, ..init() };
    let judged = post_mortem(&dso(unseen, None), Ok(Some(after())), true);
    assert_eq!(judged.integrity, Integrity::Unknown, "no snapshot to compare with");
}

#[test]
fn a_file_that_cannot_be_read_is_not_deleted() {
    for now in [None, Some(same())] {
        let judged = post_mortem(&dso(init(), now), Err(13), true);
        assert_eq!(judged.integrity, Integrity::Unknown);
        insta::allow_duplicates! {
            insta::assert_snapshot!(judged.sentence(Lang::En), @"its file could not be examined after the run (errno 13)");
        }
    }
    let judged = post_mortem(&dso(init(), other()), Err(13), true);
    assert_eq!(judged.integrity, Integrity::Replaced, "the problem of the last look stands");
}

#[test]
fn memory_with_a_name_is_no_file() {
    for path in ["/memfd:x (deleted)", "/memfd:hz4", "/SYSV00000000", "/dev/zero", "[vdso]", ""] {
        assert!(!is_file(path), "{path}");
    }
    assert!(is_file("/usr/lib/libfoo.so") && is_file("/dev/shm/libfoo.so"));
    let memfd = Dso { path: "/memfd:x".to_owned(), ..dso(init(), other()) };
    let shim = dso(DsoRecord { flags: dso_flags::SHIM | dso_flags::SAME_FILE_AT_INIT, ..init() }, other());
    assert_eq!(worst([&memfd, &shim, &dso(init(), same())]), (Integrity::Intact, false));
    let touched = DsoNowRecord { path_mtime_ns: 30, ..same() };
    assert_eq!(worst([&dso(init(), touched), &dso(init(), other())]), (Integrity::Replaced, true));
}

#[test]
fn all_reasons_exist_in_both_languages() {
    check_templates(Reason::TEMPLATES);
}
