//! What the shims of one run have sent, and what to do next: wait, ask for a dump, or look from outside. It
//! does no I/O and has no clock.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hangscope_protocol::duration::Limit;
use hangscope_protocol::record::{CrashPageRecord, LastMemoryRecord, dump_reason, hello_flags};

use crate::analysis::History;
use crate::analysis::launcher::{only_waits, waits_for_children};
use crate::listen::{ConnId, Event, NO_DESCRIPTOR, RecordedDump, What};
use crate::session::copy::Copied;
use crate::session::{self, Dso, Dump, Identity, memory};
use crate::text::message::Text;
use crate::text::message::say;
use crate::text::note::Note;
use crate::verify::proof::{began, sha1_of_copy};

/// How long a dump may take: the shim waits before its second look, and asks threads for their stacks.
const DUMP_TAKES: Duration = Duration::from_secs(15);
/// How long until the answer to a request begins.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// Numbers of requests for dumps ([`AskRecord::request`](hangscope_protocol::record::AskRecord)).
pub(crate) mod request {
    /// For the evidence of a hang.
    pub(crate) const HANG: u32 = 1;
    /// Somebody wants to see what the process does. The run goes on.
    pub(crate) const WANTED: u32 = 2;
}

/// A process that said hello.
#[derive(Debug)]
pub(crate) struct Watched {
    /// Process id in the collector's namespace.
    pub(crate) pid: u32,
    pub(crate) identity: Identity,
    /// With the last look at each.
    pub(crate) dsos: Vec<Dso>,
    /// The bytes of the allocator's file.
    pub(crate) copy: Option<io::Result<Arc<Copied>>>,
    /// SHA-1 of these bytes; else why they could not be read.
    pub(crate) sha1: Option<Result<String, String>>,
    /// The request for the memory of its counters, if one was made; else why it could not be sent.
    pub(crate) memory_asked: Option<Result<(), Text>>,
    /// The file that will have that memory at its exit.
    pub(crate) last_memory: Option<(LastMemoryRecord, OwnedFd)>,
    /// The file that a crash of it is written to.
    pub(crate) crash_page: Option<(CrashPageRecord, OwnedFd)>,
    pub(crate) dumps: Vec<RecordedDump>,
    /// A dump that it made because nothing moved, and that is not judged yet: stuck or idle.
    pub(crate) stall: Option<Box<RecordedDump>>,
    /// A dump that somebody wanted to see ([`request::WANTED`]). It says nothing about a hang.
    pub(crate) wanted: Option<Box<RecordedDump>>,
    /// The first look of a dump that is not complete yet.
    pub(crate) first_look: Option<Box<Dump>>,
    /// From its heartbeats before its first dump.
    pub(crate) history: History,
    pub(crate) ended: bool,
    /// When its connection ended.
    pub(crate) ended_at: Option<Instant>,
    /// Its connection ended, but its program goes on.
    pub(crate) goes_on: bool,
    /// When its program began.
    pub(crate) program_began: Instant,
    /// Why its connection was given up.
    pub(crate) rejected: Option<String>,
    /// A message of it was lost, because the collector had no free descriptor.
    pub(crate) no_descriptor: bool,
    pub(crate) left: Option<String>,
    since: Instant,
    tick: Duration,
    begun: Option<Instant>,
    asked: Option<Instant>,
}

impl Watched {
    /// The peak of its resident set, KiB: as it was at its exit, else in its last dump.
    pub(super) fn peak_rss(&self) -> Option<u64> {
        let at_exit =
            self.last_memory.as_ref().and_then(|(record, fd)| memory::read(fd, record).ok().flatten());
        let in_dump = || self.dumps.last().map(|recorded| recorded.dump.memory.clone());
        memory::peak_rss(&at_exit.or_else(in_dump)?)
    }

    /// Whether its destructors ran: it came to its end, and executes no other program.
    pub(super) fn has_exited(&self) -> bool {
        let left = self.last_memory.as_ref().filter(|_| self.ended);
        left.is_some_and(|(record, fd)| memory::read(fd, record).is_ok_and(|memory| memory.is_some()))
    }

    pub(crate) fn allocator(&self) -> Option<&Dso> {
        self.dsos.iter().find(|d| d.init.id == self.identity.fixed.allocator)
    }

