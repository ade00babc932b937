//! The connection: no collector, one that never reads, one that goes away and comes back, one that talks
//! nonsense; settings; forks; requests.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use hangscope_collector::listen::{Listener, What};
use hangscope_protocol::record::{AskRecord, ask_what, dump_reason, hello_flags, note_code};
use hangscope_test_e2e::{Ears, Running, preload, run, told};

fn sleep(seconds: &str) -> Command {
    let mut command = Command::new("/bin/sleep");
    command.arg(seconds);
    command
}

fn counting() -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo $i; exit 5"]);
    command
}

/// A bare listening socket, which is never read.
fn deaf(path: &Path) -> OwnedFd {
    // SAFETY: a fresh descriptor, checked below.
    let fd = unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0) };
    assert!(fd >= 0);
    // SAFETY: just opened, owned by nobody else.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut address = libc::sockaddr_un { sun_family: libc::AF_UNIX as u16, sun_path: [0; 108] };
    for (to, from) in address.sun_path.iter_mut().zip(path.to_str().expect("text").bytes()) {
        *to = from as libc::c_char;
    }
    // SAFETY: a live address of the size that is given.
    let bound = unsafe { libc::bind(fd, (&raw const address).cast(), size_of_val(&address) as u32) };
    // SAFETY: a bound socket.
    assert!(bound == 0 && unsafe { libc::listen(fd, 1) } == 0, "{}", std::io::Error::last_os_error());
    socket
}

#[test]
fn without_a_collector_the_host_runs() {
    let plain = told(&run(&mut counting()));
    let mut watched = counting();
    watched
        .env("LD_PRELOAD", preload(None))
        .env("HANGSCOPE_SOCKET", "/nowhere/at/all")
        .env("HANGSCOPE_TICK", "10ms");
    assert_eq!(told(&run(&mut watched)), plain);
}

#[test]
fn a_collector_that_never_reads_is_not_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("deaf");
    let socket = deaf(&path);
    let plain = told(&run(&mut counting()));
    let mut watched = counting();
    watched.env("LD_PRELOAD", preload(None)).env("HANGSCOPE_SOCKET", &path);
    // Looks and a dump that nobody takes: the socket fills up.
    watched.env("HANGSCOPE_TICK", "10ms").env("HANGSCOPE_HANG_AFTER", "20ms");
    assert_eq!(told(&run(&mut watched)), plain);
    assert!(socket.as_raw_fd() >= 0);
}

#[test]
fn a_collector_that_comes_back_is_told_anew() {
    let mut ears = Ears::new();
    let path = ears.listener.path().to_owned();
    let mut command = sleep("60");
    let _running = Running::start(ears.preload(&mut command, None).env("HANGSCOPE_TICK", "20ms"));
    let first = ears.hello();
    assert_eq!(first.fixed.flags & hello_flags::AGAIN, 0);
    // Two listeners cannot have one path: the old one goes first, and takes its socket with it.
    let elsewhere = Listener::bind(&ears.dir.path().join("run/other.sock")).expect("a socket");
    drop(std::mem::replace(&mut ears.listener, elsewhere));
    ears.listener = Listener::bind(&path).expect("a socket");
    let again = ears.hello();
    assert_eq!(again.fixed.flags & hello_flags::AGAIN, hello_flags::AGAIN);
    assert_eq!((again.fixed.pid, again.fixed.start_ticks), (first.fixed.pid, first.fixed.start_ticks));
}

/// Waits for a heartbeat in which the program is in its sleep.
fn sleeps(ears: &Ears) {
    ears.until("a heartbeat of one that sleeps", |event| match &event.what {
        What::Heartbeat(beat) => {
            (beat.threads.iter().all(|t| i64::from(t.syscall) == libc::SYS_clock_nanosleep)).then_some(())
        }
        _ => None,
    });
}

