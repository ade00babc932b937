//! x86-64: system calls, the thread's start, a way back out of a panic, registers.

use core::arch::{asm, naked_asm};
use core::sync::atomic::{AtomicU32, AtomicUsize};

/// ELF machine number, for the hello.
pub(crate) const MACHINE: u16 = hangscope_protocol::record::ARCH_X86_64;

/// A system call.
///
/// # Safety
/// As the call's own: pointers among the arguments must be good for what the kernel does with them.
#[inline]
pub(crate) unsafe fn syscall6(nr: i64, a: [usize; 6]) -> isize {
    let ret: isize;
    // SAFETY: the x86-64 system call convention; rcx and r11 are clobbered, memory may be written.
    unsafe {
        asm!("syscall", inlateout("rax") nr as isize => ret, in("rdi") a[0], in("rsi") a[1], in("rdx") a[2],
             in("r10") a[3], in("r8") a[4], in("r9") a[5], lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    ret
}

/// `clone` with a new stack: the child runs `entry(arg)` and then ends (the thread, not the process).
/// Gives the new tid, or a negative errno.
///
/// # Safety
/// `stack_top` must be the 16-byte aligned end of writable memory that nobody else uses for as long as the
/// thread lives; `tls` (with CLONE_SETTLS) a thread control block; `entry` must not return into anything.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn clone_thread(
    flags: usize,
    stack_top: *mut u8,
    tls: *mut u8,
    entry: extern "C" fn(*mut u8),
    arg: *mut u8,
) -> isize {
    // clone(flags=rdi, stack=rsi, parent_tid=rdx, child_tid=r10, tls=r8); entry and arg wait in r12 and r13
    // for the child, which shares the register file of this moment.
    naked_asm!(
        "push r12",
        "push r13",
        "mov r12, rcx",
        "mov r13, r8",
        "mov r8, rdx",
        "xor edx, edx",
        "xor r10d, r10d",
        "mov eax, 56",
        "syscall",
        "test rax, rax",
        "jnz 2f",
        "xor ebp, ebp",
        "mov rdi, r13",
        "call r12",
        "xor edi, edi",
        "mov eax, 60",
        "syscall",
        "ud2",
        "2:",
        "pop r13",
        "pop r12",
        "ret",
    )
}

/// Where the loader has bound `malloc`, 0 if nothing defines it. It is never called. In a program that has a
/// fixed address and takes that of `malloc` itself, this is an entry of the program's own (psABI, "Function
/// Addresses").
pub(crate) fn malloc_address() -> u64 {
    let address;
    // SAFETY: reads a word of the shim's own table of addresses. The symbol is weak, so it may be missing.
    unsafe {
        asm!(".weak malloc", "mov {address}, qword ptr [rip + malloc@GOTPCREL]", address = out(reg) address,
             options(nostack, pure, readonly));
    }
    address
}

/// Whether valgrind runs this program: its client request RUNNING_ON_VALGRIND (valgrind.h). On a processor
/// the four rotations are 128 bits together, and the exchange is of a register with itself: nothing happens.
pub(crate) fn is_emulated() -> bool {
    const RUNNING_ON_VALGRIND: u64 = 0x1001;
    let request = [RUNNING_ON_VALGRIND, 0, 0, 0, 0, 0];
    let answer: u64;
    // SAFETY: registers that the compiler knows of. valgrind reads `request`, which lives.
    unsafe {
        asm!("rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
             in("rax") request.as_ptr(), inlateout("rdx") 0u64 => answer, in("rdi") 0u64, options(nostack));
    }
    answer != 0
}

/// What the program has asked for through libc: bit 0 once it installs a filter of system calls, and
/// [`FILTER_OF_ALL`] once it installs one for all threads (SECCOMP_FILTER_FLAG_TSYNC).
pub(crate) static FILTERS: AtomicU32 = AtomicU32::new(0);
#[cfg(test)]
const FILTER: u32 = 1;
pub(crate) const FILTER_OF_ALL: u32 = 2;

/// The function that makes futex calls in place of libc's syscall(2), with the same arguments; 0: they are
/// made here.
pub(crate) static FUTEX: AtomicUsize = AtomicUsize::new(0);

/// The function (`extern "C" fn()`) that is called before a filter is installed for all threads, once it is
/// noted; 0: none.
pub(crate) static CALM: AtomicUsize = AtomicUsize::new(0);

/// libc's function syscall(2), which also notes the calls that install a filter, before they are made.
/// libseccomp makes them so. Whatever the shim would ask the kernel afterwards, to find out whether there is
/// a filter, might be what the filter ends the process for.
///
/// # Safety
/// As syscall(2).
#[cfg_attr(not(test), unsafe(no_mangle))]
#[unsafe(naked)]
unsafe extern "C" fn syscall() -> isize {
    // Seccomp is 317: operation 0 or 1 installs, bit 0 of the flags is TSYNC. prctl is 157: PR_SET_SECCOMP is
    // 22.
    naked_asm!(
        "endbr64",
        "cmp edi, 317",
        "je 2f",
        "cmp edi, 157",
        "jne 4f",
        "cmp esi, 22",
        "jne 4f",
        "mov eax, 1",
        "jmp 3f",
        "2:",
        "cmp esi, 1",
        "ja 4f",
        "mov eax, edx",
        "and eax, 1",
        "inc eax",
        "3:",
        "lock or dword ptr [rip + {filters}], eax",
        "cmp eax, 2",
        "jne 5f",
        "mov rax, [rip + {calm}]",
        "test rax, rax",
        "jz 5f",
        "push rdi",
        "push rsi",
        "push rdx",
        "push rcx",
        "push r8",
        "push r9",
        "sub rsp, 8",
        "call rax",
        "add rsp, 8",
        "pop r9",
        "pop r8",
        "pop rcx",
        "pop rdx",
        "pop rsi",
        "pop rdi",
        "jmp 5f",
        "4:",
        // Futex is 202.
        "cmp edi, 202",
        "jne 5f",
        "mov rax, [rip + {futex}]",
        "test rax, rax",
        "jz 5f",
        "jmp rax",
        "5:",
        "mov rax, rdi",
        "mov rdi, rsi",
        "mov rsi, rdx",
        "mov rdx, rcx",
        "mov r10, r8",
        "mov r8, r9",
        "mov r9, [rsp + 8]",
        "syscall",
        "cmp rax, -4095",
        "jae {failed}",
        "ret",
        filters = sym FILTERS,
        calm = sym CALM,
        futex = sym FUTEX,
        failed = sym failed,
    )
}

/// As [`syscall`], for prctl(2).
///
/// # Safety
/// As prctl(2).
#[cfg_attr(not(test), unsafe(no_mangle))]
#[unsafe(naked)]
unsafe extern "C" fn prctl() -> isize {
    naked_asm!(
        "endbr64",
        "cmp edi, 22",
        "jne 2f",
        "lock or dword ptr [rip + {filters}], 1",
        "2:",
        "mov r10, rcx",
        "mov eax, 157",
        "syscall",
        "cmp rax, -4095",
        "jae {failed}",
        "ret",
        filters = sym FILTERS,
        failed = sym failed,
    )
}

/// Sets errno from a negative result in rax, and returns -1 to the caller of [`syscall`] or [`prctl`].
///
/// # Safety
/// Only to be jumped to from there.
#[unsafe(naked)]
unsafe extern "C" fn failed() {
    naked_asm!(
        "push rbx",
        "mov ebx, eax",
        "neg ebx",
        "call qword ptr [rip + __errno_location@GOTPCREL]",
        "mov [rax], ebx",
        "pop rbx",
        "mov rax, -1",
        "ret",
    )
}

/// Where [`guarded`] came from: rbx, rbp, r12 to r15, rsp.
pub(crate) type Back = [u64; 7];

/// Calls `f(arg)`; gives 0 if it came back by itself, 1 if [`bail`] brought it back.
///
/// # Safety
/// `back` must stay valid while `f` runs; frames that `bail` skips must hold nothing that needs dropping.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn guarded(f: extern "C" fn(*mut u8), arg: *mut u8, back: *mut Back) -> u32 {
    naked_asm!(
        "mov [rdx], rbx",
        "mov [rdx+8], rbp",
        "mov [rdx+16], r12",
        "mov [rdx+24], r13",
        "mov [rdx+32], r14",
        "mov [rdx+40], r15",
        "mov [rdx+48], rsp",
        "mov rax, rdi",
        "mov rdi, rsi",
        "sub rsp, 8",
        "call rax",
        "add rsp, 8",
        "xor eax, eax",
        "ret",
    )
}

