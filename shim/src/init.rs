//! The constructor, and what happens after a fork.
//!
//! The constructor runs after those of libc and of the allocator, and before the program's `main`. It starts
//! the watchdog, and takes the snapshot, because nothing can have changed yet. It does not connect: the
//! watchdog does that meanwhile, so that a slow collector costs the host nothing.
//!
//! Who writes and who reads: the constructor publishes the arena once it is filled (`ARENA`, release); the
//! destructor and the fork handler take it (acquire). `BACK` belongs to one thread at a time, in the
//! constructor or the destructor. `BACK_TID` is stored before it (release), so another thread that panics,
//! the watchdog, sees that it is not the owner. A child that was forked meanwhile has another tid, and does
//! not take it for its own.

use core::ffi::{CStr, c_char, c_int};
use core::ops::Range;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use hangscope_protocol::record::{dso_flags, hello_flags};
use hangscope_protocol::variable;
use hangscope_reader::carrier;
use once_cell::race::OnceRef;

use crate::arch::{self, Back};
use crate::arena::{Arena, Facts, First, Work};
use crate::host::dso::Dso;
use crate::host::{elf, filters};
use crate::signal::crash;
use crate::sys::{Own, Pages};
use crate::text::Text;
use crate::{sys, watchdog};

/// The arena, once it is filled. It is never unmapped.
static ARENA: OnceRef<'static, ArenaAddress> = OnceRef::new();
/// Where a panic in the constructor or destructor returns to. Null when neither runs.
static BACK: AtomicPtr<Back> = AtomicPtr::new(core::ptr::null_mut());
/// The thread that `BACK` belongs to.
static BACK_TID: AtomicU32 = AtomicU32::new(0);

/// Address of an [`Arena`]: what a static can hold.
#[repr(transparent)]
struct ArenaAddress(Arena);

/// What the constructor was called with.
struct Start {
    argc: c_int,
    argv: *const *const c_char,
    envp: *const *const c_char,
    began_ns: u64,
}

#[used]
// Miri calls without arguments.
#[cfg_attr(not(miri), unsafe(link_section = ".init_array"))]
static CONSTRUCTOR: extern "C" fn(c_int, *const *const c_char, *const *const c_char) = constructor;

#[used]
#[cfg_attr(not(miri), unsafe(link_section = ".fini_array"))]
static DESTRUCTOR: extern "C" fn() = destructor;

unsafe extern "C" {
    /// glibc's registration of fork handlers: `pthread_atfork` calls it. It allocates only after the first
    /// 48 handlers of a process, because the array of handlers has room for so many in itself.
    fn __register_atfork(
        prepare: Option<extern "C" fn()>,
        parent: Option<extern "C" fn()>,
        child: Option<extern "C" fn()>,
        dso_handle: *const u8,
    ) -> c_int;
    static __dso_handle: u8;
}

extern "C" fn constructor(argc: c_int, argv: *const *const c_char, envp: *const *const c_char) {
    if envp.is_null() {
        return;
    }
    // SAFETY: what the loader passes to constructors.
    let is_wanted = match unsafe { names_socket(envp) } {
        Some(named) => named,
        // SAFETY: this is a constructor.
        None => unsafe { elf::carrier() }.is_some(),
    };
    // SAFETY: as above.
    if !is_wanted || arch::is_emulated() || unsafe { elf::is_second_shim() } {
        return;
    }
    sys::know_pid();
    let mut start = Start { argc, argv, envp, began_ns: sys::now() };
    // SAFETY: `start` lives on this stack until the call came back; what `bail` skips in `run` holds no
    // locks and nothing that needs dropping but mappings, which stay, unused.
    unsafe { guarded(run, (&raw mut start).cast()) }
    // After a snapshot that failed, or a panic in it.
    watchdog::no_facts_will_come();
}

