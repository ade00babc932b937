//! Events, and what to do next, on the test's own clock.

use super::*;
use crate::listen::{Peer, Spooled};
use crate::testkit::fake_shim::zero;
use hangscope_protocol::record::*;

const AFTER: Duration = Duration::from_secs(15);
const FUTEX: i32 = 202;
const WAIT4: i32 = 61;
const SIGSUSPEND: i32 = 130;

/// A watched run on the test's own clock.
struct Scene {
    start: Instant,
    now: Instant,
    watch: Watch,
}

impl Scene {
    fn new() -> Scene {
        let start = Instant::now();
        Scene { start, now: start, watch: Watch::new(start, Limit::After(AFTER)) }
    }

    fn at(&mut self, seconds: u64) -> &mut Self {
        self.now = self.start + Duration::from_secs(seconds);
        self
    }

    fn sends(&mut self, conn: u64, what: What) -> &mut Self {
        let peer = Peer { pid: 1000 + conn as u32, uid: 0, pidfd: None };
        let mut event = Event::new(ConnId(conn), peer, what);
        event.at = self.now;
        self.watch.take(event);
        self
    }

    fn identity(conn: u64, parent: u64) -> Identity {
        let fixed = HelloRecord {
            pid: 1000 + conn as u32,
            ppid: 1000 + parent as u32,
            arch: ARCH_X86_64,
            tick_ns: 1_000_000_000,
            ..zero()
        };
        crate::testkit::fake_shim::identity(fixed)
    }

    fn hello(&mut self, conn: u64, parent: u64) -> &mut Self {
        self.sends(conn, What::Hello(Box::new(Scene::identity(conn, parent))))
    }

    fn begins_to_dump(&mut self, conn: u64) -> &mut Self {
        self.sends(conn, What::DumpBegin(zero()))
    }

    /// A complete dump whose threads are in these calls.
    fn dump(&mut self, conn: u64, parent: u64, calls: &[i32]) -> &mut Self {
        self.dump_for(dump_reason::DEADLINE, conn, parent, calls)
    }

    fn dump_for(&mut self, reason: u8, conn: u64, parent: u64, calls: &[i32]) -> &mut Self {
        let thread = |syscall: &i32| ThreadRecord { syscall: *syscall, ..zero() };
        let dump = Dump {
            end: Some(zero()),
            threads: calls.iter().map(thread).collect(),
            ..Dump::begun(Scene::identity(conn, parent), DumpBeginRecord { reason, ..zero() })
        };
        self.sends(conn, What::Dump(Box::new(Spooled::of(RecordedDump { dump, raw: vec![] }))))
    }

    fn next(&self) -> Next {
        self.watch.next(self.now)
    }

    fn waits_until(&self, seconds: u64) {
        assert_eq!(self.next(), Next::Wait(self.start + Duration::from_secs(seconds)));
    }
}

