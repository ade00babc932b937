//! Sessions of clients in this very process, which speak the shim's protocol. So the process of a session
//! never exits.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::path::PathBuf;

use crossbeam_channel::Receiver;
use hangscope_protocol::record::*;
use hangscope_protocol::{HEADER_LEN, Header, Kind};

use super::*;
use crate::collect::record::{End, HeartbeatLine, SessionRecord};
use crate::console::cancel::{self, Canceller};
use crate::console::usr1::Requests;
use crate::session::read_dumps;
use crate::testkit::fake_shim::{FakeShim, SOON, frame, payload, zero};

struct Standing {
    dir: tempfile::TempDir,
    socket: PathBuf,
    canceller: Option<Canceller>,
    said: Receiver<String>,
    thread: Option<std::thread::JoinHandle<Collected>>,
}

impl Standing {
    fn new() -> Standing {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        Standing::at(dir, out)
    }

    fn at(dir: tempfile::TempDir, out: PathBuf) -> Standing {
        let socket = dir.path().join("s.sock");
        let listener = Listener::bind(&socket).unwrap();
        let (canceller, cancel) = cancel::pair();
        let (sender, said) = crossbeam_channel::unbounded();
        let say: Say = Arc::new(move |text: &dyn Display| drop(sender.send(text.to_string())));
        let options = Options { out, perf: None, full: false, dumps: 2, json: false };
        let thread =
            std::thread::spawn(move || collect(listener, options, cancel, say, &Requests::never()).unwrap());
        Standing { dir, socket, canceller: Some(canceller), said, thread: Some(thread) }
    }

    /// Waits until something that begins like this is said.
    fn hears(&self, begin: &str) -> String {
        loop {
            let said = self.said.recv_timeout(SOON).unwrap_or_else(|_| panic!("{begin} is said"));
            if said.starts_with(begin) {
                return said;
            }
        }
    }

    /// Waits until so many heartbeats are written. What two connections say has no order between them, so
    /// what must come first is waited for where it arrives.
    fn has_beats(&self, wanted: usize) {
        let until = std::time::Instant::now() + SOON;
        let folders = || fs::read_dir(self.dir.path().join("out/sessions")).into_iter().flatten().flatten();
        let lines = |folder: fs::DirEntry| {
            fs::read_to_string(folder.path().join("heartbeats.jsonl")).map_or(0, |text| text.lines().count())
        };
        while folders().map(lines).sum::<usize>() < wanted {
            assert!(std::time::Instant::now() < until, "{wanted} heartbeats are written");
            std::thread::yield_now();
        }
    }

    fn close(&mut self) -> Collected {
        drop(self.canceller.take());
        self.thread.take().unwrap().join().unwrap()
    }