/// Runs the shim's own code on a thread of the host's: a panic in it comes back here.
///
/// # Safety
/// `argument` must be what `run` expects, and live until `run` has returned. A panic skips the drops of
/// what `run` holds.
unsafe fn guarded(run: extern "C" fn(*mut u8), argument: *mut u8) {
    let mut back: Back = [0; 7];
    BACK_TID.store(sys::gettid(), Ordering::Relaxed);
    BACK.store(&raw mut back, Ordering::Release);
    // SAFETY: `back` lives on this stack until the call came back; the rest is the caller's promise.
    unsafe { arch::guarded(run, argument, &raw mut back) };
    BACK.store(core::ptr::null_mut(), Ordering::Release);
}

extern "C" fn run(start: *mut u8) {
    // SAFETY: `constructor` passes its own `Start`.
    let start = unsafe { &*start.cast::<Start>() };
    let _ = begin(start);
}

/// After a panic: the watchdog's thread ends; a constructor or destructor goes back to the host.
#[cfg_attr(test, expect(dead_code, reason = "the panic handler of a test is std's"))]
pub(crate) fn give_up() -> ! {
    let back = BACK.load(Ordering::Acquire);
    if !back.is_null() && BACK_TID.load(Ordering::Relaxed) == sys::gettid() {
        // SAFETY: filled by the `guarded` that runs on this very thread.
        unsafe { arch::bail(back) }
    }
    sys::exit_thread(0)
}

/// Whether the environment names a socket: `Some(false)` for an empty name, `None` where the variable is not
/// set. Makes no system call: without a socket, and without a carrier, the constructor does nothing.
///
/// # Safety
/// `envp` must be a NULL-terminated array of C strings.
unsafe fn names_socket(mut envp: *const *const c_char) -> Option<bool> {
    const NAME: &[u8] = variable::SOCKET.as_bytes();
    // SAFETY: the caller's promise: NULL ends the array.
    while let Some(entry) = unsafe { envp.read().cast::<u8>().as_ref() } {
        let entry = core::ptr::from_ref(entry);
        // SAFETY: bytes are compared in order, so the NUL ends the comparison before the string ends.
        let named = (0..NAME.len()).all(|i| unsafe { *entry.add(i) } == NAME.get(i).copied().unwrap_or(0));
        // SAFETY: the name has no NUL, so the string goes on behind it; a value follows `=`.
        if named && unsafe { *entry.add(NAME.len()) == b'=' } {
            // SAFETY: as above.
            return Some(unsafe { *entry.add(NAME.len() + 1) } != 0);
        }
        envp = envp.wrapping_add(1);
    }
    None
}

/// The strings of a NULL-terminated array.
///
/// # Safety
/// `array` must be such an array of C strings, as the loader passes it to constructors.
unsafe fn strings<'a>(mut array: *const *const c_char) -> (impl Iterator<Item = &'a CStr>, *const u64) {
    let first = array;
    // SAFETY: the caller's promise; NULL ends it.
    while unsafe { !(*array).is_null() } {
        // SAFETY: not yet at the end.
        array = unsafe { array.add(1) };
    }
    // SAFETY: both point into the same array.
    let count = unsafe { array.offset_from(first) } as usize;
    // SAFETY: indices below the count, each a C string that the process was started with.
    let items = (0..count).map(move |i| unsafe { CStr::from_ptr(*first.add(i)) });
    (items, array.wrapping_add(1).cast())
}

/// Where the strings of argv and of the environment are: the kernel puts them side by side at the end of the
/// stack, above the arrays that name them. Strings elsewhere (a loader that is a program of its own) are not
/// on a stack.
///
/// # Safety
/// Both must be such arrays as [`strings`] takes.
unsafe fn start_strings(argv: *const *const c_char, envp: *const *const c_char) -> Range<u64> {
    let above = argv as u64;
    let (mut first, mut last) = (u64::MAX, 0);
    for array in [argv, envp] {
        // SAFETY: the caller's promise.
        let (items, _) = unsafe { strings(array) };
        for at in items.map(|item| item.as_ptr() as u64).filter(|at| *at > above) {
            (first, last) = (first.min(at), last.max(at));
        }
    }
    if last == 0 {
        return 0..0;
    }
    // SAFETY: one of those strings.
    let end = unsafe { CStr::from_ptr(last as *const c_char) }.count_bytes() as u64;
    first..last + end + 1
}