    /// Whether it ended without anything that belongs into the evidence.
    fn is_over_without_a_word(&self) -> bool {
        self.ended
            && self.dumps.is_empty()
            && self.stall.is_none()
            && self.rejected.is_none()
            && self.left.is_none()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Wait(Instant),
    WaitForEver,
    /// Ask this process for a dump: its deadline passed without one.
    Ask(ConnId),
    /// Nothing has moved in this process. Decide whether it is stuck, and call [`Watch::judged`].
    Judge(ConnId),
    /// The run hangs, and this process has sent a dump.
    Hung(ConnId),
    /// The run is past its deadline, and no dump comes, for this reason.
    Outside(Note),
}

/// The processes of one run.
///
/// No budget bounds what is kept of them: all dumps of a process in memory, which its hang needs together,
/// and the allocator's bytes. A run has few processes, and ends with its first hang. The listener bounds what
/// waits to be taken ([`crate::listen`]), one dump (512 MiB) and the dumps of a connection (100 in 10 s), and
/// a copy of an allocator is not read beyond 1 GiB.
#[derive(Debug)]
pub(crate) struct Watch {
    hang_after: Limit,
    quiet_since: Instant,
    processes: BTreeMap<ConnId, Watched>,
    rejected: Vec<String>,
    /// Processes that have live children, as /proc shows them: such a child may have said no hello.
    parents: BTreeSet<u32>,
}

impl Watch {
    /// For a run that started then.
    pub(crate) fn new(started: Instant, hang_after: Limit) -> Watch {
        Watch {
            hang_after,
            quiet_since: started,
            processes: BTreeMap::new(),
            rejected: vec![],
            parents: BTreeSet::new(),
        }
    }

    /// In the order of their hellos.
    pub(crate) fn processes(&self) -> impl Iterator<Item = &Watched> {
        self.processes.values()
    }

    pub(crate) fn process(&self, conn: ConnId) -> Option<&Watched> {
        self.processes.get(&conn)
    }

    pub(crate) fn hello_seen(&self) -> bool {
        !self.processes.is_empty()
    }

    /// Whether all that said hello have ended.
    pub(crate) fn all_ended(&self) -> bool {
        self.processes.values().all(|p| p.ended)
    }

    /// Whether a dump has begun and is not complete.
    pub(crate) fn dump_is_under_way(&self) -> bool {
        self.processes.values().any(|p| !p.ended && p.begun.is_some())
    }

    /// Why connections without a valid hello were given up.
    pub(crate) fn rejected(&self) -> &[String] {
        &self.rejected
    }

    /// Notes which processes have live children.
    pub(crate) fn set_parents(&mut self, parents: BTreeSet<u32>) {
        self.parents = parents;
    }

    /// Whether the dump of a process shows one thread that waits in a call: it may wait for another process.
    pub(crate) fn only_waits(&self, conn: ConnId) -> bool {
        let dump = self.processes.get(&conn).and_then(|p| p.dumps.last());
        dump.is_some_and(|recorded| waits_for_children(&recorded.dump) || only_waits(&recorded.dump))
    }

    /// Notes whether a program goes on whose connection has ended.
    pub(crate) fn goes_on(&mut self, conn: ConnId, goes_on: bool) {
        if let Some(process) = self.processes.get_mut(&conn) {
            process.goes_on = goes_on;
        }
    }

    /// In the order of their hellos.
    pub(crate) fn connections(&self) -> impl Iterator<Item = (ConnId, &Watched)> {
        self.processes.iter().map(|(conn, process)| (*conn, process))
    }

    /// Whether the dump of a process shows that it only waits for its children: a shell, `timeout`, a
    /// launcher.
    pub(crate) fn is_wrapper(&self, process: &Watched) -> bool {
        let Some(dump) = process.dumps.last().map(|d| &d.dump) else { return false };
        let pid = process.identity.fixed.pid;
        let has_child = self.parents.contains(&process.pid)
            || self.processes.values().any(|p| !p.ended && p.identity.fixed.ppid == pid);
        waits_for_children(dump) || (has_child && only_waits(dump))
    }

