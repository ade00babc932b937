//! Follows x86-64 code from the registers of a sample, instruction by instruction, in the memory of the
//! process as it is. Nothing is written to the process. What is not known (thread-locals, results of the
//! kernel, most of what vector registers hold) stays unknown; a branch on it ends the way.

use std::collections::{BTreeSet, HashMap};

use hangscope_protocol::record::PROBE_REGS;
use iced_x86::{
    ConditionCode, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic,
    OpAccess, OpKind, Register,
};

use super::space::Space;
use super::value::{self, Flags, Value, mask, sign_extended};
use super::wide::{self, Half};
use crate::symbolize::images::{Modules, VDSO};

/// Index in the registers of a probe (DWARF numbers) by the number of the instruction set.
const DWARF: [usize; 16] = [0, 2, 1, 3, 7, 6, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15];
const RAX: usize = 0;
const RCX: usize = 1;
const RDX: usize = 2;
const RSP: usize = 4;
const RBP: usize = 5;
const RDI: usize = 7;
const R11: usize = 11;

/// A load from memory that is not the thread's own stack.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) pc: u64,
    pub(super) address: u64,
    pub(super) size: usize,
    /// See [`Value::depth`].
    pub(super) depth: u32,
    /// It is part of an atomic change of memory.
    pub(super) atomic: bool,
    /// What was loaded.
    pub(super) value: Option<u64>,
}

/// A call, or a jump through a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::symbolize) struct Call {
    pub(in crate::symbolize) from: u64,
    pub(in crate::symbolize) to: u64,
    /// The first argument.
    pub(in crate::symbolize) first: Option<u64>,
}

/// How often an instruction was executed, and where the way went on after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::symbolize) struct Executed {
    pub(in crate::symbolize) times: u32,
    pub(in crate::symbolize) next: BTreeSet<u64>,
}

/// The code of a process.
pub(super) trait Text {
    /// The bytes from an address on; none if they are not known.
    fn code(&self, pc: u64) -> Option<&[u8]>;

    /// Code of the kernel's own DSO.
    fn is_kernels(&self, pc: u64) -> bool;
}

impl Text for Modules {
    fn code(&self, pc: u64) -> Option<&[u8]> {
        Modules::code(self, pc)
    }

    fn is_kernels(&self, pc: u64) -> bool {
        self.at(pc).is_some_and(|(_, module)| module.path == VDSO)
    }
}

/// Decoded instructions, by address.
pub(super) struct Code<'m> {
    text: &'m dyn Text,
    decoded: HashMap<u64, Option<Instruction>>,
}

impl<'m> Code<'m> {
    pub(super) fn of(text: &'m dyn Text) -> Self {
        Code { text, decoded: HashMap::new() }
    }

    fn at(&mut self, pc: u64) -> Option<Instruction> {
        let text = self.text;
        *self.decoded.entry(pc).or_insert_with(|| {
            let mut decoder = Decoder::with_ip(64, text.code(pc)?, pc, DecoderOptions::NONE);
            Some(decoder.decode()).filter(|i| !i.is_invalid())
        })
    }

    /// Whether the instruction before an address is `syscall`.
    pub(super) fn is_after_syscall(&self, pc: u64) -> bool {
        let before = pc.checked_sub(2).and_then(|at| self.text.code(at));
        before.is_some_and(|code| code.starts_with(&[0x0f, 0x05]))
    }
}

/// A thread that is followed.
pub(super) struct Machine<'c, 's, 'm> {
    pub(super) code: &'c mut Code<'m>,
    pub(super) space: Space<'s>,
    regs: [Value; 16],
    /// Vector registers, the low half first.
    wide: [[Value; 2]; 16],
    flags: Flags,
    pc: u64,
    info: InstructionInfoFactory,
    pub(super) loads: Vec<Load>,
    pub(super) calls: Vec<Call>,
    /// By address.
    pub(super) executed: HashMap<u64, Executed>,
    /// Atomic instructions and system calls: steps of a lock or a wait.
    pub(super) barriers: usize,
    /// Requests for memory, which are taken to fail.
    pub(super) requests: usize,
    /// Where the frames of the sample returned to, from the innermost outwards.
    pub(super) returned_to: Vec<u64>,
    /// Base of the thread-locals; none: not known.
    pub(super) thread_base: Option<u64>,
    /// Calls less returns, since the sample.
    inner: usize,
}