/// Page size, clock ticks per second, and whether the process is privileged (AT_SECURE). The auxiliary
/// vector follows the environment on the stack (getauxval(3)).
///
/// # Safety
/// `auxv` must be that vector.
unsafe fn auxiliary(mut auxv: *const u64) -> (u32, u32, bool) {
    let (mut page_size, mut clk_tck, mut secure) = (4096, 100, false);
    for _ in 0..64 {
        // SAFETY: pairs, up to AT_NULL.
        let (key, value) = unsafe { (*auxv, *auxv.add(1)) };
        match key {
            libc::AT_NULL => break,
            libc::AT_PAGESZ => page_size = value as u32,
            libc::AT_CLKTCK => clk_tck = value as u32,
            libc::AT_SECURE => secure = value != 0,
            _ => {}
        }
        auxv = auxv.wrapping_add(2);
    }
    (page_size, clk_tck, secure)
}

fn begin(start: &Start) -> Option<()> {
    // A program may have loaded the shim by dlopen. Then there may be nothing to pass.
    if start.envp.is_null() || start.argv.is_null() || ARENA.get().is_some() {
        return None;
    }
    // SAFETY: what glibc passes to constructors: the process's own environment. If a constructor before this
    // one has replaced it (setenv moves `environ`, not this array), the array is still that of the start.
    let (variables, auxv) = unsafe { strings(start.envp) };
    // SAFETY: directly behind the environment, while nobody has moved that.
    let (page_size, clk_tck, secure) = unsafe { auxiliary(auxv) };
    sys::know_page_size(page_size);
    // SAFETY: as above.
    sys::know_strings(unsafe { start_strings(start.argv, start.envp) });
    if secure {
        return None;
    }
    let arena: *mut Arena = Arena::map().ok()?;
    // SAFETY: zeroed memory is a valid `Facts` (numbers, durations of 0, texts that are empty, a table of
    // length 0), and the watchdog, the only other user of both, does not run yet.
    let (facts, work) = unsafe { ((*arena).facts.assume_init_mut(), Arena::work(arena)) };
    facts.config.set_defaults();
    // SAFETY: this is a constructor.
    if let Some(start) = unsafe { elf::carrier() } {
        take_carried(start, facts, work);
    }
    variables.for_each(|v| facts.config.take(v.to_bytes()));
    if !is_watched(start, facts, work) {
        // SAFETY: nothing refers to the arena: `facts` and `work` are not used any more.
        unsafe { Arena::unmap(arena) };
        return None;
    }
    // The snapshot tells whose `malloc` it is. Elsewhere it is taken while the watchdog connects.
    let decides = facts.config.preloaded;
    if decides && (snapshot(facts, work).is_none() || !has_other_malloc(facts)) {
        // SAFETY: as above.
        unsafe { Arena::unmap(arena) };
        return None;
    }
    // While this thread takes the snapshot, the watchdog connects. It waits for the facts before it says a
    // word.
    let first = First { socket: facts.config.socket, clk_tck, keep_stderr: facts.config.debug };
    // SAFETY: `first` is written before the thread starts, which is the only watchdog. The thread takes facts
    // and work after `facts_are_written` below, from where on both are only read here.
    unsafe {
        Arena::put_first(arena, first);
        start_watchdog(arena);
    }
    facts.page_size = page_size;
    facts.clk_tck = clk_tck;
    facts.init_ns = start.began_ns;
    if !decides {
        snapshot(facts, work)?;
    }
    facts.init_cost_ns = sys::now() - start.began_ns;
    if facts.config.debug {
        debug(facts);
    }
    // SAFETY: `ArenaAddress` is transparent over `Arena`; it lives for ever.
    let _ = ARENA.set(unsafe { &*arena.cast::<ArenaAddress>() });
    if facts.config.crash {
        crash::install();
    }
    watchdog::facts_are_written();
    // SAFETY: the handler stays valid: the shim is never unloaded, since it was preloaded.
    unsafe {
        __register_atfork(None, None, Some(in_child), &raw const __dso_handle);
    }
    // A verification of the preload needs the hello even of a program that ends at once without running
    // destructors (`_exit`).
    if facts.config.greet {
        watchdog::let_it_say_hello();
    }
    Some(())
}

