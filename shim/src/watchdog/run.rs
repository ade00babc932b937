//! The watchdog's thread: a look each tick, a dump at the deadline or on request.
//!
//! glibc does not know this thread, so it neither keeps a process alive whose main thread has ended nor
//! makes libc think that the program has threads. It has an empty descriptor table of its own.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use hangscope_protocol::record::{
    CopyRecord, Hello, HelloRecord, LastMemoryRecord, NoteRecord, dump_reason, hello_flags, note_code,
};
use hangscope_protocol::{Kind, VERSION};

use super::dump::Pending;
use crate::arch;
use crate::arena::{Arena, Facts, Work};
use crate::host::creds::{self, Followed};
use crate::host::dso::MOST_DSOS;
use crate::host::memory::Wanted;
use crate::host::stall::Stall;
use crate::host::task::Tasks;
use crate::host::{copy, dso};
use crate::link::{Batch, Link};
use crate::signal::probe::Prober;
use crate::stir::Stir;
use crate::sys::{self, Errno, For, OwnedFd};

const SECOND: u64 = 1_000_000_000;
/// A forked child says hello only if it lives so long: most are about to exec.
const CHILD_PAUSE: u64 = SECOND / 10;
/// A dump that was made at the deadline is made anew so often while it still hangs.
const AGAIN: u64 = 60 * SECOND;

/// A futex word: 0 before the watchdog's first hello (or its first failure to connect), then 1.
static GREETED: AtomicU32 = AtomicU32::new(0);
static FORKED: AtomicBool = AtomicBool::new(false);

/// In a forked child, before its own watchdog starts.
pub(crate) fn forked() {
    FORKED.store(true, Ordering::Relaxed);
    GREETED.store(1, Ordering::Relaxed);
}

/// Waits until the hello is out; at most 200 ms, for a machine so loaded that the thread has not run yet.
pub(crate) fn let_it_say_hello() {
    if GREETED.load(Ordering::Acquire) == 0 {
        sys::futex_wait(&GREETED, 0, SECOND / 5);
    }
}

fn greeted() {
    if GREETED.swap(1, Ordering::Release) == 0 {
        sys::futex_wake(&GREETED);
    }
}

/// Where the thread begins. It never returns into the host.
pub(crate) extern "C" fn entry(arena: *mut u8) {
    let arena = arena.cast::<Arena>();
    if sys::own_descriptors().is_ok() {
        sys::leave_directory();
        sys::set_name(c"hangscope");
        // SAFETY: init has written the facts before it started this thread, the only watchdog of the process.
        let (facts, slots, wanted, work) =
            unsafe { (Arena::facts(arena), Arena::slots(arena), Arena::wanted(arena), Arena::work(arena)) };
        if let Ok(mut watchdog) = Watchdog::new(facts, slots, wanted) {
            watchdog.run(work);
        }
    }
    greeted();
    sys::exit_thread()
}

/// What the watchdog knows.
pub(crate) struct Watchdog {
    pub(crate) facts: &'static Facts,
    pub(crate) pid: u32,
    pub(crate) tid: u32,
    pub(crate) tasks: Tasks,
    pub(crate) link: Link,
    pub(crate) prober: Prober,
    /// Descriptors of the DSOs, by index.
    pub(crate) files: [Option<OwnedFd>; MOST_DSOS],
    /// When this image (or this child) began.
    pub(crate) init_ns: u64,
    wall_ns: u64,
    flags: u32,
    copy: Option<(OwnedFd, CopyRecord)>,
    copy_tried: bool,
    pub(crate) wanted: &'static Wanted,
    pub(crate) last_memory: Option<(OwnedFd, LastMemoryRecord)>,
    complained: bool,
    /// The last look at the DSOs that had news was dropped: it is news still.
    integrity_unsent: bool,
    pub(crate) tick: u32,
    pub(crate) interval: u64,
    pub(crate) dumps: u32,
    /// When the next dump is due by itself; 0: never.
    deadline: u64,
    pub(crate) pending: Option<Pending>,
    pub(crate) stall: Stall,
    pub(crate) stall_due: bool,
    /// None where nothing is to be disturbed.
    pub(crate) stir: Option<Stir>,
}

