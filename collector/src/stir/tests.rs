use std::collections::BTreeSet;
use std::path::PathBuf;

use hangscope_protocol::Record as _;
use hangscope_protocol::stir::{PlanHeader, SiteRecord, code, strategy};
use iced_x86::{Decoder, DecoderOptions, Mnemonic};

use super::plan::{Counts, Planner};

/// A file with atomic instructions: this test.
fn some_file() -> PathBuf {
    std::env::current_exe().expect("the test's own file")
}

/// Every piece of code of a real file is decoded again: it is what was replaced, between checks, and goes
/// back to where that went on.
#[test]
fn the_code_does_what_the_replaced_instructions_did() {
    let path = some_file();
    let planner = Planner::new(Some(&path));
    let bytes = planner.bytes(strategy::SITES + 2, 7, &BTreeSet::new()).expect("sites are held");
    let header = PlanHeader::get(&bytes).expect("a header");
    let count = header.sites as usize;
    assert_eq!((count, planner.no_sites.as_deref()), (planner.sites().0, None));
    assert!(count > 30, "{count} sites");
    let sites = &bytes[header.sites_at as usize..][..count * SiteRecord::SIZE];
    let all = &bytes[header.code_at as usize..];
    let file = std::fs::read(&path).expect("the allocator");
    let file = super::functions::Code::read(&file).expect("its code");
    let fixups: BTreeSet<usize> = bytes[header.fixups_at as usize..][..header.fixups as usize * 4]
        .chunks_exact(4)
        .map(|word| u32::from_le_bytes(word.try_into().expect("four bytes")) as usize)
        .collect();
    let mut seen = 0;
    for site in sites.chunks_exact(SiteRecord::SIZE).filter_map(SiteRecord::get) {
        let replaced = file.bytes(site.patch.into(), site.len.into()).expect("its bytes");
        assert_eq!(&site.original[..replaced.len()], replaced);
        assert!(site.len >= 5 && site.patch <= site.at && site.at < site.next);
        let mut expected = Decoder::with_ip(64, replaced, site.patch.into(), DecoderOptions::NONE);
        // As if the code began where the words that are relative to it say.
        let at = site.code_at as usize;
        let code = &all[at..at + usize::from(site.code_len)];
        let place = hangscope_protocol::stir::CODE_DISTANCE + at as u64;
        let mut position = 0;
        while expected.can_decode() {
            while site.checks.contains(&(position as u16)) {
                assert_eq!(code[position], code::CHECK[0], "a check");
                position += code::CHECK.len();
            }
            let wanted = expected.decode();
            let moved =
                Decoder::with_ip(64, &code[position..], place + position as u64, DecoderOptions::NONE)
                    .decode();
            assert_eq!(moved.mnemonic(), wanted.mnemonic());
            assert_eq!(moved.has_lock_prefix(), wanted.has_lock_prefix());
            assert_eq!(moved.near_branch_target(), wanted.near_branch_target(), "{wanted:?}");
            if wanted.is_ip_rel_memory_operand() {
                assert_eq!(moved.ip_rel_memory_address(), wanted.ip_rel_memory_address(), "{wanted:?}");
                let word = at + position..at + position + moved.len();
                assert!(fixups.range(word).next().is_some(), "{wanted:?} has no fixup");
            }
            position += moved.len();
        }
        // Behind the last one, unless that goes elsewhere.
        if position < code.len() {
            if usize::from(site.checks[1]) == position {
                position += code::CHECK.len();
            }
            let back = Decoder::with_ip(64, &code[position..], place + position as u64, DecoderOptions::NONE)
                .decode();
            let end = u64::from(site.patch) + u64::from(site.len);
            assert_eq!((back.mnemonic(), back.near_branch_target()), (Mnemonic::Jmp, end));
            position += back.len();
        }
        assert_eq!(position, code.len());
        seen += 1;
    }
    assert_eq!(seen, count);
}

#[test]
fn a_plan_is_read_again_and_other_files_are_none() {
    let planner = Planner::new(Some(&some_file()));
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("plan");
    assert!(planner.write(&file, strategy::BOTH + 1, 7, &BTreeSet::new()).expect("a plan"));
    let counts = Counts::read(&file).expect("its counts");
    assert_eq!(counts, Counts::default());
    assert_eq!(counts.trouble(), None);
    assert!(!planner.write(&file, 3, 7, &BTreeSet::new()).expect("no plan"));
    std::fs::write(&file, b"HSSTIR01 and no more").expect("a file");
    let error = Counts::read(&file).expect_err("no plan").to_string();
    assert!(error.ends_with("is no plan of holds"), "{error}");
}

#[test]
fn what_is_no_code_of_this_processor_has_no_sites() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("liballoc.so");
    std::fs::write(&file, b"no ELF file").expect("a file");
    for path in [file, dir.path().join("missing")] {
        let planner = Planner::new(Some(&path));
        assert_eq!(planner.sites(), (0, 0));
        assert!(planner.no_sites.is_some());
        // Calls are held at all the same.
        let bytes = planner.bytes(strategy::CALLS + 2, 7, &BTreeSet::new()).expect("a plan");
        assert_eq!(PlanHeader::get(&bytes).expect("a header").sites, 0);
    }
    assert_eq!(Planner::new(None).no_sites, None);
}
