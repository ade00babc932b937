//! What the watchdog knows and holds.

use hangscope_protocol::Kind;
use hangscope_protocol::record::{CopyRecord, CrashPageRecord, LastMemoryRecord, NoteRecord, hello_flags};

use super::hello;
use super::pending::Pending;
use super::views::Views;
use crate::arena::{Facts, Work};
use crate::host::memory::Wanted;
use crate::host::stall::Stall;
use crate::host::task::Tasks;
use crate::limits::MOST_DSOS;
use crate::link::Link;
use crate::signal::{Prober, Slots};
use crate::stir::Stir;
use crate::sys::{self, OwnedFd, Rings};

pub(crate) struct Watchdog {
    pub(super) facts: &'static Facts,
    pub(super) pid: u32,
    pub(super) tasks: Tasks,
    pub(super) link: Link,
    pub(super) views: Views,
    /// Until when the collector is named as a tracer; none: it is not.
    pub(super) named_until: Option<u64>,
    pub(super) prober: Prober,
    /// Descriptors of the DSOs, by index.
    pub(super) files: [Option<OwnedFd>; MOST_DSOS],
    /// When this image (or this child) began.
    pub(super) init_ns: u64,
    pub(super) wall_ns: u64,
    pub(super) flags: u32,
    pub(super) copy: Option<(OwnedFd, CopyRecord)>,
    pub(super) copy_tried: bool,
    pub(super) wanted: &'static Wanted,
    pub(super) last_memory: Option<(OwnedFd, LastMemoryRecord)>,
    pub(super) crash_page: Option<(OwnedFd, CrashPageRecord)>,
    pub(super) complained: bool,
    /// The first thread lived when threads of the program were last seen.
    pub(super) first_lived: bool,
    /// The last look at the DSOs that had news was dropped: it is news still.
    pub(super) integrity_unsent: bool,
    /// Buffers hold memory that only the start, or a dump, has needed.
    pub(super) untidy: bool,
    pub(super) tick: u32,
    pub(super) interval: u64,
    pub(super) dumps: u32,
    /// When the next dump is due by itself; 0: never.
    pub(super) deadline: u64,
    pub(super) pending: Option<Pending>,
    pub(super) stall: Stall,
    pub(super) stall_due: bool,
    /// None where nothing is to be disturbed.
    pub(super) stir: Option<Stir>,
}

impl Watchdog {
    // In line, it would be made in a place of its own on the small stack and then copied.
    #[inline(never)]
    pub(super) fn new(
        facts: &'static Facts,
        (slots, wanted, rings): (&'static Slots, &'static Wanted, Rings),
        tasks: Tasks,
        link: Link,
    ) -> Watchdog {
        let (pid, tid) = (sys::getpid(), sys::gettid());
        let forked = hello::is_forked();
        let init_ns = if forked { sys::now() } else { facts.init_ns };
        let hang_after = facts.config.hang_after.nanoseconds();
        let allocator =
            facts.dsos.iter().nth(facts.allocator as usize).map(|d| (d.record.start, d.record.end));
        // Signals and schedules of threads go by the ids of `gettid`, which /proc then does not have.
        let (signal, stir) = if tasks.other_ids { (0, 0) } else { (facts.config.signal, facts.config.stir) };
        let other_ids = if tasks.other_ids { hello_flags::OTHER_IDS } else { 0 };
        Watchdog {
            stir: Stir::new(stir, facts.stir_seed, (pid, tid), allocator),
            facts,
            pid,
            tasks,
            link,
            named_until: None,
            views: Views::new(rings),
            prober: Prober::new(slots, pid, signal),
            files: [const { None }; MOST_DSOS],
            init_ns,
            wall_ns: if forked { sys::wall_clock() } else { facts.wall_ns },
            flags: facts.hello_flags | other_ids | if forked { hello_flags::FORKED } else { 0 },
            copy: None,
            copy_tried: false,
            wanted,
            last_memory: None,
            crash_page: None,
            complained: false,
            first_lived: true,
            integrity_unsent: false,
            untidy: true,
            tick: 0,
            interval: facts.tick_ns(),
            dumps: 0,
            deadline: if hang_after == 0 { 0 } else { init_ns + hang_after },
            pending: None,
            stall: Stall::new(facts.config.stall.nanoseconds(), sys::now()),
            stall_due: false,
        }
    }

    pub(super) fn note(&mut self, work: &mut Work, code: u16, value: u64, text: &[u8]) {
        let [frame, _] = &mut work.frames;
        let note = NoteRecord { code, reserved: 0, tid: 0, value };
        self.link.send_one(frame, Kind::Note, None, &mut |w| w.record_with(&note, text));
    }
}
