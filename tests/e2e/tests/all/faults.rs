//! The fault table. README lists its rows.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use hangscope_protocol::record::{CopyRecord, DumpBeginRecord, DumpEndRecord, NoteRecord, StackRecord};
use hangscope_protocol::{HEADER_LEN, Kind, MAX_PAYLOAD, Record as _, VERSION};
use hangscope_test_e2e::client::{Client, frame, hello, of_record, zero};
use hangscope_test_e2e::collect::Collect;
use hangscope_test_e2e::faults::{GROUPS, Row, at_once, build, of_file, of_program, print};
use hangscope_test_e2e::{TestCollector, preload};

/// Prints the rows. Each must hold, and be in README.
fn check(rows: &[Row]) {
    print(rows);
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap();
    let readme = readme.split_whitespace().collect::<Vec<_>>().join(" ");
    for row in rows {
        let fault = row.fault.split(": ").next().unwrap();
        assert!(readme.contains(fault) && readme.contains(row.promise), "README lacks {row:?}");
    }
    let broken: Vec<&Row> = rows.iter().filter(|row| row.result.is_err()).collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn programs_cannot_tell_that_they_are_watched() {
    let dir = tempfile::tempdir().unwrap();
    let (program, faults) = build(dir.path());
    assert!(faults.len() > 120 && GROUPS.iter().all(|g| faults.iter().any(|f| f.0 == g.file)));
    let collector = TestCollector::new();
    let events = collector.listener.events().clone();
    std::thread::spawn(move || events.iter().for_each(drop));
    check(&at_once(&faults, 12, |(group, name)| of_program(&program, group, name, &collector)));
}

/// What a client does to a collector on this socket. What it returns is held until the next one.
type Attack = fn(&Path) -> Vec<Client>;

/// Sends these messages after a hello.
fn after_hello(socket: &Path, messages: &[Vec<u8>]) -> Vec<Client> {
    let client = Client::greeted(socket);
    let _ = messages.iter().try_for_each(|m| client.send(m).then_some(()));
    vec![client]
}

/// Sends one message before a hello.
fn first(socket: &Path, message: &[u8]) -> Vec<Client> {
    let client = Client::new(socket);
    client.send(message);
    vec![client]
}

/// A hello, and a frame that carries a descriptor.
fn carried(socket: &Path, kind: Kind, payload: &[u8], fds: &[i32]) -> Vec<Client> {
    let client = Client::greeted(socket);
    client.send_with(&frame(kind, 1, 0, payload), fds);
    vec![client]
}

fn copy_of(socket: &Path, file: &impl AsRawFd, size: u64) -> Vec<Client> {
    let client = Client::greeted(socket);
    let record = CopyRecord { source: 1, size, ..zero() };
    client.send_with(&of_record(Kind::Copy, 1, 0, &record, &[]), &[file.as_raw_fd()]);
    vec![client]
}

fn begun(number: u32) -> Vec<u8> {
    of_record(Kind::DumpBegin, number, number, &DumpBeginRecord { number, ..zero() }, &[])
}

const ATTACKS: [(&str, Attack); 42] = [
    ("connects and says nothing", |s| vec![Client::new(s)]),
    ("300 connections that say nothing", |s| (0..300).map(|_| Client::new(s)).collect()),
    ("500 connections that end at once", |s| {
        (0..500).for_each(|_| drop(Client::new(s)));
        vec![]
    }),
    ("an empty message", |s| first(s, &[])),
    ("one byte", |s| first(s, b"x")),
    ("random bytes", |s| first(s, &(0..4000u32).map(|n| ((n * n) >> 3) as u8).collect::<Vec<_>>())),
    ("half a header", |s| first(s, &frame(Kind::Hello, 0, 0, &[])[..HEADER_LEN / 2])),
    ("a header without a payload", |s| first(s, &frame(Kind::Hello, 0, 0, &[]))),
    ("another magic", |s| first(s, &[b"HSC2", &hello(0, VERSION, "")[4..]].concat())),
    ("a length beyond the message", |s| {
        let mut bytes = hello(0, VERSION, "");
        bytes[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
        first(s, &bytes)
    }),
    ("a length below the message", |s| {
        let mut bytes = hello(0, VERSION, "");
        bytes[8..12].copy_from_slice(&1u32.to_le_bytes());
        first(s, &bytes)
    }),
    ("a frame of no kind", |s| {
        let mut bytes = hello(0, VERSION, "");
        bytes[4..6].copy_from_slice(&999u16.to_le_bytes());
        first(s, &bytes)
    }),
    ("a hello of another version", |s| first(s, &hello(0, VERSION + 1, ""))),
    ("a hello of version 0", |s| first(s, &hello(0, 0, ""))),
    ("a hello that is cut short", |s| {
        let bytes = hello(0, VERSION, "");
        first(s, &bytes[..bytes.len() - 9])
    }),
    ("a heartbeat before the hello", |s| first(s, &frame(Kind::Heartbeat, 0, 0, &[0; 200]))),
    ("a dump before the hello", |s| first(s, &begun(1))),
    ("a request of nobody's dump", |s| first(s, &frame(Kind::Request, 0, 0, &u32::MAX.to_le_bytes()))),
    ("two hellos", |s| after_hello(s, &[hello(1, VERSION, "")])),
    ("2,000 hellos", |s| after_hello(s, &(1..2000).map(|n| hello(n, VERSION, "")).collect::<Vec<_>>())),
    ("a label that rewrites a terminal", |s| first(s, &hello(0, VERSION, "\x1b[2J\x1b]0;x\x07\n\u{202e}"))),
    ("a hello, and the end", |s| {
        drop(after_hello(s, &[]));
        vec![]
    }),
    ("a dump without an end", |s| after_hello(s, &[begun(1)])),
    ("an end without a dump", |s| {
        after_hello(s, &[of_record(Kind::DumpEnd, 1, 1, &zero::<DumpEndRecord>(), &[])])
    }),
    ("1,000 dumps begun", |s| after_hello(s, &(1..1000).map(begun).collect::<Vec<_>>())),
    ("a stack that is longer than its frame", |s| {
        let stack = of_record(Kind::Stacks, 2, 1, &zero::<StackRecord>(), &u32::MAX.to_le_bytes());
        after_hello(s, &[begun(1), stack])
    }),
    ("threads that are cut short", |s| after_hello(s, &[begun(1), frame(Kind::Threads, 2, 1, &[1; 100])])),
    ("maps that are no text", |s| after_hello(s, &[begun(1), frame(Kind::Maps, 2, 1, &[0xff; 5000])])),
    ("maps from the end of the address space", |s| {
        after_hello(s, &[begun(1), frame(Kind::Maps, 2, 1, &[&u64::MAX.to_le_bytes()[..], b"x"].concat())])
    }),
    ("numbers of frames that run backwards", |s| {
        after_hello(s, &[frame(Kind::Heartbeat, 9, 0, &[]), frame(Kind::Heartbeat, 2, 0, &[])])
    }),
    ("20,000 notes", |s| {
        let note = of_record(Kind::Note, 1, 0, &zero::<NoteRecord>(), &[4, 0, 0, 0, b't', b'e', b'x', b't']);
        after_hello(s, &vec![note; 20_000])
    }),
    ("5,000 frames of the largest size", |s| {
        let maps = frame(Kind::Maps, 2, 1, &vec![b'x'; MAX_PAYLOAD]);
        after_hello(s, &[vec![begun(1)], vec![maps; 5000]].concat())
    }),
    ("a copy without a descriptor", |s| carried(s, Kind::Copy, &[0; CopyRecord::SIZE], &[])),
    ("a copy that is a pipe", |s| {
        let (reader, _writer) = nix::unistd::pipe().unwrap();
        copy_of(s, &reader, 4096)
    }),
    ("a copy that is a folder", |s| copy_of(s, &File::open("/").unwrap(), 4096)),
    ("a copy that is a device", |s| copy_of(s, &File::open("/dev/zero").unwrap(), 1 << 40)),
    ("a copy of 1 TB of nothing", |s| {
        let file = tempfile::tempfile().unwrap();
        file.set_len(1 << 40).unwrap();
        copy_of(s, &file, 1 << 40)
    }),
    ("a copy that is shorter than it says", |s| copy_of(s, &tempfile::tempfile().unwrap(), 1 << 20)),
    ("a descriptor with a frame that has none", |s| {
        let client = Client::greeted(s);
        client.send_with(&frame(Kind::Heartbeat, 1, 0, &[]), &[client.fd()]);
        vec![client]
    }),
    ("100 descriptors at once", |s| {
        let client = Client::greeted(s);
        client.send_with(&frame(Kind::Copy, 1, 0, &[0; CopyRecord::SIZE]), &[client.fd(); 100]);
        vec![client]
    }),
    ("a page of a crash that is a folder", |s| {
        let folder = File::open("/").unwrap();
        carried(s, Kind::CrashPage, &[0xff; 64], &[folder.as_raw_fd()])
    }),
    ("last memory that is a device", |s| {
        let device = File::open("/dev/zero").unwrap();
        carried(s, Kind::LastMemory, &[0xff; 8], &[device.as_raw_fd()])
    }),
];

#[test]
fn whatever_connects_the_next_process_is_recorded() {
    let mut collector = Collect::new(&["--no-perf"]);
    let mut rows = vec![];
    let mut held = vec![];
    for (n, (fault, attack)) in ATTACKS.iter().enumerate() {
        let clients = attack(&collector.socket());
        let (label, began) = (format!("after_{n}_"), Instant::now());
        let mut next = Command::new("/bin/sleep");
        next.arg("0.05").env("LD_PRELOAD", preload(None)).env("HANGSCOPE_SOCKET", collector.socket());
        next.env("HANGSCOPE_LABEL", &label);
        assert!(next.status().unwrap().success());
        while !collector.line_with(&["[SESSION]"]).contains(&label) {}
        held = clients;
        let ms = began.elapsed().as_millis();
        rows.push(Row {
            group: "clients".into(),
            fault: (*fault).to_owned(),
            promise: "the next process is recorded",
            result: Ok(format!("after {ms} ms")),
        });
    }
    drop(held);
    assert_eq!(collector.interrupt(), Some(0));
    let sessions = collector.sessions();
    let labelled = sessions.iter().filter(|s| s["label"].as_str().unwrap().starts_with("after_")).count();
    assert_eq!(labelled, ATTACKS.len(), "every process has its line");
    check(&rows);
}

#[test]
fn whatever_a_file_holds_it_is_read_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let whole =
        fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/frames/two_threads.bin")).unwrap();
    let recording =
        fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/recording/slow.json.gz")).unwrap();
    fs::File::create(path("20 GB of nothing")).unwrap().set_len(20 << 30).unwrap();
    fs::write(path("an empty file"), "").unwrap();
    fs::write(path("a text"), "hello\n").unwrap();
    fs::write(path("half a recording"), &recording[..recording.len() / 2]).unwrap();
    fs::write(path("a recording with one byte changed"), {
        let mut bytes = recording.clone();
        bytes[recording.len() / 2] ^= 0x55;
        bytes
    })
    .unwrap();
    fs::write(path("a plain dump of an older version"), &whole).unwrap();
    for part in 1..8 {
        fs::write(
            path(&format!("{part}/8 of a dump").replace('/', " of ")),
            &whole[..whole.len() * part / 8],
        )
        .unwrap();
    }
    for part in 0..8 {
        let mut bytes = whole.clone();
        let at = bytes.len() * part / 8 + 40;
        bytes[at..at + 8].copy_from_slice(&[0xff; 8]);
        fs::write(path(&format!("a dump with bytes changed in part {part}")), bytes).unwrap();
    }
    assert!(Command::new("mkfifo").arg(path("a pipe")).status().unwrap().success());
    std::os::unix::fs::symlink("a link to itself", path("a link to itself")).unwrap();
    fs::create_dir(path("an empty folder")).unwrap();
    let mut files: Vec<PathBuf> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().path()).collect();
    files.extend(["/dev/zero".into(), "/dev/full".into(), "/nonexistent".into()]);
    files.sort();
    let all: Vec<(&str, &PathBuf)> =
        ["show", "report"].iter().flat_map(|c| files.iter().map(|f| (*c, f))).collect();
    check(&at_once(&all, 4, |(command, file)| {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        of_file(&name, &[command, file.to_str().unwrap()])
    }));
}
