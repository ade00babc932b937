//! The connection between shim and collector: no collector, one that never reads, one that ends and comes
//! back, one that sends nonsense. Also settings, forks and requests.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use hangscope_collector::listen::{Listener, What};
use hangscope_protocol::record::{AskRecord, ask_what, dump_reason, hello_flags, note_code};
use hangscope_test_e2e::{Running, TestCollector, output_parts, preload, run};

fn sleep(seconds: &str) -> Command {
    let mut command = Command::new("/bin/sleep");
    command.arg(seconds);
    command
}

/// A program that counts for a while, and ends with exit status 5.
fn counting() -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo $i; exit 5"]);
    command
}

/// A listening socket that accepts and reads nothing.
fn unread_socket(path: &Path) -> OwnedFd {
    // SAFETY: socket takes numbers. The result is checked below.
    let fd = unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0) };
    assert!(fd >= 0);
    // SAFETY: the descriptor was just opened, and nothing else owns it.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut address = libc::sockaddr_un { sun_family: libc::AF_UNIX as u16, sun_path: [0; 108] };
    for (to, from) in address.sun_path.iter_mut().zip(path.to_str().expect("text").bytes()) {
        *to = from as libc::c_char;
    }
    // SAFETY: the address is live and has the given size.
    let bound = unsafe { libc::bind(fd, (&raw const address).cast(), size_of_val(&address) as u32) };
    // SAFETY: listen takes numbers.
    assert!(bound == 0 && unsafe { libc::listen(fd, 1) } == 0, "{}", std::io::Error::last_os_error());
    socket
}

#[test]
fn without_a_collector_the_host_runs() {
    let plain = output_parts(&run(&mut counting()));
    let mut watched = counting();
    watched
        .env("LD_PRELOAD", preload(None))
        .env("HANGSCOPE_SOCKET", "/nowhere/at/all")
        .env("HANGSCOPE_TICK", "10ms");
    assert_eq!(output_parts(&run(&mut watched)), plain);
}

#[test]
fn a_collector_that_never_reads_is_not_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("deaf");
    let socket = unread_socket(&path);
    let plain = output_parts(&run(&mut counting()));
    let mut watched = counting();
    watched.env("LD_PRELOAD", preload(None)).env("HANGSCOPE_SOCKET", &path);
    // No process reads the looks and the dump, so the socket's buffer fills up.
    watched.env("HANGSCOPE_TICK", "10ms").env("HANGSCOPE_HANG_AFTER", "20ms");
    assert_eq!(output_parts(&run(&mut watched)), plain);
    assert!(socket.as_raw_fd() >= 0);
}

#[test]
fn a_collector_that_comes_back_is_told_anew() {
    let mut collector = TestCollector::new();
    let path = collector.listener.path().to_owned();
    let mut command = sleep("60");
    let _running = Running::start(collector.preload(&mut command, None).env("HANGSCOPE_TICK", "20ms"));
    let first = collector.hello();
    assert_eq!(first.fixed.flags & hello_flags::AGAIN, 0);
    // Two listeners cannot share a path. The old listener ends first and removes its socket.
    let elsewhere = Listener::bind(&collector.dir.path().join("run/other.sock")).expect("a socket");
    drop(std::mem::replace(&mut collector.listener, elsewhere));
    collector.listener = Listener::bind(&path).expect("a socket");
    let again = collector.hello();
    assert_eq!(again.fixed.flags & hello_flags::AGAIN, hello_flags::AGAIN);
    assert_eq!((again.fixed.pid, again.fixed.start_ticks), (first.fixed.pid, first.fixed.start_ticks));
}

/// Waits for a heartbeat that shows the program in its sleep.
fn wait_until_asleep(collector: &TestCollector) {
    collector.until("a heartbeat of the sleeping program", |event| match &event.what {
        What::Heartbeat(beat) => {
            (beat.threads.iter().all(|t| i64::from(t.syscall) == libc::SYS_clock_nanosleep)).then_some(())
        }
        _ => None,
    });
}

#[test]
fn a_look_each_tick_names_every_thread_but_its_own() {
    let collector = TestCollector::new();
    let mut command = sleep("60");
    let running = Running::start(collector.preload(&mut command, None).env("HANGSCOPE_TICK", "20ms"));
    let mut ticks = vec![];
    let watchdog = collector.hello().fixed.watchdog_tid;
    wait_until_asleep(&collector);
    while ticks.len() < 5 {
        let beat = collector.until("a heartbeat", |event| match &event.what {
            What::Heartbeat(beat) => Some(beat.clone()),
            _ => None,
        });
        assert_eq!(beat.record.threads, 1);
        assert_eq!(beat.threads.iter().map(|t| t.tid).collect::<Vec<_>>(), [running.pid()]);
        assert_ne!(beat.threads[0].tid, watchdog);
        assert_eq!(beat.threads[0].state, b'S');
        ticks.push(beat.record.tick);
    }
    assert!(ticks.windows(2).all(|w| w[1] == w[0] + 1), "{ticks:?}");
}

