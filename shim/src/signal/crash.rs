//! The record of a crash (HANGSCOPE_CRASH=on): the registers and the stack of the thread that got a signal
//! which ends the process.
//!
//! The handler is put in by the constructor, and where the host asks for the default action (Rust's std does
//! so in its own handler, before the fault repeats itself). A handler of the host simply replaces it. The
//! host's queries do not see it (`hide`). It writes into a page that the collector holds: no socket, nothing
//! that blocks. Then the default action is put back and the signal is sent again as it came. So the process
//! dies of the same signal, at the same instruction, with the same siginfo, and leaves the same core. The
//! fault itself is not left to repeat: what a copy over a DSO took away may be there again.
//!
//! What differs: the kernel's log has no `segfault at` line, and SigCgt of `/proc/self/status` shows the
//! handler. The memory below the red zone of the thread is overwritten. Where a stack has overflowed the
//! kernel cannot run a handler: there is no record, and the si_code in the core is SI_KERNEL. There is no
//! record either of a thread that blocks the signal; of the first process of a pid namespace, whose signals
//! the kernel treats differently; and of a child that was forked a moment ago.
//!
//! Who writes and who reads:
//!
//! - `PAGE`: the watchdog stores it once, when it is mapped (release); the handler loads it (acquire). The
//!   page stays mapped, so a handler that has loaded it may use it whatever happens to `PAGE` meanwhile.
//! - The page itself: of all threads that crash, only the first to set `BEGUN` (one exchange) writes. The
//!   length comes last (`sys::publish`). The collector reads the page after the process has ended.
//! - `PAGE_TO_COME` and `WRITTEN` are futex words: the value is stored before the wake, and the kernel
//!   compares it again before a thread sleeps, so no wake is lost. Each wait has a time limit.
//! - `ARMED`: [`withdraw`] clears it, then takes the handlers out. [`take`], on a thread of the host, puts
//!   one in, then looks at it again. The kernel does both changes under one lock of the process, so one of
//!   the two sees the other.
//! - `BEFORE` is written before the handler is in. A query that sees the handler may still read the flags of
//!   the default action before that: both are libc's own.
//! - A fork copies all of it: the handlers stay in force in the child, but `on_crash` compares the process
//!   with the one that the constructor or the fork handler knew, and writes nothing before [`forget`] has
//!   run. A child that shares memory (vfork) is told in the same way. An exec resets the handlers.

use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering};

use hangscope_protocol::Writer;
use hangscope_protocol::record::{CRASH_BYTES, CRASH_STACK, CrashPageRecord, CrashRecord, RED_ZONE};

use crate::arch;
use crate::host::holds;
use crate::sys::{self, Errno, KernelAction, OwnedFd, SIGINFO_WORDS};

/// Signals that leave a core and that programs die of.
const SIGNALS: [i32; 5] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT];
/// How long a thread that crashes waits for the page, or for another one that is writing: for a machine so
/// loaded that the watchdog has not run yet.
const PATIENCE: u64 = 200_000_000;
/// Bytes of stack that the handler needs.
const NEEDED: u64 = 4096;

/// What the kernel said of each signal's default action before the handler was put in: flags and restorer.
/// libc sets them where the host asks for the default action.
static BEFORE: [(AtomicU32, AtomicUsize); SIGNALS.len()] =
    [const { (AtomicU32::new(0), AtomicUsize::new(0)) }; SIGNALS.len()];
/// The handler may be put in.
static ARMED: AtomicBool = AtomicBool::new(false);
/// A futex word: 1 from the constructor until the watchdog has sent the page, or cannot. Else 0.
static PAGE_TO_COME: AtomicU32 = AtomicU32::new(0);
/// Where a crash is written to; null without a collector.
static PAGE: AtomicPtr<u8> = AtomicPtr::new(core::ptr::null_mut());
/// A thread has begun to write. Only the first crash has a record.
static BEGUN: AtomicBool = AtomicBool::new(false);
/// A futex word: 1 when that thread is done.
static WRITTEN: AtomicU32 = AtomicU32::new(0);

/// The address of the handler, for `hide`.
pub(super) fn handler() -> usize {
    on_crash as *const () as usize
}

/// Puts the handler in, where the host has left the default action. For the constructor.
pub(crate) fn install() {
    // In a pid namespace the kernel spares the first process signals that it has no handler for.
    if sys::getpid() == 1 {
        return;
    }
    PAGE_TO_COME.store(1, Ordering::Release);
    ARMED.store(true, Ordering::Release);
    for signal in SIGNALS {
        take(signal);
    }
}

