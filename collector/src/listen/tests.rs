//! Real sockets, and a client that follows or breaks the protocol.

use std::fs;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use hangscope_protocol::record::*;
use hangscope_protocol::{HEADER_LEN, Header, Kind, MAX_FRAME, Reader, VERSION};
use proptest::prelude::*;

use super::*;
use crate::session::read_dumps;
use crate::testkit::fake_shim::{FakeShim, Frames, SOON, frame, hello, payload, zero};

fn listener() -> (tempfile::TempDir, Listener) {
    listener_with(ConnectionLimits::default())
}

fn listener_with(limits: ConnectionLimits) -> (tempfile::TempDir, Listener) {
    let dir = tempfile::tempdir().unwrap();
    let listener = Listener::bind_with(&dir.path().join("run/s.sock"), limits).unwrap();
    (dir, listener)
}

fn next(listener: &Listener) -> Event {
    listener.events().recv_timeout(SOON).expect("an event comes")
}

fn word(what: &What) -> String {
    match what {
        What::Hello(_) => "hello".into(),
        What::Dsos(dsos) => format!("dsos {}", dsos.len()),
        What::Copy { record, .. } => format!("copy {}", record.size),
        What::Heartbeat(beat) => format!("beat {}", beat.record.tick),
        What::CrashPage { record, .. } => format!("crash page {}", record.size),
        What::LastMemory { record, .. } => format!("last memory {}", record.size),
        What::Note(note) => format!("note {}", note.text),
        What::DumpBegin(begin) => format!("begin {}", begin.number),
        What::Mark(mark) => format!("mark {}", mark.part),
        What::FirstLook(dump) => format!("first look {}", dump.read().unwrap().dump.threads.len()),
        What::Dump(d) => format!("dump {} end={}", d.begin.number, d.end.is_some()),
        What::Bye(note) => format!("bye {}", note.text),
        What::Rejected(reason) => format!("rejected {reason}"),
        What::Wanted { pid, .. } => format!("wanted {pid}"),
        What::Stopping { target, signal } => format!("stopping {target} {signal}"),
        What::End => "end".into(),
    }
}

/// All events until the end of a connection.
fn words_to_end(listener: &Listener) -> Vec<String> {
    let mut words = vec![];
    while words.last().is_none_or(|w| w != "end") {
        words.push(word(&next(listener).what));
    }
    words
}

#[test]
fn the_socket_is_private_and_removed_with_the_listener() {
    let (dir, listener) = listener();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(listener.path()), 0o600);
    assert_eq!(mode(&dir.path().join("run")), 0o700);
    let path = listener.path().to_owned();
    drop(listener);
    assert!(!path.exists());
}

#[test]
fn a_stale_socket_is_replaced_and_one_in_use_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.sock");
    // A socket whose process died without removing it.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let listener = Listener::bind(&path).unwrap();
    let second = Listener::bind(&path).unwrap_err();
    assert!(matches!(second, ListenError::InUse { .. }), "{second}");
    // The refused listener did not remove the socket of the first one.
    let shim = FakeShim::greet(&path);
    assert_eq!(word(&next(&listener).what), "hello");
    drop((shim, listener));

    let foreign = std::os::unix::net::UnixListener::bind(&path).unwrap();
    assert!(matches!(Listener::bind(&path).unwrap_err(), ListenError::InUse { .. }));
    drop(foreign);

    fs::write(dir.path().join("file"), "x").unwrap();
    let error = Listener::bind(&dir.path().join("file")).unwrap_err();
    assert!(matches!(error, ListenError::NotASocket { .. }), "{error}");
    assert_eq!(fs::read(dir.path().join("file")).unwrap(), b"x");
}

#[test]
fn a_path_longer_than_an_address_is_one_clear_error() {
    let dir = tempfile::tempdir().unwrap();
    let fits = dir.path().join("x".repeat(MAX_PATH - dir.path().as_os_str().len() - 1));
    assert_eq!(fits.as_os_str().len(), 107);
    drop(Listener::bind(&fits).unwrap());
    let error = Listener::bind(&dir.path().join("x".repeat(107))).unwrap_err();
    assert!(matches!(error, ListenError::TooLong { .. }));
    assert!(error.to_string().ends_with("give a shorter --socket"), "{error}");
}

