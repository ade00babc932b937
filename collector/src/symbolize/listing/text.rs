//! Instructions as GNU tools write them.

use iced_x86::{
    Formatter as _, FormatterTextKind, GasFormatter, Instruction, OpKind, SymbolResolver, SymbolResult,
};

/// Gives the name of an address as `symbol+offset`.
pub(super) type NameOf<'n> = dyn Fn(u64) -> Option<String> + 'n;

struct Resolver {
    /// Address and name of the one operand that may have a name.
    name: Option<(u64, String)>,
}

impl SymbolResolver for Resolver {
    fn symbol(
        &mut self,
        _instruction: &Instruction,
        _operand: u32,
        _instruction_operand: Option<u32>,
        address: u64,
        _address_size: u32,
    ) -> Option<SymbolResult<'_>> {
        let (at, name) = self.name.as_ref().filter(|(at, _)| *at == address)?;
        let kind = FormatterTextKind::Label;
        Some(SymbolResult::with_string_kind(*at, name.clone(), kind))
    }
}

/// An instruction in AT&T syntax, with the names of what it calls and of variables of its DSO.
pub(super) fn of(i: &Instruction, code: &NameOf<'_>, data: &NameOf<'_>) -> String {
    let named = match target(i) {
        Some(to) => code(to).map(|name| (to, name)),
        None if i.is_ip_rel_memory_operand() => {
            let to = i.ip_rel_memory_address();
            data(to).map(|name| (to, name))
        }
        None => None,
    };
    let mut formatter = GasFormatter::with_options(Some(Box::new(Resolver { name: named })), None);
    let options = formatter.options_mut();
    options.set_rip_relative_addresses(true);
    options.set_hex_prefix("0x");
    options.set_uppercase_hex(false);
    options.set_small_hex_numbers_in_decimal(false);
    let mut text = String::new();
    formatter.format(i, &mut text);
    text
}

/// Where a direct branch or call leads.
pub(super) fn target(i: &Instruction) -> Option<u64> {
    let near =
        (0..i.op_count()).any(|op| matches!(i.op_kind(op), OpKind::NearBranch64 | OpKind::NearBranch32));
    near.then(|| i.near_branch_target())
}