/// Why the thread ends.
enum Leave {
    Credentials,
    Alone,
}

impl Watchdog {
    fn new(
        facts: &'static Facts,
        slots: &'static crate::signal::probe::Slots,
        wanted: &'static Wanted,
    ) -> Result<Watchdog, Errno> {
        let (pid, tid) = (sys::getpid(), sys::gettid());
        let forked = FORKED.load(Ordering::Relaxed);
        let init_ns = if forked { sys::now() } else { facts.init_ns };
        let hang_after = facts.config.hang_after.nanoseconds();
        let allocator =
            facts.dsos.iter().nth(facts.allocator as usize).map(|d| (d.record.start, d.record.end));
        Ok(Watchdog {
            stir: Stir::new(facts.config.stir, facts.stir_seed, (pid, tid), allocator),
            facts,
            pid,
            tid,
            tasks: Tasks::open(pid, tid, facts.clk_tck)?,
            link: Link::new(pid),
            prober: Prober::new(slots, pid, facts.config.signal),
            files: [const { None }; MOST_DSOS],
            init_ns,
            wall_ns: if forked { sys::wall_clock() } else { facts.wall_ns },
            flags: facts.hello_flags | if forked { hello_flags::FORKED } else { 0 },
            copy: None,
            copy_tried: false,
            wanted,
            last_memory: None,
            complained: false,
            integrity_unsent: false,
            tick: 0,
            interval: facts.tick_ns(),
            dumps: 0,
            deadline: if hang_after == 0 { 0 } else { init_ns + hang_after },
            pending: None,
            stall: Stall::new(facts.config.stall.nanoseconds(), sys::now()),
            stall_due: false,
        })
    }

    fn run(&mut self, work: &mut Work) {
        if self.flags & hello_flags::FORKED != 0 {
            sys::wait(None, For::Reading, CHILD_PAUSE);
        }
        self.greet(work);
        let mut next_look = self.init_ns + self.facts.tick_ns();
        let mut next_watch = next_look;
        loop {
            let now = sys::now();
            if now >= next_watch {
                if let Some(why) = self.must_leave(work) {
                    return self.leave(work, &why);
                }
                next_watch = now + SECOND.min(self.facts.tick_ns());
            }
            if now >= next_look {
                self.look(work);
                // From now on, not from the last one: after SIGSTOP there is no burst of looks.
                next_look = sys::now() + self.interval;
            }
            self.step(work);
            self.greet(work);
            let mut until = next_look.min(next_watch);
            for at in [self.pending.as_ref().map(Pending::next), self.link.next_try(), self.due()]
                .into_iter()
                .flatten()
            {
                until = until.min(at);
            }
            if self.wait(work, until) {
                self.answer(work);
            }
        }
    }

    /// When a dump is due by itself; none while it could not be sent, or one is being made.
    fn due(&self) -> Option<u64> {
        (self.deadline != 0 && self.link.is_up() && self.pending.is_none()).then_some(self.deadline)
    }

    /// Makes what is due of dumps.
    fn step(&mut self, work: &mut Work) {
        if self.pending.is_some() {
            self.go_on(work);
        }
        if self.due().is_some_and(|at| sys::now() >= at) {
            let again = self.deadline > self.init_ns + self.facts.config.hang_after.nanoseconds();
            self.deadline = sys::now() + AGAIN;
            self.begin_dump(work, if again { dump_reason::STILL } else { dump_reason::DEADLINE }, 0);
        }
        if core::mem::take(&mut self.stall_due) && self.pending.is_none() && self.link.is_up() {
            self.begin_dump(work, dump_reason::STALL, 0);
        }
        if self.pending.is_none() {
            self.prober.uninstall(&self.tasks, &mut work.text);
        }
    }