impl<'c, 's, 'm> Machine<'c, 's, 'm> {
    /// `regs` by DWARF number, none: not known.
    pub(super) fn new(
        code: &'c mut Code<'m>,
        space: Space<'s>,
        regs: &[Option<u64>; PROBE_REGS],
        pc: u64,
    ) -> Self {
        let regs = DWARF.map(|dwarf| Value { bits: regs[dwarf], depth: 0 });
        Machine {
            code,
            space,
            regs,
            wide: [[Value::UNKNOWN; 2]; 16],
            flags: Flags::default(),
            pc,
            info: InstructionInfoFactory::new(),
            loads: vec![],
            calls: vec![],
            executed: HashMap::new(),
            barriers: 0,
            requests: 0,
            returned_to: vec![],
            thread_base: None,
            inner: 0,
        }
    }

    /// The flags after a sample, from the register of flags.
    pub(super) fn set_flags(&mut self, bits: u64) {
        let bit = |n: u32| Some(bits >> n & 1 != 0);
        self.flags = Flags { carry: bit(0), zero: bit(6), sign: bit(7), overflow: bit(11) };
    }

    /// The result of the system call that the thread comes back from.
    pub(super) fn set_result(&mut self, result: u64) {
        self.regs[RAX] = Value::of(result);
    }

    /// Executes one instruction. None: the way cannot be followed further.
    pub(super) fn step(&mut self) -> Option<()> {
        let i = self.code.at(self.pc)?;
        let next = i.next_ip();
        if i.has_lock_prefix() {
            self.barriers += 1;
        }
        match i.flow_control() {
            FlowControl::Next => {
                self.execute(&i);
                self.pc = next;
            }
            FlowControl::ConditionalBranch => {
                let taken = match i.condition_code() {
                    ConditionCode::None => return None,
                    condition => self.holds(condition)?,
                };
                self.pc = if taken { i.near_branch_target() } else { next };
            }
            FlowControl::UnconditionalBranch => self.pc = i.near_branch_target(),
            FlowControl::IndirectBranch => {
                let to = self.operand(&i, 0).bits?;
                self.call(i.ip(), to);
                self.pc = to;
            }
            FlowControl::Call if i.mnemonic() == Mnemonic::Syscall => {
                self.system_call()?;
                self.pc = next;
            }
            FlowControl::Call | FlowControl::IndirectCall => {
                let to = match i.op0_kind() {
                    OpKind::NearBranch64 => i.near_branch_target(),
                    _ => self.operand(&i, 0).bits?,
                };
                self.call(i.ip(), to);
                if self.code.text.is_kernels(to) {
                    // It reads clocks, which are not known.
                    self.regs[RAX] = Value::of(0);
                    self.pc = next;
                } else {
                    self.push(Value::of(next));
                    self.inner += 1;
                    self.pc = to;
                }
            }
            FlowControl::Return => {
                let to = self.pop()?;
                let more = if i.op_count() > 0 { i.immediate(0) } else { 0 };
                self.regs[RSP] = self.regs[RSP].map(|sp| sp.wrapping_add(more));
                self.pc = to.bits?;
                match self.inner.checked_sub(1) {
                    Some(inner) => self.inner = inner,
                    None => self.returned_to.push(self.pc),
                }
            }
            _ => return None,
        }
        let executed = self.executed.entry(i.ip()).or_default();
        executed.times += 1;
        executed.next.insert(self.pc);
        Some(())
    }

    fn call(&mut self, from: u64, to: u64) {
        self.calls.push(Call { from, to, first: self.regs[RDI].bits });
    }