#[test]
fn a_session_becomes_events_and_its_dump_reads_back() {
    let (_dir, listener) = listener();
    let mut shim = FakeShim::greet(listener.path());
    let mut memfd = tempfile::tempfile().unwrap();
    memfd.write_all(b"\x7fELF").unwrap();
    let copy = CopyRecord { id: 0, source: 1, size: 4, took_ns: 1 };
    let copy = shim.frames.next(Kind::Copy, 0, &payload(|w| w.record(&copy).unwrap()));
    shim.send_with(&copy, &[memfd.as_raw_fd()]).unwrap();
    let note = payload(|w| w.record_with(&NoteRecord { code: 1, ..zero() }, b"bad tick").unwrap());
    let note = shim.frames.next(Kind::Note, 0, &note);
    let now = payload(|w| w.record(&DsoNowRecord { id: 1, path_errno: 2, ..zero() }).unwrap());
    let now = shim.frames.next(Kind::DsosNow, 0, &now);
    let beat = shim.frames.heartbeat(1, 3);
    shim.send_all(&[note, now.clone(), beat]).unwrap();
    let mut dump = shim.frames.dump(1, 3, 100);
    // A heartbeat in the middle of a dump (before the second look) is no gap.
    let end = dump.split_off(dump.len() - 1);
    shim.send_all(&dump).unwrap();
    shim.frames = Frames::default();
    for _ in 0..Header::split(&end[0]).unwrap().0.seq {
        shim.frames.next(Kind::Note, 0, &[]);
    }
    let beat = shim.frames.heartbeat(2, 3);
    let body = Header::split(&end[0]).unwrap().2.to_vec();
    let end = shim.frames.next(Kind::DumpEnd, 1, &body);
    shim.send_all(&[beat, end]).unwrap();

    let mut words = vec![];
    let mut recorded = None;
    while recorded.is_none() {
        let event = next(&listener);
        assert_eq!((event.conn, event.peer.pid), (ConnId(1), std::process::id()));
        assert!(event.peer.pidfd.is_some());
        words.push(word(&event.what));
        if let What::Dump(dump) = event.what {
            recorded = Some(dump);
        }
    }
    assert_eq!(
        words,
        [
            "hello",
            "dsos 2",
            "copy 4",
            "note bad tick",
            "dsos 2",
            "beat 1",
            "begin 1",
            "mark 2",
            "beat 2",
            "dump 1 end=true"
        ]
    );
    let recorded = recorded.unwrap().read().unwrap();
    assert_eq!((recorded.dump.threads.len(), recorded.dump.stacks.len(), recorded.dump.gaps), (3, 3, 0));
    assert_eq!(recorded.dump.dsos[1].now.unwrap().path_errno, 2);
    assert_eq!(read_dumps(&recorded.raw).unwrap(), [recorded.dump]);
    drop(shim);
    assert_eq!(words_to_end(&listener), ["end"]);
}

#[test]
fn a_passed_descriptor_holds_the_bytes_and_is_closed_on_exec() {
    let (_dir, listener) = listener();
    let mut shim = FakeShim::greet(listener.path());
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"bytes").unwrap();
    let record = CopyRecord { id: 0, source: 1, size: 5, took_ns: 1 };
    let copy = shim.frames.next(Kind::Copy, 0, &payload(|w| w.record(&record).unwrap()));
    shim.send_with(&copy, &[file.as_raw_fd()]).unwrap();
    let (record, fd) = loop {
        if let What::Copy { record, fd } = next(&listener).what {
            break (record, fd);
        }
    };
    let flags = nix::fcntl::fcntl(&fd, nix::fcntl::FcntlArg::F_GETFD).unwrap();
    assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
    assert_eq!(crate::session::copy::take(&fd, &record, []).unwrap().bytes, b"bytes");
    let lie = CopyRecord { size: 6, ..record };
    assert!(crate::session::copy::take(&fd, &lie, []).is_err());
    let (pipe, _writer) = nix::unistd::pipe().unwrap();
    assert!(crate::session::copy::take(&pipe, &record, []).is_err(), "a pipe would block the reader");
}

