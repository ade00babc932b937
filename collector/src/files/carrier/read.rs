//! A carrier from its bytes.

use std::path::Path;

use hangscope_protocol::carrier::{MADE_OF, OWNER, SETTINGS, made_of};
use object::LittleEndian;
use object::elf::FileHeader64;
use object::read::elf::{FileHeader as _, ProgramHeader as _};

use super::model::{Carrier, MadeOf};
use crate::files::links::Links;
use crate::files::pin;

impl Carrier {
    /// None if the bytes are those of no carrier. No bytes make this panic.
    pub(crate) fn read(bytes: &[u8]) -> Option<Carrier> {
        let notes = Notes::of(bytes)?;
        let links = Links::of(bytes);
        let made_of = |name: &str| {
            let entry = notes.made_of.iter().find(|(known, _)| known == name);
            entry.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        Some(Carrier {
            soname: links.soname?,
            shim: links.auxiliary?,
            allocator: links.filter?,
            settings: notes.settings,
            made_of: MadeOf {
                name: made_of(made_of::NAME),
                source: made_of(made_of::SOURCE),
                allocator_sha1: made_of(made_of::ALLOCATOR_SHA1),
                shim_sha1: made_of(made_of::SHIM_SHA1),
                version: made_of(made_of::VERSION),
            },
        })
    }

    /// The carrier at a path. None for any other file, and for one that cannot be read.
    pub(crate) fn at(path: &Path) -> Option<Carrier> {
        Carrier::read(&pin::bytes_of(path).ok()?)
    }
}

/// Entries of the notes: names and values.
#[derive(Default)]
struct Notes {
    settings: Vec<(String, String)>,
    made_of: Vec<(String, String)>,
}

impl Notes {
    /// None without a note of settings.
    fn of(bytes: &[u8]) -> Option<Notes> {
        let header = FileHeader64::<LittleEndian>::parse(bytes).ok()?;
        let endian = header.endian().ok()?;
        let (mut found, mut is_carrier) = (Notes::default(), false);
        for segment in header.program_headers(endian, bytes).ok()? {
            let Some(mut notes) = segment.notes(endian, bytes).ok().flatten() else { continue };
            while let Ok(Some(note)) = notes.next() {
                if note.name_bytes() != OWNER {
                    continue;
                }
                match note.n_type(endian).0 {
                    SETTINGS => {
                        is_carrier = true;
                        found.settings = entries(note.desc());
                    }
                    MADE_OF => found.made_of = entries(note.desc()),
                    _ => {}
                }
            }
        }
        is_carrier.then_some(found)
    }
}

fn entries(note: &[u8]) -> Vec<(String, String)> {
    let texts = note.split(|b| *b == 0).filter_map(|entry| std::str::from_utf8(entry).ok());
    texts.filter_map(|entry| entry.split_once('=')).map(|(name, value)| (name.into(), value.into())).collect()
}
