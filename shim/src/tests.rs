//! What can be tested without a process around it: parsers, settings, and reading this very process.

use std::boxed::Box;

use hangscope_protocol::duration::CASES;
use hangscope_protocol::record::{LastMemoryRecord, MemoryRecord, PEAK_RSS, RangeRecord, dso_flags};
use hangscope_protocol::{Reader, Writer};
use hangscope_reader::elf::{BuildId, image};

use crate::config::Config;
use crate::host::dso::Table;
use crate::host::memory::Wanted;
use crate::host::{elf, maps};
use crate::sys::Errno;
use crate::text::Text;
use crate::{arch, sys};

const SECOND: u64 = 1_000_000_000;

fn configured(variables: &[&str]) -> Config {
    let mut config = Config::DEFAULT;
    variables.iter().for_each(|v| config.take(v.as_bytes()));
    config
}

#[test]
fn durations() {
    for (text, expected) in CASES {
        let config = configured(&[&format!("HANGSCOPE_HANG_AFTER={text}")]);
        let (ms, complaint) = match expected {
            Ok(ms) => (*ms, String::new()),
            Err(problem) => {
                (15_000, format!("HANGSCOPE_HANG_AFTER={text}: {problem}; the default is used\n"))
            }
        };
        assert_eq!(config.hang_after.time().map_or(0, |t| t.as_millis() as u64), ms, "{text:?}");
        assert_eq!(config.complaints.as_bytes(), complaint.as_bytes());
    }
    let config = configured(&["HANGSCOPE_TICK=1ms", "HANGSCOPE_STALL=5min"]);
    assert_eq!((config.tick.as_secs(), config.stall.nanoseconds()), (1, 300 * SECOND));
    assert_eq!(
        config.complaints.as_bytes(),
        b"HANGSCOPE_TICK=1ms: a tick is at least 10ms; the default is used\n"
    );
}

#[test]
fn other_settings() {
    let config = configured(&[
        "PATH=/bin",
        "HANGSCOPE_LABEL=a b",
        "HANGSCOPE_SIGNAL=40",
        "LD_PRELOAD=x.so",
        "HANGSCOPE_DEBUG=1",
    ]);
    assert_eq!(config.label.as_bytes(), b"a b");
    assert_eq!((config.signal, config.debug), (40, true));
    assert_eq!(config.ld_preload.as_bytes(), b"x.so");
    assert!(config.complaints.as_bytes().is_empty());
    for bad in ["HANGSCOPE_SIGNAL=9", "HANGSCOPE_SIGNAL=33", "HANGSCOPE_TICK=1ms", "HANGSCOPE_TICK=off"] {
        let config = configured(&[bad]);
        assert_eq!((config.signal, config.tick.as_secs()), (62, 1));
        assert!(config.complaints.as_bytes().starts_with(bad.as_bytes()), "{bad}");
    }
    let long = format!("HANGSCOPE_SOCKET=/{}", "x".repeat(107));
    let config = configured(&[&long]);
    assert!(config.socket.as_bytes().is_empty() && !config.complaints.as_bytes().is_empty());
}

#[test]
fn a_later_value_takes_the_place_of_an_earlier_one() {
    let config = configured(&["HANGSCOPE_LABEL=of a carrier", "HANGSCOPE_TICK=2s", "HANGSCOPE_LABEL=own"]);
    assert_eq!((config.label.as_bytes(), config.tick.as_secs()), (&b"own"[..], 2));
    let long = format!("HANGSCOPE_SOCKET=/{}", "x".repeat(107));
    for last in ["HANGSCOPE_SOCKET=", &long] {
        assert!(configured(&["HANGSCOPE_SOCKET=/s", last]).socket.as_bytes().is_empty());
    }
}

#[test]
fn this_program_has_no_carrier_and_no_other_shim() {
    // SAFETY: the tests that load an image add it behind those that are looked at here.
    let (carrier, is_second) = unsafe { (elf::carrier(), elf::is_second_shim()) };
    assert_eq!((carrier, is_second), (None, false));
}

#[test]
fn what_is_disturbed() {
    let config = configured(&["HANGSCOPE_STIR=3", "HANGSCOPE_STIR_SEED=4294967295"]);
    assert_eq!((config.stir, config.stir_seed), (3, Some(u32::MAX)));
    for bad in ["HANGSCOPE_STIR=4", "HANGSCOPE_STIR=", "HANGSCOPE_STIR_SEED=4294967296", "HANGSCOPE_STIR=-1"]
    {
        let config = configured(&[bad]);
        assert_eq!((config.stir, config.stir_seed), (0, None), "{bad}");
        assert!(config.complaints.as_bytes().starts_with(bad.as_bytes()), "{bad}");
    }
}

