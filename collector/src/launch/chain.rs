//! Which programs a command started, and where the chain of the shim broke: a program without
//! `libhangscope_follow.so` does not hand it on.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use object::Object as _;

use super::census::{self, Census, Seen};
use crate::proc::slow;
use crate::text::chain::Break;

/// Programs that are remembered, by their files: those that were reached, and those that were not.
const MOST: usize = 100;

/// A program of the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) pid: u32,
    /// Its file; the name of its main thread in brackets if the file may not be read.
    pub(crate) exe: String,
    /// Its LD_PRELOAD without the shim's own files; none: not set, or not readable.
    pub(crate) preload: Option<String>,
    /// Why it does not hand the shim on; none: it does, or it ended before that was seen.
    pub(crate) broken: Option<Break>,
}

#[derive(Debug)]
pub(crate) struct Chain {
    census: Census,
    /// The shim's files as LD_PRELOAD names them; the first follows.
    ours: [PathBuf; 2],
    /// Programs that were seen at one look, by pid and start.
    once: BTreeMap<(u32, u64), Link>,
    /// The last programs, the newest at the end, each file once.
    last: VecDeque<Link>,
    broken: VecDeque<Link>,
}

impl Chain {
    /// For a command whose first process is `first`. `ours` are `libhangscope_follow.so` and the shim.
    pub(crate) fn new(first: u32, ours: [PathBuf; 2]) -> Chain {
        let census = Census::new(first, &ours[0], Instant::now());
        Chain { census, ours, once: BTreeMap::new(), last: VecDeque::new(), broken: VecDeque::new() }
    }

    /// When the next look is due.
    pub(crate) fn due(&self) -> Instant {
        self.census.due()
    }

    /// The programs that were seen, the last ones last.
    pub(crate) fn last(&self) -> impl DoubleEndedIterator<Item = &Link> {
        self.last.iter()
    }

    /// Those that did not hand the shim on.
    pub(crate) fn broken(&self) -> impl Iterator<Item = &Link> {
        self.broken.iter()
    }

    /// Looks at all processes of the command.
    pub(crate) fn look(&mut self) {
        self.census.look();
        let alive: Vec<Seen> = self.census.alive().cloned().collect();
        for seen in &alive {
            self.take(seen);
        }
        self.census.forget_the_dead();
        self.once.retain(|key, _| alive.iter().any(|seen| (seen.pid, seen.start_ticks) == *key));
    }

    fn take(&mut self, seen: &Seen) {
        let key = (seen.pid, seen.start_ticks);
        match self.once.get(&key) {
            // Between its exec and the loader's work a program has nothing mapped yet: the second look tells.
            Some(link) if link.exe == seen.exe => {
                let link = link.clone();
                if !self.broken.iter().any(|known| known.exe == link.exe)
                    && let Some(why) = self.why_broken(seen)
                {
                    keep(&mut self.broken, Link { broken: Some(why), ..link });
                }
            }
            _ => {
                let link = Link {
                    pid: seen.pid,
                    exe: seen.exe.clone(),
                    preload: self.preload_of(seen.pid),
                    broken: None,
                };
                self.once.insert(key, link.clone());
                self.last.retain(|known| known.exe != link.exe);
                keep(&mut self.last, link);
            }
        }
    }

    /// LD_PRELOAD of a process, without our own.
    fn preload_of(&self, pid: u32) -> Option<String> {
        let environ = slow::read(format!("/proc/{pid}/environ")).ok()?;
        let value =
            environ.split(|b| *b == 0).filter_map(|entry| entry.strip_prefix(b"LD_PRELOAD=")).next_back()?;
        let value = String::from_utf8_lossy(value);
        let others = value.split([':', ' ']).filter(|file| !file.is_empty());
        let others: Vec<&str> =
            others.filter(|file| !self.ours.iter().any(|our| Path::new(file) == our)).collect();
        Some(others.join(":")).filter(|others| !others.is_empty())
    }

    /// Why a program has not got `libhangscope_follow.so`; none if it has, or has ended meanwhile.
    fn why_broken(&self, seen: &Seen) -> Option<Break> {
        let pid = seen.pid;
        if census::maps_file(pid, &real(&self.ours[0])) {
            return None;
        }
        let environ = slow::read(format!("/proc/{pid}/environ"));
        let Ok(environ) = environ.map_err(|error| error.kind()) else {
            // Gone, or of another user: one that could not be looked at had its rights changed.
            let there = seen.exe.starts_with('[');
            return there.then_some(Break::OtherRights {});
        };
        let file = fs::read(format!("/proc/{pid}/exe")).ok()?;
        let elf = object::File::parse(&*file).ok()?;
        let is_static = !has_interpreter(&elf);
        let named = String::from_utf8_lossy(&environ).contains(&*self.ours[0].to_string_lossy());
        Some(match (is_static, elf.is_64(), named) {
            (true, ..) => Break::Static {},
            (false, false, _) => Break::OtherMachine {},
            (false, true, true) => Break::OtherRights {},
            (false, true, false) => Break::NotSeen {},
        })
    }
}

/// Whether a program names a loader (PT_INTERP), which is what takes a preload.
fn has_interpreter(elf: &object::File<'_>) -> bool {
    match elf {
        object::File::Elf64(elf) => {
            let endian = elf.endian();
            elf.elf_program_headers().iter().any(|h| h.p_type.get(endian) == object::elf::PT_INTERP)
        }
        object::File::Elf32(elf) => {
            let endian = elf.endian();
            elf.elf_program_headers().iter().any(|h| h.p_type.get(endian) == object::elf::PT_INTERP)
        }
        _ => true,
    }
}

/// maps shows the file behind a link.
fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

fn keep(links: &mut VecDeque<Link>, link: Link) {
    if links.len() == MOST {
        links.pop_front();
    }
    links.push_back(link);
}
