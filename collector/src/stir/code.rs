//! The code that takes the place of atomic instructions: see [`hangscope_protocol::stir::code`].

use hangscope_protocol::stir::code::{self, CHECK, CHECK_BYTE, CHECK_CALL, CHECK_NUMBER};
use hangscope_protocol::stir::{CODE_DISTANCE, MOST_SITES, SiteRecord};
use iced_x86::{Encoder, FlowControl, Instruction};

use super::functions::Code;
use super::sites::Site;

/// The jump at the beginning of the instructions, to the address at [`code::DECIDE`]; then room.
const FIRST: usize = 16;

/// Code for sites, in their order.
#[derive(Debug)]
pub(crate) struct Assembled {
    pub(crate) records: Vec<SiteRecord>,
    pub(crate) bytes: Vec<u8>,
    /// Offsets of words that are relative to the instruction pointer and name a place in the DSO.
    pub(crate) fixups: Vec<u32>,
    /// Sites whose instructions cannot be written elsewhere, or for which there is no room.
    pub(crate) left_out: usize,
}

/// Code for the sites of a DSO.
pub(crate) fn assemble(file: &Code<'_>, sites: &[Site]) -> Assembled {
    let mut bytes = vec![0; code::INSTRUCTIONS + FIRST];
    let jump = jump_to(code::DECIDE, code::INSTRUCTIONS + 6);
    bytes[code::INSTRUCTIONS..code::INSTRUCTIONS + 6]
        .copy_from_slice(&[0xff, 0x25, jump[0], jump[1], jump[2], jump[3]]);
    let mut all = Assembled { records: vec![], bytes, fixups: vec![], left_out: 0 };
    for site in sites {
        let (len, fixups) = (all.bytes.len(), all.fixups.len());
        if all.records.len() == MOST_SITES as usize || all.add(file, site).is_none() {
            all.bytes.truncate(len);
            all.fixups.truncate(fixups);
            all.left_out += 1;
        }
    }
    all
}

/// The distance to an offset in the code, from an offset.
fn jump_to(to: usize, from: usize) -> [u8; 4] {
    // Both are offsets in the code, which is far smaller than 2 GiB.
    (to as i32 - from as i32).to_le_bytes()
}

impl Assembled {
    fn add(&mut self, file: &Code<'_>, site: &Site) -> Option<()> {
        let (start, end) = (site.start(), site.end());
        let replaced = file.bytes(start, end - start)?;
        let code_at = self.bytes.len();
        let index = self.records.len() as u32;
        site.before.iter().try_for_each(|instruction| self.moved(instruction))?;
        let first = self.check(index);
        self.moved(&site.atomic)?;
        let second = self.check(index | code::IS_BEHIND);
        site.behind.iter().try_for_each(|instruction| self.moved(instruction))?;
        let last = site.behind.last().unwrap_or(&site.atomic);
        if !matches!(last.flow_control(), FlowControl::UnconditionalBranch | FlowControl::Return) {
            let back = self.bytes.len();
            // As if the code began at CODE_DISTANCE, with a load bias of 0.
            let from = CODE_DISTANCE + back as u64 + 5;
            let distance = i32::try_from(end.wrapping_sub(from) as i64).ok()?;
            self.bytes.push(0xe9);
            self.bytes.extend(distance.to_le_bytes());
            self.fixups.push(back as u32 + 1);
        }
        let mut original = [0; 32];
        original.get_mut(..replaced.len())?.copy_from_slice(replaced);
        let within = |at: usize| u16::try_from(at - code_at).ok();
        self.records.push(SiteRecord {
            at: u32::try_from(site.atomic.ip()).ok()?,
            patch: u32::try_from(start).ok()?,
            len: u8::try_from(replaced.len()).ok()?,
            flags: 0,
            code_len: within(self.bytes.len())?,
            code_at: u32::try_from(code_at).ok()?,
            original,
            next: u32::try_from(site.atomic.next_ip()).ok()?,
            checks: [within(first)?, within(second)?],
        });
        Some(())
    }

    /// Adds a check. Gives its offset.
    fn check(&mut self, number: u32) -> usize {
        let at = self.bytes.len();
        let index = (number & !code::IS_BEHIND) as usize;
        let mut check = CHECK;
        for (word, value) in [
            (CHECK_BYTE, jump_to(code::ARMED + index, at + CHECK_BYTE + 4)),
            (CHECK_NUMBER, number.to_le_bytes()),
            (CHECK_CALL, jump_to(code::INSTRUCTIONS, at + CHECK_CALL + 4)),
        ] {
            check[word..word + 4].copy_from_slice(&value);
        }
        self.bytes.extend(check);
        at
    }

    /// Adds an instruction that does here what it did in its place. `None` if it cannot.
    fn moved(&mut self, instruction: &Instruction) -> Option<()> {
        let mut moved = *instruction;
        let is_jump = moved.is_jcc_short_or_near() || moved.is_jmp_short_or_near();
        if is_jump {
            moved.as_near_branch();
        }
        let at = self.bytes.len();
        let mut encoder = Encoder::new(64);
        let len = encoder.encode(&moved, CODE_DISTANCE + at as u64).ok()?;
        if is_jump {
            self.fixups.push((at + len - 4) as u32);
        } else if moved.is_ip_rel_memory_operand() {
            let offsets = encoder.get_constant_offsets();
            if offsets.displacement_size() != 4 {
                return None;
            }
            self.fixups.push((at + offsets.displacement_offset()) as u32);
        }
        self.bytes.extend(encoder.take_buffer());
        Some(())
    }
}
