//! The shim's only memory: one mapping, made at init and never unmapped. Pages that are not touched cost
//! nothing, so sizes here are limits, not costs.

use core::mem::MaybeUninit;

use hangscope_protocol::MAX_FRAME;
use hangscope_protocol::duration::Limit;
use hangscope_protocol::record::DsoNowRecord;

use crate::arch;
use crate::config::Config;
use crate::host::dso::Table;
use crate::host::memory::Wanted;
use crate::host::stall::Seen;
use crate::limits::{MOST_DSOS, MOST_THREADS};
use crate::signal::{Candidate, Slots};
use crate::stir::Touched;
use crate::sys::{self, Grown};
use crate::text::Text;

/// Bytes of the watchdog's stack.
const STACK: usize = 128 * 1024;
const GUARD: usize = 4096;

/// Facts that the constructor writes. Afterwards they are only read: by the watchdog, by the fork handler,
/// and by the watchdog of a forked child, which finds its copy at the same address. The table comes last:
/// only its first pages are touched.
#[repr(C)]
pub(crate) struct Facts {
    pub(crate) config: Config,
    pub(crate) exe: Text<512>,
    pub(crate) init_ns: u64,
    pub(crate) wall_ns: u64,
    pub(crate) init_cost_ns: u64,
    pub(crate) page_size: u32,
    pub(crate) clk_tck: u32,
    /// Address of the first `malloc` in symbol order, 0 if there is none.
    pub(crate) malloc: u64,
    /// Index of the allocator in `dsos`, `u32::MAX` if not known.
    pub(crate) allocator: u32,
    pub(crate) hello_flags: u32,
    /// Seed of what is disturbed when.
    pub(crate) stir_seed: u32,
    pub(crate) dsos: Table,
}

impl Facts {
    /// The pause between two looks that was asked for, ns.
    pub(crate) fn tick_ns(&self) -> u64 {
        Limit::After(self.config.tick).nanoseconds()
    }
}

/// What the watchdog needs before the facts are written: it begins while the constructor takes the snapshot.
pub(crate) struct First {
    pub(crate) socket: Text<128>,
    pub(crate) clk_tck: u32,
    pub(crate) keep_stderr: bool,
}

/// What the watchdog works with. Until the facts are written, the constructor does.
///
/// The buffers come first and are whole pages, so they can be given back ([`Work::give_back`]).
#[repr(C, align(4096))]
pub(crate) struct Work {
    /// Frames that are being filled. Two, because two kinds alternate in a dump.
    pub(crate) frames: [[u8; MAX_FRAME]; 2],
    /// Buffer for small files of /proc.
    pub(crate) text: [u8; 16 * 1024],
    pub(crate) maps: [u8; 32 * 1024],
    pub(crate) entries: [MaybeUninit<u8>; 32 * 1024],
    pub(crate) stack_copy: [u8; 32 * 1024],
    pub(crate) ask: [u8; 4096],
    pub(crate) tids: Grown<u32>,
    /// Threads to be asked by signal.
    pub(crate) running: Grown<Candidate>,
    /// The wait in which each thread was last seen.
    pub(crate) seen: Grown<Seen>,
    /// What the last look at each DSO found.
    pub(crate) looks: [DsoNowRecord; MOST_DSOS],
    /// Threads whose affinity or schedule was changed.
    pub(crate) touched: Touched,
}

impl Work {
    /// Makes room in the tables for so many threads, or for as many as are followed at most.
    pub(crate) fn hold(&mut self, threads: usize) {
        // A few more than there are: some begin meanwhile.
        let wanted = (threads + threads / 8).min(MOST_THREADS);
        self.tids.hold(wanted);
        self.running.hold(wanted);
        self.seen.hold(wanted);
    }

    /// Gives the memory of the buffers back to the kernel: the start and a dump need more of it than a look.
    /// Nothing in them lasts from one piece of work to the next.
    pub(crate) fn give_back(&mut self) {
        let [a, b] = &mut self.frames;
        for buffer in [&mut a[..], b, &mut self.text, &mut self.maps, &mut self.stack_copy, &mut self.ask] {
            sys::give_back(buffer);
        }
        sys::give_back(&mut self.entries);
    }
}

/// The mapping. All zero is a valid value of every part until init has written it.
#[repr(C, align(4096))]
pub(crate) struct Arena {
    guard: [u8; GUARD],
    stack: [u8; STACK],
    /// Lent to the kernel for the rings of perf events, and given back.
    rings: [u8; sys::ROOM],
    // What is touched stands together; long rest that is not touched comes before and after it.
    pub(crate) slots: Slots,
    tls: [u64; 64],
    /// Written by [`crate::init`] before the watchdog starts.
    first: MaybeUninit<First>,
    wanted: Wanted,
    /// Written by [`crate::init`] only.
    pub(crate) facts: MaybeUninit<Facts>,
    work: Work,
}