#[test]
fn programs_that_are_watched() {
    let all = configured(&[]);
    assert!(all.watches(b"/usr/bin/env", b"env"));
    let some = configured(&["HANGSCOPE_ONLY=bench,python3"]);
    assert!(some.watches(b"/opt/bench", b"./bench"));
    assert!(some.watches(b"/usr/bin/python3.11", b"python3"));
    assert!(!some.watches(b"/usr/bin/env", b"env"));
    assert!(!some.watches(b"/opt/bench2", b"bench2"));
}

#[test]
fn a_small_buffer_still_gives_every_line_of_maps() {
    let read = |size: usize| {
        let mut lines = std::collections::BTreeSet::new();
        assert!(maps::for_each(&mut vec![0; size], &mut |m| _ = lines.insert((m.start, m.path.to_vec()))));
        lines
    };
    let (before, small, after) = (read(1 << 16), read(600), read(1 << 16));
    // Other tests come and go beside this one, with their threads' stacks, which may take each other's
    // places. Files stay.
    let is_file = |line: &&(u64, Vec<u8>)| line.1.first() == Some(&b'/');
    let there: Vec<_> = before.intersection(&after).filter(is_file).collect();
    assert!(there.len() > 10);
    assert_eq!(there.iter().filter(|line| !small.contains(**line)).count(), 0, "{there:?}\n{small:?}");
}

/// A copy of a DSO that is loaded, loaded from `name` in the folder for temporary files.
fn loaded_copy(name: &str) -> std::path::PathBuf {
    let mut source = std::path::PathBuf::new();
    assert!(maps::for_each(&mut vec![0; 1 << 16], &mut |m| {
        if m.path.windows(10).any(|part| part == b"libgcc_s.s") {
            source = String::from_utf8(m.path.to_vec()).unwrap().into();
        }
    }));
    let copy = std::env::temp_dir().join(format!("hangscope_{name}_{}.so", std::process::id()));
    std::fs::copy(source, &copy).unwrap();
    let path = std::ffi::CString::new(copy.to_str().unwrap()).unwrap();
    // SAFETY: the path is a C string. The DSO is one that this program has loaded before.
    assert!(!unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) }.is_null());
    copy
}

#[test]
fn what_becomes_of_a_file_while_the_snapshot_is_taken_is_seen() {
    sys::know_pid();
    let [removed, renamed, replaced] = ["removed", "renamed", "replaced"].map(loaded_copy);
    // SAFETY: all zero is a valid table: the arena's is made so.
    let mut table = unsafe { Box::<Table>::new_zeroed().assume_init() };
    let mut text = vec![0; 1 << 16];
    assert!(table.list(&mut text));
    std::fs::remove_file(&removed).unwrap();
    let elsewhere = renamed.with_extension("so.1");
    std::fs::rename(&renamed, &elsewhere).unwrap();
    // By the same bytes.
    std::fs::copy(&replaced, replaced.with_extension("new")).unwrap();
    std::fs::rename(replaced.with_extension("new"), &replaced).unwrap();
    table.snapshot(&sys::Pages::new(&mut text), b"", 0);
    table.see_removed(&mut text);
    let flags = |path: &std::path::Path| {
        let dso = table.iter().find(|dso| dso.path.as_bytes() == path.to_str().unwrap().as_bytes()).unwrap();
        (dso.record.errno, dso.record.flags & (dso_flags::DELETED_AT_INIT | dso_flags::SAME_FILE_AT_INIT))
    };
    assert_eq!(flags(&removed), (libc::ENOENT as u32, dso_flags::DELETED_AT_INIT));
    assert_eq!(flags(&renamed), (libc::ENOENT as u32, 0), "it is still there, under another name");
    assert_eq!(flags(&replaced), (0, dso_flags::DELETED_AT_INIT), "the mapped one is gone");
    std::fs::remove_file(elsewhere).unwrap();
    std::fs::remove_file(replaced).unwrap();
}

#[test]
fn text_of_a_fixed_size() {
    let mut text = Text::<8>::EMPTY;
    assert!(text.push(b"tid "));
    text.push_number(120);
    assert_eq!(text.as_cstr().map(|c| c.to_bytes()), Some(&b"tid 120"[..]));
    assert!(!text.push(b"more"));
    assert_eq!(text.as_bytes(), b"tid 120m");
    assert!(text.as_cstr().is_none(), "no room for the NUL");
}

