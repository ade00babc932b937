//! Counters in memory: where a profile's variables are in the DSO of a lane, the memory that the shim must
//! read, and the figures in it.
//!
//! The addresses come from the symbols of the pinned file. They are right in a process only if it mapped that
//! file: it had the same build-id in memory at its start; without a build-id, it is the same unchanged file.

use std::collections::BTreeMap;
use std::path::Path;

use hangscope_protocol::record::RangeRecord;

use crate::files::facts::FileFacts;
use crate::profile::{MemoryCounters, Profile};
use crate::session::{Dso, Memory};
use crate::symbolize::{Sources, Variables};
use crate::text::message::{Say as _, Text, say};
use crate::text::note::Note;

/// Where the counters are in a DSO.
#[derive(Debug)]
pub(crate) struct Layout {
    build_id: Vec<u8>,
    found: Vec<CounterVariable>,
    missing: Vec<Text>,
}

#[derive(Debug)]
struct CounterVariable {
    /// In the file's own address space.
    address: u64,
    counters: MemoryCounters,
}

impl Layout {
    /// Of the file at `path`, with these bytes. None if the profile has no counters in memory.
    pub(crate) fn of(profile: &Profile, path: &Path, bytes: &[u8]) -> Option<Layout> {
        if profile.memory.is_empty() {
            return None;
        }
        let variables = match Variables::of(bytes, path, &Sources::default().debug_dirs) {
            Ok(variables) => variables,
            Err(why) => {
                return Some(Layout { build_id: vec![], found: vec![], missing: vec![why.said()] });
            }
        };
        let (mut found, mut missing) =
            (vec![], variables.refused().iter().map(|why| why.said()).collect::<Vec<_>>());
        // Builds of an allocator differ. Of several layouts of a variable, the one with its size is right.
        let mut by_symbol: Vec<(&str, Vec<&MemoryCounters>)> = vec![];
        for counters in &profile.memory {
            match by_symbol.iter_mut().find(|(symbol, _)| *symbol == counters.symbol) {
                Some((_, layouts)) => layouts.push(counters),
                None => by_symbol.push((&counters.symbol, vec![counters])),
            }
        }
        for (symbol, layouts) in by_symbol {
            match variables.named(symbol) {
                Ok(variable) => match layouts.iter().find(|l| l.size() == variable.size) {
                    Some(counters) => {
                        found.push(CounterVariable {
                            address: variable.address,
                            counters: (*counters).clone(),
                        });
                    }
                    None => {
                        let sizes: Vec<String> = layouts.iter().map(|l| l.size().to_string()).collect();
                        let (is, known) = (variable.size, sizes.join(" or "));
                        missing.push(say!(Note::OtherSize { symbol, is, known }).said());
                    }
                },
                Err(0) => missing.push(say!(Note::NoSuchVariable { symbol }).said()),
                Err(count) => missing.push(say!(Note::SeveralVariables { symbol, count }).said()),
            }
        }
        Some(Layout { build_id: variables.build_id().to_vec(), found, missing })
    }

    /// Whether none of the variables is in this DSO.
    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Variables that were not found or have another layout, and why.
    pub(crate) fn missing(&self) -> &[Text] {
        &self.missing
    }

    /// The memory that the shim must read in a process that mapped the DSO as `dso` says. `file` are the
    /// facts of the file that the process should have mapped.
    ///
    /// # Errors
    /// Why the addresses are not proven.
    pub(crate) fn ranges(&self, dso: &Dso, file: Option<&FileFacts>) -> Result<Vec<RangeRecord>, Text> {
        self.is_of(dso, file)?;
        let range = |variable: &CounterVariable| RangeRecord {
            address: dso.init.bias.wrapping_add(variable.address),
            len: variable.counters.field_bytes(),
            reserved: 0,
        };
        Ok(self.found.iter().map(range).collect())
    }

    /// Whether the DSO of a process is proven to be this file.
    fn is_of(&self, dso: &Dso, file: Option<&FileFacts>) -> Result<(), Text> {
        let init = &dso.init;
        let id = init.build_id.get(..init.build_id_len as usize).unwrap_or(&init.build_id);
        let same = if id.is_empty() {
            let is = (init.dev, init.ino, init.size, init.ctime_ns);
            self.build_id.is_empty()
                && init.errno == 0
                && file.is_some_and(|f| (f.dev, f.ino, f.size, f.ctime_ns) == is)
        } else {
            // The record has room for 32 bytes of the build-id.
            self.build_id == id || (id.len() == 32 && self.build_id.starts_with(id))
        };
        if same { Ok(()) } else { Err(Note::NotThePinned {}.said()) }
    }

    /// The figures in the memory that was read. A variable that could not be read whole has none, and a
    /// reason.
    pub(crate) fn values(&self, dso: &Dso, memory: &[Memory]) -> Values {
        let by_address: BTreeMap<u64, &Memory> = memory.iter().map(|m| (m.record.address, m)).collect();
        let mut values = Values::default();
        // If no memory came at all, the caller has the reason.
        for variable in self.found.iter().filter(|_| !memory.is_empty()) {
            let symbol = &variable.counters.symbol;
            let unread = match by_address.get(&dso.init.bias.wrapping_add(variable.address)) {
                Some(memory) if memory.bytes.len() == variable.counters.field_bytes() as usize => {
                    values.figures.extend(variable.counters.figures(&memory.bytes));
                    continue;
                }
                Some(memory) if memory.record.errno != 0 => {
                    say!(Note::VariableUnread { symbol, errno: memory.record.errno })
                }
                Some(memory) => {
                    let (read, wanted) = (memory.bytes.len(), variable.counters.field_bytes());
                    say!(Note::VariableShort { symbol, read, wanted })
                }
                None => say!(Note::VariableNotSent { symbol }),
            };
            values.unread.push(unread.said());
        }
        values
    }
}

/// Figures that were read from memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Values {
    /// Names and figures, in the profile's order.
    pub(crate) figures: Vec<(String, f64)>,
    /// Variables that were not read, and why.
    pub(crate) unread: Vec<Text>,
}

#[cfg(test)]
mod tests {
    use hangscope_protocol::record::MemoryRecord;

    use super::*;
    use crate::profile::Word;
    use crate::testkit::fake_shim::zero;

    #[test]
    fn a_variable_that_was_not_read_whole_is_named() {
        let variable = |address, symbol: &str| CounterVariable {
            address,
            counters: MemoryCounters {
                symbol: symbol.into(),
                fields: vec![Some(format!("{symbol}_calls")), None],
                word: Word::U64,
                whole: None,
            },
        };
        let found = vec![variable(0, "a"), variable(16, "b"), variable(32, "c"), variable(48, "d")];
        let layout = Layout { build_id: vec![], found, missing: vec![] };
        let dso = Dso { init: zero(), path: "/x.so".into(), now: None };
        let read = |address, bytes: &[u8], errno| Memory {
            record: MemoryRecord { address, wanted: 16, errno },
            bytes: bytes.to_vec(),
        };
        let values = layout.values(&dso, &[read(0, &[1; 16], 0), read(16, &[2; 8], 0), read(32, &[], 14)]);
        assert_eq!(values.figures, [("a_calls".to_owned(), 0x0101_0101_0101_0101_u64 as f64)]);
        let unread = Text::joined(&values.unread).unwrap();
        insta::assert_snapshot!(unread.en(), @"b: only 8 of 16 bytes could be read; c could not be read (errno 14); d did not arrive with the others");
        assert_eq!(layout.values(&dso, &[]), Values::default());
    }
}
