//! What a loop does with the words that it reads: from its instructions and the ways between them.

use std::collections::{BTreeMap, BTreeSet};

use iced_x86::{FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register};

use super::registers::{Registers, index};
use crate::session::code::{Compared, WordUse};
use crate::symbolize::follow::Way;

/// Registers that a called function may change.
const CALLER_SAVED: [Register; 9] = [
    Register::RAX,
    Register::RCX,
    Register::RDX,
    Register::RSI,
    Register::RDI,
    Register::R8,
    Register::R9,
    Register::R10,
    Register::R11,
];

/// The stack of a loop's own function ends at most so many bytes above the stack pointer.
const MOST_OF_STACK: u64 = 16 << 10;

/// The executed instructions of a way.
pub(super) struct Turns<'w> {
    way: &'w Way,
    code: BTreeMap<u64, Instruction>,
    before: BTreeMap<u64, BTreeSet<u64>>,
    info: InstructionInfoFactory,
}

impl<'w> Turns<'w> {
    pub(super) fn of(way: &'w Way, decode: &mut dyn FnMut(u64) -> Option<Instruction>) -> Self {
        let code = way.executed.keys().filter_map(|pc| Some((*pc, decode(*pc)?))).collect();
        let mut before: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
        for (pc, executed) in &way.executed {
            for next in &executed.next {
                before.entry(*next).or_default().insert(*pc);
            }
        }
        Turns { way, code, before, info: InstructionInfoFactory::new() }
    }

    /// No branch leads out: there is none but direct jumps.
    pub(super) fn is_endless(&self) -> bool {
        let stays = |i: &Instruction| {
            matches!(i.flow_control(), FlowControl::Next | FlowControl::UnconditionalBranch)
        };
        !self.code.is_empty() && self.code.len() == self.way.executed.len() && self.code.values().all(stays)
    }

    /// The uses of the words that are read at one of `pcs`, each word once.
    pub(super) fn uses(&mut self, pcs: &BTreeSet<u64>, registers: &Registers<'_>) -> Vec<WordUse> {
        let mut uses: Vec<WordUse> = vec![];
        for (pc, addresses) in self.way.loaded.clone() {
            let one = addresses.first().copied().filter(|_| addresses.len() == 1 && pcs.contains(&pc));
            let Some((address, i)) = one.zip(self.code.get(&pc).copied()) else { continue };
            if is_barrier(&i) || self.moves(&i, registers) {
                continue;
            }
            let found = self.of_load(&i, address, registers);
            match uses.iter_mut().find(|known| known.address == address) {
                None => uses.push(found),
                // The one that says more.
                Some(known) if known.compared.is_none() && known.atomic.is_none() => *known = found,
                Some(_) => {}
            }
        }
        uses
    }

    fn of_load(&mut self, i: &Instruction, address: u64, registers: &Registers<'_>) -> WordUse {
        let size = i.memory_size().size() as u32;
        let mut found =
            WordUse { address, size, atomic: None, compared: None, samples: 0, value: None, varies: false };
        if i.has_lock_prefix() || i.mnemonic() == Mnemonic::Xchg {
            let lock = if i.has_lock_prefix() { "lock " } else { "" };
            found.atomic = Some(format!("{lock}{:?}", i.mnemonic()).to_lowercase());
            return found;
        }
        match i.mnemonic() {
            Mnemonic::Cmp | Mnemonic::Test => found.compared = self.compared(i, registers),
            Mnemonic::Mov | Mnemonic::Movzx
                if i.op0_kind() == OpKind::Register && !super::registers::is_high_byte(i.op0_register()) =>
            {
                let to = i.op0_register();
                let held = self.held(i.ip(), to.full_register());
                found.compared = self.compared_after(i.ip(), (to, size as usize), &held, registers);
                // Where the loop loads the address too, its samples may be of other words.
                if self.sets_address(i) {
                    return found;
                }
                let values: Vec<u64> = registers
                    .at(to.full_register(), |pc| held.contains(&pc))
                    .map(|v| v & mask(size))
                    .collect();
                found.samples = values.len() as u32;
                found.value = values.first().copied().filter(|first| values.iter().all(|v| v == first));
                let after = registers.at(to.full_register(), |pc| pc == i.next_ip() && held.contains(&pc));
                let after: BTreeSet<u64> = after.map(|v| v & mask(size)).collect();
                found.varies = after.len() > 1;
            }
            _ => {}
        }
        found
    }