    fn sessions(&self) -> Vec<SessionRecord> {
        let lines = fs::read_to_string(self.dir.path().join("out/sessions.jsonl")).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn dir_of(&self, session: &SessionRecord) -> PathBuf {
        self.dir.path().join("out").join(&session.folder)
    }
}

/// A hello with these flags, of the same program image as the others.
fn hello(shim: &mut FakeShim, flags: u32, init_ns: u64) {
    let frames = shim.frames.hello(2);
    let (_, _, body) = Header::split(&frames[0]).unwrap();
    let mut reader = hangscope_protocol::Reader::new(body);
    let said = Hello::get(&mut reader).unwrap();
    let fixed = HelloRecord { flags, init_ns, wall_ns: 1_763_886_141_123_000_000, ..said.fixed };
    let body = payload(|w| Hello { fixed, ..said }.put(w).unwrap());
    shim.send_all(&[frame(Kind::Hello, 0, 0, &body), frames[1].clone()]).unwrap();
}

#[test]
fn a_session_leaves_its_heartbeats_dumps_and_end() {
    let mut standing = Standing::new();
    let mut shim = FakeShim::connect(&standing.socket);
    hello(&mut shim, 0, 1);
    shim.beat(1, 3).unwrap();
    shim.beat(2, 300).unwrap();
    for number in 1..=3 {
        let frames = shim.frames.dump(number, 3, 500);
        shim.send_all(&frames).unwrap();
    }
    standing.hears("[HANG]");
    standing.hears("[HANG]");
    shim.beat(3, 1).unwrap();
    assert_eq!(standing.close(), Collected { sessions: 1, hung: 1, not_written: 0 });

    let [session] = &standing.sessions()[..] else { panic!("one session") };
    let dir = standing.dir_of(session);
    assert_eq!(session.folder, format!("sessions/20251123T082221.123Z_{}", std::process::id()));
    let saved: SessionRecord = serde_json::from_slice(&fs::read(dir.join("session.json")).unwrap()).unwrap();
    assert_eq!(&saved, session);
    assert_eq!((session.end, session.ended.as_ref(), session.hung), (End::Open, None, true));
    assert_eq!((session.label.as_str(), session.command.join(" ")), ("rss_hz4_1", "./bench 16".into()));
    assert_eq!(session.allocator.as_deref(), Some("/lib/lib0.so"));
    assert_eq!((session.max_rss_kib, session.dumps), (1234, 3));
    // A third dump was counted, not kept.
    assert_eq!(session.dump_folders, ["dump_1", "dump_2"]);

    let beats = fs::read_to_string(dir.join("heartbeats.jsonl")).unwrap();
    let beats: Vec<HeartbeatLine> = beats.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(beats.len() >= 2);
    assert_eq!((beats[0].threads.all, beats[0].threads.futex_wait, beats[0].by_thread.len()), (3, 3, 3));
    assert_eq!(beats[0].by_thread[0].call.as_deref(), Some("futex"));
    assert_eq!((beats[1].threads.all, beats[1].by_thread.len()), (300, 0));

    let files: BTreeMap<String, u64> = fs::read_dir(dir.join("dump_1"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().len()))
        .collect();
    for file in ["pid.txt", "ps_L.txt", "environ.txt", "maps.txt", "wchan_by_tid.tsv", "dump.bin", "0.so"] {
        assert!(files.get(file).is_some_and(|len| *len > 0), "{file} in {files:?}");
    }
    assert_eq!(
        fs::read_to_string(dir.join("dump_1/perf_hot_tid.txt")).unwrap(),
        "# perf: not wanted (--no-perf)\n"
    );
    let dumps = read_dumps(&fs::read(dir.join("dump_2/dump.bin")).unwrap()).unwrap();
    assert_eq!((dumps.len(), dumps[0].begin.number, dumps[0].stacks.len()), (1, 2, 3));
}

#[test]
fn one_dump_more_than_are_kept_still_tells_slow_from_hung() {
    let mut standing = Standing::new();
    let mut shim = FakeShim::connect(&standing.socket);
    hello(&mut shim, 0, 1);
    for number in 1..=3 {
        let mut frames = shim.frames.dump(number, 3, 500);
        // A thread began between the looks.
        let end = frames.pop().unwrap();
        let later = payload(|w| {
            for tid in 1..=4 {
                w.record(&ThreadRecord { tid, look: 2, state: b'S', syscall: 202, ..zero() }).unwrap();
            }
        });
        frames.push(shim.frames.next(Kind::Threads, number, &later));
        frames.push(shim.frames.next(Kind::DumpEnd, number, &end[HEADER_LEN..]));
        shim.send_all(&frames).unwrap();
    }
    shim.beat(1, 3).unwrap();
    standing.has_beats(1);
    assert_eq!(standing.close(), Collected { sessions: 1, hung: 0, not_written: 0 });
    let [session] = &standing.sessions()[..] else { panic!("one session") };
    assert_eq!((session.dumps, session.hung, session.dump_folders.len()), (3, false, 2));
}

#[test]
fn a_stall_whose_dump_is_cut_off_is_kept_and_is_neither_idle_nor_hung() {
    let mut standing = Standing::new();
    let mut shim = FakeShim::connect(&standing.socket);
    hello(&mut shim, 0, 1);
    let begin = DumpBeginRecord { number: 1, reason: dump_reason::STALL, threads: 3, ..zero() };
    let begin = shim.frames.next(Kind::DumpBegin, 1, &payload(|w| w.record(&begin).unwrap()));
    shim.send(&begin).unwrap();
    // Its rest, but for the end.
    let mut rest = shim.frames.dump(1, 3, 500).split_off(1);
    rest.pop();
    shim.send_all(&rest).unwrap();
    drop(shim);
    standing.hears("[DUMP]");
    assert_eq!(standing.close(), Collected { sessions: 1, hung: 0, not_written: 0 });
    let [session] = &standing.sessions()[..] else { panic!("one session") };
    assert_eq!((session.hung, session.dump_folders.len(), session.notes.len()), (false, 1, 1));
    assert!(session.notes[0].contains("cut off"), "{:?}", session.notes);
    assert!(standing.dir_of(session).join("dump_1/dump.bin").exists());
}

#[test]
fn what_is_not_well_formed_ends_one_session_and_touches_no_other() {
    let mut standing = Standing::new();
    let mut good = FakeShim::connect(&standing.socket);
    hello(&mut good, 0, 1);
    standing.hears("[SESSION]");
    let stranger = FakeShim::connect(&standing.socket);
    stranger.send(b"hello?").unwrap();
    assert!(standing.hears("[REJECTED]").contains("not well-formed"));
    let mut bad = FakeShim::connect(&standing.socket);
    hello(&mut bad, hello_flags::AGAIN, 2);
    bad.send(&frame(Kind::Threads, 5, 1, &[1, 2, 3])).unwrap();
    standing.hears("[END]");
    good.beat(1, 1).unwrap();
    drop(good);
    standing.close();
    let sessions = standing.sessions();
    let lost = sessions.iter().find(|s| s.end == End::Lost).unwrap();
    assert!(lost.why.as_ref().unwrap().contains("expected the beginning of a dump first"), "{:?}", lost.why);
    assert!(lost.ended.is_some());
}

#[test]
fn a_connection_lost_and_found_is_one_session_and_an_exec_two() {
    let mut standing = Standing::new();
    let mut shim = FakeShim::connect(&standing.socket);
    hello(&mut shim, 0, 1);
    shim.beat(1, 1).unwrap();
    standing.hears("[SESSION]");
    standing.has_beats(1);
    drop(shim);
    let mut shim = FakeShim::connect(&standing.socket);
    hello(&mut shim, hello_flags::AGAIN, 1);
    shim.beat(2, 1).unwrap();
    standing.has_beats(2);
    drop(shim);
    // The process goes on with another program.
    let mut shim = FakeShim::connect(&standing.socket);
    hello(&mut shim, 0, 2);
    standing.hears("[END]");
    shim.beat(1, 1).unwrap();
    standing.close();
    let sessions = standing.sessions();
    let ends: Vec<_> = sessions.iter().map(|s| (s.end, s.why.is_some(), s.connections)).collect();
    assert_eq!(ends, [(End::Exit, true, 2), (End::Open, false, 1)]);
    assert_eq!(sessions[0].heartbeats, 2);
    // Both started within the same millisecond, as far as they say.
    assert_eq!(sessions[1].folder, format!("{}_2", sessions[0].folder));
}

#[test]
fn two_clients_at_once_do_not_meet() {
    let mut standing = Standing::new();
    let mut first = FakeShim::connect(&standing.socket);
    hello(&mut first, 0, 1);
    standing.hears("[SESSION]");
    // AGAIN of an image that is not known here: after a restart of the collector.
    let mut second = FakeShim::connect(&standing.socket);
    let frames = second.frames.hello(0);
    second.send(&frames[0]).unwrap();
    let dump = first.frames.dump(1, 10, 100);
    let other = second.frames.dump(1, 7, 100);
    for (a, b) in dump.iter().zip(&other) {
        first.send(a).unwrap();
        second.send(b).unwrap();
    }
    first.send_all(&dump[other.len().min(dump.len())..]).unwrap();
    second.send_all(&other[dump.len().min(other.len())..]).unwrap();
    standing.hears("[HANG]");
    standing.hears("[HANG]");
    standing.close();
    let mut threads: Vec<usize> = standing
        .sessions()
        .iter()
        .map(|s| read_dumps(&fs::read(standing.dir_of(s).join("dump_1/dump.bin")).unwrap()).unwrap())
        .map(|dumps| dumps[0].threads.len())
        .collect();
    threads.sort_unstable();
    assert_eq!(threads, [7, 10]);
}

#[test]
fn a_socket_that_gives_no_connection_any_more_is_an_error_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let listener = Listener::bind(&dir.path().join("t.sock")).unwrap();
    let mut shim = FakeShim::connect(listener.path());
    hello(&mut shim, 0, 1);
    while listener.events().is_empty() {
        std::thread::yield_now();
    }
    listener.fail();
    let options = Options { out: out.clone(), perf: None, full: false, dumps: 1, json: false };
    let error =
        collect(listener, options, Cancel::never(), Arc::new(|_: &dyn Display| {}), &Requests::never())
            .unwrap_err();
    assert!(error.to_string().starts_with("nobody can connect any more: cannot accept"), "{error}");
    assert_eq!(fs::read_to_string(out.join("sessions.jsonl")).unwrap().lines().count(), 1);
}

#[test]
fn an_out_that_cannot_be_written_is_said_and_ends_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let listener = Listener::bind(&dir.path().join("t.sock")).unwrap();
    let options =
        Options { out: dir.path().join("file/out"), perf: None, full: false, dumps: 1, json: false };
    let error =
        collect(listener, options, Cancel::never(), Arc::new(|_: &dyn Display| {}), &Requests::never())
            .unwrap_err();
    assert!(error.to_string().contains("file/out"), "{error}");

    // It becomes unwritable later: the folder is replaced by a file.
    let mut standing = Standing::new();
    let sessions = standing.dir.path().join("out/sessions");
    while fs::remove_dir(&sessions).is_err() {
        std::thread::yield_now();
    }
    fs::write(&sessions, "").unwrap();
    let mut shim = FakeShim::connect(&standing.socket);
    hello(&mut shim, 0, 1);
    assert!(standing.hears("hangscope: cannot write").contains("sessions"));
    shim.beat(1, 1).unwrap();
    let collected = standing.close();
    assert!(collected.sessions == 1 && collected.not_written > 0, "{collected:?}");
}