#[test]
fn settings_that_make_no_sense_are_reported_and_the_default_is_used() {
    let collector = TestCollector::new();
    let mut command = sleep("60");
    collector.preload(&mut command, None).env("HANGSCOPE_TICK", "banana").env("HANGSCOPE_HANG_AFTER", "-3s");
    let _running = Running::start(command.env("HANGSCOPE_LABEL", "rss_hz4_1"));
    let hello = collector.hello();
    assert_eq!(hello.label, "rss_hz4_1");
    assert_eq!(hello.fixed.tick_ns, 1_000_000_000);
    assert_eq!(hello.fixed.hang_after_ns, 15_000_000_000);
    let mut complaints = vec![];
    while complaints.len() < 2 {
        complaints.push(collector.until("a complaint", |event| match &event.what {
            What::Note(note) if note.record.code == note_code::BAD_SETTING => Some(note.text.clone()),
            _ => None,
        }));
    }
    complaints.sort();
    assert!(complaints[0].starts_with("HANGSCOPE_HANG_AFTER=-3s: "), "{complaints:?}");
    assert!(complaints[1].starts_with("HANGSCOPE_TICK=banana: "), "{complaints:?}");
}

#[test]
fn only_named_programs_are_watched() {
    let collector = TestCollector::new();
    let mut command = Command::new("/usr/bin/env");
    command.args(["timeout", "60", "sleep", "0.2"]);
    let output = run(collector.preload(&mut command, None).env("HANGSCOPE_ONLY", "sleep,bench"));
    assert!(output.status.success());
    let hello = collector.hello();
    assert_eq!(hello.command, ["sleep", "0.2"]);
    while let Some(event) = collector.next(Duration::ZERO) {
        assert!(!matches!(event.what, What::Hello(_)), "{:?}", event.what);
    }
}

#[test]
fn a_forked_child_has_a_watchdog_of_its_own() {
    let collector = TestCollector::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_hangscope-host"));
    command.args(["wait-child", "600"]);
    let running = Running::start(collector.preload(&mut command, None).env("HANGSCOPE_TICK", "20ms"));
    let parent = collector.hello();
    let child = collector.hello();
    assert_eq!(parent.fixed.flags & hello_flags::FORKED, 0);
    assert_eq!(child.fixed.flags & hello_flags::FORKED, hello_flags::FORKED);
    assert_eq!(child.fixed.ppid, parent.fixed.pid);
    assert_ne!(child.fixed.watchdog_tid, parent.fixed.watchdog_tid);
    assert!(running.wait().success());
}

#[test]
fn a_dump_on_request_and_nonsense_in_between() {
    let collector = TestCollector::new();
    let mut command = sleep("60");
    collector.preload(&mut command, None).env("HANGSCOPE_HANG_AFTER", "off").env("HANGSCOPE_TICK", "20ms");
    let running = Running::start(&mut command);
    let conn = collector.until("a hello", |event| matches!(event.what, What::Hello(_)).then_some(event.conn));
    wait_until_asleep(&collector);
    let ask = |what, request| AskRecord { what, request, arg0: 0, arg1: 0, reserved: 0 };
    collector.listener.ask(conn, &ask(4711, 1), &[]).expect("nonsense is sent");
    collector.listener.ask(conn, &ask(ask_what::DUMP, 2), &[]).expect("a request is sent");
    let recorded = collector.dump();
    assert_eq!(recorded.dump.begin.reason, dump_reason::ASKED);
    assert_eq!(recorded.dump.begin.request, 2);
    let thread = recorded.dump.thread(running.pid()).expect("the thread");
    assert_eq!(i64::from(thread.syscall), libc::SYS_clock_nanosleep);
    let second = recorded.dump.second_look(running.pid()).expect("a second look");
    assert_eq!((second.sp, second.pc, second.nvcsw), (thread.sp, thread.pc, thread.nvcsw), "nothing moved");
    assert!(recorded.dump.stacks.iter().any(|s| s.record.tid == running.pid() && !s.bytes.is_empty()));
    assert!(
        recorded.dump.probes.is_empty() && recorded.dump.samples.is_empty(),
        "no thread ran, so no thread was asked"
    );
    assert_eq!(recorded.dump.end.expect("an end").flags, 0);
}