    /// Connects if it is time, and says hello on a new connection.
    fn greet(&mut self, work: &mut Work) {
        if !self.link.connect(&self.facts.config, sys::now()) {
            return greeted();
        }
        self.pending = None;
        self.link.dump = 0;
        self.link.patience = sys::now() + SECOND / 10;
        self.say_hello(work);
        let [frame, _] = &mut work.frames;
        let mut batch = Batch::new(frame, Kind::Dsos);
        for dso in self.facts.dsos.iter() {
            batch.add(&mut self.link, |w| w.record_with(&dso.record, dso.path.as_bytes()));
        }
        batch.flush(&mut self.link);
        greeted();
        if !self.complained {
            self.complained = true;
            for line in
                self.facts.config.complaints.as_bytes().split(|b| *b == b'\n').filter(|l| !l.is_empty())
            {
                self.note(work, note_code::BAD_SETTING, 0, line);
            }
            let left_out = self.facts.dsos.left_out as u64;
            if left_out > 0 {
                self.note(work, note_code::DSOS_LEFT_OUT, left_out, b"more DSOs than the table holds");
            }
            if self.facts.config.stir > 0 && self.stir.is_none() {
                self.note(work, note_code::STIR_LIMITED, 0, b"scheduling cannot be disturbed here");
            }
        }
        self.open_files();
        self.send_integrity(work, false, true);
        self.send_copy(work);
        self.link.patience = 0;
    }

    /// Opens the mapped files, once.
    fn open_files(&mut self) {
        if self.link.connections > 1 {
            return;
        }
        for (dso, file) in self.facts.dsos.iter().zip(&mut self.files) {
            *file = dso.open().ok();
        }
    }

    fn say_hello(&mut self, work: &mut Work) {
        let (uid, euid) = sys::users();
        let facts = self.facts;
        let fixed = HelloRecord {
            version: VERSION,
            arch: arch::MACHINE,
            pid: self.pid,
            ppid: sys::getppid(),
            uid,
            euid,
            watchdog_tid: self.tid,
            flags: self.flags | if self.link.connections > 1 { hello_flags::AGAIN } else { 0 },
            page_size: facts.page_size,
            start_ticks: self.tasks.start_ticks(&mut work.text),
            init_ns: self.init_ns,
            wall_ns: self.wall_ns,
            hang_after_ns: facts.config.hang_after.nanoseconds(),
            stall_ns: facts.config.stall.nanoseconds(),
            tick_ns: facts.tick_ns(),
            allocator: facts.allocator,
            dsos: facts.dsos.len as u32,
            malloc: facts.malloc,
            init_cost_ns: facts.init_cost_ns,
            probe_signal: facts.config.signal,
            clk_tck: facts.clk_tck,
            stir_level: self.stir.as_ref().map_or(0, Stir::level),
            stir_seed: facts.stir_seed,
        };
        let cmdline = self.tasks.read(self.tid, "cmdline", &mut work.text).unwrap_or(&[]);
        let hello = Hello {
            fixed,
            label: facts.config.label.as_bytes(),
            exe: facts.exe.as_bytes(),
            cmdline: cmdline.get(..cmdline.len().min(4096)).unwrap_or(&[]),
            ld_preload: facts.config.ld_preload.as_bytes(),
            target: facts.config.target.as_bytes(),
            shim: env!("CARGO_PKG_VERSION").as_bytes(),
        };
        let [frame, _] = &mut work.frames;
        self.link.send_one(frame, Kind::Hello, None, |w| hello.put(w));
    }

    pub(crate) fn note(&mut self, work: &mut Work, code: u16, value: u64, text: &[u8]) {
        let [frame, _] = &mut work.frames;
        let note = NoteRecord { code, reserved: 0, tid: 0, value };
        self.link.send_one(frame, Kind::Note, None, |w| w.record_with(&note, text));
    }

