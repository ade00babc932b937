//! Who can end the wait of a thread for a pipe, an eventfd, a lock of a file or a child. Only `/proc` tells.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hangscope_protocol::record::{NoteRecord, ThreadRecord, note_code, other_end};
use hangscope_reader::status::Status;

use super::memory::ProcessMemory;
use crate::proc::task;
use crate::session::syscalls::Syscalls;
use crate::session::{Dump, Note};

/// Most waits that are looked at.
const MOST: usize = 16;
/// How long the descriptors of other processes are searched.
const PATIENCE: Duration = Duration::from_millis(300);
/// Most descriptors of one poll.
const MOST_POLLED: usize = 64;
/// Most processes that stand between two related ones.
const MOST_ABOVE: usize = 64;
const POLLIN: u16 = 1;
const POLLOUT: u16 = 4;
/// Signals whose handlers are glibc's or the shim's: SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV,
/// SIGSYS, 32, 33.
const OTHER_HANDLERS: u64 =
    1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 10 | 1 << 30 | 1 << 31 | 1 << 32;

/// What a thread wants to happen at a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wants {
    /// Another end writes.
    Input,
    /// Another end reads.
    Room,
}

/// The processes that can end a wait.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ends {
    pids: Vec<u32>,
    /// Other processes, which cannot be looked at, may have an end too.
    incomplete: bool,
}

impl Ends {
    fn unknown() -> Ends {
        Ends { pids: vec![], incomplete: true }
    }

    fn and(mut self, other: Ends) -> Ends {
        self.pids.extend(other.pids);
        self.pids.sort_unstable();
        self.pids.dedup();
        self.incomplete |= other.incomplete;
        self
    }
}

/// A note for each process that can end the wait of a thread.
pub(super) fn notes(pid: u32, dump: &Dump, memory: &ProcessMemory) -> Vec<Note> {
    let Some(arch) = Syscalls::from_elf(dump.identity.fixed.arch) else { return vec![] };
    let handles = handles_signals(memory.tid(), dump.identity.fixed.probe_signal);
    let search = Search { until: Instant::now() + PATIENCE };
    let mut known: BTreeMap<(i32, u64, u64), Vec<(u32, u16)>> = BTreeMap::new();
    let mut notes = vec![];
    let ours = dump.identity.fixed.watchdog_tid;
    for thread in dump.threads.iter().filter(|t| t.tid != ours) {
        let key = (thread.syscall, thread.args[0], thread.args[1]);
        if known.len() >= MOST && !known.contains_key(&key) {
            break;
        }
        let ends = known.entry(key).or_insert_with(|| {
            let Some(ends) = search.ends(pid, thread, arch, memory) else { return vec![] };
            let open = if ends.incomplete || handles { other_end::OPEN } else { 0 };
            let flags = |other: u32| match other == pid {
                true => other_end::OWN,
                false if search.waits_for(other, pid, arch) => other_end::WAITS,
                false => 0,
            };
            ends.pids.iter().map(|other| (*other, flags(*other) | open)).collect()
        });
        notes.extend(ends.iter().map(|(other, flags)| Note {
            record: NoteRecord {
                code: note_code::OTHER_END,
                reserved: *flags,
                tid: thread.tid,
                value: u64::from(*other),
            },
            text: comm(*other),
        }));
    }
    notes
}

fn comm(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_owned()
}

/// Whether the program has handlers of signals: one of them may end any wait. `signal` is the shim's.
fn handles_signals(tid: u32, signal: u32) -> bool {
    let status = fs::read(format!("/proc/{tid}/status")).unwrap_or_default();
    let shim = signal.checked_sub(1).and_then(|bit| 1u64.checked_shl(bit)).unwrap_or(0);
    Status(&status).set(b"SigCgt:").is_none_or(|caught| caught & !(OTHER_HANDLERS | shim) != 0)
}

struct Search {
    until: Instant,
}