#[test]
fn a_look_each_tick_names_every_thread_but_its_own() {
    let ears = Ears::new();
    let mut command = sleep("60");
    let running = Running::start(ears.preload(&mut command, None).env("HANGSCOPE_TICK", "20ms"));
    let mut ticks = vec![];
    let watchdog = ears.hello().fixed.watchdog_tid;
    sleeps(&ears);
    while ticks.len() < 5 {
        let beat = ears.until("a heartbeat", |event| match &event.what {
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
    let ears = Ears::new();
    let mut command = sleep("60");
    ears.preload(&mut command, None).env("HANGSCOPE_TICK", "banana").env("HANGSCOPE_HANG_AFTER", "-3s");
    let _running = Running::start(command.env("HANGSCOPE_LABEL", "rss_hz4_1"));
    let hello = ears.hello();
    assert_eq!(hello.label, "rss_hz4_1");
    assert_eq!(hello.fixed.tick_ns, 1_000_000_000);
    assert_eq!(hello.fixed.hang_after_ns, 15_000_000_000);
    let mut complaints = vec![];
    while complaints.len() < 2 {
        complaints.push(ears.until("a complaint", |event| match &event.what {
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
    let ears = Ears::new();
    let mut command = Command::new("/usr/bin/env");
    command.args(["timeout", "60", "sleep", "0.2"]);
    let output = run(ears.preload(&mut command, None).env("HANGSCOPE_ONLY", "sleep,bench"));
    assert!(output.status.success());
    let hello = ears.hello();
    assert_eq!(hello.command, ["sleep", "0.2"]);
    while let Some(event) = ears.next(Duration::ZERO) {
        assert!(!matches!(event.what, What::Hello(_)), "{:?}", event.what);
    }
}

#[test]
fn a_forked_child_has_a_watchdog_of_its_own() {
    let ears = Ears::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_hangscope-host"));
    command.args(["wait-child", "600"]);
    let running = Running::start(ears.preload(&mut command, None).env("HANGSCOPE_TICK", "20ms"));
    let parent = ears.hello();
    let child = ears.hello();
    assert_eq!(parent.fixed.flags & hello_flags::FORKED, 0);
    assert_eq!(child.fixed.flags & hello_flags::FORKED, hello_flags::FORKED);
    assert_eq!(child.fixed.ppid, parent.fixed.pid);
    assert_ne!(child.fixed.watchdog_tid, parent.fixed.watchdog_tid);
    assert!(running.wait().success());
}

#[test]
fn a_dump_on_request_and_nonsense_in_between() {
    let ears = Ears::new();
    let mut command = sleep("60");
    ears.preload(&mut command, None).env("HANGSCOPE_HANG_AFTER", "off").env("HANGSCOPE_TICK", "20ms");
    let running = Running::start(&mut command);
    let conn = ears.until("a hello", |event| matches!(event.what, What::Hello(_)).then_some(event.conn));
    sleeps(&ears);
    let ask = |what, request| AskRecord { what, request, arg0: 0, arg1: 0, reserved: 0 };
    ears.listener.ask(conn, &ask(4711, 1), &[]).expect("nonsense is sent");
    ears.listener.ask(conn, &ask(ask_what::DUMP, 2), &[]).expect("a request is sent");
    let recorded = ears.dump();
    assert_eq!(recorded.dump.begin.reason, dump_reason::ASKED);
    assert_eq!(recorded.dump.begin.request, 2);
    let thread = recorded.dump.thread(running.pid()).expect("the thread");
    assert_eq!(i64::from(thread.syscall), libc::SYS_clock_nanosleep);
    let second = recorded.dump.second_look(running.pid()).expect("a second look");
    assert_eq!((second.sp, second.pc, second.nvcsw), (thread.sp, thread.pc, thread.nvcsw), "nothing moved");
    assert!(recorded.dump.stacks.iter().any(|s| s.record.tid == running.pid() && !s.bytes.is_empty()));
    assert!(
        recorded.dump.probes.is_empty() && recorded.dump.samples.is_empty(),
        "nobody ran, nobody was asked"
    );
    assert_eq!(recorded.dump.end.expect("an end").flags, 0);
}