    fn push(&mut self, value: Value) {
        self.regs[RSP] = self.regs[RSP].map(|sp| sp.wrapping_sub(8));
        if let Some(sp) = self.regs[RSP].bits {
            self.space.store(sp, 8, value);
        }
    }

    fn pop(&mut self) -> Option<Value> {
        let sp = self.regs[RSP].bits?;
        self.regs[RSP] = Value::of(sp.wrapping_add(8));
        Some(self.space.load(sp, 8, 0).value)
    }

    /// Short sleeps and yields return 0, requests for memory fail, all else is not followed.
    fn system_call(&mut self) -> Option<()> {
        const ENOMEM: u64 = -12i64 as u64;
        self.barriers += 1;
        let result = match self.regs[RAX].bits? {
            // sched_yield, madvise, nanosleep, clock_gettime, clock_nanosleep
            24 | 28 | 35 | 228 | 230 => Value::of(0),
            // mmap, mremap
            9 | 25 => {
                self.requests += 1;
                Value::of(ENOMEM)
            }
            // brk: the break stays where it is.
            12 => Value::UNKNOWN,
            _ => return None,
        };
        self.regs[RAX] = result;
        self.regs[RCX] = Value::UNKNOWN;
        self.regs[R11] = Value::UNKNOWN;
        Some(())
    }

