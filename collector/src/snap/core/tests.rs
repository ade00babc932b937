//! A made-up core: read as it is, and with damage anywhere in it.

use std::path::Path;

use super::*;
use crate::session::maps;

fn word(bytes: &mut [u8], at: usize, value: u64, size: usize) {
    bytes[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
}

fn note(name: &str, kind: u32, contents: &[u8]) -> Vec<u8> {
    let mut note: Vec<u8> =
        [name.len() as u32 + 1, contents.len() as u32, kind].into_iter().flat_map(u32::to_le_bytes).collect();
    note.extend_from_slice(name.as_bytes());
    note.resize(12 + (name.len() + 1).next_multiple_of(4), 0);
    note.extend_from_slice(contents);
    note.resize(note.len().next_multiple_of(4), 0);
    note
}

/// Thread 7 waits for a futex at 0x2010, thread 8 runs; code at 0x1000, a mapped file there.
fn core() -> Vec<u8> {
    let thread = |tid: u32, regs: &[(usize, u64)]| {
        let mut status = vec![0; 336];
        word(&mut status, 32, tid.into(), 4);
        regs.iter().for_each(|(reg, value)| word(&mut status, 112 + reg * 8, *value, 8));
        note("CORE", 1, &status)
    };
    let waits = [(15, 202), (10, -512i64 as u64), (14, 0x2010), (12, 2), (16, 0x1012), (19, 0x2100)];
    let runs = [(15, u64::MAX), (16, 0x1020), (19, 0x2200)];
    let mut process = vec![0; 136];
    word(&mut process, 24, 7, 4);
    process[40..45].copy_from_slice(b"bench");
    process[56..63].copy_from_slice(b"bench 1");
    let mut files: Vec<u8> = [1u64, 1, 0x1000, 0x2000, 0].into_iter().flat_map(u64::to_le_bytes).collect();
    files.extend_from_slice(b"/no/such/bench (deleted)\0");
    let notes = [
        note("CORE", 3, &process),
        thread(7, &waits),
        thread(8, &runs),
        note("CORE", notes::NT_FILE, &files),
        note("hangscope", notes::OTHER, b"7\tS\tbench\n8\tR\tworker\n"),
    ];
    let notes = notes.concat();
    let mut core = vec![0; 0x3000];
    core[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    [(16, 4, 2), (18, 62, 2), (32, 64, 8), (54, 56, 2), (56, 3, 2)]
        .into_iter()
        .for_each(|(at, value, size)| word(&mut core, at, value, size));
    let mut segment = |i: usize, kind: u64, flags: u64, [offset, at, size]: [u64; 3]| {
        let header = 64 + i * 56;
        word(&mut core, header, kind, 4);
        word(&mut core, header + 4, flags, 4);
        [(8, offset), (16, at), (32, size), (40, size)]
            .into_iter()
            .for_each(|(field, value)| word(&mut core, header + field, value, 8));
    };
    segment(0, 4, 4, [240, 0, notes.len() as u64]);
    segment(1, 1, 5, [0x1000, 0x1000, 0x1000]);
    segment(2, 1, 6, [0x2000, 0x2000, 0x1000]);
    core[240..240 + notes.len()].copy_from_slice(&notes);
    // The call that thread 7 is in; the word that it waits for, and the owner of the mutex.
    core[0x1010..0x1012].copy_from_slice(&[0x0f, 0x05]);
    word(&mut core, 0x2010, 2, 4);
    word(&mut core, 0x2018, 8, 4);
    core
}

fn read_bytes(dir: &Path, bytes: &[u8]) -> Result<Read, BadCore> {
    let path = dir.join("core");
    std::fs::write(&path, bytes).unwrap();
    read(From { core: &path, exe: None, target: None })
}

#[test]
fn registers_tell_who_waits_and_memory_tells_for_what() {
    let dir = tempfile::tempdir().unwrap();
    let Read { dump, .. } = read_bytes(dir.path(), &core()).unwrap();
    let [waits, runs] = &dump.threads[..] else { panic!("{:?}", dump.threads) };
    assert_eq!((waits.tid, waits.state, waits.syscall, waits.args[0]), (7, b'S', 202, 0x2010));
    assert_eq!((waits.pc, waits.sp, waits.near[48..52].to_vec()), (0x1012, 0x2100, vec![2, 0, 0, 0]));
    assert_eq!((runs.tid, runs.state, runs.syscall), (8, b'R', hangscope_protocol::record::SYSCALL_RUNNING));
    assert_eq!(&runs.comm[..7], b"worker\0");
    assert_eq!((dump.identity.fixed.pid, dump.identity.command.join(" ")), (7, "bench 1".to_owned()));
    let maps = maps::parse(&dump.maps);
    assert_eq!((&*maps[0].path, maps[0].execute, maps[0].deleted), ("/no/such/bench", true, true));
    assert!(maps[1].write && maps[1].path.is_empty());
    assert_eq!(dump.second, []);
}

#[test]
fn a_thread_in_a_call_waits_though_its_code_is_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let mut without_code = core();
    // Sizes of the segment of the code, in the file and in memory.
    [32, 40].into_iter().for_each(|field| word(&mut without_code, 64 + 56 + field, 0, 8));
    let Read { dump, .. } = read_bytes(dir.path(), &without_code).unwrap();
    let states: Vec<_> = dump.threads.iter().map(|t| (t.tid, t.state, t.syscall)).collect();
    assert_eq!(states, [(7, b'S', 202), (8, b'R', hangscope_protocol::record::SYSCALL_RUNNING)]);
}

#[test]
fn damage_anywhere_is_an_error_or_less_and_never_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let whole = core();
    for at in 0..1200 {
        for value in [0, 0x7f, 0xff] {
            let mut damaged = whole.clone();
            damaged[at] = value;
            let _ = read_bytes(dir.path(), &damaged);
        }
    }
    for len in (0..whole.len()).step_by(61) {
        assert!(read_bytes(dir.path(), &whole[..len]).is_err(), "{len}");
    }
}