    /// The samples show that the load has other addresses than the one that was followed: a register of the
    /// address, which the followed code does not change, has several values.
    fn moves(&mut self, i: &Instruction, registers: &Registers<'_>) -> bool {
        let of_address = [i.memory_base().full_register(), i.memory_index().full_register()];
        of_address.into_iter().filter(|register| index(*register).is_some()).any(|register| {
            let executed: Vec<u64> = self.code.keys().copied().collect();
            // Of a register that changes, the samples at the load itself count.
            let changes = executed.into_iter().any(|pc| self.changes(pc, register));
            let values = registers.at(register, |pc| !changes || pc == i.ip());
            values.collect::<BTreeSet<u64>>().len() > 1
        })
    }

    /// The loop itself changes a register of the address.
    fn sets_address(&mut self, i: &Instruction) -> bool {
        let of_address = [i.memory_base().full_register(), i.memory_index().full_register()];
        let executed: Vec<u64> = self.code.keys().copied().collect();
        let mut of_address = of_address.into_iter().filter(|register| index(*register).is_some());
        of_address.any(|register| executed.iter().any(|pc| self.changes(*pc, register)))
    }

    /// No instruction reads memory but that of the thread's own stack.
    pub(super) fn has_no_loads(&mut self, registers: &Registers<'_>) -> bool {
        let own = |base: Register| {
            let Some((at, sp)) = registers.constant(base).zip(registers.constant(Register::RSP)) else {
                return false;
            };
            at.wrapping_sub(sp) < MOST_OF_STACK
        };
        let info = &mut self.info;
        self.code.values().all(|i| {
            let mut used = info.info(i).used_memory().iter();
            used.all(|memory| {
                let base = memory.base().full_register();
                memory.access() == OpAccess::Write || base == Register::RSP || own(base)
            })
        })
    }

    /// The instructions before which a register holds what the load gave, on each way to them.
    fn held(&mut self, load: u64, register: Register) -> BTreeSet<u64> {
        let mut held: BTreeSet<u64> = self.code.keys().copied().collect();
        loop {
            let holds_after = |turns: &mut Self, pc: u64, held: &BTreeSet<u64>| {
                pc == load || held.contains(&pc) && !turns.changes(pc, register)
            };
            let lost: Vec<u64> = held
                .iter()
                .copied()
                .filter(|pc| {
                    let before = self.before.get(pc).cloned().unwrap_or_default();
                    before.is_empty() || !before.iter().all(|pc| holds_after(self, *pc, &held))
                })
                .collect();
            if lost.is_empty() {
                return held;
            }
            lost.iter().for_each(|pc| {
                held.remove(pc);
            });
        }
    }

    /// The comparison of the register that was loaded, between the load and the next change of the register.
    fn compared_after(
        &mut self,
        load: u64,
        (loaded, size): (Register, usize),
        held: &BTreeSet<u64>,
        registers: &Registers<'_>,
    ) -> Option<Compared> {
        let mut pc = load;
        for _ in 0..self.code.len() {
            let next = &self.way.executed.get(&pc)?.next;
            pc = next.first().copied().filter(|pc| next.len() == 1 && *pc != load && held.contains(pc))?;
            let i = *self.code.get(&pc)?;
            let of_loaded = |op: u32| {
                i.op_kind(op) == OpKind::Register
                    && i.op_register(op).full_register() == loaded.full_register()
                    && !super::registers::is_high_byte(i.op_register(op))
            };
            let compares = matches!(i.mnemonic(), Mnemonic::Cmp | Mnemonic::Test);
            // A smaller part of the register is another value.
            let whole = |op: u32| i.op_register(op).size() >= size;
            if compares && of_loaded(0) && whole(0) {
                return self.compared(&i, registers);
            }
        }
        None
    }

