//! The vector registers, as far as compilers copy and set memory with them: halves of 64 bits are moved, and set
//! to 0. Whatever else is computed there is unknown.

use iced_x86::{Instruction, Mnemonic, OpKind, Register};

use super::{Machine, same_registers};
use crate::symbolize::follow::value::Value;

/// A register of 128 bits, the low half first.
pub(super) type Wide = [Value; 2];

pub(super) const UNKNOWN: Wide = [Value::UNKNOWN; 2];
const ZERO: Wide = [Value { bits: Some(0), depth: 0 }; 2];

impl Machine<'_, '_, '_> {
    /// Executes a move between vector registers, memory and others. False: it is another instruction.
    pub(super) fn moved_wide(&mut self, i: &Instruction) -> bool {
        use Mnemonic as M;
        match i.mnemonic() {
            M::Movq | M::Vmovq | M::Movd | M::Vmovd => {
                let value = self.half(i, 1, 0);
                if i.op0_register().is_xmm() {
                    self.set_wide(i, [value, Value::of(0)]);
                } else {
                    self.set_operand(i, 0, value);
                }
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
                if !(0..2).all(|op| i.op_kind(op) == OpKind::Memory || i.op_register(op).is_xmm()) {
                    return false;
                }
                let halves = [self.half(i, 1, 0), self.half(i, 1, 1)];
                self.set_wide(i, halves);
            }
            M::Pxor | M::Xorps | M::Xorpd if i.op0_register().is_xmm() && same_registers(i) => {
                self.set_wide(i, ZERO);
            }
            M::Vpxor | M::Vxorps | M::Vxorpd
                if i.op0_register().is_xmm() && i.op1_register() == i.op2_register() =>
            {
                self.set_wide(i, ZERO);
            }
            M::Punpcklqdq | M::Movlhps if i.op0_register().is_xmm() => {
                let halves = [self.half(i, 0, 0), self.half(i, 1, 0)];
                self.set_wide(i, halves);
            }
            M::Movhps | M::Movhpd | M::Movlps | M::Movlpd if i.op_count() == 2 => {
                let high = usize::from(matches!(i.mnemonic(), M::Movhps | M::Movhpd));
                if i.op0_kind() == OpKind::Memory {
                    let value = self.half(i, 1, high);
                    self.set_operand(i, 0, value);
                } else {
                    let mut halves = [self.half(i, 0, 0), self.half(i, 0, 1)];
                    halves[high] = self.half(i, 1, 0);
                    self.set_wide(i, halves);
                }
            }
            _ => return false,
        }
        true
    }

    /// What an instruction leaves in a vector register is not known.
    pub(super) fn forget_wide(&mut self, register: Register) {
        if register.is_vector_register()
            && let Some(wide) = self.wide.get_mut(register.number())
        {
            *wide = UNKNOWN;
        }
    }

    /// Half `n` of an operand.
    fn half(&mut self, i: &Instruction, op: u32, n: usize) -> Value {
        match i.op_kind(op) {
            OpKind::Register if i.op_register(op).is_xmm() => {
                self.wide.get(i.op_register(op).number()).map_or(Value::UNKNOWN, |wide| wide[n])
            }
            OpKind::Register => self.register(i.op_register(op)),
            OpKind::Memory => {
                let address = self.address(i);
                let Some(at) = address.bits else { return Value::UNKNOWN };
                let size = i.memory_size().size().min(8);
                self.space.load(at.wrapping_add(8 * n as u64), size, address.depth).value
            }
            _ => Value::UNKNOWN,
        }
    }

    /// Writes the first operand, a vector register or 128 bits of memory.
    fn set_wide(&mut self, i: &Instruction, halves: Wide) {
        if i.op0_kind() == OpKind::Register {
            if let Some(wide) = self.wide.get_mut(i.op0_register().number()) {
                *wide = halves;
            }
            return;
        }
        match self.address(i).bits {
            Some(at) => {
                self.space.store(at, 8, halves[0]);
                self.space.store(at.wrapping_add(8), 8, halves[1]);
            }
            None => self.space.stores = true,
        }
    }
}