const _: () =
    assert!(GUARD.is_multiple_of(4096) && STACK.is_multiple_of(4096) && sys::ROOM.is_multiple_of(4096));

impl Arena {
    /// Maps an arena: zeroed memory.
    pub(crate) fn map() -> Result<&'static mut Arena, sys::Errno> {
        let memory = sys::map(size_of::<Arena>())?.cast::<Arena>();
        sys::guard(memory.cast(), GUARD);
        // SAFETY: fresh, zeroed, page-aligned memory of the right size that nobody else knows; zero is valid
        // for every field (numbers, arrays of numbers, atomics, MaybeUninit).
        Ok(unsafe { &mut *memory })
    }

    /// Gives the memory back.
    ///
    /// # Safety
    /// Nothing may refer to the arena any more.
    pub(crate) unsafe fn unmap(arena: *mut Arena) {
        sys::unmap(arena.cast(), size_of::<Arena>());
    }

    /// Writes what the watchdog begins with.
    ///
    /// # Safety
    /// No watchdog may run on this arena yet.
    pub(crate) unsafe fn put_first(arena: *mut Arena, first: First) {
        // SAFETY: the arena is mapped, and nobody else reads this part yet.
        unsafe { (&raw mut (*arena).first).write(MaybeUninit::new(first)) }
    }

    /// What [`Arena::put_first`] has written.
    ///
    /// # Safety
    /// It must have been.
    pub(crate) unsafe fn first<'a>(arena: *const Arena) -> &'a First {
        // SAFETY: written, and never written again.
        unsafe { (*arena).first.assume_init_ref() }
    }

    /// Starts the watchdog on this arena's stack.
    ///
    /// # Safety
    /// [`First`] must be written, and no other watchdog may run on this arena in this process: called once in
    /// the constructor, and once in a forked child, whose memory is a copy and has no such thread. The thread
    /// takes the facts and its work once `watchdog::facts_are_written` was called: whoever writes them must
    /// not use them mutably after that.
    pub(crate) unsafe fn start(arena: *mut Arena, entry: extern "C" fn(*mut u8)) -> Result<u32, sys::Errno> {
        // SAFETY: the fields are plain memory of the arena; only addresses are taken, and the thread control
        // block is written before the thread exists.
        unsafe {
            let top = (&raw mut (*arena).stack).cast::<u8>().add(STACK - 64);
            let top = top.sub(top as usize % 16);
            let tls = &raw mut (*arena).tls;
            arch::prepare_tls(&mut *tls);
            sys::start_thread(top, tls.cast(), entry, arena.cast())
        }
    }

    /// What init has written.
    ///
    /// # Safety
    /// Init must have written it, and said so.
    pub(crate) unsafe fn facts<'a>(arena: *const Arena) -> &'a Facts {
        // SAFETY: written, and never written again.
        unsafe { (*arena).facts.assume_init_ref() }
    }

    /// The watchdog's own part.
    ///
    /// # Safety
    /// Only for the one watchdog of this process.
    pub(crate) unsafe fn work<'a>(arena: *mut Arena) -> &'a mut Work {
        // SAFETY: one watchdog, so one reference.
        unsafe { &mut (*arena).work }
    }

    /// Where rings of perf events may be mapped.
    ///
    /// # Safety
    /// Only for the one watchdog of this process.
    pub(crate) unsafe fn rings(arena: *mut Arena) -> sys::Rings {
        // SAFETY: only the address is taken, which is that of a page: the parts before it are whole pages.
        // Nothing else uses this part.
        unsafe { sys::Rings::new((&raw mut (*arena).rings).cast()) }
    }

    /// The slots that signal handlers answer into.
    ///
    /// # Safety
    /// The arena must be mapped: it always stays so.
    pub(crate) unsafe fn slots<'a>(arena: *const Arena) -> &'a Slots {
        // SAFETY: never unmapped; slots synchronize themselves.
        unsafe { &(*arena).slots }
    }

    /// The memory that the collector asked for.
    ///
    /// # Safety
    /// As [`Arena::slots`].
    pub(crate) unsafe fn wanted<'a>(arena: *const Arena) -> &'a Wanted {
        // SAFETY: never unmapped; it synchronizes itself.
        unsafe { &(*arena).wanted }
    }
}