    /// What the first operand of a comparison is compared with.
    fn compared(&mut self, i: &Instruction, registers: &Registers<'_>) -> Option<Compared> {
        let size = match i.op0_kind() {
            OpKind::Register => i.op0_register().size(),
            OpKind::Memory => i.memory_size().size(),
            _ => return None,
        } as u32;
        let number = match i.op1_kind() {
            OpKind::Register if i.mnemonic() == Mnemonic::Test && i.op0_kind() == OpKind::Register => {
                return (i.op0_register() == i.op1_register()).then_some(Compared::Number(0));
            }
            OpKind::Register if !super::registers::is_high_byte(i.op1_register()) => {
                let register = i.op1_register().full_register();
                let changed = self.code.keys().copied().collect::<Vec<_>>();
                if changed.into_iter().any(|pc| self.changes(pc, register)) {
                    return None;
                }
                registers.constant(register)?
            }
            OpKind::Immediate8
            | OpKind::Immediate16
            | OpKind::Immediate32
            | OpKind::Immediate8to16
            | OpKind::Immediate8to32
            | OpKind::Immediate8to64
            | OpKind::Immediate32to64 => i.immediate(1),
            _ => return None,
        } & mask(size);
        Some(if i.mnemonic() == Mnemonic::Test { Compared::Bits(number) } else { Compared::Number(number) })
    }

    /// Whether an instruction may change a register. A call that was not followed changes what a function may.
    fn changes(&mut self, pc: u64, register: Register) -> bool {
        let Some(i) = self.code.get(&pc) else { return true };
        let calls = matches!(i.flow_control(), FlowControl::Call | FlowControl::IndirectCall);
        let next = self.way.executed.get(&pc).map(|executed| &executed.next);
        let not_followed = calls && next.is_none_or(|next| next.contains(&i.next_ip()));
        if not_followed && CALLER_SAVED.contains(&register) {
            return true;
        }
        let writes = |access| {
            !matches!(access, OpAccess::Read | OpAccess::CondRead | OpAccess::NoMemAccess | OpAccess::None)
        };
        let info = self.info.info(i);
        info.used_registers()
            .iter()
            .any(|used| used.register().full_register() == register && writes(used.access()))
    }
}

/// The registers that instructions name or use, in the order of the processor.
pub(super) fn used<'i>(code: impl Iterator<Item = &'i Instruction>) -> Vec<Register> {
    let mut info = InstructionInfoFactory::new();
    let mut used = BTreeSet::new();
    for i in code {
        let names_stack = (0..i.op_count()).any(|op| {
            i.op_kind(op) == OpKind::Register && i.op_register(op).full_register() == Register::RSP
        }) || i.memory_base() == Register::RSP;
        for register in info.info(i).used_registers().iter().map(|used| used.register().full_register()) {
            if index(register).is_some() && (register != Register::RSP || names_stack) {
                used.insert(register);
            }
        }
    }
    used.into_iter().collect()
}

/// A step that orders memory and changes none: `lock or $0`, `lock add $0`.
fn is_barrier(i: &Instruction) -> bool {
    let adds_nothing = matches!(i.mnemonic(), Mnemonic::Or | Mnemonic::Add);
    i.has_lock_prefix() && adds_nothing && i.op_kind(1) != OpKind::Register && i.immediate(1) == 0
}

fn mask(size: u32) -> u64 {
    if size >= 8 { u64::MAX } else { (1 << (size * 8)) - 1 }
}