    /// Copies the allocator's bytes into a memfd (once), and sends it.
    fn send_copy(&mut self, work: &mut Work) {
        if !self.copy_tried {
            self.copy_tried = true;
            let index = self.facts.allocator as usize;
            if let Some(dso) = self.facts.dsos.iter().nth(index) {
                match copy::make(dso, self.files.get(index).and_then(Option::as_ref), &mut work.stack_copy) {
                    Ok(copy) => self.copy = Some(copy),
                    Err(e) => {
                        self.note(work, note_code::NO_COPY, e.raw_os_error() as u64, dso.path.as_bytes())
                    }
                }
            }
        }
        let [frame, _] = &mut work.frames;
        if let Some((file, record)) = &self.copy {
            self.link.send_one(frame, Kind::Copy, Some(file), |w| w.record(record));
        }
    }

    /// Looks at the DSOs again; says so if something changed since the last time, or `always`.
    pub(crate) fn send_integrity(&mut self, work: &mut Work, with_maps: bool, always: bool) {
        let table = &self.facts.dsos;
        let mut changed = always || self.integrity_unsent;
        for (i, dso) in table.iter().enumerate() {
            let file = self.files.get(i).and_then(Option::as_ref).ok_or(Errno::BADF);
            let now = dso.now(file);
            if let Some(before) = work.looks.get_mut(i) {
                changed |= now != *before;
                *before = now;
            }
        }
        if with_maps {
            let (text, looks) = (&mut work.maps, &mut work.looks);
            crate::host::maps::for_each(text, |m| dso::mark_deleted(table, looks, &m));
        }
        if changed {
            let [frame, _] = &mut work.frames;
            let mut batch = Batch::new(frame, Kind::DsosNow);
            for now in work.looks.iter().take(table.len) {
                batch.add(&mut self.link, |w| w.record(now));
            }
            batch.flush(&mut self.link);
            self.integrity_unsent = batch.dropped > 0;
            // What maps said belongs to that one look: the next comparison is without it.
            for now in work.looks.iter_mut().take(table.len) {
                now.maps_deleted = hangscope_protocol::record::maps_deleted::NOT_SEEN;
            }
        }
    }

    /// Follows the host's credentials; whether it is time to go.
    fn must_leave(&mut self, work: &mut Work) -> Option<Leave> {
        // With other credentials it might not be able to give back what it has changed.
        self.rest(work);
        match creds::follow(&self.tasks, self.pid, self.tid, &mut work.text) {
            Followed::Same => {}
            Followed::Yes(euid) => {
                if let Some(stir) = &mut self.stir {
                    stir.credentials_changed();
                }
                self.note(
                    work,
                    note_code::FOLLOWED_CREDENTIALS,
                    u64::from(euid),
                    b"the host changed its credentials",
                );
            }
            Followed::No => return Some(Leave::Credentials),
        }
        // The kernel keeps a process whose last other thread ended without exit_group: then it would be the
        // watchdog that keeps it.
        let found = self.tasks.list(&mut work.entries, &mut work.tids).unwrap_or(usize::MAX);
        let any =
            found > 2 || work.tids.iter().take(found).any(|tid| self.tasks.is_alive(*tid, &mut work.text));
        (!any).then_some(Leave::Alone)
    }

    fn leave(&mut self, work: &mut Work, why: &Leave) {
        self.calm(work);
        let (code, text) = match why {
            Leave::Credentials => {
                (note_code::LEAVES_CREDENTIALS, &b"could not follow the host's credentials"[..])
            }
            Leave::Alone => (note_code::LEAVES_ALONE, &b"no other thread lives"[..]),
        };
        let [frame, _] = &mut work.frames;
        let note = NoteRecord { code, reserved: 0, tid: 0, value: 0 };
        self.link.send_one(frame, Kind::Bye, None, |w| w.record_with(&note, text));
    }
}
