//! x86-64: entries of the functions that are taken over, the call from replaced code, system calls.

use core::arch::{asm, naked_asm};

#[cfg(not(target_arch = "x86_64"))]
compile_error!(
    "libhangscope_stir.so knows x86-64; another processor needs the items of shim/stir/src/arch.rs, and code in \
     the plan"
);

/// A system call. Gives a negative errno where it fails.
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

/// The thread pointer: its own address is its first word (psABI, "Thread-Local Storage").
#[inline]
pub(crate) fn thread_pointer() -> u64 {
    let pointer;
    // SAFETY: reads the first word of the thread control block.
    unsafe { asm!("mov {}, fs:[0]", out(reg) pointer, options(nostack, pure, readonly, preserves_flags)) };
    pointer
}

/// The time stamp counter: it only measures waits, in units that [`crate::hold`] compares with the clock.
#[inline]
pub(crate) fn ticks() -> u64 {
    // SAFETY: every x86-64 processor has it.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Where the loader has bound `malloc`, 0 if nothing defines it. It is never called.
pub(crate) fn malloc_address() -> u64 {
    let address;
    // SAFETY: reads a word of this DSO's own table of addresses. The symbol is weak, so it may be missing.
    unsafe {
        asm!(".weak malloc", "mov {address}, qword ptr [rip + malloc@GOTPCREL]", address = out(reg) address,
             options(nostack, pure, readonly));
    }
    address
}

/// Entry of a function with at most four arguments: hands on where it will return to, and its stack. Nothing
/// is pushed, so an unwinder sees the caller's frame and none of this.
macro_rules! entry {
    ($(#[$doc:meta])* $name:ident calls $inner:path) => {
        $(#[$doc])*
        #[unsafe(naked)]
        #[cfg_attr(not(test), unsafe(no_mangle))]
        unsafe extern "C" fn $name() -> core::ffi::c_int {
            core::arch::naked_asm!(
                "endbr64",
                "mov r8, [rsp]",
                "lea r9, [rsp + 8]",
                "jmp {inner}",
                inner = sym $inner,
            )
        }
    };
}
pub(crate) use entry;

/// libc's function syscall(2).
///
/// # Safety
/// As syscall(2).
#[cfg_attr(not(test), unsafe(no_mangle))]
#[unsafe(naked)]
unsafe extern "C" fn syscall() -> isize {
    naked_asm!("endbr64", "jmp {call}", call = sym call)
}

/// Does what syscall(2) does, and holds threads at futex calls. The exported name is another DSO's, where one
/// comes before this one in the order of symbol search.
///
/// # Safety
/// As syscall(2).
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn call() -> isize {
    // The number is in rdi, the arguments in rsi, rdx, rcx, r8, r9 and on the stack. `futex` gets them in an
    // array, and where the call returns to. futex is call 202. A thread waits within `futex`, so an unwinder
    // must find its way from here.
    naked_asm!(
        ".cfi_startproc",
        "endbr64",
        "cmp edi, 202",
        "jne 2f",
        "mov rax, [rsp + 8]",
        "mov r11, [rsp]",
        "push rax",
        "push r9",
        "push r8",
        "push rcx",
        "push rdx",
        "push rsi",
        "mov rdi, rsp",
        "mov rsi, r11",
        "lea rdx, [rsp + 56]",
        "sub rsp, 8",
        ".cfi_def_cfa_offset 64",
        "call {futex}",
        "add rsp, 56",
        ".cfi_def_cfa_offset 8",
        "jmp 3f",
        "2:",
        "mov rax, rdi",
        "mov rdi, rsi",
        "mov rsi, rdx",
        "mov rdx, rcx",
        "mov r10, r8",
        "mov r8, r9",
        "mov r9, [rsp + 8]",
        "syscall",
        "3:",
        "cmp rax, -4095",
        "jae {failed}",
        "ret",
        ".cfi_endproc",
        futex = sym crate::calls::futex,
        failed = sym failed,
    )
}

/// Stores the negative errno in rax, and returns -1.
#[unsafe(naked)]
unsafe extern "C" fn failed() -> isize {
    naked_asm!(
        "neg eax",
        "push rax",
        "call {errno}",
        "pop rcx",
        "mov [rax], ecx",
        "mov rax, -1",
        "ret",
        errno = sym libc::__errno_location,
    )
}

/// Called by replaced code with a number on the stack: see [`hangscope_protocol::stir::code`]. Keeps all
/// registers and flags. Vector registers are kept by fxsave64: this DSO uses no more of them than that saves
/// (it is built for the baseline of x86-64).
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn decide() {
    naked_asm!(
        "pushfq",
        "push rax",
        "push rcx",
        "push rdx",
        "push rsi",
        "push rdi",
        "push r8",
        "push r9",
        "push r10",
        "push r11",
        "push rbx",
        "mov rbx, rsp",
        // The number is above eleven words and the return address; above it are rcx and the red zone.
        "mov edi, [rsp + 96]",
        "lea rsi, [rsp + 240]",
        "sub rsp, 512",
        "and rsp, -64",
        "fxsave64 [rsp]",
        "cld",
        "call {at_site}",
        "fxrstor64 [rsp]",
        "mov rsp, rbx",
        "pop rbx",
        "pop r11",
        "pop r10",
        "pop r9",
        "pop r8",
        "pop rdi",
        "pop rsi",
        "pop rdx",
        "pop rcx",
        "pop rax",
        "popfq",
        "ret 8",
        at_site = sym crate::sites::at_site,
    )
}