    pub(crate) fn take(&mut self, event: Event) {
        let Event { conn, at, peer, what, .. } = event;
        if let What::Hello(identity) = what {
            self.take_hello(conn, at, peer.pid, *identity);
            return;
        }
        let Some(process) = self.processes.get_mut(&conn) else {
            if let What::Rejected(why) = what {
                self.rejected.push(why);
            }
            return;
        };
        match what {
            What::Dsos(dsos) => process.dsos = dsos,
            What::Copy { record, fd } => {
                let copied = session::copy::take(&fd, &record, process.dsos.iter().map(|dso| dso.init));
                process.sha1 = Some(sha1_of_copy(&copied));
                process.copy = Some(copied);
            }
            What::LastMemory { record, fd } => process.last_memory = Some((record, fd)),
            What::CrashPage { record, fd } => process.crash_page = Some((record, fd)),
            What::Heartbeat(beat) => {
                process.tick = process.tick.max(Duration::from_nanos(beat.record.interval_ns));
                let own_ids = process.identity.fixed.flags & hello_flags::OTHER_IDS == 0;
                if process.dumps.is_empty() && own_ids {
                    process.history.push(&beat);
                }
            }
            What::DumpBegin(begin) if begin.request == request::WANTED => {}
            What::DumpBegin(_) => process.begun = Some(at),
            What::FirstLook(dump) => process.first_look = dump.read().ok().map(|dump| Box::new(dump.dump)),
            What::Dump(dump) => {
                let dump = match dump.read() {
                    Ok(dump) => Box::new(dump),
                    Err(error) => {
                        tracing::error!("a dump of {} cannot be read: {error}", process.pid);
                        return;
                    }
                };
                if dump.dump.begin.request == request::WANTED {
                    process.wanted = Some(dump);
                    return;
                }
                process.dsos.clone_from(&dump.dump.dsos);
                process.first_look = None;
                process.begun = None;
                process.asked = None;
                if dump.dump.begin.reason == dump_reason::STALL {
                    process.stall = Some(dump);
                } else {
                    process.dumps.push(*dump);
                }
            }
            What::Rejected(why) => process.rejected = Some(why),
            What::Bye(note) => process.left = Some(note.text),
            What::End => {
                process.ended = true;
                process.ended_at = Some(at);
                // The evidence needs the copy only if the process has a dump or lives. If only the connection
                // was lost, the process sends it again.
                if process.is_over_without_a_word() {
                    process.copy = None;
                }
                self.quiet_since = self.quiet_since.max(at);
            }
            What::Note(note) => process.no_descriptor |= note.text == NO_DESCRIPTOR,
            What::Hello(_) | What::Mark(_) | What::Wanted { .. } | What::Stopping { .. } => {}
        }
    }

    fn take_hello(&mut self, conn: ConnId, at: Instant, pid: u32, identity: Identity) {
        // A process that lost its connection connects again. Its deadline stays.
        let again = identity.fixed.flags & hello_flags::AGAIN != 0;
        let before = self
            .processes
            .values()
            .find(|p| again && p.pid == pid && p.identity.fixed.start_ticks == identity.fixed.start_ticks);
        let since = before.map_or(at, |p| p.since);
        self.quiet_since = self.quiet_since.max(since);
        let tick = Duration::from_nanos(identity.fixed.tick_ns);
        let program_began = began(&identity, at);
        let process = Watched {
            pid,
            identity,
            dsos: vec![],
            copy: None,
            sha1: None,
            memory_asked: None,
            last_memory: None,
            crash_page: None,
            dumps: vec![],
            stall: None,
            wanted: None,
            first_look: None,
            history: History::default(),
            ended: false,
            ended_at: None,
            goes_on: false,
            program_began,
            rejected: None,
            no_descriptor: false,
            left: None,
            since,
            tick,
            begun: None,
            asked: None,
        };
        self.processes.insert(conn, process);
    }

    /// Notes that a process was asked for a dump.
    pub(crate) fn asked(&mut self, conn: ConnId, at: Instant) {
        if let Some(process) = self.processes.get_mut(&conn) {
            process.asked = Some(at);
        }
    }

    /// Notes the request for the memory of a process's counters, or why it could not be sent.
    pub(crate) fn memory_asked(&mut self, conn: ConnId, asked: Result<(), Text>) {
        if let Some(process) = self.processes.get_mut(&conn) {
            process.memory_asked = Some(asked);
        }
    }

    /// The dumps that nobody judges as stalls any more: the run is captured as it is.
    pub(crate) fn keep_stalls(&mut self) {
        for process in self.processes.values_mut() {
            process.dumps.extend(process.stall.take().map(|dump| *dump));
        }
    }

    /// The connections of live processes.
    pub(crate) fn live(&self) -> Vec<ConnId> {
        self.processes.iter().filter(|(_, p)| !p.ended).map(|(conn, _)| *conn).collect()
    }

    /// Whether a live process has sent no complete dump.
    pub(crate) fn lacks_dump(&self) -> bool {
        let has = |p: &Watched| p.stall.is_some() || p.dumps.iter().any(|d| d.dump.end.is_some());
        self.processes.values().any(|p| !p.ended && !has(p))
    }