/// Why the next look is from outside.
fn outside(next: Next) -> String {
    match next {
        Next::Outside(why) => why.en(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_dump_of_the_benchmark_is_the_hang() {
    let mut scene = Scene::new();
    scene.at(0).hello(1, 0).waits_until(17);
    scene.at(15).begins_to_dump(1).waits_until(30);
    assert_eq!(scene.at(17).dump(1, 0, &[FUTEX]).next(), Next::Hung(ConnId(1)));
    // The process ended after all.
    assert_ne!(scene.sends(1, What::End).next(), Next::Hung(ConnId(1)));
}

#[test]
fn without_a_hello_it_is_looked_at_from_outside() {
    let mut scene = Scene::new();
    scene.waits_until(16);
    assert_eq!(outside(scene.at(16).next()), "it sent no hello");
    scene.sends(1, What::Rejected("version 9".into()));
    assert_eq!(outside(scene.next()), "its hello was refused: version 9");
}

#[test]
fn one_that_says_nothing_is_asked_and_then_looked_at_from_outside() {
    let mut scene = Scene::new();
    assert_eq!(scene.at(0).hello(1, 0).at(17).next(), Next::Ask(ConnId(1)));
    scene.watch.asked(ConnId(1), scene.now);
    scene.waits_until(21);
    let silent = "process 1001 did not answer: its heartbeats stopped";
    assert_eq!(outside(scene.at(21).next()), silent);
    // The process answers late, and its dump does not end.
    scene.begins_to_dump(1).waits_until(36);
    let cut = "the dump of process 1001 is not complete";
    assert_eq!(outside(scene.at(36).next()), cut);
}

#[test]
fn a_launcher_is_not_the_benchmark() {
    // A shell, and a benchmark that it starts ten seconds later. The benchmark's deadline counts from then.
    let mut scene = Scene::new();
    scene.at(0).hello(1, 0).at(10).hello(2, 1);
    scene.at(15).begins_to_dump(1).at(17).dump(1, 0, &[WAIT4]).waits_until(27);
    assert_eq!(scene.at(27).dump(2, 1, &[FUTEX, FUTEX]).next(), Next::Hung(ConnId(2)));

    // A shell waits in rt_sigsuspend. It is a launcher as long as a child of it is watched.
    let mut scene = Scene::new();
    scene.at(0).hello(1, 0).hello(2, 1).at(15).begins_to_dump(2).at(17).dump(1, 0, &[SIGSUSPEND]);
    scene.waits_until(30);
    assert_eq!(scene.sends(2, What::End).next(), Next::Hung(ConnId(1)));
}

#[test]
fn programs_one_after_the_other_each_have_their_time() {
    let mut scene = Scene::new();
    for conn in 1..10 {
        scene.at(10 * conn).hello(conn, 0).waits_until(10 * conn + 17);
        scene.at(10 * conn + 9).sends(conn, What::End).waits_until(10 * conn + 9 + 16);
    }
    let why = "the connection of process 1009 ended before the run";
    assert_eq!(outside(scene.at(115).next()), why);
}

#[test]
fn of_several_the_child_with_the_most_threads_tells() {
    let mut scene = Scene::new();
    scene.at(0).hello(1, 0).hello(2, 1).hello(3, 1);
    scene.dump(1, 0, &[FUTEX, FUTEX, FUTEX]).dump(2, 1, &[FUTEX]).dump(3, 1, &[FUTEX, FUTEX]);
    assert_eq!(scene.watch.subject(), Some(ConnId(3)));
}

#[test]
fn of_two_that_share_a_lock_the_one_that_waits_for_it_shows_the_hang() {
    const PAUSE: i32 = 34;
    let mut scene = Scene::new();
    scene.at(0).hello(1, 0).hello(2, 1);
    // The word is 2, and 8 bytes after it is the owner: the only thread of the second process.
    let mut near = [0; NEAR_LEN];
    near[NEAR_BEFORE + 8..NEAR_BEFORE + 12].copy_from_slice(&1002u32.to_le_bytes());
    let args = [0x1000, 0, 2, 0, 0, 0];
    let waiter = ThreadRecord { tid: 1001, syscall: FUTEX, args, near, near_to: NEAR_LEN as u16, ..zero() };
    let keeper = ThreadRecord { tid: 1002, syscall: PAUSE, ..zero() };
    for (conn, parent, thread) in [(1, 0, waiter), (2, 1, keeper)] {
        let begun = Dump::begun(Scene::identity(conn, parent), zero());
        let dump = Dump { end: Some(zero()), threads: vec![thread], ..begun };
        scene.sends(conn, What::Dump(Box::new(Spooled::of(RecordedDump { dump, raw: vec![] }))));
    }
    assert_eq!(scene.watch.subject(), Some(ConnId(1)));
    // Not if the child waits for a futex itself.
    scene.dump(2, 1, &[FUTEX]);
    assert_eq!(scene.watch.subject(), Some(ConnId(2)));
}

#[test]
fn without_a_deadline_only_a_dump_counts() {
    let start = Instant::now();
    let mut scene = Scene { start, now: start, watch: Watch::new(start, Limit::Off) };
    assert_eq!(scene.at(1 << 20).next(), Next::WaitForEver);
    assert_eq!(scene.hello(1, 0).at(1 << 21).next(), Next::WaitForEver);
    assert_eq!(scene.dump(1, 0, &[FUTEX]).next(), Next::Hung(ConnId(1)));
}

#[test]
fn a_stall_is_a_hang_only_if_it_is_stuck() {
    let mut scene = Scene::new();
    scene.at(0).hello(1, 0).at(3).dump_for(dump_reason::STALL, 1, 0, &[FUTEX]);
    assert_eq!(scene.next(), Next::Judge(ConnId(1)));
    assert!(scene.watch.subject().is_none(), "nobody has looked yet");
    scene.watch.judged(ConnId(1), false);
    assert!(scene.watch.process(ConnId(1)).unwrap().dumps.is_empty());
    scene.waits_until(17);
    scene.at(9).dump_for(dump_reason::STALL, 1, 0, &[FUTEX]).watch.judged(ConnId(1), true);
    assert_eq!(scene.next(), Next::Hung(ConnId(1)));
    assert_eq!(scene.watch.process(ConnId(1)).unwrap().dumps.len(), 1);
}

#[test]
fn a_lost_connection_does_not_begin_the_time_anew() {
    let mut scene = Scene::new();
    scene.at(0).hello(1, 0).at(9).sends(1, What::End);
    let mut again = Scene::identity(1, 0);
    again.fixed.flags = hello_flags::AGAIN;
    let peer = Peer { pid: 1001, uid: 0, pidfd: None };
    let mut event = Event::new(ConnId(7), peer, What::Hello(Box::new(again)));
    event.at = scene.now;
    scene.watch.take(event);
    scene.waits_until(17);
}

#[test]
fn descriptors_of_one_that_ended_without_a_dump_are_closed() {
    let mut scene = Scene::new();
    scene.at(0).hello(1, 0).hello(2, 0).hello(3, 0).dump(2, 0, &[FUTEX]);
    scene.sends(3, What::Rejected("flood".into()));
    for conn in 1..=3 {
        let fd = tempfile::tempfile().unwrap().into();
        scene.sends(conn, What::Copy { record: zero(), fd });
    }
    let has_copy = |scene: &Scene, conn| scene.watch.process(ConnId(conn)).unwrap().copy.is_some();
    assert!(has_copy(&scene, 1), "it lives");
    scene.sends(1, What::End).sends(2, What::End).sends(3, What::End);
    assert_eq!([1, 2, 3].map(|conn| has_copy(&scene, conn)), [false, true, true]);
}

#[test]
fn what_was_lost_for_want_of_a_descriptor_is_remembered() {
    let mut scene = Scene::new();
    let note = |text: &str| What::Note(crate::session::Note { record: zero(), text: text.into() });
    scene.at(0).hello(1, 0).sends(1, note("bad tick"));
    assert!(!scene.watch.process(ConnId(1)).unwrap().no_descriptor);
    scene.sends(1, note(NO_DESCRIPTOR));
    assert!(scene.watch.process(ConnId(1)).unwrap().no_descriptor);
}
