//! Sessions of clients in this very process, which speak the shim's protocol. So the process of a session
//! never exits.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

use crossbeam_channel::Receiver;
use hangscope_protocol::record::*;
use hangscope_protocol::{HEADER_LEN, Header, Kind};

use super::*;
use crate::analysis::Integrity;
use crate::collect::record::{End, HeartbeatLine, SessionRecord};
use crate::console::cancel::{self, Canceller};
use crate::console::usr1::Requests;
use crate::session::read_dumps;
use crate::testkit::fake_shim::{FakeShim, SOON, frame, payload, zero};

/// Everything is kept and is written at once.
fn options(out: PathBuf) -> Options {
    Options {
        out,
        perf: None,
        full: false,
        dumps: 1,
        json: false,
        max_memory: 512 << 20,
        max_size: None,
        keep: Keep::All,
        beats: 1,
        remember: crate::history::Remember::default(),
        board: crate::live::Board::new(crate::live::model::Kind::Collect),
        live: None,
        quiet: false,
    }
}

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
        let options = Options { dumps: 2, ..options(out) };
        let thread = std::thread::spawn(move || {
            collect(listener, options, cancel, say, &Requests::never(), None).unwrap()
        });
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
    let (hello, dsos) = hello_and_dsos(shim, flags, init_ns);
    shim.send_all(&[hello, dsos]).unwrap();
}

/// The first dump, of three threads.
fn send_dump(shim: &mut FakeShim) {
    let frames = shim.frames.dump(1, 3, 100);
    shim.send_all(&frames).unwrap();
}

fn hello_and_dsos(shim: &mut FakeShim, flags: u32, init_ns: u64) -> (Vec<u8>, Vec<u8>) {
    let frames = shim.frames.hello(2);
    let (_, _, body) = Header::split(&frames[0]).unwrap();
    let mut reader = hangscope_protocol::Reader::new(body);
    let said = Hello::get(&mut reader).unwrap();
    let fixed = HelloRecord { flags, init_ns, wall_ns: 1_763_886_141_123_000_000, ..said.fixed };
    let body = payload(|w| Hello { fixed, ..said }.put(w).unwrap());
    (frame(Kind::Hello, 0, 0, &body), frames[1].clone())
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
    assert_eq!(standing.close(), Collected { sessions: 1, hung: 1, not_written: 0, ..Collected::default() });

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
    assert_eq!(standing.close(), Collected { sessions: 1, hung: 0, not_written: 0, ..Collected::default() });
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
    assert_eq!(standing.close(), Collected { sessions: 1, hung: 0, not_written: 0, ..Collected::default() });
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
    let options = options(out.clone());
    let error =
        collect(listener, options, Cancel::never(), Arc::new(|_: &dyn Display| {}), &Requests::never(), None)
            .unwrap_err();
    assert!(error.to_string().starts_with("nobody can connect any more: cannot accept"), "{error}");
    assert_eq!(fs::read_to_string(out.join("sessions.jsonl")).unwrap().lines().count(), 1);
}