/// Takes the handler out again, and puts it in no more: the program has a filter that may not allow what the
/// handler calls. For the watchdog, which makes the calls on its own thread.
pub(crate) fn withdraw() {
    if !ARMED.swap(false, Ordering::AcqRel) {
        return;
    }
    SIGNALS.into_iter().for_each(take_out);
}

/// Puts the default action in force where the handler is. A handler of the host stays.
fn take_out(signal: i32) {
    let (flags, restorer) = before(signal);
    let default = KernelAction { handler: libc::SIG_DFL, flags: flags.into(), restorer, mask: 0 };
    // SAFETY: the first call only reads, and there is no handler in the second.
    let _ = unsafe {
        sys::action(signal as u32, None)
            .ok()
            .filter(|now| now.handler == handler())
            .map(|_| sys::action(signal as u32, Some(&default)))
    };
}

/// Puts the handler in for a signal whose default action is in force. Nothing for other signals.
pub(super) fn take(signal: i32) {
    let before = SIGNALS.iter().position(|own| *own == signal).and_then(|at| BEFORE.get(at));
    let Some((flags, restorer)) = before.filter(|_| ARMED.load(Ordering::Acquire)) else { return };
    // SAFETY: only reads.
    let Ok(now) = (unsafe { sys::action(signal as u32, None) }) else { return };
    if now.handler == libc::SIG_DFL {
        flags.store(now.flags as u32, Ordering::Relaxed);
        restorer.store(now.restorer, Ordering::Relaxed);
        let ours = KernelAction {
            handler: handler(),
            flags: (libc::SA_SIGINFO | libc::SA_ONSTACK) as u64 | arch::SIGACTION_FLAGS,
            restorer: arch::signal_return as *const () as usize,
            mask: u64::MAX,
        };
        // SAFETY: `on_crash` may run anywhere: it makes no call but raw system calls, and touches only the
        // page, which stays mapped, and atomics.
        let _ = unsafe { sys::action(signal as u32, Some(&ours)) };
        // The watchdog may have taken all handlers out just before.
        if !ARMED.load(Ordering::Acquire) {
            take_out(signal);
        }
    }
}

/// Flags and restorer of the default action that the handler stands for.
pub(super) fn before(signal: i32) -> (u32, usize) {
    let before = SIGNALS.iter().position(|own| *own == signal).and_then(|at| BEFORE.get(at));
    before
        .map_or((0, 0), |(flags, restorer)| (flags.load(Ordering::Relaxed), restorer.load(Ordering::Relaxed)))
}

/// Makes the page (once) and gives the file behind it. For the watchdog.
pub(crate) fn share() -> Result<(OwnedFd, CrashPageRecord), Errno> {
    let file = sys::sealed_memfd(c"hangscope-crash", CRASH_BYTES)?;
    let page = sys::map_shared(&file, CRASH_BYTES)?;
    PAGE.store(page, Ordering::Release);
    Ok((file, CrashPageRecord { size: CRASH_BYTES as u32, reserved: 0 }))
}

/// The page was sent, or there is none to come: a crash need not wait for it.
pub(crate) fn ready() {
    if PAGE_TO_COME.swap(0, Ordering::Release) == 1 {
        sys::futex_wake(&PAGE_TO_COME);
    }
}

/// For a forked child, while it has no other thread: the page is the parent's. Also for a watchdog that ends
/// without a word.
pub(crate) fn forget() {
    PAGE.store(core::ptr::null_mut(), Ordering::Release);
    PAGE_TO_COME.store(0, Ordering::Release);
    WRITTEN.store(0, Ordering::Relaxed);
    // Last: who begins from now on finds no page.
    BEGUN.store(false, Ordering::Release);
}

extern "C" fn on_crash(signal: i32, info: *const [u64; SIGINFO_WORDS], context: *const libc::ucontext_t) {
    // SAFETY: with SA_SIGINFO the kernel passes a siginfo_t (128 bytes) and a ucontext_t. Both live until the
    // handler returns, and nobody writes them.
    let (info, context) = unsafe { (&*info, &*context) };
    // A child that shares memory with its parent (vfork) is not the process that the collector knows.
    if sys::is_the_same_process() && has_room(context) {
        if !BEGUN.swap(true, Ordering::AcqRel) {
            if PAGE_TO_COME.load(Ordering::Acquire) == 1 {
                sys::futex_wait(&PAGE_TO_COME, 1, PATIENCE);
            }
            leave(signal, info, context);
            WRITTEN.store(1, Ordering::Release);
            sys::futex_wake(&WRITTEN);
        } else if WRITTEN.load(Ordering::Acquire) == 0 {
            // The process ends with the first thread that leaves this handler.
            sys::futex_wait(&WRITTEN, 0, PATIENCE);
        }
    }
    take_out(signal);
    // The signal is blocked until this handler returns: then the thread gets it. If it cannot be sent (a
    // filter of system calls), a fault repeats itself, and abort(3) sends its signal once more.
    let _ = sys::send_again(signal as u32, info);
}

