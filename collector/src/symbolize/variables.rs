//! The variables and functions of a DSO's file, by name: where counters are in memory, and what prints them.

use std::path::{Path, PathBuf};

use super::debug_file::{DebugFile, Found};
use super::demangle::demangle;
use super::elf::{Bytes, Elf, Symbol, SymbolKind};

/// The variables and functions of a file.
#[derive(Debug)]
pub(crate) struct Variables {
    build_id: Vec<u8>,
    symbols: Vec<Symbol>,
    functions: Vec<Symbol>,
    refused: Vec<String>,
}

/// Where a variable or a function is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Variable {
    /// Address in the file's own address space.
    pub(crate) address: u64,
    /// Bytes.
    pub(crate) size: u64,
}

impl Variables {
    /// Those of the file whose bytes these are: from its own symbols, or those of its separate debug file where it was
    /// stripped.
    ///
    /// # Errors
    /// Says why the file has none that can be read.
    pub(crate) fn of(bytes: &[u8], path: &Path, debug_dirs: &[PathBuf]) -> Result<Variables, String> {
        let elf = Elf::parse(Bytes::copy_of(bytes).map_err(|e| e.to_string())?)?;
        let Found { file, refused } =
            if elf.has_symtab { Found::default() } else { DebugFile::find(&elf, path, debug_dirs) };
        let debug = file.filter(|debug| debug.elf.has_symtab);
        let with_names = debug.as_ref().map_or(&elf, |debug| &debug.elf);
        let [symbols, functions] = [SymbolKind::Data, SymbolKind::Code].map(|kind| with_names.symbols(kind));
        Ok(Variables { build_id: elf.build_id, symbols, functions, refused })
    }

    /// Debug files that are there and could not be used, and why.
    pub(crate) fn refused(&self) -> &[String] {
        &self.refused
    }

    /// The file's build-id; empty if it has none.
    pub(crate) fn build_id(&self) -> &[u8] {
        &self.build_id
    }

    /// The variable of that name, as it stands in the symbol table or as a person would write it.
    ///
    /// # Errors
    /// How many have that name, if it is not one.
    pub(crate) fn named(&self, name: &str) -> Result<Variable, usize> {
        one(&self.symbols, name)
    }

    /// The function of that name, as [`Variables::named`].
    ///
    /// # Errors
    /// How many have that name, if it is not one.
    pub(crate) fn function(&self, name: &str) -> Result<Variable, usize> {
        one(&self.functions, name)
    }
}

fn one(symbols: &[Symbol], name: &str) -> Result<Variable, usize> {
    let is = |symbol: &&Symbol| symbol.name == name || demangle(&symbol.name) == name;
    let mut found: Vec<Variable> = symbols
        .iter()
        .filter(is)
        .map(|symbol| Variable { address: symbol.address, size: symbol.size })
        .collect();
    found.dedup();
    match found[..] {
        [variable] => Ok(variable),
        _ => Err(found.len()),
    }
}
