//! Owners of locks in shared memory. Such an owner may be a thread of another process, and only `/proc`
//! tells.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;

use hangscope_protocol::record::{NoteRecord, note_code, thread_flags};
use hangscope_reader::Memory as _;
use hangscope_reader::owner::Claims;
use hangscope_reader::status::Status;
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::ids::Ids;
use super::memory::ProcessMemory;
use crate::analysis::wait::claimed_owner;
use crate::proc::namespace;
use crate::session::maps::{self, Mapping};
use crate::session::syscalls::Syscalls;
use crate::session::{Dump, Note};

/// Most owners that are looked for.
const MOST: usize = 16;

/// A note for each owner in shared memory that is no thread of the process: its process, or that it has none.
/// Nothing for an owner of which neither can be told.
pub(super) fn notes(pid: u32, dump: &Dump, ids: &Ids) -> Vec<Note> {
    let threads: BTreeSet<u32> = dump.threads.iter().filter_map(|t| ids.own(t.tid)).collect();
    let mappings = maps::parse(&dump.maps);
    let mut seen = threads;
    let claims = claims(dump, &mappings).into_iter().filter(|(owner, _)| seen.insert(*owner)).take(MOST);
    claims.filter_map(|(owner, memory)| look(pid, owner, memory, ids)).collect()
}

/// The owners that futex words in shared memory name, and the mapping of each word.
fn claims<'m>(dump: &Dump, mappings: &'m [Mapping]) -> Vec<(u32, &'m Mapping)> {
    let Some(arch) = Syscalls::from_elf(dump.identity.fixed.arch) else { return vec![] };
    let waiting = dump.threads.iter().filter(|t| t.syscall == arch.futex());
    let shared = |address| maps::find(mappings, address).filter(|m| m.shared && m.ino != 0);
    waiting.filter_map(|t| Some((claimed_owner(t)?, shared(t.args[0])?))).collect()
}

/// Looks for an owner, by its id in the namespace of the process.
fn look(pid: u32, owner: u32, memory: &Mapping, ids: &Ids) -> Option<Note> {
    let note = |value: u32, state: u8, text: String| {
        let code = note_code::OTHER_PROCESS;
        let record = NoteRecord { code, reserved: state.into(), tid: owner, value: value.into() };
        Some(Note { record, text })
    };
    let here = if ids.are_the_same() { Some(owner) } else { namespace::elsewhere(pid, owner) };
    let status = here.map(|tid| fs::read(format!("/proc/{tid}/status")));
    let status = match status {
        // In another namespace a thread may be hidden from this side.
        None => return None,
        Some(Err(error)) if error.kind() == ErrorKind::NotFound && is_nowhere(owner) => {
            return note(0, 0, String::new());
        }
        Some(status) => status.ok()?,
    };
    let status = Status(&status);
    let state = *status.value(b"State:")?.first()?;
    if matches!(state, b'Z' | b'X') {
        return note(0, 0, String::new());
    }
    let of = u32::try_from(status.number(b"Tgid:")?).ok()?;
    // A thread without that memory is not the owner: it has the id of one that has ended.
    let maps = fs::read(format!("/proc/{of}/maps")).ok()?;
    let same = |m: &Mapping| m.shared && (m.dev, m.ino) == (memory.dev, memory.ino);
    let name = String::from_utf8_lossy(status.value(b"Name:")?).into_owned();
    if of == pid || !maps::parse(&maps).iter().any(same) {
        return None;
    }
    note(of, state, name)
}

/// A note for each owner that a futex word of the second look names and that is no thread of the process: see
/// [`note_code::OWNER_ENDED`].
pub(super) fn ended(pid: u32, dump: &Dump, ids: &Ids, memory: &ProcessMemory) -> Vec<Note> {
    if !ids.are_the_same() {
        return vec![];
    }
    let there: BTreeSet<u32> = dump.second.iter().map(|t| t.tid).collect();
    let mut claims = Claims::default();
    for thread in dump.second.iter().filter(|t| t.flags & thread_flags::NEAR != 0) {
        claims.add(thread, &|owner| !there.contains(&owner));
    }
    let asked = claims.each().iter().filter(|claim| is_no_thread(pid, claim.owner) && claim.stands(memory));
    asked.map(|claim| owner_ended(dump, claim.owner, claim.word)).collect()
}

/// The same, of mutexes that threads try again and again.
pub(super) fn ended_of_mutexes(
    pid: u32,
    dump: &Dump,
    words: &BTreeSet<u64>,
    memory: &ProcessMemory,
) -> Vec<Note> {
    if !Ids::of(pid, dump).are_the_same() {
        return vec![];
    }
    // glibc: `__lock`, `__count`, `__owner`, `__nusers`, `__kind`.
    let owner = |word: u64| {
        let [lock, owner, users] = [0, 8, 12].map(|offset| memory.half(word.checked_add(offset)?));
        let held = matches!(lock?, 1 | 2) && users? >= 1;
        owner.filter(|owner| held && (1..4 << 20).contains(owner))
    };
    let unknown = |owner: &u32| dump.second_look(*owner).is_none();
    let claims = words.iter().filter_map(|word| Some((*word, owner(*word).filter(unknown)?)));
    let asked = claims.take(MOST).filter(|(word, named)| {
        // The word is read again after the thread was asked for.
        is_no_thread(pid, *named) && owner(*word) == Some(*named)
    });
    asked.map(|(word, owner)| owner_ended(dump, owner, word)).collect()
}