/// Back to the caller of [`guarded`], with 1.
///
/// # Safety
/// `back` must have been filled by a [`guarded`] that is still on this thread's stack.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn bail(back: *const Back) -> ! {
    naked_asm!(
        "mov rbx, [rdi]",
        "mov rbp, [rdi+8]",
        "mov r12, [rdi+16]",
        "mov r13, [rdi+24]",
        "mov r14, [rdi+32]",
        "mov r15, [rdi+40]",
        "mov rsp, [rdi+48]",
        "mov eax, 1",
        "ret",
    )
}

/// What a signal handler returns through: `rt_sigreturn`. The kernel wants it from the program on x86-64
/// (SA_RESTORER); libc's own is not exported. Unwinders know a signal frame by these very bytes (libgcc's
/// linux-unwind.h; gdb's amd64-linux-tdep.c).
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn signal_return() -> ! {
    naked_asm!(".byte 0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05", "ud2")
}

/// Makes `block` a thread control block: the psABI wants its own address at offset 0; the canary at 0x28
/// stays 0, which is as good as any for code that no host data reaches.
pub(crate) fn prepare_tls(block: &mut [u64; 64]) {
    block[0] = block.as_ptr() as u64;
    block[2] = block.as_ptr() as u64;
}

/// Registers of an interrupted thread in DWARF order (psABI, figure 3.36), eflags at 17.
pub(crate) fn registers(context: &libc::ucontext_t) -> [u64; hangscope_protocol::record::PROBE_REGS] {
    // Indices of gregs (sys/ucontext.h): r8..r15 are 0..7, rdi 8, rsi 9, rbp 10, rbx 11, rdx 12, rax 13,
    // rcx 14, rsp 15, rip 16, efl 17.
    const ORDER: [usize; 18] = [13, 12, 14, 11, 9, 8, 10, 15, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17];
    let mut regs = [0; hangscope_protocol::record::PROBE_REGS];
    for (to, from) in regs.iter_mut().zip(ORDER) {
        *to = context.uc_mcontext.gregs.get(from).copied().unwrap_or(0) as u64;
    }
    regs
}

