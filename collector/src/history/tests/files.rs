//! Files that are no history, that are damaged, or that may only be read.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// Names of the files in a folder.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn database(path: &Path, sql: &str) -> Vec<u8> {
    rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
    fs::read(path).unwrap()
}

/// With ten runs.
fn add_runs(store: &mut Store, node: &str) {
    let number = store.begin_job(&job(node)).unwrap();
    store.add(number, node, &(1..=10).map(|n| run(n, "4ed7", n == 3)).collect::<Vec<_>>()).unwrap();
}

fn closed(dir: &Path) -> PathBuf {
    let path = dir.join("history.db");
    add_runs(&mut Store::open(&path).unwrap().0, "a");
    path
}

#[test]
fn a_file_that_is_no_history_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let whole = fs::read(closed(&dir.path().join("history"))).unwrap();
    let mut changed = whole;
    changed.iter_mut().for_each(|byte| *byte ^= 0x5a);
    let path = dir.path().join("file");
    let foreign = [
        b"\x7fELF and more".to_vec(),
        b"run,ops_s\n1,2\n".to_vec(),
        changed,
        database(&path, "CREATE TABLE bookmarks(url)"),
        database(&path, "CREATE TABLE job(id); PRAGMA user_version = 2"),
        database(&path, "PRAGMA user_version = 9; DROP TABLE job; DROP TABLE bookmarks"),
        database(&path, "PRAGMA application_id = 7"),
    ];
    let (_other, _, mut store) = new_store();
    for bytes in foreign {
        fs::write(&path, &bytes).unwrap();
        let refused = [
            Store::open(&path).err(),
            Store::open_to_read(&path).err(),
            Store::open_to_add(&path).err(),
            store.import(&path).err(),
        ];
        for error in refused {
            assert!(matches!(error, Some(StoreError::Foreign(_))), "{error:?}");
        }
        let recorder = Recorder::begin(path.clone(), job("a"));
        recorder.remember().run(|| Some(run(1, "4ed7", false)));
        let notes = recorder.end().notes;
        assert!(notes.len() == 1 && notes[0].en().contains("1 of 1 run"), "{notes:?}");
        assert!(notes[0].en().contains("is no history of hangscope"), "{notes:?}");
        assert_eq!(fs::read(&path).unwrap(), bytes);
        assert_eq!(names(dir.path()), ["file", "history"]);
    }
    assert!(matches!(Store::open(Path::new("/dev/null")), Err(StoreError::Foreign(_))));
}

#[test]
fn an_empty_file_becomes_a_history_and_the_header_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    fs::write(&path, "").unwrap();
    let (store, aside) = Store::open(&path).unwrap();
    assert_eq!(aside, None);
    // While its tables are in the log only.
    assert_eq!(&fs::read(&path).unwrap()[68..72], b"HSCP");
    drop(store);
    // One whose tables were made before there was a number.
    database(&path, "PRAGMA application_id = 0");
    assert_eq!(Store::open(&path).unwrap().1, None);
}

#[test]
fn reading_makes_no_file_and_renames_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    assert_eq!(Store::open_to_read(&path).unwrap().size().unwrap().runs, 0);
    assert!(names(dir.path()).is_empty());
    closed(dir.path());
    let store = Store::open_to_read(&path).unwrap();
    assert_eq!(store.size().unwrap().runs, 10);
    drop(store);
    assert_eq!(names(dir.path()), ["history.db", "history.db.lock"]);

    let mut bytes = fs::read(&path).unwrap();
    bytes[4096..].iter_mut().for_each(|byte| *byte ^= 0x5a);
    fs::write(&path, &bytes).unwrap();
    let read = Store::open_to_read(&path).and_then(|store| store.groups(&Filter::default(), Period::Build));
    assert!(matches!(read, Err(StoreError::Damaged { .. })), "{read:?}");
    let (_other, _, mut store) = new_store();
    let Err(StoreError::Damaged { path: damaged, .. }) = store.import(&path) else {
        panic!("a damaged file")
    };
    assert_eq!(damaged, path);
    assert_eq!(fs::read(&path).unwrap(), bytes);
    assert_eq!(names(dir.path()), ["history.db", "history.db.lock"]);
}

/// Ends the thread: from now on it has no rights over files of others.
fn as_nobody(of: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            nix::unistd::setfsuid(nix::unistd::Uid::from_raw(65534));
            of();
        });
    });
}

#[test]
fn a_history_in_a_folder_that_cannot_be_written_to_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = closed(dir.path());
    let older = dir.path().join("older.db");
    fs::copy(&path, &older).unwrap();
    database(&older, "ALTER TABLE job DROP COLUMN series; PRAGMA user_version = 2");
    for (file, mode) in [(&path, 0o444), (&older, 0o444), (&dir.path().to_owned(), 0o555)] {
        fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
    }
    let before = names(dir.path());
    let (_other, _, mut both) = new_store();
    as_nobody(|| {
        assert!(fs::write(dir.path().join("new"), "").is_err());
        for file in [&path, &older] {
            assert_eq!(Store::open_to_read(file).unwrap().size().unwrap().runs, 10);
        }
        assert_eq!(both.import(&path).unwrap(), 10);
        assert_eq!(both.import(&older).unwrap(), 0);
    });
    assert_eq!(names(dir.path()), before);
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    // A log that nobody can bring in.
    fs::write(dir.path().join("history.db-wal"), "a log").unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o555)).unwrap();
    as_nobody(|| assert!(matches!(Store::open_to_read(&path), Err(StoreError::Log(_)))));
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn an_import_names_what_is_wrong_once() {
    let (dir, path, mut store) = new_store();
    add_runs(&mut store, "a");
    let link = dir.path().join("link.db");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for same in [&path, &link] {
        assert!(matches!(store.import(same), Err(StoreError::Itself(_))));
    }
    let missing = dir.path().join("nope.db");
    let error = store.import(&missing).unwrap_err();
    assert_eq!(error.to_string(), format!("there is no {}", missing.display()));
    assert_eq!(names(dir.path()), ["data", "link.db"]);
    let error = StoreError::Sql { path: "h.db".into(), cause: rusqlite::Error::InvalidQuery };
    // A cause that the text has is not told again by the chain of errors.
    assert!(std::error::Error::source(&error).is_none());
    assert!(error.to_string().starts_with("h.db: "), "{error}");
}