/// Whether a process has no thread with this id.
pub(super) fn is_no_thread(pid: u32, tid: u32) -> bool {
    let process = format!("/proc/{pid}/task");
    // Nothing can be said of a process that is not there.
    fs::metadata(format!("{process}/{tid}")).is_err_and(|e| e.kind() == ErrorKind::NotFound)
        && fs::metadata(process).is_ok()
}

pub(super) fn owner_ended(dump: &Dump, owner: u32, word: u64) -> Note {
    let (code, reserved) = (note_code::OWNER_ENDED, dump.begin.number as u16);
    Note { record: NoteRecord { code, reserved, tid: owner, value: word }, text: String::new() }
}

/// Whether no thread has an id. `/proc` may hide threads of other users; the kernel tells of them with EPERM.
fn is_nowhere(tid: u32) -> bool {
    i32::try_from(tid).is_ok_and(|tid| kill(Pid::from_raw(tid), None) == Err(Errno::ESRCH))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::dump::{LOCK, Make, mutex};

    fn dump_with_owner(owner: u32, maps: &str) -> Dump {
        let mut make = Make::new();
        make.futex(101, &mutex(LOCK, owner, 0x80), &["pthread_mutex_lock@libc"]);
        let mut dump = make.finish();
        dump.maps = maps.as_bytes().to_vec();
        dump
    }

    #[test]
    fn only_words_in_shared_memory_name_owners_of_other_processes() {
        let of = |maps: &str| {
            let dump = dump_with_owner(4711, maps);
            let mappings = maps::parse(&dump.maps);
            claims(&dump, &mappings).iter().map(|(owner, memory)| (*owner, memory.ino)).collect::<Vec<_>>()
        };
        assert_eq!(
            of("7f0000000000-7f0000001000 rw-s 00000000 00:01 77 /dev/zero (deleted)\n"),
            [(4711, 77)]
        );
        assert_eq!(of("7f0000000000-7f0000001000 rw-p 00000000 00:01 77 /dev/zero (deleted)\n"), []);
        assert_eq!(of("7f0000001000-7f0000002000 rw-s 00000000 00:01 77 /dev/zero (deleted)\n"), []);
    }

    #[test]
    fn an_owner_is_looked_for_by_its_memory() {
        // A shared file that this process has mapped: none is needed to see that one is not.
        let memory = "7f0000000000-7f0000001000 rw-s 00000000 00:01 77 /dev/zero (deleted)\n";
        let pid = std::process::id();
        let told = |owner: u32| notes(u32::MAX, &dump_with_owner(owner, memory), &Ids::new(pid, false));
        // It lives, and has not that memory: nothing is said of it.
        assert_eq!(told(pid), []);
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let ended = child.id();
        child.wait().unwrap();
        let notes = told(ended);
        let values: Vec<_> = notes.iter().map(|n| (n.record.code, n.record.tid, n.record.value)).collect();
        assert_eq!(values, [(note_code::OTHER_PROCESS, ended, 0)]);
    }

    #[test]
    fn an_owner_is_asked_for_by_its_id_and_its_word_is_read_again() {
        let pid = std::process::id();
        let begun = std::thread::spawn(|| nix::unistd::gettid().as_raw().cast_unsigned());
        let ended = begun.join().unwrap();
        let own = nix::unistd::gettid().as_raw().cast_unsigned();
        let memory = &ProcessMemory::of(pid);
        // A mutex in this process; futex words are aligned.
        let notes_of = |in_dump: u32, in_memory: u32| {
            let lock = Box::new([2u32, 0, in_memory, 1, 0, 0, 0, 0, 0, 0]);
            let address = lock.as_ptr() as u64;
            let mut make = Make::new();
            make.futex(101, &mutex(address, in_dump, 0), &["pthread_mutex_lock@libc"]);
            let mut dump = make.finish();
            dump.second.iter_mut().for_each(|t| t.flags |= thread_flags::NEAR);
            let ids = &Ids::new(pid, false);
            let tried = ended_of_mutexes(pid, &dump, &BTreeSet::from([address]), memory);
            let notes = [super::ended(pid, &dump, ids, memory), tried];
            dump.notes = notes.concat();
            assert!(dump.notes.iter().all(|n| dump.owner_ended(n.record.tid, Some(address))));
            notes.map(|notes| notes.iter().map(|n| n.record.tid).collect::<Vec<_>>())
        };
        assert_eq!(notes_of(ended, ended), [[ended], [ended]]);
        assert_eq!(notes_of(own, own), [[], []] as [[u32; 0]; 2], "it is there");
        assert_eq!(notes_of(ended, 0), [[], []] as [[u32; 0]; 2], "the lock was released since");
        assert_eq!(notes_of(101, 101), [[], []] as [[u32; 0]; 2], "the look has it");
    }
}