/// Takes the settings of the carrier whose file begins at address `start`.
#[inline(never)] // Its stack is not for processes without a carrier.
fn take_carried(start: u64, facts: &mut Facts, work: &mut Work) {
    if let Some(settings) = carrier::settings(&Own, start, &mut work.text) {
        carrier::entries(settings).for_each(|entry| facts.config.take(entry));
    }
}

/// Whether this program is to be watched. Notes what program it is.
fn is_watched(start: &Start, facts: &mut Facts, work: &mut Work) -> bool {
    // A buffer whose page is needed for the hello anyway.
    let link = work.text.get_mut(..512).unwrap_or(&mut []);
    let Ok(exe) = sys::read_link(c"/proc/self/exe", link) else { return false };
    let exe = exe.strip_suffix(b" (deleted)").unwrap_or(exe);
    facts.exe.push(exe);
    // SAFETY: argv[0], if there is one.
    let argv0 = if start.argc > 0 { unsafe { CStr::from_ptr(*start.argv) }.to_bytes() } else { &[] };
    !facts.config.socket.as_bytes().is_empty() && facts.config.watches(exe, argv0)
}

/// Takes the snapshot. None if the mappings cannot be read.
fn snapshot(facts: &mut Facts, work: &mut Work) -> Option<()> {
    facts.wall_ns = sys::wall_clock();
    facts.stir_seed = facts.config.stir_seed.unwrap_or_else(|| facts.wall_ns as u32 ^ sys::getpid());
    // The frame's pages are needed for the hello anyway: nothing else is touched for maps.
    let [first_frame, _] = &mut work.frames;
    if !facts.dsos.list(first_frame) {
        return None;
    }
    let memory = Pages::new(first_frame);
    facts.dsos.snapshot(&memory, facts.exe.as_bytes(), constructor as *const () as u64);
    find_allocator(facts, &memory);
    facts.dsos.see_removed(first_frame);
    Some(())
}

/// Whether `malloc` is another than libc's and the program's own, or was to be: the loader ignores a preload
/// that it cannot open.
fn has_other_malloc(facts: &Facts) -> bool {
    let libc = facts.dsos.at(__register_atfork as *const () as u64);
    let provider = facts.dsos.at(facts.malloc);
    let is_program = |at: usize| facts.dsos.dsos.get(at).is_some_and(Dso::is_program);
    let is_other = provider.is_some_and(|at| Some(at) != libc && !is_program(at));
    let preloads = facts.config.ld_preload.as_bytes().split(|b| matches!(b, b':' | b' '));
    is_other || preloads.filter(|file| !file.is_empty()).any(|file| facts.dsos.named(file).is_none())
}

/// # Safety
/// As [`Arena::start`].
unsafe fn start_watchdog(arena: *mut Arena) {
    // The new thread inherits the signal mask. All signals are blocked, so no handler of the host ever runs
    // on the watchdog's stack.
    let Ok(mask) = sys::set_signal_mask(u64::MAX) else { return };
    // SAFETY: passed on to the caller.
    let started = unsafe { Arena::start(arena, watchdog::entry) };
    let _ = sys::set_signal_mask(mask);
    // There can be no thread (RLIMIT_NPROC), or an emulator refuses these flags of clone (qemu-user). The
    // host runs without one, and nobody waits for its hello.
    if started.is_err() {
        watchdog::ended();
    }
}

