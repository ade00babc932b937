//! Names come only from the code that ran.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::support::{Stuck, build};
use hangscope_collector::session::Dump;
use hangscope_collector::session::trace::{Frame, Traces};
use hangscope_collector::symbolize::{KeptNames, Sources, symbolize};
use hangscope_protocol::Record as _;
use hangscope_protocol::record::ProbeRecord;
use proptest::prelude::*;

/// A dump of threads that wait for locks of a DSO, and two builds of the DSO.
struct Locked {
    dir: tempfile::TempDir,
    dump: Dump,
    /// The mapped DSO. A test may change it.
    dso: PathBuf,
    /// A copy of the mapped DSO, never changed.
    copy: PathBuf,
    /// Another build of the DSO.
    other: PathBuf,
}

impl Locked {
    fn new(flags: &[&str], strip: bool) -> Locked {
        Locked::prepared(flags, |dso| {
            if strip {
                run("objcopy", &["--only-keep-debug", dso, &format!("{dso}.debug")]);
                run("strip", &[dso]);
                run("objcopy", &[&format!("--add-gnu-debuglink={dso}.debug"), dso]);
            }
        })
    }

    /// `prepare` changes the DSO before the program is started.
    fn prepared(flags: &[&str], prepare: impl FnOnce(&str)) -> Locked {
        let dir = tempfile::tempdir().unwrap();
        let library = |name: &str, version: &str| {
            let flags = [&["-fPIC", "-shared", "-O2", version][..], flags].concat();
            build(dir.path(), "gcc", "lock.c", name, &flags)
        };
        let dso = library("liblock.so", "-DVERSION=1");
        let other = library("other.so", "-DVERSION=2");
        let (at, link) = (format!("-Wl,-rpath,{}", dir.path().display()), dso.display().to_string());
        let program = build(dir.path(), "gcc", "locker.c", "locker", &["-O2", "-g", "-pthread", &link, &at]);
        prepare(&link);
        let copy = dir.path().join("copy");
        std::fs::copy(&dso, &copy).unwrap();
        // A file that is younger than the process proves nothing. This file must be older.
        let stuck = Stuck::start(&program, None, 0);
        let dump = stuck.snap(false);
        Locked { dir, dump, dso, copy, other }
    }

    fn named(&self, sources: &Sources) -> Traces {
        symbolize(&self.dump, sources)
    }

    /// Functions of the DSO on all stacks.
    fn functions(&self, traces: &Traces) -> BTreeSet<String> {
        self.frames(traces).into_iter().filter_map(|f| f.function).collect()
    }

    fn frames(&self, traces: &Traces) -> Vec<Frame> {
        let inside = |f: &&Frame| f.dso.as_deref().map(Path::new) == Some(&self.dso);
        traces.threads.values().flat_map(|t| &t.frames).filter(inside).cloned().collect()
    }
}

/// Puts the symbols of a DSO into its own section, packed, and strips it.
fn with_mini_debug_info(dso: &str) {
    let symbols = format!("{dso}.mini");
    run("objcopy", &["--only-keep-debug", dso, &symbols]);
    // As distributions do it, without what the file exports anyway.
    run("strip", &["--strip-debug", "--strip-symbol=lock_which", &symbols]);
    run("xz", &[&symbols]);
    run("strip", &[dso]);
    run("objcopy", &[&format!("--add-section=.gnu_debugdata={symbols}.xz"), dso]);
}

#[test]
fn a_stripped_file_may_bring_its_symbols_along() {
    let locked = Locked::prepared(&[], with_mini_debug_info);
    let named = locked.named(&Sources::default());
    assert_eq!(locked.functions(&named), set(&REAL));
    assert_eq!(named.notes, Vec::<String>::new());
    // What is no xz stream is said, and costs nothing but names.
    let broken = Locked::prepared(&[], |dso| {
        let section = format!("{dso}.mini");
        std::fs::write(&section, "no xz stream").unwrap();
        run("strip", &[dso]);
        run("objcopy", &[&format!("--add-section=.gnu_debugdata={section}"), dso]);
    });
    let named = broken.named(&Sources::default());
    assert_eq!(broken.functions(&named), set(&["lock_which"]), "{:?}", named.notes);
    let [note] = &named.notes[..] else { panic!("{:?}", named.notes) };
    assert!(note.ends_with("its debug file .gnu_debugdata: it is no xz stream"), "{note}");
}

