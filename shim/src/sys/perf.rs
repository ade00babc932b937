//! Perf events on threads of this process (perf_event_open(2)): the kernel copies a thread's registers and
//! the top of its stack while the thread runs. Nothing is sent to the thread, and nothing runs on it.
//!
//! The rings lie in address space that the arena has reserved, in place of its pages, and only while events
//! are open: a dump makes no mapping that the host did not have room for before.
//!
//! Who writes and who reads: the kernel writes data, then the head; the watchdog loads the head (acquire),
//! copies the data, then stores the tail (release), as the kernel does on its side (perf_event_open(2),
//! "data_head"). No other thread knows the rings. A fork copies memory with the table of mappings locked, and
//! a ring is not copied. [`are_lent`] is set before a ring is mapped and cleared after the pages are back,
//! and both mappings take that lock: a child that lacks the pages sees the flag, and one that sees it may
//! have them.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use hangscope_reader::perf;
use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::clock::timespec;
use super::raw::{Errno, raw};
use crate::arch;

const PAGE: usize = 4096;
/// Most events at a time.
pub(crate) const MOST: usize = 16;
/// PERF_EVENT_IOC_REFRESH: enables an event for so many samples.
const REFRESH: usize = 0x2402;
/// Offsets in a ring's first page: `data_head`, `data_tail` (linux/perf_event.h).
const HEAD: usize = 1024;
const TAIL: usize = 1032;

/// Pages of the arena are replaced by rings, or could not be put back.
static LENT: AtomicBool = AtomicBool::new(false);

/// Whether pages of the arena are lent to the kernel. In a forked child: they were when it was forked, and
/// the child has nothing there (the kernel does not copy rings).
pub(crate) fn are_lent() -> bool {
    LENT.load(Ordering::Relaxed)
}

/// How threads are sampled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Data pages of a ring: a power of two.
    pages: usize,
    /// Bytes of stack of a sample: a multiple of 8.
    stack: u32,
    /// A thread is looked at once, not again and again.
    once: bool,
}

/// CPU time of a thread until its sample, ns. Each event stops after one sample: a thread that gets little of
/// a processor is not seen less often for it.
const UNTIL_SAMPLE: u64 = 250_000;

impl Plan {
    /// One sample, soon.
    pub(crate) const ONCE: Plan = Plan { pages: 8, stack: 24 * 1024, once: true };
    /// A sample each time that [`Rings::again`] asks for one. The ring has room for two.
    pub(crate) const AGAIN: Plan = Plan { pages: 4, stack: 7 * 1024 + 512, once: false };
    /// As many events as there can be, each with room for one sample.
    pub(crate) const CROWD: Plan = Plan { pages: 2, ..Plan::AGAIN };

    /// For sampling so many threads.
    pub(crate) fn of(threads: usize) -> Plan {
        if threads <= Plan::AGAIN.places() { Plan::AGAIN } else { Plan::CROWD }
    }

    pub(crate) fn is_once(self) -> bool {
        self.once
    }

    const fn places(self) -> usize {
        ROOM / self.ring()
    }

    /// Bytes of a ring with its first page.
    const fn ring(self) -> usize {
        (self.pages + 1) * PAGE
    }

    const fn samples(self) -> usize {
        self.pages * PAGE / (perf::HEAD + 8 * perf::MOST_REGS + self.stack as usize)
    }
}

/// Bytes of address space that rings need.
pub(crate) const ROOM: usize = 48 * PAGE;
const _: () = assert!(Plan::CROWD.places() == MOST && Plan::AGAIN.places() < MOST);
const _: () = assert!(Plan::ONCE.samples() == 1 && Plan::AGAIN.samples() == 2 && Plan::CROWD.samples() == 1);

/// Events that are open, each with its ring.
pub(crate) struct Rings {
    /// [`ROOM`] bytes of the arena that nobody else uses.
    room: *mut u8,
    /// False once pages could not be put back.
    usable: bool,
    plan: Plan,
    events: [Option<OwnedFd>; MOST],
}

impl Rings {
    /// # Safety
    /// `room` must be [`ROOM`] bytes of writable memory of the shim's own, at the start of a page, that stay
    /// mapped and that nobody else uses.
    pub(crate) unsafe fn new(room: *mut u8) -> Rings {
        Rings { room, usable: true, plan: Plan::ONCE, events: [const { None }; MOST] }
    }

    /// Closes all events. From now on they are opened by this plan.
    pub(crate) fn begin(&mut self, plan: Plan) {
        for index in 0..MOST {
            self.close(index);
        }
        self.plan = plan;
    }

    /// A place where no event is open.
    pub(crate) fn free(&self) -> Option<usize> {
        self.events.iter().take(self.plan.places()).position(Option::is_none)
    }

    fn at(&self, index: usize) -> *mut u8 {
        self.room.wrapping_add(index * self.plan.ring())
    }

    /// Opens an event for a thread at a free place.
    pub(crate) fn open(&mut self, index: usize, tid: u32) -> Result<(), Errno> {
        let event = open(self.plan, tid)?;
        LENT.store(true, Ordering::Relaxed);
        if let Err(e) = map(Some(&event), self.at(index), self.plan.ring()) {
            self.put_back(index);
            return Err(e);
        }
        if let Some(place) = self.events.get_mut(index) {
            *place = Some(event);
        }
        self.again(index).inspect_err(|_| self.close(index))
    }

    /// Asks for one sample of an open event. Asked twice before the first came, it gives two.
    pub(crate) fn again(&self, index: usize) -> Result<(), Errno> {
        let event = self.events.get(index).and_then(Option::as_ref).ok_or(Errno::BADF)?;
        // SAFETY: the request takes a number.
        unsafe { raw(libc::SYS_ioctl, [event.as_raw_fd() as usize, REFRESH, 1, 0, 0, 0]) }.map(|_| ())
    }