/// Whether this stack has room for the handler's work. Near the end of a stack a fault in here would change
/// what the process dies of.
#[inline(never)]
fn has_room(context: &libc::ucontext_t) -> bool {
    let here = &raw const *context as u64;
    let stack = &context.uc_stack;
    let start = stack.ss_sp as u64;
    let on_alternate = (start..start + stack.ss_size as u64).contains(&here);
    let lowest = here.saturating_sub(NEEDED);
    (!on_alternate || lowest >= start) && sys::peek(lowest, &mut [0; 1]).is_ok()
}

/// Writes the record into the page, if there is one.
#[inline(never)]
fn leave(signal: i32, info: &[u64; SIGINFO_WORDS], context: &libc::ucontext_t) {
    let page = PAGE.load(Ordering::Acquire);
    if page.is_null() {
        return;
    }
    // SAFETY: `share` mapped so many bytes there, whose file cannot shrink and has all its pages, and they
    // stay mapped. Only the one thread that set BEGUN comes here. The collector reads its descriptor
    // after the process has ended.
    let page = unsafe { core::slice::from_raw_parts_mut(page, CRASH_BYTES) };
    let Some(room) = page.get_mut(4..) else { return };
    let mut regs = arch::registers(context);
    let mut sp = regs[arch::REG_SP];
    regs[arch::REG_PC] = holds::original(regs[arch::REG_PC], &mut sp);
    regs[arch::REG_SP] = sp;
    // si_code, then si_addr, or pid and uid of a sender (asm-generic/siginfo.h).
    let [_, code, from, ..] = *info;
    let code = code as u32 as i32;
    let record = CrashRecord {
        tid: sys::gettid(),
        signal: signal as u32,
        code,
        reserved: 0,
        address: if code > 0 { from } else { from & 0xffff_ffff },
        t_ns: sys::now(),
        stack: 0,
        regs,
    };
    if let Some(len) = write(record, sp, room) {
        sys::publish(page, len);
    }
}

/// The record, the stack and the mappings. Gives the bytes that were written.
fn write(mut record: CrashRecord, sp: u64, room: &mut [u8]) -> Option<usize> {
    const HEAD: usize = <CrashRecord as hangscope_protocol::Record>::SIZE;
    let (head, rest) = room.split_at_mut_checked(HEAD + 4)?;
    let stack = rest.get_mut(..CRASH_STACK)?;
    record.stack = sp.saturating_sub(RED_ZONE);
    let mut copied = sys::peek(record.stack, stack).unwrap_or(0);
    if (copied as u64) < RED_ZONE {
        record.stack = sp;
        copied = sys::peek(sp, stack).unwrap_or(0);
    }
    let mut w = Writer::new(head);
    w.record(&record).and_then(|()| w.record(&(copied as u32))).ok()?;
    let (len, maps) = rest.get_mut(copied..)?.split_first_chunk_mut::<4>()?;
    let mapped = named_mappings(maps);
    *len = (mapped as u32).to_le_bytes();
    Some(HEAD + 4 + copied + 4 + mapped)
}

/// Copies the lines of the process's maps that have a name. Gives their bytes.
fn named_mappings(to: &mut [u8]) -> usize {
    const CHUNK: usize = 8192;
    let Some(at) = to.len().checked_sub(CHUNK) else { return 0 };
    let (lines, chunk) = to.split_at_mut(at);
    let Ok(file) = sys::open_read(c"/proc/self/maps") else { return 0 };
    let (mut written, mut have) = (0, 0);
    loop {
        let read = chunk.get_mut(have..).and_then(|room| sys::read(&file, room).ok()).unwrap_or(0);
        let bytes = chunk.get(..have + read).unwrap_or(&[]);
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1);
        for line in bytes.get(..whole).unwrap_or(&[]).split_inclusive(|b| *b == b'\n') {
            let named = line.iter().any(|b| matches!(b, b'/' | b'['));
            match lines.get_mut(written..written + line.len()) {
                Some(room) if named => {
                    room.copy_from_slice(line);
                    written += line.len();
                }
                Some(_) => {}
                None => return written,
            }
        }
        let rest = whole..have + read;
        have = rest.len();
        chunk.copy_within(rest, 0);
        // The end, or a line longer than any that the kernel writes.
        if read == 0 || have == CHUNK {
            return written;
        }
    }
}