#[test]
fn an_out_that_cannot_be_written_is_said_and_ends_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let listener = Listener::bind(&dir.path().join("t.sock")).unwrap();
    let options = options(dir.path().join("file/out"));
    let error =
        collect(listener, options, Cancel::never(), Arc::new(|_: &dyn Display| {}), &Requests::never(), None)
            .unwrap_err();
    assert!(error.to_string().contains("file/out"), "{error}");

    // It becomes unwritable later: the folder is replaced by a file.
    let mut standing = Standing::new();
    let sessions = standing.dir.path().join("out/sessions");
    // Once the lines' file is there, the folder is made.
    while !sessions.with_extension("jsonl").exists() || fs::remove_dir(&sessions).is_err() {
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

/// The lines of `sessions.jsonl` in OUT.
fn lines_of(out: &Path) -> Vec<SessionRecord> {
    let lines = fs::read_to_string(out.join("sessions.jsonl")).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Collects into OUT from shims that `go` plays.
fn collect_while(options: Options, go: impl FnOnce(&Path, &Receiver<String>)) {
    let dir = tempfile::tempdir().unwrap();
    let listener = Listener::bind(&dir.path().join("t.sock")).unwrap();
    let path = listener.path().to_owned();
    let (canceller, cancel) = cancel::pair();
    let (sender, said) = crossbeam_channel::unbounded();
    let say: Say = Arc::new(move |text: &dyn Display| drop(sender.send(text.to_string())));
    let thread = std::thread::spawn(move || {
        collect(listener, options, cancel, say, &Requests::never(), None).unwrap()
    });
    go(&path, &said);
    drop(canceller);
    thread.join().unwrap();
}

fn hears(said: &Receiver<String>, word: &str) -> String {
    loop {
        let line = said.recv_timeout(SOON).unwrap_or_else(|_| panic!("{word} is said"));
        if line.contains(word) {
            return line;
        }
    }
}

#[test]
fn a_session_without_a_hang_is_a_line_and_one_with_a_hang_keeps_its_heartbeats() {
    let out = tempfile::tempdir().unwrap();
    let folds = Options { keep: Keep::Hangs, beats: 16, ..options(out.path().to_owned()) };
    collect_while(folds, |socket, said| {
        let mut healthy = FakeShim::connect(socket);
        // Without the DSOs: their files do not exist here, and that is no healthy session.
        let (said_first, _) = hello_and_dsos(&mut healthy, 0, 1);
        healthy.send(&said_first).unwrap();
        hears(said, "[SESSION]");
        (1..50).for_each(|tick| _ = healthy.beat(tick, 2).unwrap());
        // Another program in the same process.
        let mut hung = FakeShim::connect(socket);
        let (said_first, _) = hello_and_dsos(&mut hung, 0, 2);
        hung.send(&said_first).unwrap();
        drop(healthy);
        let end = hears(said, "[END]");
        assert!(!end.contains("->"), "{end}");
        (1..5).for_each(|tick| _ = hung.beat(tick, 2).unwrap());
        send_dump(&mut hung);
        hears(said, "[HANG]");
    });
    let lines = lines_of(out.path());
    let of = |folded| lines.iter().find(|line| line.folded == folded).unwrap();
    assert_eq!((lines.len(), of(true).heartbeats, of(true).hung), (2, 49, false));
    // Both began within a millisecond, as far as they say: the second may have the name of the first.
    assert_eq!(fs::read_dir(out.path().join("sessions")).unwrap().count(), 1);
    let kept = out.path().join(&of(false).folder);
    assert!(of(false).hung && kept.join("dump_1/dump.bin").exists());
    assert_eq!(fs::read_to_string(kept.join("heartbeats.jsonl")).unwrap().lines().count(), 4);
}

#[test]
fn at_the_limit_of_the_disk_no_dump_is_kept_and_the_line_says_so() {
    let out = tempfile::tempdir().unwrap();
    fs::write(out.path().join("much"), vec![1; 2 << 20]).unwrap();
    let small = Options { max_size: Some(1 << 20), ..options(out.path().to_owned()) };
    collect_while(small, |socket, said| {
        let mut shim = FakeShim::connect(socket);
        hello(&mut shim, 0, 1);
        send_dump(&mut shim);
        hears(said, "--max-size 1M");
        shim.beat(1, 1).unwrap();
    });
    let [line] = &lines_of(out.path())[..] else { panic!("one line") };
    assert_eq!((line.hung, line.dump_folders.len(), line.dumps), (true, 0, 1));
    assert!(line.notes.iter().any(|note| note.contains("--max-size")), "{:?}", line.notes);
}

#[test]
fn at_the_limit_of_the_disk_healthy_sessions_of_an_earlier_collector_go_first() {
    let out = tempfile::tempdir().unwrap();
    let dir = |name: &str| out.path().join("sessions").join(name);
    let identity = crate::testkit::dump::Make::new().finish().identity;
    let ended = SessionRecord {
        end: End::Exit,
        ended: Some("2025-11-23T08:22:21.123Z".into()),
        ..SessionRecord::new(&identity, u32::MAX, String::new())
    };
    let session = |name: &str, record: SessionRecord| {
        fs::create_dir_all(dir(name)).unwrap();
        fs::write(dir(name).join("much"), vec![1; 1 << 20]).unwrap();
        let record = SessionRecord { folder: format!("sessions/{name}"), ..record };
        fs::write(dir(name).join("session.json"), serde_json::to_vec(&record).unwrap()).unwrap();
    };
    session("healthy", ended.clone());
    session("hung", SessionRecord { hung: true, ..ended.clone() });
    session("dumped", SessionRecord { dump_folders: vec!["dump_1".into()], ..ended.clone() });
    session("crashed", SessionRecord { signal: Some(libc::SIGSEGV), ..ended.clone() });
    session("changed", SessionRecord { integrity: Integrity::Overwritten, ..ended.clone() });
    session("unnamed", ended.clone());
    fs::create_dir(dir("unnamed").join("dump_1")).unwrap();
    session("lying", ended.clone());
    let elsewhere = SessionRecord { folder: "sessions/healthy".into(), ..ended.clone() };
    fs::write(dir("lying").join("session.json"), serde_json::to_vec(&elsewhere).unwrap()).unwrap();
    let stat = fs::read("/proc/self/stat").unwrap();
    let start_ticks = hangscope_reader::task::Stat::parse(&stat).unwrap().start_ticks;
    session("lives", SessionRecord { end: End::Open, pid: std::process::id(), start_ticks, ..ended });
    std::os::unix::fs::symlink(dir("hung"), dir("link")).unwrap();
    // 8 MiB are there.
    let small = Options { max_size: Some(8 << 20), ..options(out.path().to_owned()) };
    collect_while(small, |socket, said| {
        let mut shim = FakeShim::connect(socket);
        hello(&mut shim, 0, 1);
        send_dump(&mut shim);
        hears(said, "[HANG]");
    });
    assert!(!dir("healthy").exists());
    for stays in ["hung", "dumped", "crashed", "changed", "unnamed", "lying", "lives", "link"] {
        assert!(dir(stays).join("much").exists(), "{stays}");
    }
    let hung = lines_of(out.path()).into_iter().find(|line| line.hung).unwrap();
    assert_eq!(hung.dump_folders, ["dump_1"], "there was room for it");
}

#[test]
fn an_out_that_is_removed_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    collect_while(options(out.clone()), |socket, said| {
        let mut shim = FakeShim::connect(socket);
        hello(&mut shim, 0, 1);
        hears(said, "[SESSION]");
        // The collector may be writing a file at this very moment.
        while let Err(error) = fs::remove_dir_all(&out) {
            assert_eq!(error.kind(), std::io::ErrorKind::DirectoryNotEmpty);
        }
        hears(said, "made again");
        send_dump(&mut shim);
        hears(said, "[HANG]");
    });
    let [line] = &lines_of(&out)[..] else { panic!("one line") };
    assert_eq!(line.dump_folders, ["dump_1"]);
    assert!(out.join(&line.folder).join("dump_1/dump.bin").exists());
}

#[test]
fn what_a_killed_collector_left_is_closed_or_continued() {
    let out = tempfile::tempdir().unwrap();
    let open = || options(out.path().to_owned());
    collect_while(open(), |socket, said| {
        let mut shim = FakeShim::connect(socket);
        hello(&mut shim, 0, 1);
        hears(said, "[SESSION]");
    });
    let [mut lives] = <[SessionRecord; 1]>::try_from(lines_of(out.path())).unwrap();
    assert_eq!(lives.end, End::Open);
    // The hello of a real shim has the start of its process.
    let stat = fs::read("/proc/self/stat").unwrap();
    let ticks = hangscope_reader::task::Stat::parse(&stat).unwrap().start_ticks;
    lives.start_ticks = ticks;
    // What it saw before cannot be seen by the next one.
    (lives.integrity, lives.deleted_seen) = (Integrity::Replaced, true);
    let dir = out.path().join(&lives.folder);
    fs::write(dir.join("session.json"), serde_json::to_vec(&lives).unwrap()).unwrap();
    fs::write(dir.join(".hangscope-x"), "half").unwrap();
    fs::create_dir(dir.join("dump_1")).unwrap();
    // One whose process is gone: no process has such an id.
    let gone = SessionRecord { pid: u32::MAX, folder: "sessions/gone".into(), ..lives.clone() };
    fs::create_dir(out.path().join("sessions/gone")).unwrap();
    fs::write(out.path().join("sessions/gone/session.json"), serde_json::to_vec(&gone).unwrap()).unwrap();

    collect_while(open(), |socket, said| {
        hears(said, "had ended meanwhile");
        let mut shim = FakeShim::connect(socket);
        let frames = shim.frames.hello(2);
        let (_, _, body) = Header::split(&frames[0]).unwrap();
        let said_by = Hello::get(&mut hangscope_protocol::Reader::new(body)).unwrap();
        let wall_ns = 1_763_886_141_123_000_000;
        let flags = hello_flags::AGAIN;
        let fixed = HelloRecord { flags, init_ns: 1, wall_ns, start_ticks: ticks, ..said_by.fixed };
        let body = payload(|w| Hello { fixed, ..said_by }.put(w).unwrap());
        shim.send_all(&[frame(Kind::Hello, 0, 0, &body), frames[1].clone()]).unwrap();
        // Its dump was cut off: it is asked for at once.
        let ask = shim.receive().expect("a request");
        let (_, kind, body) = Header::split(&ask).unwrap();
        let what = hangscope_protocol::Reader::new(body).record::<AskRecord>().unwrap().what;
        assert_eq!((kind, what), (Kind::Ask, ask_what::DUMP));
    });
    let lines = lines_of(out.path());
    let closed = lines.iter().find(|line| line.pid == u32::MAX).unwrap();
    assert_eq!(closed.end, End::Lost);
    assert!(closed.why.as_ref().unwrap().contains("no collector was there"));
    let again = lines.last().unwrap();
    assert_eq!((again.folder.as_str(), again.connections, again.end), (&*lives.folder, 2, End::Open));
    assert_eq!((again.integrity, again.deleted_seen), (Integrity::Replaced, true));
    assert!(!dir.join(".hangscope-x").exists() && !dir.join("dump_1").exists());
}