/// The registers that a sample of a perf event has: bits by asm/perf_regs.h. The segments are left out.
pub(crate) const PERF_REGS: u64 = 0x00ff_03ff;

/// Registers of a sample, which the kernel gives in the order of those bits, in the order of [`registers`].
/// On aarch64 both orders are the same: x0 to x30, sp, pc.
pub(crate) fn sampled(regs: &[u64]) -> [u64; hangscope_protocol::record::PROBE_REGS] {
    // By the bits: ax bx cx dx si di bp sp ip flags are 0..9, cs and ss are left out, then r8..r15.
    const ORDER: [usize; 18] = [0, 3, 2, 1, 4, 5, 6, 7, 10, 11, 12, 13, 14, 15, 16, 17, 8, 9];
    let mut all = [0; hangscope_protocol::record::PROBE_REGS];
    for (to, from) in all.iter_mut().zip(ORDER) {
        *to = regs.get(from).copied().unwrap_or(0);
    }
    all
}

/// Index of the stack pointer in [`registers`].
pub(crate) const REG_SP: usize = 7;
/// Index of the program counter in [`registers`] (the column of the return address).
pub(crate) const REG_PC: usize = 16;

/// Longest prefix of an instruction that [`next`] looks at.
pub(crate) const LOOKED_AT: usize = 4;

/// What the next instruction of a thread is, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// It changes memory in one step that other threads see as one: `lock`, or `xchg` with memory.
    Atomic,
    /// Makes a system call. Gives what the kernel gives: a negative errno is an error.
    SystemCall,
    Other,
}