    fn holds(&self, condition: ConditionCode) -> Option<bool> {
        use ConditionCode as C;
        let Flags { zero, sign, carry, overflow } = self.flags;
        let less = || sign.zip(overflow).map(|(s, o)| s != o);
        let or = |a: Option<bool>, b: Option<bool>| match (a, b) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        };
        match condition {
            C::o => overflow,
            C::no => overflow.map(|f| !f),
            C::b => carry,
            C::ae => carry.map(|f| !f),
            C::e => zero,
            C::ne => zero.map(|f| !f),
            C::be => or(carry, zero),
            C::a => or(carry, zero).map(|f| !f),
            C::s => sign,
            C::ns => sign.map(|f| !f),
            C::l => less(),
            C::ge => less().map(|f| !f),
            C::le => or(zero, less()),
            C::g => or(zero, less()).map(|f| !f),
            C::None | C::p | C::np => None,
        }
    }

    fn register(&self, register: Register) -> Value {
        let Some(value) = self.regs.get(register.full_register().number()).filter(|_| register.is_gpr())
        else {
            return Value::UNKNOWN;
        };
        let down = if is_high_byte(register) { 8 } else { 0 };
        value.map(|bits| bits >> down & mask(register.size()))
    }

    fn set_register(&mut self, register: Register, value: Value) {
        let Some(old) = self.regs.get_mut(register.full_register().number()).filter(|_| register.is_gpr())
        else {
            return;
        };
        let up = if is_high_byte(register) { 8 } else { 0 };
        *old = match register.size() {
            8 => value,
            4 => value.map(|bits| bits & mask(4)),
            size => {
                let kept = old.map(|bits| bits & !(mask(size) << up));
                kept.with(value, |kept, bits| kept | (bits & mask(size)) << up)
            }
        };
    }

    /// The address of the memory operand.
    fn address(&self, i: &Instruction) -> Value {
        if i.is_ip_rel_memory_operand() {
            return Value::of(i.ip_rel_memory_address());
        }
        let mut address = Value::of(i.memory_displacement64());
        // `lea` computes without the segment.
        if i.mnemonic() != Mnemonic::Lea {
            match i.memory_segment() {
                Register::FS => {
                    let base = Value { bits: self.thread_base, depth: 0 };
                    address = address.with(base, u64::wrapping_add);
                }
                Register::GS => return Value::UNKNOWN,
                _ => {}
            }
        }
        if i.memory_base() != Register::None {
            address = address.with(self.register(i.memory_base()), u64::wrapping_add);
        }
        if i.memory_index() != Register::None {
            let scale = u64::from(i.memory_index_scale());
            let index = self.register(i.memory_index()).map(|index| index.wrapping_mul(scale));
            address = address.with(index, u64::wrapping_add);
        }
        address
    }

    fn load(&mut self, i: &Instruction) -> Value {
        let (address, size) = (self.address(i), i.memory_size().size());
        let Some(at) = address.bits.filter(|_| size <= 8) else {
            return Value { bits: None, depth: address.depth };
        };
        let loaded = self.space.load(at, size, address.depth);
        if loaded.outside && i.flow_control() == FlowControl::Next {
            let atomic = i.has_lock_prefix() || i.mnemonic() == Mnemonic::Xchg;
            let Value { bits: value, depth } = loaded.value;
            self.loads.push(Load { pc: i.ip(), address: at, size, depth, atomic, value });
        }
        loaded.value
    }

    fn operand(&mut self, i: &Instruction, op: u32) -> Value {
        match i.op_kind(op) {
            OpKind::Register => self.register(i.op_register(op)),
            OpKind::Memory => self.load(i),
            OpKind::Immediate8
            | OpKind::Immediate8to16
            | OpKind::Immediate8to32
            | OpKind::Immediate8to64
            | OpKind::Immediate16
            | OpKind::Immediate32
            | OpKind::Immediate32to64
            | OpKind::Immediate64 => Value::of(i.immediate(op)),
            _ => Value::UNKNOWN,
        }
    }

    fn set_operand(&mut self, i: &Instruction, op: u32, value: Value) {
        match i.op_kind(op) {
            OpKind::Register => self.set_register(i.op_register(op), value),
            OpKind::Memory => match self.address(i).bits {
                Some(at) => self.space.store(at, i.memory_size().size().min(8), value),
                None => self.space.stores = true,
            },
            _ => {}
        }
    }

    fn execute(&mut self, i: &Instruction) {
        use Mnemonic as M;
        let size = size_of(i, 0);
        match i.mnemonic() {
            M::Nop | M::Endbr64 | M::Pause | M::Mfence | M::Lfence | M::Sfence => {}
            M::Prefetcht0 | M::Prefetcht1 | M::Prefetcht2 | M::Prefetchnta | M::Prefetchw => {}
            M::Mov | M::Movzx => {
                let value = self.operand(i, 1);
                self.set_operand(i, 0, value);
            }
            M::Movsx | M::Movsxd => {
                let from = size_of(i, 1);
                let value = self.operand(i, 1).map(|bits| sign_extended(bits, from));
                self.set_operand(i, 0, value);
            }
            M::Lea => {
                let address = self.address(i);
                self.set_operand(i, 0, address);
            }
            M::Add | M::Sub | M::Cmp | M::Adc | M::Sbb => self.arithmetic(i, size),
            M::And | M::Or | M::Xor | M::Test => self.logic(i, size),
            M::Inc | M::Dec => {
                let (a, carry) = (self.operand(i, 0), self.flags.carry);
                let by = if i.mnemonic() == M::Inc { value::add } else { value::subtract };
                let (result, flags) = by(a, Value::of(1), Some(false), size);
                self.flags = Flags { carry, ..flags };
                self.set_operand(i, 0, result);
            }
            M::Neg => {
                let a = self.operand(i, 0);
                let (result, flags) = value::subtract(Value::of(0), a, Some(false), size);
                self.flags = flags;
                self.set_operand(i, 0, result);
            }
            M::Not => {
                let value = self.operand(i, 0).map(|bits| !bits & mask(size));
                self.set_operand(i, 0, value);
            }
            M::Imul if i.op_count() > 1 => {
                let (a, b) = match i.op_count() {
                    2 => (self.operand(i, 0), self.operand(i, 1)),
                    _ => (self.operand(i, 1), self.operand(i, 2)),
                };
                self.flags = Flags::default();
                self.set_operand(i, 0, a.with(b, |a, b| a.wrapping_mul(b) & mask(size)));
            }
            M::Shl | M::Shr | M::Sar | M::Rol | M::Ror => self.shift(i, size),
            M::Shlx | M::Shrx | M::Sarx | M::Rorx => {
                let (a, by) = (self.operand(i, 1), self.operand(i, 2));
                let result = a.with(by, |a, by| shifted(i.mnemonic(), a, by, size));
                self.set_operand(i, 0, result);
            }
            M::Andn => {
                let (a, b) = (self.operand(i, 1), self.operand(i, 2));
                let result = a.with(b, |a, b| !a & b & mask(size));
                self.flags = Flags::logic(result, size);
                self.set_operand(i, 0, result);
            }
            M::Push => {
                let value = self.operand(i, 0);
                self.push(value);
            }
            M::Pop => {
                if let Some(value) = self.pop() {
                    self.set_operand(i, 0, value);
                }
            }
            M::Leave => {
                self.regs[RSP] = self.regs[RBP];
                self.regs[RBP] = self.pop().unwrap_or_default();
            }
            M::Xchg => {
                if i.op_kind(0) == OpKind::Memory {
                    self.barriers += 1;
                }
                let (a, b) = (self.operand(i, 0), self.operand(i, 1));
                self.set_operand(i, 0, b);
                self.set_operand(i, 1, a);
            }
            M::Xadd => {
                let (a, b) = (self.operand(i, 0), self.operand(i, 1));
                let (sum, flags) = value::add(a, b, Some(false), size);
                self.flags = flags;
                self.set_operand(i, 1, a);
                self.set_operand(i, 0, sum);
            }
            M::Cmpxchg => self.compare_and_exchange(i, size),
            M::Bt | M::Bts | M::Btr | M::Btc => self.bit(i, size),
            M::Bsf | M::Tzcnt | M::Bsr | M::Lzcnt | M::Popcnt => {
                let a = self.operand(i, 1).map(|bits| bits & mask(size));
                self.flags =
                    Flags { zero: a.bits.map(|a| a == 0), carry: a.bits.map(|a| a == 0), ..Flags::default() };
                let width = size as u64 * 8;
                let result = a.map(|a| match i.mnemonic() {
                    M::Popcnt => u64::from(a.count_ones()),
                    M::Bsf | M::Tzcnt => u64::from(a.trailing_zeros()).min(width),
                    M::Bsr => u64::from(63 - (a | 1).leading_zeros()),
                    _ => u64::from(a.leading_zeros()) + width - 64,
                });
                if matches!(i.mnemonic(), M::Tzcnt | M::Lzcnt | M::Popcnt) {
                    self.flags.zero = result.bits.map(|bits| bits == 0);
                }
                self.set_operand(i, 0, result);
            }
            M::Bswap => {
                let value = self.operand(i, 0);
                let up = 64 - size as u32 * 8;
                self.set_operand(i, 0, value.map(|bits| bits.swap_bytes() >> up));
            }
            M::Cdqe => self.regs[RAX] = self.regs[RAX].map(|bits| sign_extended(bits, 4)),
            M::Cwde => self.regs[RAX] = self.regs[RAX].map(|bits| sign_extended(bits, 2) & mask(4)),
            M::Cqo => self.regs[RDX] = self.regs[RAX].map(|bits| (bits as i64 >> 63) as u64),
            M::Cdq => {
                self.regs[RDX] = self.regs[RAX].map(|bits| ((bits as i32 >> 31) as u32).into());
            }
            _ => match wide::moves(i) {
                Some(halves) => self.move_wide(i, halves),
                None => self.conditional(i),
            },
        }
    }

    /// `setcc`, `cmovcc`; of other instructions only what they write is known: it is unknown after them.
    fn conditional(&mut self, i: &Instruction) {
        let condition = i.condition_code();
        if condition == ConditionCode::None || i.op_count() == 0 {
            return self.forget(i);
        }
        let holds = self.holds(condition);
        if i.op_count() == 1 {
            let value = Value { bits: holds.map(u64::from), depth: 0 };
            return self.set_operand(i, 0, value);
        }
        let (old, new) = (self.operand(i, 0), self.operand(i, 1));
        let value = match holds {
            Some(true) => new,
            Some(false) => old,
            None => Value::UNKNOWN,
        };
        self.set_operand(i, 0, value);
    }

    fn forget(&mut self, i: &Instruction) {
        let info = self.info.info(i);
        let writes = |access| {
            matches!(
                access,
                OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
            )
        };
        let registers: Vec<Register> =
            info.used_registers().iter().filter(|u| writes(u.access())).map(|u| u.register()).collect();
        let memory = info.used_memory().iter().any(|u| writes(u.access()));
        for register in registers {
            self.set_register(register.full_register(), Value::UNKNOWN);
            if let Some(wide) = self.wide.get_mut(register.number()).filter(|_| register.is_vector_register())
            {
                *wide = [Value::UNKNOWN; 2];
            }
        }
        if memory {
            self.space.stores = true;
        }
        if memory && let Some(at) = self.address(i).bits {
            self.space.store(at, i.memory_size().size().min(64), Value::UNKNOWN);
        }
        if i.rflags_modified() != 0 {
            self.flags = Flags::default();
        }
    }

    fn move_wide(&mut self, i: &Instruction, halves: [Half; 2]) {
        let values = halves.map(|half| match half {
            Half::Zero => Some(Value::of(0)),
            Half::Kept => None,
            Half::Of(op, n) => Some(self.half(i, op, n)),
        });
        let values = (0..).zip(values).filter_map(|(n, value)| Some((n, value?)));
        match (i.op0_kind(), i.op0_register()) {
            (OpKind::Memory, _) => {
                let (to, size) = (self.address(i).bits, i.memory_size().size().min(8));
                self.space.stores |= to.is_none();
                for (n, value) in values {
                    to.into_iter().for_each(|to| self.space.store(to.wrapping_add(8 * n), size, value));
                }
            }
            (_, register) if register.is_xmm() => {
                for (n, value) in values {
                    if let Some(wide) = self.wide.get_mut(register.number()) {
                        wide[n as usize] = value;
                    }
                }
            }
            _ => values.for_each(|(_, value)| self.set_operand(i, 0, value)),
        }
    }

    /// Half `n` of an operand. What it loads is data on its way, and no word that is looked at.
    fn half(&mut self, i: &Instruction, op: u32, n: usize) -> Value {
        match (i.op_kind(op), i.op_register(op)) {
            (OpKind::Memory, _) => {
                let address = self.address(i);
                let (size, up) = (i.memory_size().size().min(8), 8 * n as u64);
                address.bits.map_or(Value::UNKNOWN, |at| {
                    self.space.load(at.wrapping_add(up), size, address.depth).value
                })
            }
            (_, register) if register.is_xmm() => {
                self.wide.get(register.number()).map_or(Value::UNKNOWN, |wide| wide[n])
            }
            (_, register) => self.register(register),
        }
    }

    fn arithmetic(&mut self, i: &Instruction, size: usize) {
        use Mnemonic as M;
        let (a, b, carry) = (self.operand(i, 0), self.operand(i, 1), self.flags.carry);
        let (result, flags) = match i.mnemonic() {
            M::Add => value::add(a, b, Some(false), size),
            M::Adc => value::add(a, b, carry, size),
            M::Sbb if same_registers(i) => {
                let borrow = Value { bits: carry.map(u64::from), depth: 0 };
                value::subtract(Value::of(0), borrow, Some(false), size)
            }
            M::Sbb => value::subtract(a, b, carry, size),
            M::Sub if same_registers(i) => value::subtract(Value::of(0), Value::of(0), Some(false), size),
            _ => value::subtract(a, b, Some(false), size),
        };
        self.flags = flags;
        if i.mnemonic() != M::Cmp {
            self.set_operand(i, 0, result);
        }
    }

    fn logic(&mut self, i: &Instruction, size: usize) {
        use Mnemonic as M;
        let (a, b) = (self.operand(i, 0), self.operand(i, 1));
        let result = match i.mnemonic() {
            M::Xor if same_registers(i) => Value::of(0),
            M::Xor => a.with(b, |a, b| a ^ b),
            M::Or => a.with(b, |a, b| a | b),
            _ => a.with(b, |a, b| a & b),
        };
        let result = result.map(|bits| bits & mask(size));
        self.flags = Flags::logic(result, size);
        if i.mnemonic() != M::Test {
            self.set_operand(i, 0, result);
        }
    }

    fn shift(&mut self, i: &Instruction, size: usize) {
        let (a, by) = (self.operand(i, 0), self.operand(i, 1));
        let result = a.with(by, |a, by| shifted(i.mnemonic(), a, by, size));
        self.flags = Flags::shift(result, size);
        self.set_operand(i, 0, result);
    }

    fn compare_and_exchange(&mut self, i: &Instruction, size: usize) {
        let old = self.operand(i, 0);
        let expected = self.regs[RAX].map(|bits| bits & mask(size));
        let new = self.operand(i, 1);
        let (_, flags) = value::subtract(expected, old, Some(false), size);
        self.flags = flags;
        match flags.zero {
            Some(true) => self.set_operand(i, 0, new),
            // What was found there.
            Some(false) if size == 8 => self.regs[RAX] = old,
            Some(false) if size == 4 => self.regs[RAX] = old.map(|bits| bits & mask(4)),
            Some(false) => {
                let kept = self.regs[RAX].map(|bits| bits & !mask(size));
                self.regs[RAX] = kept.with(old, |kept, old| kept | old);
            }
            None => {
                self.regs[RAX] = Value::UNKNOWN;
                self.set_operand(i, 0, Value::UNKNOWN);
            }
        }
    }

    fn bit(&mut self, i: &Instruction, size: usize) {
        use Mnemonic as M;
        if i.op_kind(0) == OpKind::Memory && i.op_kind(1) == OpKind::Register {
            return self.forget(i);
        }
        let (a, bit) = (self.operand(i, 0), self.operand(i, 1).map(|bit| 1 << (bit % (size as u64 * 8))));
        self.flags.carry = a.bits.zip(bit.bits).map(|(a, bit)| a & bit != 0);
        let result = match i.mnemonic() {
            M::Bts => a.with(bit, |a, bit| a | bit),
            M::Btr => a.with(bit, |a, bit| a & !bit),
            M::Btc => a.with(bit, |a, bit| a ^ bit),
            _ => return,
        };
        self.set_operand(i, 0, result);
    }
}

