use std::path::Path;

use hangscope_reader::{Memory, carrier as reader};
use object::{Object as _, elf};
use proptest::prelude::*;

use super::*;
use crate::files::elf::Target;
use crate::files::pin;

fn example() -> Carrier {
    let text = str::to_owned;
    Carrier {
        soname: text("libhz4_hs.so"),
        shim: text("/opt/lib/hangscope/libhangscope.so"),
        allocator: beside("libhz4_hs.so.d/hz4_0a1b2c3d.so"),
        settings: vec![
            (text("HANGSCOPE_SOCKET"), text("/run/user/1000/hangscope/collector.sock")),
            (text("HANGSCOPE_LABEL"), text("a = b\n")),
        ],
        made_of: MadeOf {
            name: text("hz4"),
            source: text("/src/libhz4.so"),
            allocator_sha1: text("0a1b2c3d"),
            shim_sha1: text("ffff"),
            version: text("0.1.0"),
        },
    }
}

fn target(machine: elf::Machine, bits: u8, little: bool) -> Target {
    Target { bits, machine: machine.0, little }
}

/// The file, as if it were mapped from address `START` on.
struct Image(Vec<u8>);
const START: u64 = 0x7f00_0000_0000;

impl Memory for Image {
    type Error = ();

    fn read(&self, at: u64, to: &mut [u8]) -> Result<usize, ()> {
        let from = at.checked_sub(START).and_then(|at| self.0.get(at as usize..)).filter(|b| !b.is_empty());
        let from = from.ok_or(())?;
        let n = from.len().min(to.len());
        to[..n].copy_from_slice(&from[..n]);
        Ok(n)
    }
}

#[test]
fn what_was_written_is_read_by_the_collector_and_by_the_shim() {
    for machine in [elf::EM_X86_64, elf::EM_AARCH64] {
        let bytes = example().write(target(machine, 64, true)).unwrap();
        assert_eq!(Carrier::read(&bytes), Some(example()));
        assert!(bytes.len() < 4096, "{}", bytes.len());
        let image = Image(bytes);
        let mut room = [0; 3072];
        let settings = reader::settings(&image, START, &mut room).unwrap();
        let entries: Vec<_> = reader::entries(settings).collect();
        assert_eq!(
            entries,
            [&b"HANGSCOPE_SOCKET=/run/user/1000/hangscope/collector.sock"[..], b"HANGSCOPE_LABEL=a = b\n"]
        );
        assert_eq!(reader::settings(&image, START, &mut [0; 16]), None, "no room for them");
    }
}

#[test]
fn a_carrier_is_a_shared_object_of_its_allocators_machine() {
    for target in [
        target(elf::EM_X86_64, 64, true),
        target(elf::EM_AARCH64, 64, true),
        target(elf::EM_386, 32, true),
        target(elf::EM_S390, 64, false),
    ] {
        let bytes = example().write(target).unwrap();
        let facts = crate::files::elf::read(&bytes).unwrap();
        assert_eq!((facts.target, facts.kind), (target, crate::files::elf::Kind::SharedObject));
        assert!(facts.build_id.is_some_and(|id| id.len() == 40) && !facts.defines_malloc);
        let file = object::File::parse(&*bytes).unwrap();
        assert_eq!(file.sections().count(), 8);
    }
}

#[test]
fn the_build_id_follows_from_what_is_in_it() {
    let id = |carrier: &Carrier| {
        let bytes = carrier.write(Target::own()).unwrap();
        crate::files::elf::read(&bytes).unwrap().build_id.unwrap()
    };
    assert_eq!(id(&example()), id(&example()));
    assert_ne!(id(&example()), id(&Carrier { settings: vec![], ..example() }));
}

#[test]
fn the_allocator_is_found_beside_the_carrier_and_is_the_one_it_was_made_with() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("libhz4_hs.so");
    let missing = example().allocator(&path).unwrap_err().to_string();
    assert!(missing.contains("hz4_0a1b2c3d.so") && missing.ends_with("hangscope wrap"), "{missing}");
    let allocator = dir.path().join("libhz4_hs.so.d/hz4_0a1b2c3d.so");
    std::fs::create_dir(allocator.parent().unwrap()).unwrap();
    std::fs::write(&allocator, "bytes").unwrap();
    assert!(matches!(example().allocator(&path), Err(Broken::Changed { .. })));
    let allocator_sha1 = pin::sha1_hex(b"bytes");
    let made = Carrier { made_of: MadeOf { allocator_sha1, ..MadeOf::default() }, ..example() };
    assert_eq!(made.allocator(&path).unwrap(), allocator);
}

#[test]
fn other_files_are_no_carriers() {
    let own = std::fs::read("/proc/self/exe").unwrap();
    for bytes in [&b""[..], b"\x7fELF", b"#!/bin/sh\n", &own] {
        assert_eq!(Carrier::read(bytes), None);
    }
    assert_eq!(Carrier::at(Path::new("/nonexistent/x.so")), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    /// A carrier with any bytes changed, and cut anywhere: what is read of it is in it.
    #[test]
    fn no_damage_makes_a_reader_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in any::<prop::sample::Index>(),
        whole in any::<bool>(),
    ) {
        let mut bytes = example().write(Target::own()).unwrap();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if !whole {
            bytes.truncate(cut.index(bytes.len()));
        }
        let _ = Carrier::read(&bytes);
        let mut room = [0; 3072];
        if let Some(settings) = reader::settings(&Image(bytes.clone()), START, &mut room) {
            prop_assert!(settings.is_empty() || bytes.windows(settings.len()).any(|part| part == settings));
            prop_assert!(reader::entries(settings).all(|entry| entry.starts_with(b"HANGSCOPE_")));
        }
    }
}