/// Tells it from its first bytes (Intel SDM, volume 2: prefixes F0, 66 and REX 40 to 4F, XCHG 86 /r and 87
/// /r, SYSCALL 0F 05). A register form of XCHG is none.
pub(crate) fn next(code: [u8; LOOKED_AT]) -> Next {
    let rest = code.get(code.iter().take_while(|b| matches!(b, 0x66 | 0x40..=0x4f)).count()..).unwrap_or(&[]);
    match rest {
        [0xf0, ..] => Next::Atomic,
        [0x86 | 0x87, modrm, ..] if *modrm < 0xc0 => Next::Atomic,
        [0x0f, 0x05, ..] => Next::SystemCall,
        _ => Next::Other,
    }
}

/// The system call that a thread is about to make.
pub(crate) fn call_number(context: &libc::ucontext_t) -> i64 {
    context.uc_mcontext.gregs.get(libc::REG_RAX as usize).copied().unwrap_or(-1)
}

/// Has an interrupted thread trap (SIGTRAP) after each of its instructions, or no more: the trap flag, bit
/// 8 of eflags (Intel SDM, volume 3, single-step exceptions).
pub(crate) fn step(context: &mut libc::ucontext_t, on: bool) {
    if let Some(flags) = context.uc_mcontext.gregs.get_mut(libc::REG_EFL as usize) {
        *flags = if on { *flags | TRAP_FLAG } else { *flags & !TRAP_FLAG };
    }
}

const TRAP_FLAG: i64 = 1 << 8;

/// Whether a SIGTRAP with this `si_code` comes of [`step`].
///
/// It is TRAP_TRACE (asm-generic/siginfo.h) then. But a virtual machine may lose the bit of DR6 that tells
/// the kernel of the step. The kernel takes that for an `int1`, and says TRAP_BRKPT (exc_debug_user,
/// arch/x86/kernel/traps.c): seen on Intel under Firecracker, in one run of four. A breakpoint of the host
/// (`int3`) has SI_KERNEL.
pub(crate) fn is_step(code: i32, context: &libc::ucontext_t) -> bool {
    let flags = context.uc_mcontext.gregs.get(libc::REG_EFL as usize);
    match code {
        libc::TRAP_TRACE => true,
        libc::TRAP_BRKPT => flags.is_some_and(|flags| flags & TRAP_FLAG != 0),
        _ => false,
    }
}

/// Signals that an interrupted thread blocks: the kernel's set, bit n-1 is signal n.
pub(crate) fn blocked_signals(context: &libc::ucontext_t) -> u64 {
    // SAFETY: libc's set is larger than the kernel's and begins with it.
    unsafe { (&raw const context.uc_sigmask).cast::<u64>().read() }
}

/// System calls whose first argument is a descriptor and that can block.
pub(crate) const WAITS_ON_FD: [i64; 20] = [
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_connect,
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    libc::SYS_ioctl,
    libc::SYS_flock,
    libc::SYS_fsync,
    libc::SYS_fcntl,
];

/// Flags that a signal action needs here: SA_RESTORER (asm/signal.h), since the kernel has no trampoline.
pub(crate) const SIGACTION_FLAGS: u64 = 0x0400_0000;

