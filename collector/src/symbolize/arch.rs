//! What differs between processors: DWARF register numbers, and which registers a function must preserve.
//! This is the only processor-specific module of the unwinder.

use hangscope_protocol::record::{ARCH_AARCH64, ARCH_X86_64, PROBE_REGS};

/// Registers by DWARF number, in the order of [`hangscope_protocol::record::ProbeRecord`]; none: not
/// known.
pub(super) type Regs = [Option<u64>; PROBE_REGS];

/// DWARF numbers and rules of a processor.
#[derive(Debug)]
pub(super) struct Arch {
    pub(super) machine: u16,
    /// Index of the program counter in [`Regs`].
    pub(super) pc: usize,
    /// Index of the stack pointer.
    pub(super) sp: usize,
    /// Index of the frame pointer. It points at the caller's frame pointer, and behind that is the return
    /// address.
    pub(super) fp: usize,
    /// Column of the return address in unwind tables.
    pub(super) ra: usize,
    /// If a table does not mention the return address, it is still in its register.
    pub(super) ra_in_register: bool,
    /// Registers that a function preserves (System V psABI; AAPCS64).
    pub(super) callee_saved: &'static [usize],
    /// The address bits of a return address. The other bits are its signature (pointer authentication).
    pub(super) address_bits: u64,
    /// Name of the frame pointer.
    pub(super) fp_name: &'static str,
    /// Dialect of unwind tables.
    pub(super) vendor: gimli::Vendor,
    /// From the bytes of a stub and its address: the address of the GOT word that the stub jumps through.
    /// None if the bytes are no stub of one function.
    pub(super) stub_jumps_through: fn(&[u8], u64) -> Option<u64>,
    /// From the bytes before a return address and that address: what the call instruction there calls. None
    /// for a call through a register.
    pub(super) call_before: fn(&[u8], u64) -> Option<Callee>,
}

/// What a call instruction calls, as addresses of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Callee {
    At(u64),
    /// The function whose address is in this word.
    Through(u64),
}

/// x86-64: System V psABI, figure 3.36.
static X86_64: Arch = Arch {
    machine: ARCH_X86_64,
    pc: 16,
    sp: 7,
    fp: 6,
    ra: 16,
    ra_in_register: false,
    callee_saved: &[3, 6, 12, 13, 14, 15],
    address_bits: u64::MAX,
    fp_name: "rbp",
    vendor: gimli::Vendor::Default,
    stub_jumps_through: x86_64_stub,
    call_before: x86_64_call,
};

/// aarch64: DWARF for the Arm 64-bit architecture, section 4.1.
static AARCH64: Arch = Arch {
    machine: ARCH_AARCH64,
    pc: 32,
    sp: 31,
    fp: 29,
    ra: 30,
    ra_in_register: true,
    callee_saved: &[19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29],
    address_bits: (1 << 48) - 1,
    fp_name: "x29",
    vendor: gimli::Vendor::AArch64,
    stub_jumps_through: aarch64_stub,
    call_before: aarch64_call,
};

/// The stub begins with `jmp *offset(%rip)`. `endbr64` may stand before it, and `jmp` may have a `bnd`
/// prefix.
fn x86_64_stub(bytes: &[u8], start: u64) -> Option<u64> {
    let jump = bytes.strip_prefix(&[0xf3, 0x0f, 0x1e, 0xfa]).unwrap_or(bytes);
    let jump = jump.strip_prefix(&[0xf2]).unwrap_or(jump);
    let offset = i32::from_le_bytes(*jump.strip_prefix(&[0xff, 0x25])?.first_chunk()?);
    let next = start.checked_add((bytes.len() - jump.len()) as u64 + 6)?;
    next.checked_add_signed(offset.into())
}