#[test]
fn a_truncated_dump_is_delivered() {
    let (_dir, listener) = listener();
    let mut shim = FakeShim::greet(listener.path());
    let dump = shim.frames.dump(1, 40, 2000);
    shim.send_all(&dump[..dump.len() - 1]).unwrap();
    let second = shim.frames.dump(2, 1, 10);
    shim.send_all(&second[..2]).unwrap();
    drop(shim);
    let words = words_to_end(&listener);
    assert_eq!(words[2..], ["begin 1", "mark 2", "dump 1 end=false", "begin 2", "dump 2 end=false", "end"]);
}

#[test]
fn a_malformed_message_ends_only_its_own_connection() {
    let (_dir, listener) = listener();
    let good = FakeShim::greet(listener.path());
    assert_eq!(word(&next(&listener).what), "hello");
    assert_eq!(word(&next(&listener).what), "dsos 2");
    let long = vec![0; MAX_FRAME + 1];
    let mut cut = frame(Kind::Hello, 0, 0, &hello(VERSION, 0));
    cut.truncate(100);
    let before_hello = Frames::default().heartbeat(1, 1);
    for (bytes, reason) in [
        (&b"GET / HTTP/1.1\r\n"[..], "rejected not well-formed at byte 16: expected more bytes"),
        (&[0; HEADER_LEN], "rejected not well-formed at byte 0: expected the magic HSC1"),
        (&long, "rejected a message longer than a frame may be"),
        (&cut, "rejected not well-formed at byte 8: expected the length of the payload"),
        (
            &before_hello,
            "rejected frame 0 (Heartbeat): not well-formed at byte 0: expected a hello before anything else",
        ),
        (
            &frame(Kind::Hello, 0, 0, &hello(9, 0)),
            "rejected its shim speaks version 9 of the protocol, this collector 2: use the libhangscope.so that came with it",
        ),
        (&[], "rejected an empty message"),
    ] {
        let bad = FakeShim::connect(listener.path());
        bad.send(bytes).unwrap();
        assert_eq!(words_to_end(&listener), [reason, "end"]);
        assert_eq!(bad.receive(), None, "the connection is closed");
    }
    drop(good);
    assert_eq!(words_to_end(&listener), ["end"]);
}

#[test]
fn unexpected_descriptors_end_the_connection_and_are_closed() {
    let (_dir, listener) = listener();
    let mut shim = FakeShim::greet(listener.path());
    // The reader of a pipe sees the end when the last copy of the writer is closed.
    let (mut reader, writer) = std::io::pipe().unwrap();
    let beat = shim.frames.heartbeat(1, 1);
    shim.send_with(&beat, &[writer.as_raw_fd(); 253]).unwrap();
    drop(writer);
    let words = words_to_end(&listener);
    assert_eq!(words.last_chunk().unwrap(), &["rejected 253 descriptors with a Heartbeat frame", "end"]);
    let mut rest = vec![];
    std::io::Read::read_to_end(&mut reader, &mut rest).unwrap();

    let mut shim = FakeShim::greet(listener.path());
    let copy = shim.frames.next(Kind::Copy, 0, &payload(|w| w.record(&zero::<CopyRecord>()).unwrap()));
    shim.send(&copy).unwrap();
    assert!(words_to_end(&listener).contains(&"rejected 0 descriptors with a Copy frame".into()));
}