    /// Takes an event away, with what its ring still holds.
    pub(crate) fn close(&mut self, index: usize) {
        if self.events.get_mut(index).and_then(Option::take).is_some() {
            self.put_back(index);
        }
    }

    /// Puts memory of the arena where a ring was.
    fn put_back(&mut self, index: usize) {
        let back = map(None, self.at(index), self.plan.ring());
        // If that fails there may be a hole, which the host may fill: no place is used again.
        if back.is_ok() && self.events.iter().all(Option::is_none) {
            LENT.store(false, Ordering::Relaxed);
        }
        self.usable &= back.is_ok();
    }

    /// Whether events can be opened at all.
    pub(crate) fn are_usable(&self) -> bool {
        self.usable
    }

    /// Takes what is new out of a ring. Gives its bytes in `to`.
    pub(crate) fn take<'t>(&mut self, index: usize, to: &'t mut [u8]) -> &'t [u8] {
        if self.events.get(index).is_none_or(Option::is_none) {
            return &[];
        }
        let (ring, size) = (self.at(index), self.plan.pages * PAGE);
        // SAFETY: the ring is mapped while its event is open. The kernel writes the head; only this thread
        // writes the tail. Both are aligned words.
        let (head, tail) =
            unsafe { (&*ring.add(HEAD).cast::<AtomicU64>(), &*ring.add(TAIL).cast::<AtomicU64>()) };
        let (from, until) = (tail.load(Ordering::Relaxed), head.load(Ordering::Acquire));
        let mut taken = 0;
        for piece in perf::pieces(from, until, size).unwrap_or([0..0, 0..0]) {
            let Some(to) = to.get_mut(taken..taken + piece.len()) else { break };
            // SAFETY: `pieces` are inside the data pages behind the first one, and the kernel writes there
            // again only after the tail has moved.
            unsafe { ring.add(PAGE + piece.start).copy_to_nonoverlapping(to.as_mut_ptr(), piece.len()) };
            taken += piece.len();
        }
        tail.store(until, Ordering::Release);
        to.get(..taken).unwrap_or(&[])
    }

    /// Waits until some ring has a sample, or for `ns`. Gives the places whose thread has ended, as bits.
    pub(crate) fn wait(&self, ns: u64) -> u32 {
        let open = || self.events.iter().enumerate().filter_map(|(i, event)| Some((i, event.as_ref()?)));
        let Some((_, any)) = open().next() else { return 0 };
        let mut polled = [const { PollFlags::empty() }; MOST].map(|none| PollFd::new(any, none));
        let mut count = 0;
        for (to, (_, event)) in polled.iter_mut().zip(open()) {
            *to = PollFd::new(event, PollFlags::IN);
            count += 1;
        }
        let polled = polled.get_mut(..count).unwrap_or(&mut []);
        if !matches!(rustix::event::poll(polled, Some(&timespec(ns))), Ok(1..)) {
            return 0;
        }
        let ended = |fd: &PollFd<'_>| fd.revents().intersects(PollFlags::HUP | PollFlags::ERR);
        polled.iter().zip(open()).filter(|(fd, _)| ended(fd)).fold(0, |bits, (_, (i, _))| bits | 1 << i)
    }
}

/// Opens a disabled event: the CPU clock of a thread, without what it does in the kernel.
fn open(plan: Plan, tid: u32) -> Result<OwnedFd, Errno> {
    // struct perf_event_attr of Linux 3.19, PERF_ATTR_SIZE_VER3 (96 bytes), as words.
    const SIZE: u64 = 96;
    const SOFTWARE: u64 = 1;
    /// Bits of the word of flags.
    const DISABLED: u64 = 1;
    const EXCLUDE_KERNEL: u64 = 1 << 5;
    const EXCLUDE_HV: u64 = 1 << 6;
    const USE_CLOCKID: u64 = 1 << 25;
    const CLOEXEC: usize = 8;
    let mut attr = [0u64; 12];
    // type and size; config 0 is PERF_COUNT_SW_CPU_CLOCK.
    attr[0] = SOFTWARE | SIZE << 32;
    attr[2] = UNTIL_SAMPLE;
    attr[3] = perf::FIELDS;
    attr[5] = DISABLED | EXCLUDE_KERNEL | EXCLUDE_HV | USE_CLOCKID;
    // wakeup_events.
    attr[6] = 1;
    attr[10] = arch::PERF_REGS;
    attr[11] = u64::from(plan.stack) | (libc::CLOCK_MONOTONIC as u64) << 32;
    let args = [attr.as_ptr() as usize, tid as usize, usize::MAX, usize::MAX, CLOEXEC, 0];
    // SAFETY: the attributes are as long as they say, and only read.
    let fd = unsafe { raw(libc::SYS_perf_event_open, args) }?;
    // SAFETY: a new descriptor that nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Maps an event's ring, or fresh memory, over pages of the arena.
fn map(event: Option<&OwnedFd>, at: *mut u8, len: usize) -> Result<(), Errno> {
    let protection = (libc::PROT_READ | libc::PROT_WRITE) as usize;
    let (flags, fd) = match event {
        Some(event) => (libc::MAP_SHARED, event.as_raw_fd() as usize),
        None => (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE, usize::MAX),
    };
    let args = [at as usize, len, protection, (flags | libc::MAP_FIXED) as usize, fd, 0];
    // SAFETY: these pages are the shim's own (the promise of `Rings::new`), and no reference into them lives.
    unsafe { raw(libc::SYS_mmap, args) }.map(|_| ())
}