impl Search {
    /// None for a wait of another kind.
    fn ends(&self, pid: u32, thread: &ThreadRecord, arch: Syscalls, memory: &ProcessMemory) -> Option<Ends> {
        let call = arch.call(thread.syscall)?;
        let fd = thread.args[0];
        Some(match call.kind {
            "read" => self.at(pid, fd, Wants::Input),
            "write" => self.at(pid, fd, Wants::Room),
            "epoll" => {
                let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}")).ok()?;
                self.all(pid, watched(&info))
            }
            "poll" => {
                let count = usize::try_from(thread.args[1]).ok().filter(|n| (1..=MOST_POLLED).contains(n))?;
                let bytes = memory.up_to(thread.args[0], count * 8).ok().filter(|b| b.len() == count * 8)?;
                self.all(pid, polled(&bytes))
            }
            "fcntl" => locked(pid, fd)?,
            // A lock of flock belongs to every process that has inherited its descriptor.
            "flock" => {
                let holders = locked(pid, fd)?;
                Ends { incomplete: self.is_open_elsewhere(pid, fd, &holders.pids), ..holders }
            }
            "wait4" => child(pid, thread.args[0])?,
            _ => return None,
        })
    }

    fn all(&self, pid: u32, wanted: Vec<(u64, Wants)>) -> Ends {
        let all = wanted.into_iter().map(|(fd, wants)| self.at(pid, fd, wants));
        all.reduce(Ends::and).unwrap_or_else(Ends::unknown)
    }

    /// Who has the other ends of a descriptor.
    fn at(&self, pid: u32, fd: u64, wants: Wants) -> Ends {
        let path = format!("/proc/{pid}/fd/{fd}");
        let (Ok(target), Ok(file)) = (fs::read_link(&path), fs::metadata(&path)) else {
            return Ends::unknown();
        };
        let event = event_id(pid, &fd.to_string()).filter(|_| target.ends_with("anon_inode:[eventfd]"));
        if !file.file_type().is_fifo() && event.is_none() {
            return Ends::unknown();
        }
        let is = |pid: u32, entry: &Path| match event {
            Some(id) => event_id(pid, &entry.file_name().unwrap_or_default().to_string_lossy()) == Some(id),
            None => is_end(entry, &file, wants),
        };
        let mut ends = Ends::default();
        for other in task::pids(Path::new("/proc")).unwrap_or_default() {
            let dir = match fs::read_dir(format!("/proc/{other}/fd")) {
                Ok(dir) => dir,
                Err(error) => {
                    ends.incomplete |= error.kind() != ErrorKind::NotFound && is_related(other, pid);
                    continue;
                }
            };
            let entries = dir.flatten().map(|entry| entry.path());
            let mut same = entries.filter(|entry| fs::read_link(entry).is_ok_and(|to: PathBuf| to == target));
            if same.any(|entry| is(other, &entry)) {
                ends.pids.push(other);
            }
            if Instant::now() > self.until {
                return Ends { incomplete: true, ..ends };
            }
        }
        ends
    }

    /// Whether a process other than these has a file open.
    fn is_open_elsewhere(&self, pid: u32, fd: u64, holders: &[u32]) -> bool {
        let path = format!("/proc/{pid}/fd/{fd}");
        let (Ok(target), Ok(file)) = (fs::read_link(&path), fs::metadata(&path)) else { return true };
        let same = |entry: PathBuf| {
            let link = fs::read_link(&entry).is_ok_and(|to| to == target);
            link && fs::metadata(&entry).is_ok_and(|m| (m.dev(), m.ino()) == (file.dev(), file.ino()))
        };
        let others = task::pids(Path::new("/proc")).unwrap_or_default();
        others.into_iter().filter(|other| *other != pid && !holders.contains(other)).any(|other| {
            let dir = fs::read_dir(format!("/proc/{other}/fd"));
            Instant::now() > self.until
                || match dir {
                    Ok(dir) => dir.flatten().any(|entry| same(entry.path())),
                    Err(error) => error.kind() != ErrorKind::NotFound && is_related(other, pid),
                }
        })
    }

    /// Whether another process has one thread, and that waits for what only `pid` or itself can do.
    fn waits_for(&self, other: u32, pid: u32, arch: Syscalls) -> bool {
        if task::tids(other).map_or(0, |tids| tids.len()) > 2 {
            return false;
        }
        let Some(text) = fs::read_to_string(format!("/proc/{other}/syscall")).ok() else { return false };
        let mut fields = text.split_ascii_whitespace();
        let number = fields.next().and_then(|n| n.parse().ok());
        let first = fields.next().and_then(|n| u64::from_str_radix(n.trim_start_matches("0x"), 16).ok());
        let (Some(call), Some(first)) = (number.and_then(|n| arch.call(n)), first) else { return false };
        let ends = match call.kind {
            "wait4" | "waitid" => return is_child(pid, other),
            "read" => self.at(other, first, Wants::Input),
            "write" => self.at(other, first, Wants::Room),
            "flock" | "fcntl" => locked(other, first).unwrap_or_else(Ends::unknown),
            _ => return false,
        };
        !ends.incomplete && ends.pids.iter().all(|p| [pid, other].contains(p)) && ends.pids.contains(&pid)
    }
}

