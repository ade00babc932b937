//! The board and its socket, with clients that behave, and with those that do not.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hangscope_protocol::record::{HeartbeatRecord, HeartbeatThread, HelloRecord, SYSCALL_RUNNING};

use super::board::Which;
use super::client::{Client, NoAnswer};
use super::http::Port;
use super::model::{Ended, Kind, Marked, OneProcess, Process, Status, Threads};
use super::server::Server;
use super::*;
use crate::analysis::Integrity;
use crate::session::{Heartbeat, Identity};
use crate::testkit::fake_shim::{SOON, identity, zero};

/// The identity of a process with this label.
fn named(label: &str) -> Identity {
    let fixed = HelloRecord { hang_after_ns: 15_000_000_000, ..zero() };
    Identity { label: label.to_owned(), command: vec!["./bench".into(), "16".into()], ..identity(fixed) }
}

fn row(board: &Board, pid: u32, label: &str) -> Row {
    Row::begin(board, pid, &named(label), None, Path::new("/nowhere/s"))
}

/// A look at this time, with this CPU time, seconds.
fn beat(at: u64, cpu: u64) -> Heartbeat {
    let thread = |state: u8, syscall| HeartbeatThread { state, syscall, ..zero() };
    let ns = 1_000_000_000;
    let record =
        HeartbeatRecord { since_init_ns: at * ns, process_cpu_ns: cpu * ns, rss_kib: at * 100, ..zero() };
    let threads = [(b'R', SYSCALL_RUNNING), (b'S', 202), (b'S', 202), (b'S', 0), (b'D', 0), (b'T', 0)];
    Heartbeat { t_ns: 0, record, threads: threads.map(|(state, call)| thread(state, call)).to_vec() }
}

fn only(board: &Board) -> Process {
    let mut processes = board.status().processes;
    assert_eq!(processes.len(), 1);
    processes.pop().unwrap()
}

#[test]
fn the_board_shows_a_process_from_its_hello_to_its_end() {
    let board = Board::new(Kind::Collect);
    let row = row(&board, 7, "a\x1b[2J\u{202e}b");
    row.dsos(Some("hz4"), Integrity::Deleted);
    row.beat(&beat(1, 0));
    assert_eq!(only(&board).cpu, None);
    (2..=40).for_each(|at| row.beat(&beat(at, at * 2)));
    let shown = only(&board);
    assert_eq!((shown.pid, &*shown.label), (7, "a\\x1b[2J\\u{202e}b"));
    assert_eq!((shown.allocator.as_deref(), shown.integrity), (Some("hz4"), Integrity::Deleted));
    assert_eq!(shown.threads, Threads { all: 6, running: 1, futex: 2, sleeping: 1, disk: 1, other: 1 });
    assert_eq!((shown.cpu, shown.rss_kib, shown.looks, shown.rss_history.len()), (Some(2.0), 4000, 40, 24));
    assert_eq!((shown.hang_after_s, shown.stall_s), (Some(15.0), None));
    row.hung(true);
    row.count_hang("deadlock");
    let status = board.status();
    assert_eq!((status.job.made, status.job.hung, status.counts.open), (1, 1, 1));
    row.end(Ended { signal: Some(9), ..Ended::default() }, true);
    let status = board.status();
    assert_eq!((status.job.made, status.job.hung, status.counts.open), (1, 1, 0));
    assert_eq!(status.processes[0].ended.as_ref().unwrap().signal, Some(9));
    assert_eq!((status.counts.hangs.len(), status.counts.hangs[0].hangs), (1, 1));
    assert!(status.job.low > 0.0 && status.job.high == 1.0);
}

#[test]
fn processes_that_ended_long_ago_are_forgotten_and_a_key_never_comes_again() {
    let board = Board::new(Kind::Collect);
    let stays = row(&board, 1, "stays");
    (0..200).for_each(|_| drop(row(&board, 2, "goes")));
    let status = board.status();
    assert_eq!((status.processes.len(), status.counts.sessions, status.job.made), (65, 201, 200));
    assert_eq!(board.process(Which::Pid(2)).process.unwrap().key, 201, "the last one of this id");
    assert_eq!(board.process(Which::Key(2)).process, None);
    drop(stays);
}