#[test]
fn a_connection_without_a_hello_is_rejected() {
    let limits = ConnectionLimits { hello_within: Duration::from_millis(50), ..ConnectionLimits::default() };
    let (_dir, listener) = listener_with(limits);
    let silent = FakeShim::connect(listener.path());
    assert_eq!(words_to_end(&listener), ["rejected no hello within 50ms", "end"]);
    // After the hello a shim may be silent.
    let mut shim = FakeShim::greet(listener.path());
    assert!(silent.receive().is_none());
    std::thread::sleep(Duration::from_millis(120));
    shim.beat(1, 1).unwrap();
    drop(shim);
    assert_eq!(words_to_end(&listener), ["hello", "dsos 2", "beat 1", "end"]);
}

#[test]
fn a_flood_ends_its_connection() {
    let (_dir, listener) =
        listener_with(ConnectionLimits { window_frames: 100, ..ConnectionLimits::default() });
    let mut shim = FakeShim::greet(listener.path());
    let mut sent = 0;
    for tick in 0..1000 {
        if shim.beat(tick, 1).is_err() {
            break;
        }
        sent += 1;
    }
    assert!(sent < 1000, "the connection was closed");
    let words = words_to_end(&listener);
    assert!(words[words.len() - 2].starts_with("rejected a flood"), "{words:?}");
}

#[test]
fn a_dump_beyond_the_limit_ends_its_connection() {
    let (_dir, listener) =
        listener_with(ConnectionLimits { dump_bytes: 200_000, ..ConnectionLimits::default() });
    let mut shim = FakeShim::greet(listener.path());
    let frames = shim.frames.dump(1, 100, 8000);
    let _ = shim.send_all(&frames);
    let words = words_to_end(&listener);
    assert_eq!(words[words.len() - 3..], ["dump 1 end=false", "rejected a dump of more than 0 MiB", "end"]);
}

#[test]
fn a_connection_with_untaken_events_is_not_read() {
    let (_dir, listener) =
        listener_with(ConnectionLimits { waiting_bytes: 100_000, ..ConnectionLimits::default() });
    let mut shim = FakeShim::greet(listener.path());
    nix::sys::socket::setsockopt(
        &shim.socket,
        nix::sys::socket::sockopt::SendTimeout,
        &nix::sys::time::TimeValLike::milliseconds(300),
    )
    .unwrap();
    let mut tick = 0;
    while shim.beat(tick, 500).is_ok() {
        tick += 1;
        assert!(tick < 1000, "the socket never fills");
    }
    // No message that the socket accepted is lost.
    let other = FakeShim::greet(listener.path());
    drop((shim, other));
    let (mut beats, mut ends) = (0, 0);
    while ends < 2 {
        match next(&listener).what {
            What::Heartbeat(beat) => {
                assert_eq!(beat.record.tick, beats);
                beats += 1;
            }
            What::End => ends += 1,
            _ => {}
        }
    }
    assert_eq!(beats, tick);
}

#[test]
fn a_listener_with_untaken_events_can_be_dropped() {
    let (_dir, listener) =
        listener_with(ConnectionLimits { waiting_bytes: 1000, ..ConnectionLimits::default() });
    let mut shim = FakeShim::greet(listener.path());
    shim.beat(1, 500).and(shim.beat(2, 500)).unwrap();
    next(&listener);
    drop(listener);
    while shim.beat(3, 500).is_ok() {}
}

#[test]
fn a_failed_socket_is_reported() {
    let (_dir, listener) = listener();
    let mut shim = FakeShim::greet(listener.path());
    assert_eq!(word(&next(&listener).what), "hello");
    assert!(listener.failed().is_empty());
    listener.fail();
    let error = listener.failed().recv_timeout(SOON).unwrap();
    assert!(matches!(error, ListenError::System { source: Errno::EINVAL, .. }), "{error}");
    // Open connections go on.
    shim.beat(1, 1).unwrap();
    drop(shim);
    assert_eq!(words_to_end(&listener), ["dsos 2", "beat 1", "end"]);
}

