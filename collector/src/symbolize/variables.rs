//! The variables in the file of a DSO, by name: used to find counters in memory.

use std::path::{Path, PathBuf};

use super::debug_file::{DebugFile, Found};
use super::demangle::demangle;
use super::elf::{Bytes, Elf, Symbol, SymbolKind};

#[derive(Debug)]
pub(crate) struct Variables {
    build_id: Vec<u8>,
    symbols: Vec<Symbol>,
    refused: Vec<String>,
}

/// Place and size of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Variable {
    /// Address in the address space of the file.
    pub(crate) address: u64,
    /// Bytes.
    pub(crate) size: u64,
}

impl Variables {
    /// Reads the symbols of a file with these bytes. If the file was stripped, reads those of its
    /// separate debug file. Fails if the file cannot be read.
    pub(crate) fn of(bytes: &[u8], path: &Path, debug_dirs: &[PathBuf]) -> Result<Variables, String> {
        let elf = Elf::parse(Bytes::copy_of(bytes).map_err(|e| e.to_string())?)?;
        let Found { file, refused } =
            if elf.has_symtab { Found::default() } else { DebugFile::find(&elf, path, debug_dirs) };
        let debug = file.filter(|debug| debug.elf.has_symtab);
        let with_names = debug.as_ref().map_or(&elf, |debug| &debug.elf);
        let symbols = with_names.symbols(SymbolKind::Data);
        Ok(Variables { build_id: elf.build_id, symbols, refused })
    }

    /// Debug files that exist but cannot be used, with the reasons.
    pub(crate) fn refused(&self) -> &[String] {
        &self.refused
    }

    /// The file's build-id; empty if it has none.
    pub(crate) fn build_id(&self) -> &[u8] {
        &self.build_id
    }

    /// The variable with this name, mangled or as a person writes it. Fails with the number of such
    /// variables if that is not 1.
    pub(crate) fn named(&self, name: &str) -> Result<Variable, usize> {
        let is = |symbol: &&Symbol| symbol.name == name || demangle(&symbol.name) == name;
        let mut found: Vec<Variable> = self
            .symbols
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
}
