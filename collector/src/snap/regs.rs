//! Registers of a stopped thread, in the order of a probe record: by DWARF number. SP and PC are indexes in
//! it.

use hangscope_protocol::record::PROBE_REGS;
use nix::errno::Errno;
use nix::sys::ptrace;
use nix::unistd::Pid;

#[cfg(target_arch = "x86_64")]
pub(super) const SP: usize = 7;
#[cfg(target_arch = "x86_64")]
pub(super) const PC: usize = 16;
#[cfg(target_arch = "aarch64")]
pub(super) const PC: usize = 32;
#[cfg(target_arch = "aarch64")]
pub(super) const SP: usize = 31;

/// The registers of a thread that is stopped.
///
/// # Errors
/// The errno of ptrace.
pub(super) fn of(tid: Pid) -> Result<[u64; PROBE_REGS], Errno> {
    let r = ptrace::getregset::<ptrace::regset::NT_PRSTATUS>(tid)?;
    let mut regs = [0; PROBE_REGS];
    #[cfg(target_arch = "x86_64")]
    let known = [
        r.rax, r.rdx, r.rcx, r.rbx, r.rsi, r.rdi, r.rbp, r.rsp, r.r8, r.r9, r.r10, r.r11, r.r12, r.r13,
        r.r14, r.r15, r.rip, r.eflags,
    ];
    #[cfg(target_arch = "aarch64")]
    let known = r.regs.into_iter().chain([r.sp, r.pc]);
    for (to, from) in regs.iter_mut().zip(known) {
        *to = from;
    }
    Ok(regs)
}