#[test]
fn requests_arrive_and_fail_after_the_end() {
    let (_dir, listener) = listener();
    let shim = FakeShim::greet(listener.path());
    next(&listener);
    let ask = AskRecord { what: ask_what::DUMP, request: 7, arg0: 199, arg1: 3, reserved: 0 };
    listener.ask(ConnId(1), &ask, &[41, 42]).unwrap();
    let got = shim.receive().unwrap();
    let (header, kind, body) = Header::split(&got).unwrap();
    assert_eq!((kind, header.seq), (Kind::Ask, 0));
    let mut r = Reader::new(body);
    assert_eq!(r.record::<AskRecord>().unwrap(), ask);
    assert_eq!((r.record::<u32>().unwrap(), r.record::<u32>().unwrap()), (41, 42));
    assert!(matches!(listener.ask(ConnId(9), &ask, &[]), Err(ListenError::Ended(ConnId(9)))));
    assert!(matches!(listener.ask(ConnId(1), &ask, &[0; 20_000]), Err(ListenError::TooManyTids(_))));
    // A shim that does not read requests does not block the collector.
    let error = (0..100_000).find_map(|_| listener.ask(ConnId(1), &ask, &[]).err()).unwrap();
    assert!(matches!(error, ListenError::NotTaken { .. }), "{error}");
    // It dies with unread requests: messages that it sent before are not lost.
    shim.send(&Frames::default().heartbeat(5, 1)).unwrap();
    drop(shim);
    let words = words_to_end(&listener);
    assert_eq!(words, ["dsos 2", "beat 5", "end"]);
    assert!(matches!(listener.ask(ConnId(1), &ask, &[]), Err(ListenError::Ended(_))));
}

#[test]
fn three_hundred_connections_at_once_work() {
    const N: u64 = 300;
    let (_dir, listener) = listener();
    let path = listener.path().to_owned();
    let clients = std::thread::spawn(move || {
        let mut shims: Vec<FakeShim> = (0..N).map(|_| FakeShim::greet(&path)).collect();
        for shim in &mut shims {
            let frames = shim.frames.dump(1, 2, 100);
            shim.send_all(&frames).unwrap();
        }
    });
    let (mut dumps, mut ends) = (std::collections::BTreeSet::new(), 0);
    while ends < N {
        let event = next(&listener);
        match event.what {
            What::Dump(dump) if dump.end.is_some() => assert!(dumps.insert(event.conn)),
            What::End => ends += 1,
            _ => {}
        }
    }
    clients.join().unwrap();
    assert_eq!(dumps.len() as u64, N);
}

#[test]
fn a_dump_of_eight_thousand_threads_arrives_whole() {
    let (_dir, listener) = listener();
    let mut shim = FakeShim::greet(listener.path());
    let frames = shim.frames.dump(1, 8000, 3000);
    let bytes: usize = frames.iter().map(Vec::len).sum();
    assert!(bytes > 26_000_000);
    let began = Instant::now();
    let sender = std::thread::spawn(move || shim.send_all(&frames).map(|()| shim));
    let dump = loop {
        if let What::Dump(dump) = next(&listener).what {
            break dump.read().unwrap();
        }
    };
    println!("{} bytes in {:?}", dump.raw.len(), began.elapsed());
    assert_eq!((dump.dump.threads.len(), dump.dump.stacks.len()), (8000, 8000));
    assert_eq!(read_dumps(&dump.raw).unwrap(), [dump.dump]);
    sender.join().unwrap().unwrap();
}