extern "C" fn in_child() {
    let Some(address) = ARENA.get() else { return };
    let arena = core::ptr::from_ref(address).cast::<Arena>().cast_mut();
    watchdog::forked();
    crash::forget();
    // SAFETY: init has written the facts, and no watchdog runs in this process yet.
    let (facts, work) = unsafe { (Arena::facts(arena), Arena::work(arena)) };
    if filters::may_be_new() && !facts.config.seccomp {
        // Not even a system call that tells of the filter.
        // SAFETY: the arena is mapped.
        return unsafe { Arena::wanted(arena) }.forget();
    }
    sys::know_pid();
    if facts.config.stir > 0 {
        work.touched.forked(sys::gettid());
    }
    // SAFETY: the arena is mapped.
    unsafe { Arena::wanted(arena) }.forget();
    // SAFETY: the memory is this child's copy, and the parent's watchdog does not exist in it. Everything
    // here is raw system calls: allowed between fork and exec in a program with threads.
    unsafe { start_watchdog(arena) }
}

/// A process that ends at once (as `/bin/true` does) may end before the watchdog has run at all. So the
/// destructor waits a moment for the hello. Then it reads the memory that the collector asked for, for the
/// last time. Otherwise it costs three loads.
extern "C" fn destructor() {
    let Some(address) = ARENA.get().filter(|_| !watchdog::is_filtered()) else { return };
    watchdog::let_it_say_hello();
    let arena = core::ptr::from_ref(address).cast::<Arena>().cast_mut();
    // SAFETY: the arena is mapped.
    if unsafe { Arena::wanted(arena) }.is_shared() {
        // SAFETY: `leave` expects the arena, which is never unmapped, and holds nothing that needs dropping.
        unsafe { guarded(leave, arena.cast()) }
    }
}

extern "C" fn leave(arena: *mut u8) {
    // SAFETY: `destructor` passes the arena.
    unsafe { Arena::wanted(arena.cast()) }.leave();
}

/// The DSO that HANGSCOPE_TARGET names, else the one that provides `malloc` in symbol order.
fn find_allocator(facts: &mut Facts, memory: &Pages<'_>) {
    facts.allocator = u32::MAX;
    facts.malloc = arch::malloc_address();
    let mut provider = facts.dsos.at(facts.malloc);
    // The program itself may have an entry for the `malloc` of another one: then the search tells.
    if provider.and_then(|i| facts.dsos.dsos.get(i)).is_none_or(Dso::is_program) {
        facts.malloc = elf::find_function(memory, b"malloc").unwrap_or(0);
        provider = facts.dsos.at(facts.malloc);
    }
    let target = facts.config.target.as_bytes();
    let named = if target.is_empty() { None } else { facts.dsos.named(target) };
    if !target.is_empty() {
        let flag = if named.is_some() { hello_flags::TARGET_NAMED } else { hello_flags::TARGET_MISSING };
        facts.hello_flags |= flag;
    }
    if let Some(dso) = provider.and_then(|i| facts.dsos.dsos.get_mut(i)) {
        dso.record.flags |= dso_flags::PROVIDES_MALLOC;
    }
    if let Some(index) = named.or(provider)
        && let Some(dso) = facts.dsos.dsos.get_mut(index)
    {
        dso.record.flags |= dso_flags::ALLOCATOR;
        facts.allocator = index as u32;
    }
}

fn debug(facts: &Facts) {
    let mut line = Text::<1024>::EMPTY;
    line.push(b"hangscope: watching ");
    line.push(facts.exe.as_bytes());
    line.push(b", allocator ");
    match facts.dsos.dsos.get(facts.allocator as usize) {
        Some(dso) => line.push(dso.path.as_bytes()),
        None => line.push(b"unknown"),
    };
    line.push(b", socket ");
    line.push(facts.config.socket.as_bytes());
    if facts.config.stir > 0 {
        line.push(b", stir ");
        line.push_number(u64::from(facts.config.stir));
        line.push(b", seed ");
        line.push_number(u64::from(facts.stir_seed));
    }
    line.push(b"\n");
    sys::debug_line(line.as_bytes());
}