fn is_high_byte(register: Register) -> bool {
    matches!(register, Register::AH | Register::BH | Register::CH | Register::DH)
}

fn same_registers(i: &Instruction) -> bool {
    i.op0_kind() == OpKind::Register
        && i.op1_kind() == OpKind::Register
        && i.op0_register() == i.op1_register()
}

/// Bytes of an operand.
fn size_of(i: &Instruction, op: u32) -> usize {
    if i.op_count() <= op {
        return 8;
    }
    let size = match i.op_kind(op) {
        OpKind::Register => i.op_register(op).size(),
        OpKind::Memory => i.memory_size().size(),
        _ => 8,
    };
    size.clamp(1, 8)
}

fn shifted(how: Mnemonic, a: u64, by: u64, size: usize) -> u64 {
    use Mnemonic as M;
    let width = size as u32 * 8;
    let by = by as u32 & if size == 8 { 63 } else { 31 };
    let a = a & mask(size);
    let rotated = |left: u32| match left % width {
        0 => a,
        left => a << left | a >> (width - left),
    };
    let result = match how {
        M::Shl | M::Shlx => a << by,
        M::Shr | M::Shrx => a >> by,
        M::Sar | M::Sarx => (sign_extended(a, size) as i64 >> by) as u64,
        M::Rol => rotated(by),
        _ => rotated(width - by % width),
    };
    result & mask(size)
}