// `core` is compiled for unwinding and names its personality. Nothing here ever unwinds (`panic =
// "abort"`), so it is never called, but the loader wants the symbol. Hidden: as an export it would take the
// place of the real one in a host that is linked with Rust's std as a shared library.
#[cfg(not(test))]
core::arch::global_asm!(
    ".pushsection .text.rust_eh_personality,\"ax\",@progbits",
    ".globl rust_eh_personality",
    ".hidden rust_eh_personality",
    ".type rust_eh_personality,@function",
    "rust_eh_personality: ud2",
    ".popsection",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_known_also_where_the_machine_does_not_say_so() {
        // SAFETY: a context is numbers and pointers, which may be 0.
        let mut context: libc::ucontext_t = unsafe { core::mem::zeroed() };
        let steps = |context: &libc::ucontext_t| {
            [libc::SI_KERNEL, libc::TRAP_BRKPT, libc::TRAP_TRACE, libc::TRAP_HWBKPT]
                .map(|code| is_step(code, context))
        };
        assert_eq!(steps(&context), [false, false, true, false]);
        step(&mut context, true);
        assert_eq!(steps(&context), [false, true, true, false]);
        step(&mut context, false);
        assert_eq!(steps(&context), [false, false, true, false]);
    }

    #[test]
    fn libcs_calls_are_made_as_libc_makes_them_and_those_for_filters_are_noted() {
        type Call = unsafe extern "C" fn(i64, ...) -> isize;
        // SAFETY: both take their arguments as the variadic functions of libc do.
        let (call, control) = unsafe {
            (
                core::mem::transmute::<unsafe extern "C" fn() -> isize, Call>(syscall),
                core::mem::transmute::<unsafe extern "C" fn() -> isize, Call>(prctl),
            )
        };
        let errno = || std::io::Error::last_os_error().raw_os_error();
        // SAFETY: the calls take numbers, or buffers that live. None of them changes anything.
        unsafe {
            assert_eq!(call(libc::SYS_getpid) as u32, std::process::id());
            assert_eq!((call(libc::SYS_close, -1), errno()), (-1, Some(libc::EBADF)));
            let page = call(libc::SYS_mmap, 0u64, 4096u64, 1u64, 0x22u64, -1i64, 0u64);
            assert!(page > 0 && call(libc::SYS_munmap, page, 4096u64) == 0);
            let mut name = [0u8; 16];
            assert_eq!(control(i64::from(libc::PR_GET_NAME), name.as_mut_ptr()), 0);
            assert_ne!(name, [0; 16]);
            assert_eq!((control(-1), errno()), (-1, Some(libc::EINVAL)));
            assert_eq!(call(libc::SYS_seccomp, 2u64, 0u64, &raw const name), -1);
            assert_eq!(FILTERS.load(core::sync::atomic::Ordering::Relaxed), 0, "nothing was installed");
            // Operations that the kernel refuses, since there is no program.
            assert_eq!((control(22, 2u64, 0u64), errno()), (-1, Some(libc::EFAULT)));
            assert_eq!(FILTERS.swap(0, core::sync::atomic::Ordering::Relaxed), FILTER);
            assert_eq!(call(libc::SYS_seccomp, 1u64, 1u64, 0u64), -1);
            assert_eq!(FILTERS.swap(0, core::sync::atomic::Ordering::Relaxed), FILTER_OF_ALL);
        }
    }

    #[test]
    fn registers_of_a_sample_come_in_the_order_of_dwarf() {
        // ax bx cx dx si di bp sp ip flags r8..r15, with the bit of each in asm/perf_regs.h as its value.
        let by_bit: Vec<u64> = (0..10).chain(16..24).collect();
        assert_eq!(PERF_REGS, by_bit.iter().map(|bit| 1 << bit).sum());
        let regs = sampled(&by_bit);
        assert_eq!(regs[..8], [0, 3, 2, 1, 4, 5, 6, 7]);
        assert_eq!(regs[8..18], [16, 17, 18, 19, 20, 21, 22, 23, 8, 9]);
        assert_eq!((regs[REG_SP], regs[REG_PC], regs[18]), (7, 8, 0));
    }

    #[test]
    fn instructions_that_matter() {
        for (code, is) in [
            // lock cmpxchg [rdi], ecx; lock xadd with REX.W; xchg [rax], cl; xchg r10, [rip+x]; 16 bits.
            ([0xf0, 0x0f, 0xb1, 0x0f], Next::Atomic),
            ([0xf0, 0x48, 0x0f, 0xc1], Next::Atomic),
            ([0x86, 0x08, 0x00, 0x00], Next::Atomic),
            ([0x4c, 0x87, 0x15, 0x00], Next::Atomic),
            ([0x66, 0x87, 0x07, 0x00], Next::Atomic),
            // xchg between registers; a plain store; syscall; ud2.
            ([0x87, 0xc1, 0x00, 0x00], Next::Other),
            ([0x66, 0x87, 0xc1, 0x00], Next::Other),
            ([0x89, 0x08, 0xf0, 0x0f], Next::Other),
            ([0x0f, 0x05, 0x00, 0x00], Next::SystemCall),
            ([0x0f, 0x0b, 0x00, 0x00], Next::Other),
            ([0x48, 0x48, 0x48, 0x48], Next::Other),
        ] {
            assert_eq!(next(code), is, "{code:x?}");
        }
    }
}