#[test]
fn malloc_is_found_where_the_loader_binds_it() {
    sys::know_pid();
    let bound = libc::malloc as *const () as u64;
    assert_eq!(elf::find_function(&sys::Own, b"malloc"), Some(bound));
    assert_eq!(arch::malloc_address(), bound);
    let mut pages = [0; 3 * 4096];
    assert_eq!(elf::find_function(&sys::Pages::new(&mut pages), b"malloc"), Some(bound));
    assert_eq!(elf::find_function(&sys::Pages::new(&mut [0; 100]), b"malloc"), None, "no room for a page");
    assert_eq!(elf::find_function(&sys::Own, b"no_such_function_"), None);
}

#[test]
fn memory_that_is_not_there_is_an_error() {
    sys::know_pid();
    assert!(sys::peek_word(0).is_err());
    assert!(sys::peek_word(u64::MAX - 3).is_err());
    assert!(image(&sys::Own, 0).is_none() && BuildId::at(&sys::Own, 8).len == 0);
    let here = [1u8, 2, 3, 4, 5, 6, 7, 8];
    assert_eq!(sys::peek_word(here.as_ptr() as u64), Ok(u64::from_le_bytes(here)));
}

#[test]
fn whole_pages_of_a_buffer_are_given_back() {
    let mut memory = std::vec![1_u8; 5 * 4096];
    sys::give_back(&mut memory);
    let first = memory.as_ptr().align_offset(4096);
    let (start, rest) = memory.split_at(first);
    let (pages, end) = rest.split_at(rest.len() / 4096 * 4096);
    assert!(start.iter().chain(end).all(|byte| *byte == 1), "bytes of pages that others use");
    assert!(pages.len() >= 4 * 4096 && pages.iter().all(|byte| *byte == 0));
    sys::give_back(&mut memory[..10]);
}

#[test]
fn a_guard_page_ends_a_copy() {
    sys::know_pid();
    let memory = sys::map(4096 * 3).unwrap();
    sys::guard(memory.wrapping_add(8192), 4096);
    let mut copy = vec![1; 32 * 1024];
    assert_eq!(sys::peek(memory as u64 + 100, &mut copy), Ok(8192 - 100));
    assert!(sys::peek(memory as u64 + 8192, &mut copy).is_err());
}

#[test]
fn only_pages_that_are_in_memory_are_read() {
    let memory = sys::map(4096 * 8).unwrap();
    // SAFETY: the test's own memory; pages 0, 1 and 4 come into being, the others do not.
    let touch = |page: usize| unsafe { memory.add(page * 4096).write_bytes(7, 4096) };
    [0, 1, 4].into_iter().for_each(touch);
    let at = memory as u64;
    for resident in [sys::Resident::open(), sys::Resident::BY_MINCORE] {
        let mut copy = vec![1; 8 * 4096];
        assert_eq!(resident.peek(at + 100, &mut copy), Ok(2 * 4096 - 100));
        assert_eq!(resident.peek(at + 4096 * 2, &mut copy), Err(Errno::NODATA));
        assert_eq!(resident.peek(at + 4096 * 4 + 8, &mut copy[..8]), Ok(8));
        assert!(resident.peek(u64::MAX - 3, &mut copy[..8]).is_err());
        assert!(resident.peek(0, &mut copy[..8]).is_err());

        let stack = resident.stack(at + 4096 + 8, &mut copy[..6 * 4096]);
        assert_eq!((stack.len, stack.holes), (4 * 4096 - 8, true));
        let (before, rest) = copy.split_at(4096 - 8);
        let (hole, after) = rest.split_at(2 * 4096);
        assert!(before.iter().all(|b| *b == 7) && hole.iter().all(|b| *b == 0));
        assert!(after[..4096].iter().all(|b| *b == 7));
        let whole = resident.stack(at, &mut copy[..4096]);
        assert_eq!((whole.len, whole.holes), (4096, false));
        assert_eq!(resident.stack(at + 4096 * 2, &mut copy).len, 0);
    }
}