/// Whether two processes may have inherited the same descriptors: they are of one session, or one has started
/// the other. What is passed over sockets is not considered.
fn is_related(one: u32, other: u32) -> bool {
    // After the name, which may contain spaces: state, parent, group, session.
    let field = |pid: u32, at: usize| -> Option<u32> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit(')').next()?.split_ascii_whitespace().nth(at)?.parse().ok()
    };
    let above =
        |pid: u32| std::iter::successors(Some(pid), |pid| field(*pid, 1).filter(|parent| *parent > 1));
    let session = |pid: u32| field(pid, 3);
    session(one) == session(other)
        || above(one).take(MOST_ABOVE).any(|pid| pid == other)
        || above(other).take(MOST_ABOVE).any(|pid| pid == one)
}

/// Whether a descriptor in `/proc/PID/fd` is of this pipe, and an end that can do what is wanted.
fn is_end(entry: &Path, file: &Metadata, wants: Wants) -> bool {
    let same = fs::metadata(entry).is_ok_and(|m| (m.dev(), m.ino()) == (file.dev(), file.ino()));
    // The permissions of the link are those of the descriptor.
    let bit = if wants == Wants::Input { 0o200 } else { 0o400 };
    same && fs::symlink_metadata(entry).is_ok_and(|m| m.mode() & bit != 0)
}

/// The number that the kernel gives an eventfd.
fn event_id(pid: u32, fd: &str) -> Option<u64> {
    let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}")).ok()?;
    info.lines().find_map(|line| line.strip_prefix("eventfd-id:"))?.trim().parse().ok()
}

/// The descriptors that an epoll watches, from its `fdinfo`.
fn watched(info: &str) -> Vec<(u64, Wants)> {
    let one = |line: &str| {
        let mut fields = line.strip_prefix("tfd:")?.split_ascii_whitespace();
        let fd = fields.next()?.parse().ok()?;
        let events = fields.nth(1).and_then(|n| u32::from_str_radix(n, 16).ok())?;
        Some((fd, wants(events as u16)))
    };
    info.lines().filter_map(one).collect()
}

/// The descriptors of an array of `struct pollfd`.
fn polled(bytes: &[u8]) -> Vec<(u64, Wants)> {
    let one = |b: &[u8]| {
        let fd = i32::from_le_bytes(b[..4].try_into().ok()?);
        Some((u64::try_from(fd).ok()?, wants(u16::from_le_bytes(b[4..6].try_into().ok()?))))
    };
    bytes.chunks_exact(8).filter_map(one).collect()
}

fn wants(events: u16) -> Wants {
    if events & (POLLIN | POLLOUT) == POLLOUT { Wants::Room } else { Wants::Input }
}

/// Who holds the lock of a file that a process waits for.
fn locked(pid: u32, fd: u64) -> Option<Ends> {
    let file = fs::metadata(format!("/proc/{pid}/fd/{fd}")).ok()?;
    let table = fs::read_to_string("/proc/locks").ok()?;
    let pids = lock_holders(&table, pid, file.ino());
    (!pids.is_empty()).then_some(Ends { pids, incomplete: false })
}

/// The holders of the lock on a file for which a process waits, from the lines of `/proc/locks`:
/// `1: FLOCK  ADVISORY  WRITE 88 08:01:5 0 EOF`, and with the same number `1: -> FLOCK ...` for each waiter.
fn lock_holders(table: &str, waiter: u32, ino: u64) -> Vec<u32> {
    let row = |line: &str| {
        let mut fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let waits = fields.get(1) == Some(&"->");
        if waits {
            fields.remove(1);
        }
        let file: u64 = fields.get(5)?.rsplit(':').next()?.parse().ok()?;
        Some((fields[0].to_owned(), waits, fields.get(4)?.parse::<u32>().ok()?, file))
    };
    let rows: Vec<(String, bool, u32, u64)> = table.lines().filter_map(row).collect();
    let wanted = rows.iter().find(|(_, waits, pid, file)| *waits && *pid == waiter && *file == ino);
    let held = rows.iter().filter(|(number, waits, ..)| !waits && Some(number) == wanted.map(|w| &w.0));
    held.map(|(_, _, pid, _)| *pid).collect()
}

