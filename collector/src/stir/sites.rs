//! The atomic instructions of a DSO that can be replaced by a jump.
//!
//! A jump has five bytes. Where the instruction has fewer, its neighbours move with it, provided that no code
//! can jump to what is then in the middle of the jump.

use iced_x86::{FlowControl, Instruction, Mnemonic, OpKind};

use super::functions::{Code, Function};

/// Bytes of a jump.
const JUMP_LEN: usize = 5;
/// Most bytes that are replaced at a place.
const MOST_BYTES: usize = 32;

/// An atomic instruction, with the neighbours that move with it.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) before: Vec<Instruction>,
    pub(crate) atomic: Instruction,
    pub(crate) behind: Vec<Instruction>,
}

impl Site {
    /// Address in the file of the first instruction that moves.
    pub(crate) fn start(&self) -> u64 {
        self.before.first().unwrap_or(&self.atomic).ip()
    }

    /// Address behind the last one.
    pub(crate) fn end(&self) -> u64 {
        self.behind.last().unwrap_or(&self.atomic).next_ip()
    }
}

/// Atomic instructions found, and how many of them cannot be replaced.
pub(crate) struct Sites {
    pub(crate) sites: Vec<Site>,
    pub(crate) left_out: usize,
}

/// Whether it reads and writes memory in one step: with a LOCK prefix, or `xchg`, which needs none (Intel
/// SDM, volume 3, "Bus Locking").
fn is_atomic(instruction: &Instruction) -> bool {
    let exchanges = instruction.mnemonic() == Mnemonic::Xchg
        && (0..instruction.op_count()).any(|op| instruction.op_kind(op) == OpKind::Memory);
    instruction.has_lock_prefix() || exchanges
}

/// The atomic instructions of a DSO, in the order of their addresses.
pub(crate) fn find(code: &Code<'_>) -> Sites {
    let mut found = Sites { sites: vec![], left_out: 0 };
    for function in &code.functions {
        // The first instruction that has not moved yet.
        let mut free = 0;
        for (at, instruction) in function.instructions.iter().enumerate() {
            if !is_atomic(instruction) || at < free {
                continue;
            }
            match grown(code, function, free, at) {
                Some((first, last)) => {
                    let all = &function.instructions;
                    found.sites.push(Site {
                        before: all[first..at].to_vec(),
                        atomic: *instruction,
                        behind: all[at + 1..=last].to_vec(),
                    });
                    free = last + 1;
                }
                None => found.left_out += 1,
            }
        }
    }
    found
}

/// The first and the last instruction that move with the one at `at`, none before `free`. `None` if a jump
/// has no room.
fn grown(code: &Code<'_>, function: &Function, free: usize, at: usize) -> Option<(usize, usize)> {
    let all = &function.instructions;
    let bytes = |first: usize, last: usize| all[first..=last].iter().map(Instruction::len).sum::<usize>();
    // What is not the first must not be jumped to.
    let is_middle = |at: usize| function.targets_are_known && !code.is_target(all[at].ip());
    let (mut first, mut last) = (at, at);
    while bytes(first, last) < JUMP_LEN {
        // Behind first: what is there has mostly to do with the outcome.
        let goes_on = all[last].flow_control() == FlowControl::Next;
        if goes_on && last + 1 < all.len() && is_middle(last + 1) && can_move(&all[last + 1], true) {
            last += 1;
        } else if first > free && is_middle(first) && can_move(&all[first - 1], false) {
            first -= 1;
        } else {
            return None;
        }
    }
    // Nor must a byte behind a prefix: old code jumps over it where there is one thread.
    let is_free = code.is_free_of_targets(all[first].ip()..all[last].next_ip());
    (is_free && bytes(first, last) <= MOST_BYTES).then_some((first, last))
}

/// Whether an instruction does the same elsewhere. A call does not: its return address tells where it was.
/// What does not go on to the next one can only be the last.
fn can_move(instruction: &Instruction, is_last: bool) -> bool {
    match instruction.flow_control() {
        FlowControl::Next => {
            !matches!(instruction.mnemonic(), Mnemonic::Endbr64 | Mnemonic::Syscall | Mnemonic::Xbegin)
        }
        FlowControl::ConditionalBranch => is_last && instruction.is_jcc_short_or_near(),
        FlowControl::UnconditionalBranch => is_last && instruction.is_jmp_short_or_near(),
        FlowControl::Return => is_last,
        _ => false,
    }
}