fn run(program: &str, arguments: &[&str]) {
    assert!(Command::new(program).args(arguments).status().unwrap().success());
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

const REAL: [&str; 3] = ["acquire", "enter", "lock_which"];

#[test]
fn after_the_file_was_removed_or_replaced_names_are_those_of_the_code_that_ran() {
    for in_place in [false, true] {
        let locked = Locked::new(&["-g"], false);
        let before = locked.named(&Sources::default());
        assert_eq!(locked.functions(&before), set(&REAL));
        assert!(locked.frames(&before).iter().all(|f| f.file.as_deref().unwrap().ends_with("lock.c")));

        let nothing = |why: &str| {
            let traces = locked.named(&Sources::default());
            assert_eq!(locked.functions(&traces), set(&[]));
            // The frames around them are not guessed either. Where they were is still reported.
            assert!(
                locked
                    .frames(&traces)
                    .iter()
                    .all(|f| f.dso_offset.is_some_and(|o| (0x1000..0x3000).contains(&o)))
            );
            assert!(!locked.frames(&traces).is_empty());
            let note = format!("no names for {}: {why}", locked.dso.display());
            assert!(traces.notes.contains(&note), "{:?}", traces.notes);
        };
        std::fs::remove_file(&locked.dso).unwrap();
        nothing("its file is gone");
        if in_place {
            std::fs::copy(&locked.other, &locked.dso).unwrap();
        } else {
            std::fs::rename(&locked.other, &locked.dso).unwrap();
        }
        nothing("its file is another build now");

        let copies = Sources { copies: vec![locked.copy.clone()], ..Sources::default() };
        let after = locked.named(&copies);
        assert_eq!(after, before);
    }
}

#[test]
fn a_copy_that_cannot_be_read_is_said_beside_the_file_that_is_gone() {
    let locked = Locked::new(&["-g"], false);
    std::fs::remove_file(&locked.dso).unwrap();
    let dir = locked.dir.path();
    let loops = ["loop1", "loop2"].map(|name| dir.join(name));
    loops.iter().for_each(|path| std::os::unix::fs::symlink(path, path).unwrap());
    let [first, second] = loops;
    let copies = vec![dir.join("not there"), locked.other.clone(), first.clone(), second];
    let traces = locked.named(&Sources { copies, ..Sources::default() });
    let why = std::fs::read(&first).unwrap_err();
    let (dso, copy) = (locked.dso.display(), first.display());
    let note = format!("no names for {dso}: its file is gone; the copy {copy}: cannot be read: {why}");
    assert_eq!(traces.notes, [note]);
}

#[test]
fn a_file_without_build_id_is_believed_only_while_it_is_untouched() {
    let locked = Locked::new(&["-g", "-Wl,--build-id=none"], false);
    assert_eq!(locked.functions(&locked.named(&Sources::default())), set(&REAL));
    let bytes = std::fs::read(&locked.dso).unwrap();
    std::fs::write(&locked.dso, bytes).unwrap();
    let traces = locked.named(&Sources::default());
    assert_eq!(locked.functions(&traces), set(&[]));
    assert!(traces.notes.iter().any(|n| n.contains("no build-id")), "{:?}", traces.notes);
}

#[test]
fn names_are_kept_for_the_next_dump_of_the_same_file_and_for_no_other() {
    let locked = Locked::new(&["-g"], true);
    let sources = Sources::default();
    let first = locked.named(&sources);
    assert_eq!(locked.functions(&first), set(&REAL));
    // What is not read again may be gone.
    std::fs::remove_file(format!("{}.debug", locked.dso.display())).unwrap();
    assert_eq!(locked.named(&sources).threads, first.threads);
    assert_eq!(locked.functions(&locked.named(&Sources::default())), set(&["lock_which"]));
    // Another build has no names from the first.
    std::fs::rename(&locked.other, &locked.dso).unwrap();
    assert_eq!(locked.functions(&locked.named(&sources)), set(&[]));
}

#[test]
fn separate_debug_files_are_found_by_link_and_by_build_id() {
    let mut locked = Locked::new(&["-g"], true);
    let by_link = locked.named(&Sources::default());
    assert_eq!(locked.functions(&by_link), set(&REAL));
    assert!(locked.frames(&by_link).iter().all(|f| f.line.is_some()));

    let debug = PathBuf::from(format!("{}.debug", locked.dso.display()));
    let dso = locked.dump.dsos.iter().find(|d| Path::new(&d.path) == locked.dso).unwrap();
    let id = hex::encode(dso.init.build_id_bytes());
    let store = locked.dir.path().join("store");
    let dir = store.join(".build-id").join(&id[..2]);
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::rename(&debug, dir.join(format!("{}.debug", &id[2..]))).unwrap();
    let by_id = Sources { debug_dirs: vec![store.clone(), "/usr/lib/debug".into()], ..Sources::default() };
    assert_eq!(locked.named(&by_id).threads, by_link.threads);

    // Without debug files: names of what is exported. For the rest, offsets in the file.
    let stripped = locked.named(&Sources::default());
    assert_eq!(locked.functions(&stripped), set(&["lock_which"]));
    assert_eq!(stripped.notes, Vec::<String>::new());
    let offsets = |traces: &Traces| locked.frames(traces).iter().map(|f| f.dso_offset).collect::<Vec<_>>();
    assert_eq!(offsets(&stripped), offsets(&by_link));

    // A debug file of another build at the right path, and a file that is no debug file: both are
    // reported.
    let place = dir.join(format!("{}.debug", &id[2..]));
    std::fs::copy(&locked.other, &place).unwrap();
    for why in ["it belongs to another build", "not a 64-bit ELF file"] {
        let refused = locked.named(&Sources { kept: KeptNames::default(), ..by_id.clone() });
        assert_eq!(locked.functions(&refused), set(&["lock_which"]));
        let (dso, file) = (locked.dso.display(), place.display());
        let start = format!("fewer names for {dso}: its debug file {file}: ");
        let [note] = &refused.notes[..] else { panic!("{:?}", refused.notes) };
        assert!(note.strip_prefix(&start).is_some_and(|n| n.contains(why)), "{note}");
        std::fs::write(&place, "nothing").unwrap();
    }
    locked.dump.threads.clear();
    assert!(locked.named(&by_id).threads.is_empty());
}

#[test]
fn futex_words_have_names() {
    for (strip, expected) in [
        (false, ["g_locks+160", "g_bss_lock+80", "heap", "stack of tid main"]),
        (true, ["g_locks+160", "liblock.so+", "heap", "stack of tid main"]),
    ] {
        let locked = Locked::new(&[], strip);
        let debug = format!("{}.debug", locked.dso.display());
        if strip {
            std::fs::remove_file(debug).unwrap();
        }
        let traces = locked.named(&Sources::default());
        let pid = locked.dump.identity.fixed.pid;
        let mut waiters: Vec<_> = locked.dump.threads.iter().filter(|t| t.tid != pid).collect();
        waiters.sort_by_key(|t| t.tid);
        for (thread, expected) in waiters.iter().zip(expected) {
            let name = traces.addresses[&thread.args[0]].replace(&format!("tid {pid}"), "tid main");
            if expected.ends_with('+') {
                assert!(name.starts_with(expected), "{name}");
            } else {
                assert_eq!(name, expected);
            }
        }
        // The word that the main thread waits for is in the mapping of the joined thread.
        let main = locked.dump.thread(pid).unwrap();
        assert_eq!(traces.addresses[&main.args[0]], format!("stack of tid {}", waiters[0].tid));
    }
}

#[test]
fn without_section_headers_stacks_are_still_whole() {
    let locked = Locked::new(&["-g"], false);
    let whole = locked.named(&Sources::default());
    let mut bytes = std::fs::read(&locked.dso).unwrap();
    // e_shoff; e_shnum and e_shstrndx.
    bytes[40..48].fill(0);
    bytes[60..64].fill(0);
    std::fs::write(&locked.dso, bytes).unwrap();
    let traces = locked.named(&Sources::default());
    let pcs = |traces: &Traces| {
        traces.threads.values().map(|t| t.frames.iter().map(|f| f.pc).collect()).collect::<Vec<Vec<_>>>()
    };
    assert_eq!(pcs(&traces), pcs(&whole));
    assert!(traces.threads.values().all(|t| !t.truncated));
    assert_eq!(locked.functions(&traces), set(&[]));
}

#[test]
fn what_is_at_a_path_by_now_may_be_anything() {
    let locked = Locked::new(&["-g"], false);
    let swap = |make: &dyn Fn()| {
        std::fs::remove_file(&locked.dso).or_else(|_| std::fs::remove_dir(&locked.dso)).unwrap();
        make();
        let traces = in_time(&locked.dump, &Sources::default());
        assert_eq!(locked.functions(&traces), set(&[]));
        traces.notes.into_iter().find(|n| n.contains("liblock")).unwrap()
    };
    let path = locked.dso.to_str().unwrap();
    assert!(swap(&|| run("mkfifo", &[path])).ends_with("its path is no file any more"));
    assert!(swap(&|| std::fs::create_dir(path).unwrap()).ends_with("its path is no file any more"));
    assert!(swap(&|| std::fs::write(path, "").unwrap()).contains("not a 64-bit ELF file"));
    assert!(swap(&|| std::os::unix::fs::symlink(path, path).unwrap()).contains("cannot be read"));
}

#[test]
fn a_thousand_threads() {
    let mut locked = Locked::new(&["-g"], false);
    let (first, stacks) = (locked.dump.threads.clone(), locked.dump.stacks.clone());
    for i in 1..200u32 {
        locked.dump.threads.extend(
            first.iter().map(|t| hangscope_protocol::record::ThreadRecord { tid: t.tid + i * 100_000, ..*t }),
        );
        locked.dump.stacks.extend(stacks.iter().cloned().map(|mut s| {
            s.record.tid += i * 100_000;
            s
        }));
    }
    let begun = Instant::now();
    let traces = locked.named(&Sources::default());
    let took = begun.elapsed();
    let frames: usize = traces.threads.values().map(|t| t.frames.len()).sum();
    println!("{} threads, {frames} frames unwound and named in {took:.1?}", traces.threads.len());
    assert_eq!(traces.threads.len(), 1000);
    assert_eq!(locked.functions(&traces), set(&REAL));
}

/// PROPTEST_CASES sets another number. Nothing is written into the tree.
fn cases() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(100);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Changes of bytes: the place as a share of the length, and the new value.
fn changes(most: usize) -> impl Strategy<Value = Vec<(f64, u8)>> {
    prop::collection::vec((0.0..1.0, any::<u8>()), 0..most)
}

fn change(bytes: &mut [u8], changes: &[(f64, u8)]) {
    for (at, to) in changes {
        let at = (*at * bytes.len() as f64) as usize;
        if let Some(byte) = bytes.get_mut(at) {
            *byte = *to;
        }
    }
}

/// Without the C library's debug file, which is not under test and takes most of the time.
fn without_debug_files() -> Sources {
    Sources { debug_dirs: vec![], ..Sources::default() }
}

fn in_time(dump: &Dump, sources: &Sources) -> Traces {
    let begun = Instant::now();
    let traces = symbolize(dump, sources);
    // This is not about speed. It finds endless loops.
    assert!(begun.elapsed() < Duration::from_secs(60));
    assert_eq!(traces.threads.len(), dump.threads.len());
    for trace in traces.threads.values() {
        assert!(trace.frames.len() < 10_000);
        assert!(!trace.frames.is_empty() || trace.problem.is_some(), "{trace:?}");
    }
    traces
}

#[test]
fn stacks_and_registers_of_any_kind() {
    let locked = Locked::new(&["-g"], false);
    let mut runner = proptest::test_runner::TestRunner::new(cases());
    let code: Vec<u64> = locked
        .named(&Sources::default())
        .threads
        .values()
        .flat_map(|t| t.frames.iter().map(|f| f.pc))
        .collect();
    let words = prop::collection::vec((0.0..1.0, 0..code.len(), any::<i16>(), any::<bool>()), 0..200);
    let strategy = (words, changes(2000), any::<[u64; 33]>(), any::<i16>());
    runner
        .run(&strategy, |(words, flips, regs, shift)| {
            let mut dump = locked.dump.clone();
            for stack in &mut dump.stacks {
                change(&mut stack.bytes, &flips);
                let (start, len) = (stack.record.sp, stack.bytes.len());
                for (at, pc, near, is_code) in &words {
                    // Words that look like return addresses, and words that point into the stack itself.
                    let value = if *is_code { code[*pc] } else { start };
                    let value = value.wrapping_add_signed((*near).into());
                    let at = (*at * len as f64) as usize / 8 * 8;
                    if let Some(word) = stack.bytes.get_mut(at..at + 8) {
                        word.copy_from_slice(&value.to_le_bytes());
                    }
                }
            }
            for (thread, to) in dump.threads.iter_mut().zip(regs) {
                if to % 3 == 0 {
                    thread.pc = to;
                } else {
                    thread.pc = thread.pc.wrapping_add_signed(shift.into());
                }
            }
            let mut probe = hangscope_collector::session::Probe {
                record: hangscope_protocol::Reader::new(&[0; ProbeRecord::SIZE]).record().unwrap(),
                stack: dump.stacks[0].bytes.clone(),
            };
            probe.record.tid = dump.threads[0].tid;
            probe.record.outcome = hangscope_protocol::record::probe_outcome::ANSWERED;
            probe.record.regs = regs;
            probe.record.stack = regs[7];
            dump.probes.push(probe.clone());
            probe.record.regs[16] = code[0];
            probe.record.regs[7] = dump.stacks[0].record.sp;
            probe.record.stack = dump.stacks[0].record.sp;
            dump.samples.push(probe);
            in_time(&dump, &without_debug_files());
            Ok(())
        })
        .unwrap();
}

#[test]
fn files_of_any_kind() {
    let locked = Locked::new(&["-g"], false);
    let good = std::fs::read(&locked.dso).unwrap();
    let dso = locked.dump.dsos.iter().find(|d| Path::new(&d.path) == locked.dso).unwrap();
    let id = dso.init.build_id_bytes();
    let id_at = good.windows(id.len()).position(|w| w == id).unwrap();
    // The file has the good header, tables and build-id, and then random bytes. It is accepted as proven.
    let keep = id_at + id.len();
    let mut runner = proptest::test_runner::TestRunner::new(cases());
    let strategy = (changes(400), 0.0..1.5, any::<bool>());
    let believed = std::cell::Cell::new(0);
    runner
        .run(&strategy, |(flips, length, headers)| {
            let mut bytes = good.clone();
            let kept = bytes[..keep].to_vec();
            change(&mut bytes, &flips);
            if !headers {
                bytes[..keep].copy_from_slice(&kept);
            }
            bytes.truncate((length * bytes.len() as f64) as usize);
            std::fs::write(&locked.dso, &bytes).unwrap();
            let traces = in_time(&locked.dump, &without_debug_files());
            believed.set(believed.get() + usize::from(!traces.notes.iter().any(|n| n.contains("liblock"))));
            Ok(())
        })
        .unwrap();
    println!("{} of {} broken files had the right build-id and were used", believed.get(), cases().cases);
    assert!(believed.get() > 0);
}