/// The child that a call of wait4 waits for, if it is one.
fn child(pid: u32, wanted: u64) -> Option<Ends> {
    let all = task::pids(Path::new("/proc")).ok()?;
    let wanted = wanted as u32 as i32;
    let is = |other: &u32| is_child(*other, pid) && (wanted <= 0 || *other == wanted as u32);
    let children: Vec<u32> = all.into_iter().filter(is).collect();
    (children.len() == 1).then_some(Ends { pids: children, incomplete: false })
}

fn is_child(pid: u32, of: u32) -> bool {
    let status = fs::read(format!("/proc/{pid}/status")).unwrap_or_default();
    Status(&status).number(b"PPid:") == Some(u64::from(of))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::dump::Make;

    const READ: i32 = 0;
    const POLL: i32 = 7;

    fn of(call: i32, first: u64, second: u64) -> Vec<(u32, u16)> {
        let mut make = Make::new();
        make.call(101, call, first, &[]);
        let mut dump = make.finish();
        dump.threads.iter_mut().for_each(|t| t.args[1] = second);
        let pid = std::process::id();
        let notes = notes(pid, &dump, &ProcessMemory::of(pid));
        assert!(notes.iter().all(|n| n.record.tid == 101 && n.record.code == note_code::OTHER_END));
        notes.iter().map(|n| (n.record.value as u32, n.record.reserved & !other_end::OPEN)).collect()
    }

    #[test]
    fn a_pipe_has_its_other_end_where_it_can_be_written() {
        use std::os::fd::AsRawFd as _;
        let (reader, writer) = std::io::pipe().unwrap();
        let own = vec![(std::process::id(), other_end::OWN)];
        // A child that another test starts beside this one has the pipe too, until its exec.
        let of = |call: i32, first: u64, second: u64, child: Option<u32>| {
            let mut found = of(call, first, second);
            found.retain(|(pid, _)| *pid == std::process::id() || Some(*pid) == child);
            found
        };
        assert_eq!(of(READ, reader.as_raw_fd() as u64, 0, None), own);
        let polled = [reader.as_raw_fd() as u64 | u64::from(POLLIN) << 32];
        assert_eq!(of(POLL, polled.as_ptr() as u64, 1, None), own);
        // A child has it too, and does not wait for this process.
        let mut sleeper = std::process::Command::new("sleep");
        let mut child = sleeper.arg("60").stdout(writer.try_clone().unwrap()).spawn().unwrap();
        let mut found = of(READ, reader.as_raw_fd() as u64, 0, Some(child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
        found.sort_unstable_by_key(|(_, flags)| *flags);
        assert_eq!(found, [(child.id(), 0), own[0]]);
        drop((sleeper, writer));
        assert_eq!(of(READ, reader.as_raw_fd() as u64, 0, Some(child.id())), [], "nobody can write");
        let file = std::fs::File::open("/proc/self/maps").unwrap();
        assert_eq!(of(READ, file.as_raw_fd() as u64, 0, None), [], "not a pipe");
    }

    #[test]
    fn the_holder_of_a_lock_is_the_one_with_the_number_of_the_waiter() {
        let table = "1: FLOCK  ADVISORY  WRITE 88 08:01:5 0 EOF\n\
            1: -> FLOCK  ADVISORY  WRITE 99 08:01:5 0 EOF\n\
            2: POSIX  ADVISORY  WRITE 77 08:01:6 0 EOF\n\
            3: OFDLCK ADVISORY  WRITE -1 08:01:7 0 EOF\n";
        assert_eq!(lock_holders(table, 99, 5), [88]);
        assert!(lock_holders(table, 99, 6).is_empty());
        assert!(lock_holders(table, 88, 5).is_empty());
    }

    #[test]
    fn an_epoll_tells_what_it_watches() {
        let info = "pos:\t0\nflags:\t02\ntfd:        3 events: 19 data: 3  pos:0 ino:1 sdev:9\n\
            tfd:        4 events:        4 data: 3\n";
        assert_eq!(watched(info), [(3, Wants::Input), (4, Wants::Room)]);
    }
}