#[test]
fn a_panic_in_the_constructor_has_a_way_back() {
    extern "C" fn comes_back(arg: *mut u8) {
        // SAFETY: the test's own counter.
        unsafe { *arg += 1 };
    }
    extern "C" fn gives_up(arg: *mut u8) {
        // SAFETY: the `Back` that `guarded` has filled, further up on this stack.
        unsafe { arch::bail(arg.cast::<arch::Back>()) }
    }
    let (mut count, mut back): (u8, arch::Back) = (0, [0; 7]);
    let kept = [1u64, 2, 3, 4, 5, 6, 7, 8].map(std::hint::black_box);
    // SAFETY: `back` lives, and nothing that is skipped needs dropping.
    unsafe {
        assert_eq!(arch::guarded(comes_back, &raw mut count, &raw mut back), 0);
        assert_eq!(arch::guarded(gives_up, (&raw mut back).cast(), &raw mut back), 1);
        assert_eq!(arch::guarded(comes_back, &raw mut count, &raw mut back), 0);
    }
    assert_eq!((count, kept), (2, [1, 2, 3, 4, 5, 6, 7, 8]));
}

/// What the descriptor of the last reading holds, as (address, errno, bytes).
fn left(file: &sys::OwnedFd, record: &LastMemoryRecord) -> Vec<(u64, u32, Vec<u8>)> {
    let mut page = vec![0; record.size as usize];
    assert_eq!(sys::read_at(file, &mut page, 0), Ok(page.len()));
    let mut whole = Reader::new(&page);
    let mut records = Reader::new(whole.bytes().expect("a length that fits"));
    let mut read = vec![];
    while let Ok((record, bytes)) = records.record_with::<MemoryRecord>() {
        read.push((record.address, record.errno, bytes.to_vec()));
    }
    assert!(records.is_at_end());
    read
}

#[test]
fn memory_that_was_asked_for_is_left_at_the_exit() {
    sys::know_pid();
    let counters = [7u64, u64::MAX];
    let at = counters.as_ptr() as u64;
    let range = |address, len| RangeRecord { address, len, reserved: 0 };
    let mut request = [0; 256];
    let mut w = Writer::new(&mut request);
    for range in [range(at, 16), range(16, 8), range(at + 8, 8), range(at, u32::MAX)] {
        w.record(&range).expect("there is room");
    }
    // SAFETY: zero is valid for all of it, as in the arena.
    let wanted: Wanted = unsafe { core::mem::zeroed() };
    assert!(wanted.share().is_ok_and(|(_, record)| record.ranges == 0));
    wanted.forget();
    wanted.keep(&mut Reader::new(w.written()));
    let (file, record) = wanted.share().expect("a page");
    // One that is too long is not kept.
    assert_eq!((record.size, record.ranges), (4096, 3));
    assert_eq!(left(&file, &record), []);
    let bytes = |n: u64| n.to_le_bytes().to_vec();
    let seen = vec![
        (at, 0, [bytes(7), bytes(u64::MAX)].concat()),
        (16, Errno::FAULT.raw_os_error() as u32, vec![]),
        (at + 8, 0, bytes(u64::MAX)),
    ];
    wanted.leave();
    assert_eq!(left(&file, &record), seen);

    // The first request counts.
    wanted.keep(&mut Reader::new(&request[..16]));
    wanted.leave();
    assert_eq!(left(&file, &record), seen);
    // The page of a parent is not a child's to write to, whatever the child asked for itself.
    wanted.forget();
    wanted.keep(&mut Reader::new(&request[..16]));
    wanted.leave();
    assert_eq!(left(&file, &record), seen);
    core::hint::black_box(&counters);
}

#[test]
fn the_peak_of_the_resident_set_is_left_at_the_exit() {
    sys::know_pid();
    let mut request = [0; 64];
    let mut w = Writer::new(&mut request);
    w.record(&RangeRecord { address: PEAK_RSS, len: 8, reserved: 0 }).expect("there is room");
    // SAFETY: zero is valid for all of it, as in the arena.
    let wanted: Wanted = unsafe { core::mem::zeroed() };
    wanted.keep(&mut Reader::new(w.written()));
    let (file, record) = wanted.share().expect("a page");
    wanted.leave();
    let [(address, errno, kib)] = &left(&file, &record)[..] else { panic!("one record") };
    assert_eq!((*address, *errno), (PEAK_RSS, 0));
    let kib = u64::from_le_bytes(kib[..].try_into().expect("eight bytes"));
    let status = std::fs::read_to_string("/proc/self/status").expect("status");
    let now = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
    let now: u64 = now.trim().trim_end_matches(" kB").parse().expect("KiB");
    assert!(kib > 0 && kib <= now, "{kib} {now}");
}