/// A collector with a socket.
fn served() -> (tempfile::TempDir, Board, Server, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("job.sock");
    let board = Board::new(Kind::Collect);
    board.name(Kind::Collect, "", dir.path());
    let server = Server::start(&board, &path).unwrap();
    (dir, board, server, path)
}

#[test]
fn a_client_gets_answers_marks_and_the_end() {
    let (dir, board, server, path) = served();
    let row = row(&board, 7, "x");
    let mut client = Client::connect(&path).unwrap();
    let status: Status = client.ask("status", SOON).unwrap();
    assert_eq!((status.processes.len(), status.job.kind), (1, Kind::Collect));
    let marked: Marked = client.ask("mark 7 look \x1bhere\nstatus", SOON).unwrap();
    assert_eq!(marked.mark.text, "look \\x1bhere status");
    let _: Marked = client.ask("mark #1", SOON).unwrap();
    let one: OneProcess = client.ask("process 7", SOON).unwrap();
    assert_eq!(one.process.unwrap().marks.len(), 2);
    let lines = std::fs::read_to_string(dir.path().join(marks::FILE)).unwrap();
    assert_eq!(lines.lines().count(), 2, "{lines}");
    let none: OneProcess = client.ask("process 8", SOON).unwrap();
    assert_eq!((none.process, none.dump), (None, None));
    for bad in
        ["", "status 7", "process", "process x", "dump 8", "dump 7", "mark 8 x", "kill 7", "process #-1"]
    {
        let answer = client.ask::<Status>(bad, SOON);
        assert!(matches!(answer, Err(NoAnswer::Refused(_))), "{bad}: {answer:?}");
    }
    drop(row);
    drop(server);
    assert!(Client::connect(&path).is_err() && !path.exists());
}

#[test]
fn bad_clients_take_only_their_own_places() {
    let (_dir, _board, _server, path) = served();
    let mut long = UnixStream::connect(&path).unwrap();
    let _ = long.write_all(&[b'x'; 1 << 16]);
    let mut said = String::new();
    let _ = long.read_to_string(&mut said);
    assert!(said.is_empty() || said.contains("too long"), "{said}");
    // They ask, and never read.
    crate::launch::descriptors::raise();
    let mut silent: Vec<UnixStream> = (0..1000).map(|_| UnixStream::connect(&path).unwrap()).collect();
    silent.iter_mut().for_each(|stream| drop(stream.write_all(b"status\n")));
    drop(silent);
    let until = std::time::Instant::now() + SOON;
    loop {
        // Their places are free again once their threads see their end.
        match Client::connect(&path).unwrap().ask::<Status>("status", SOON) {
            Ok(_) => break,
            Err(error) => assert!(std::time::Instant::now() < until, "{error}"),
        }
        std::thread::yield_now();
    }
}

#[test]
fn five_thousand_processes_are_one_answer() {
    let (_dir, board, _server, path) = served();
    let rows: Vec<Row> = (0..5000).map(|pid| row(&board, pid, "x")).collect();
    rows.iter().for_each(|row| row.beat(&beat(1, 1)));
    let mut client = Client::connect(&path).unwrap();
    let status: Status = client.ask("status", SOON).unwrap();
    assert_eq!((status.processes.len(), status.left_out), (5000, 0));
}

/// What a port answers to these bytes.
fn http(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

#[test]
fn metrics_are_the_totals_of_the_board_and_names_are_escaped() {
    let board = Board::new(Kind::Hunt);
    board.plan(50);
    let port = Port::open(&board, "127.0.0.1:0".parse().unwrap()).unwrap();
    let row = row(&board, 7, "a\"b\\c\nd");
    row.dsos(Some("hz4"), Integrity::Intact);
    row.count_hang("deadlock");
    let get = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let answer = http(port.address(), get);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(
        head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains(&format!("Content-Length: {}", body.len()))
    );
    insta::assert_snapshot!(body);
    assert!(http(port.address(), b"BREW /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
    assert!(http(port.address(), &[b'x'; 9000]).starts_with("HTTP/1.1 431 "));
    // Half a request delays nobody.
    let half: Vec<TcpStream> = (0..8).map(|_| TcpStream::connect(port.address()).unwrap()).collect();
    assert!(http(port.address(), get).starts_with("HTTP/1.1 200 "));
    drop((row, half));
    let address = port.address();
    drop(port);
    assert!(TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err());
}