    /// The live process with the most threads of which a first look has come.
    pub(crate) fn first_look(&self) -> Option<&Watched> {
        let threads = |p: &&Watched| p.first_look.as_ref().map_or(0, |dump| dump.threads.len());
        self.processes.values().filter(|p| !p.ended && p.first_look.is_some()).max_by_key(threads)
    }

    /// A dump that somebody wanted, and its process.
    pub(crate) fn take_wanted(&mut self) -> Option<(ConnId, Box<RecordedDump>)> {
        self.processes.iter_mut().find_map(|(conn, p)| Some((*conn, p.wanted.take()?)))
    }

    /// Takes the judgement of a stall. The dump of a stuck process counts; another is forgotten.
    pub(crate) fn judged(&mut self, conn: ConnId, stuck: bool) {
        let process = self.processes.get_mut(&conn);
        let Some((process, dump)) = process.and_then(|p| p.stall.take().map(|dump| (p, dump))) else {
            return;
        };
        if stuck {
            process.dumps.push(*dump);
        }
    }

    /// What to do at `now`.
    pub(crate) fn next(&self, now: Instant) -> Next {
        if let Some(conn) = self.subject() {
            return Next::Hung(conn);
        }
        if let Some((conn, _)) = self.processes.iter().find(|(_, p)| !p.ended && p.stall.is_some()) {
            return Next::Judge(*conn);
        }
        let mut wake: Option<Instant> = None;
        let mut watched = false;
        // A wrapper that only waits shows nothing about the benchmark.
        for (conn, process) in self.processes.iter().filter(|(_, p)| !p.ended && !self.is_wrapper(p)) {
            watched = true;
            let due = match (process.begun, process.asked, self.hang_after.time()) {
                (Some(begun), _, _) => begun + DUMP_TAKES,
                (None, Some(asked), _) => asked + ANSWER_WITHIN + process.tick,
                (None, None, Some(after)) => process.since + after + self.grace(process.tick),
                (None, None, None) => continue,
            };
            if due > now {
                wake = Some(wake.map_or(due, |w| w.min(due)));
                continue;
            }
            let pid = process.pid;
            return match (process.begun, process.asked) {
                (Some(_), _) => Next::Outside(say!(Note::DumpUnfinished { pid })),
                (None, Some(_)) => Next::Outside(say!(Note::NoAnswer { pid })),
                (None, None) => Next::Ask(*conn),
            };
        }
        if !watched {
            let Some(after) = self.hang_after.time() else { return Next::WaitForEver };
            let due = self.quiet_since + after + self.grace(Duration::ZERO);
            if due <= now {
                return Next::Outside(self.why_quiet());
            }
            wake = Some(due);
        }
        wake.map_or(Next::WaitForEver, Next::Wait)
    }

    /// How long after the deadline a shim's dump may begin.
    fn grace(&self, tick: Duration) -> Duration {
        Duration::from_secs(1) + tick
    }

    fn why_quiet(&self) -> Note {
        let last = self.processes.values().next_back();
        match last {
            None if !self.rejected.is_empty() => {
                say!(Note::HelloRefused { why: self.rejected.join("; ") })
            }
            None => Note::NoHelloFrom {},
            Some(Watched { rejected: Some(why), pid, .. }) => say!(Note::GivenUp { pid, why }),
            Some(Watched { left: Some(why), pid, .. }) => say!(Note::ShimLeft { pid, why }),
            Some(p) if p.ended => say!(Note::ConnectionEnded { pid: p.pid }),
            Some(p) => say!(Note::OnlyWaits { pid: p.pid }),
        }
    }

    /// The process whose dump shows the hang: it lives, and does not only wait for its children. Of several,
    /// one that is not idle in one call, such as `pause`; then one that is no parent of another; then the one
    /// with the most threads.
    pub(crate) fn subject(&self) -> Option<ConnId> {
        let told = |p: &&Watched| !p.ended && p.dumps.last().is_some_and(|d| d.dump.end.is_some());
        let candidates: Vec<(&ConnId, &Watched)> =
            self.processes.iter().filter(|(_, p)| told(p) && !self.is_wrapper(p)).collect();
        let is_parent = |pid: u32| candidates.iter().any(|(_, other)| other.identity.fixed.ppid == pid);
        candidates
            .iter()
            .max_by_key(|(conn, p)| {
                let threads = p.dumps.last().map_or(0, |d| d.dump.threads.len());
                let idle = p.dumps.last().is_some_and(|d| only_waits(&d.dump));
                (!idle, !is_parent(p.identity.fixed.pid), threads, std::cmp::Reverse(**conn))
            })
            .map(|(conn, _)| **conn)
    }
}

#[cfg(test)]
mod tests;