#[test]
fn another_user_is_refused() {
    if !nix::unistd::geteuid().is_root() {
        return; // Only root can become another user.
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let listener = Listener::bind(&dir.path().join("s.sock")).unwrap();
    // With this mode only the check of the peer refuses the connection.
    fs::set_permissions(listener.path(), fs::Permissions::from_mode(0o666)).unwrap();
    let script = "import socket,sys; s=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET); \
                  s.connect(sys.argv[1]); sys.exit(0 if s.recv(1)==b'' else 1)";
    let mut command = std::process::Command::new("python3");
    command.args(["-c", script]).arg(listener.path());
    std::os::unix::process::CommandExt::uid(&mut command, 65534);
    let status = command.status().expect("python3 starts");
    assert!(status.success());
    assert_eq!(words_to_end(&listener), ["rejected its user 65534 is not the collector's user 0", "end"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Frames with a valid header and any payload, in any order.
    #[test]
    fn garbage_never_panics(said in proptest::collection::vec((0u16..17, proptest::collection::vec(any::<u8>(), 0..400)), 0..20)) {
        let (_dir, listener) = listener();
        let shim = FakeShim::greet(listener.path());
        for (seq, (kind, body)) in said.iter().enumerate() {
            let kind = Kind::from_u16(*kind).unwrap_or(Kind::Ask);
            if shim.send(&frame(kind, seq as u32, 1, body)).is_err() {
                break;
            }
        }
        drop(shim);
        let words = words_to_end(&listener);
        prop_assert_eq!(&words[0], "hello");
    }
}

#[test]
fn many_connections_take_no_threads_and_a_flood_of_hellos_delays_nobody() {
    // Tests run side by side in this process: their threads have other names.
    let threads = || {
        let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
        let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
        names.filter(|name| name.starts_with("hs-conn")).count()
    };
    let (_dir, listener) = listener();
    let silent: Vec<FakeShim> = (0..200).map(|_| FakeShim::connect(listener.path())).collect();
    let shims: Vec<FakeShim> = (0..300).map(|_| FakeShim::greet(listener.path())).collect();
    let mut flood = FakeShim::connect(listener.path());
    let sent = (0..2000).take_while(|_| flood.frames.hello(0).iter().all(|f| flood.send(f).is_ok())).count();
    let last = FakeShim::greet(listener.path());
    let (mut greeted, mut rejected) = (std::collections::BTreeSet::new(), None);
    while greeted.len() < 302 || rejected.is_none() {
        let event = next(&listener);
        match event.what {
            What::Hello(_) => drop(greeted.insert(event.conn)),
            What::Rejected(why) => rejected = Some((event.conn, why)),
            _ => {}
        }
    }
    assert_eq!(rejected, Some((ConnId(501), "a flood: over 20 hellos in 10s".into())), "{sent} hellos");
    assert!(greeted.contains(&ConnId(502)), "who connected after the flood is heard");
    assert_eq!(threads(), 0);
    drop((silent, shims, last));
}

#[test]
fn a_socket_file_that_is_removed_is_made_again() {
    let (_dir, listener) = listener();
    let mut before = FakeShim::greet(listener.path());
    assert_eq!(word(&next(&listener).what), "hello");
    fs::remove_dir_all(listener.path().parent().unwrap()).unwrap();
    let remark = listener.remarks().recv_timeout(SOON).unwrap();
    assert!(matches!(&remark, Remark::ListensAgain { path } if path == listener.path()), "{remark:?}");
    let after = FakeShim::greet(listener.path());
    before.beat(1, 1).unwrap();
    drop((before, after));
    let mut words = words_to_end(&listener);
    words.extend(words_to_end(&listener));
    words.sort();
    assert_eq!(words, ["beat 1", "dsos 2", "dsos 2", "end", "end", "hello"]);

    // Another collector's socket in its place is left alone.
    fs::remove_file(listener.path()).unwrap();
    let other = std::os::unix::net::UnixListener::bind(listener.path()).unwrap();
    let remark = listener.remarks().recv_timeout(SOON).unwrap();
    assert!(matches!(&remark, Remark::SocketLost { error } if error.contains("in use")), "{remark:?}");
    drop((listener, other));
}

#[test]
fn connections_without_a_pidfd_are_said_once() {
    let (_dir, listener) = listener();
    listener.shared.no_pidfd.store(true, std::sync::atomic::Ordering::Relaxed);
    let shim = FakeShim::greet(listener.path());
    let remark = listener.remarks().recv_timeout(SOON).unwrap();
    assert!(matches!(remark, Remark::NoPidfd { .. }), "{remark:?}");
    let other = FakeShim::greet(listener.path());
    drop((shim, other));
    words_to_end(&listener);
    words_to_end(&listener);
    assert!(listener.remarks().try_recv().is_err());
}