/// The stub begins with `adrp x16, page; ldr x17, [x16, #offset]`. `bti c` may stand before it.
fn aarch64_stub(bytes: &[u8], start: u64) -> Option<u64> {
    let mut words = bytes.chunks_exact(4).map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]]));
    let (mut at, mut adrp) = (start, words.next()?);
    if adrp == 0xd503_245f {
        (at, adrp) = (start.checked_add(4)?, words.next()?);
    }
    let load = words.next()?;
    if adrp & 0x9f00_001f != 0x9000_0010 || load & 0xffc0_03ff != 0xf940_0211 {
        return None;
    }
    // A signed 21-bit number of 4 KiB pages.
    let pages = (adrp >> 5 & 0x7_ffff) << 2 | adrp >> 29 & 3;
    let pages = i64::from((pages << 11) as i32 >> 11);
    (at & !0xfff).checked_add_signed(pages << 12)?.checked_add(u64::from(load >> 10 & 0xfff) * 8)
}

/// `call *offset(%rip)` or `call offset`.
fn x86_64_call(bytes: &[u8], after: u64) -> Option<Callee> {
    let (rest, offset) = bytes.split_last_chunk::<4>()?;
    let to = after.checked_add_signed(i32::from_le_bytes(*offset).into())?;
    match rest {
        [.., 0xff, 0x15] => Some(Callee::Through(to)),
        [.., 0xe8] => Some(Callee::At(to)),
        _ => None,
    }
}

/// `bl offset`.
fn aarch64_call(bytes: &[u8], after: u64) -> Option<Callee> {
    let word = u32::from_le_bytes(*bytes.last_chunk::<4>()?);
    // A signed 26-bit number of words, from the call instruction itself.
    let offset = i64::from((word << 6) as i32 >> 6) * 4;
    let call = after.checked_sub(4)?;
    (word & 0xfc00_0000 == 0x9400_0000).then(|| call.checked_add_signed(offset).map(Callee::At))?
}

/// The processor with this ELF machine number; none if its stacks cannot be unwound.
pub(super) fn of(machine: u16) -> Option<&'static Arch> {
    [&X86_64, &AARCH64].into_iter().find(|a| a.machine == machine)
}

impl Arch {
    /// The name of the register with this DWARF number, for messages.
    pub(super) fn register_name(&self, reg: u16) -> String {
        let name = match self.machine {
            ARCH_X86_64 => gimli::X86_64::register_name(gimli::Register(reg)),
            _ => gimli::AArch64::register_name(gimli::Register(reg)),
        };
        name.map_or_else(|| format!("register {reg}"), |name| name.to_lowercase())
    }

    /// All that is known of a thread that is blocked in the kernel: SP and PC.
    pub(super) fn blocked(&self, pc: u64, sp: u64) -> Regs {
        let mut regs = [None; PROBE_REGS];
        regs[self.pc] = Some(pc);
        regs[self.sp] = Some(sp);
        regs
    }

    /// The registers of an answer to the signal.
    pub(super) fn answered(&self, regs: &[u64; PROBE_REGS]) -> Regs {
        let mut known = regs.map(Some);
        for (i, reg) in known.iter_mut().enumerate() {
            // Behind the PC, x86-64 has flags only, which tables do not mention.
            if i > self.pc {
                *reg = None;
            }
        }
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callee_of_a_call_instruction() {
        let call = |machine, bytes: &[u8]| (of(machine).expect("known").call_before)(bytes, 0x1010);
        let x86 = |bytes: &[u8]| call(ARCH_X86_64, bytes);
        // nop; call 0x1000; call *0x2ff0(%rip); call *%rax
        assert_eq!(x86(&[0x90, 0xe8, 0xf0, 0xff, 0xff, 0xff]), Some(Callee::At(0x1000)));
        assert_eq!(x86(&[0xff, 0x15, 0xf0, 0x2f, 0, 0]), Some(Callee::Through(0x4000)));
        assert_eq!(x86(&[0x90, 0x90, 0x90, 0x90, 0xff, 0xd0]), None);
        assert_eq!(x86(&[]), None);
        // bl 0x1000; bl 0x2000; blr x1
        let arm = |word: u32| call(ARCH_AARCH64, &word.to_le_bytes());
        assert_eq!(arm(0x97ff_fffd), Some(Callee::At(0x1000)));
        assert_eq!(arm(0x9400_03fd), Some(Callee::At(0x2000)));
        assert_eq!(arm(0xd63f_0020), None);
    }
}
