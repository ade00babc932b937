//! Vector registers, as far as compilers copy and clear memory with them: their halves of 64 bits are moved,
//! or set to 0.

use iced_x86::{Instruction, Mnemonic, OpKind};

/// What becomes of a half of the first operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Half {
    Zero,
    Kept,
    /// Half `.1` of operand `.0`; 0 is the low one.
    Of(u32, usize),
}

/// What a move does to the halves of its first operand; none: the instruction is no such move.
pub(super) fn moves(i: &Instruction) -> Option<[Half; 2]> {
    use Mnemonic as M;
    let is_xmm = |op: u32| i.op_register(op).is_xmm();
    let is_memory = |op: u32| i.op_kind(op) == OpKind::Memory;
    match i.mnemonic() {
        M::Movq | M::Vmovq | M::Movd | M::Vmovd => {
            Some([Half::Of(1, 0), if is_xmm(0) { Half::Zero } else { Half::Kept }])
        }
        M::Movups
        | M::Movupd
        | M::Movaps
        | M::Movapd
        | M::Movdqu
        | M::Movdqa
        | M::Lddqu
        | M::Vmovups
        | M::Vmovaps
        | M::Vmovdqu
        | M::Vmovdqa => {
            (0..2).all(|op| is_memory(op) || is_xmm(op)).then_some([Half::Of(1, 0), Half::Of(1, 1)])
        }
        M::Pxor | M::Xorps | M::Xorpd => {
            (is_xmm(0) && i.op0_register() == i.op1_register()).then_some([Half::Zero; 2])
        }
        M::Vpxor | M::Vxorps | M::Vxorpd => {
            (is_xmm(0) && i.op1_register() == i.op2_register()).then_some([Half::Zero; 2])
        }
        M::Punpcklqdq | M::Movlhps => is_xmm(0).then_some([Half::Kept, Half::Of(1, 0)]),
        M::Movhps | M::Movhpd if is_memory(0) => Some([Half::Of(1, 1), Half::Kept]),
        M::Movhps | M::Movhpd => Some([Half::Kept, Half::Of(1, 0)]),
        M::Movlps | M::Movlpd => Some([Half::Of(1, 0), Half::Kept]),
        _ => None,
    }
}
