//! The loop, and when the watchdog leaves.

use hangscope_protocol::Kind;
use hangscope_protocol::record::{AskRecord, NoteRecord, ask_what, dump_reason, hello_flags, note_code};

use super::hello;
use super::last;
use super::pending::Pending;
use super::state::Watchdog;
use crate::arena::{Arena, Work};
use crate::host::creds::{self, Followed};
use crate::host::filters;
use crate::host::task::Tasks;
use crate::link::{Connected, Link};
use crate::signal::crash;
use crate::sys::{self, For};

const SECOND: u64 = 1_000_000_000;
/// A forked child says hello only if it lives so long: most are about to exec.
const CHILD_PAUSE: u64 = SECOND / 10;
/// Between two looks at the host's credentials while a dump is made.
const DUMP_WATCH: u64 = SECOND / 20;
/// A dump that was made at the deadline is made anew so often while it still hangs.
const AGAIN: u64 = 60 * SECOND;

/// What a dump answers that nobody asked for.
const UNASKED: AskRecord = AskRecord { what: ask_what::DUMP, request: 0, arg0: 0, arg1: 0, reserved: 0 };

/// Where the thread begins. It never returns into the host.
pub(crate) extern "C" fn entry(arena: *mut u8) {
    hello::begun();
    let arena = arena.cast::<Arena>();
    // SAFETY: init has written it before it started this thread.
    let first = unsafe { Arena::first(arena) };
    let mut status = 0;
    if sys::own_descriptors(first.keep_stderr).is_ok() {
        sys::leave_directory();
        sys::set_name(c"hangscope");
        let (pid, own) = (sys::getpid(), sys::gettid());
        if let Ok(tasks) = Tasks::open(pid, own, first.clk_tck) {
            let mut link = Link::new(pid);
            // The program's snapshot is taken meanwhile.
            let met = (!hello::is_forked()).then(|| link.connect(first.socket, sys::now()));
            if !hello::wait_for_facts() {
                sys::exit_thread(0);
            }
            // SAFETY: the facts are written, and this is the only watchdog of the process.
            let (facts, slots, wanted, work) = unsafe {
                (Arena::facts(arena), Arena::slots(arena), Arena::wanted(arena), Arena::work(arena))
            };
            // SAFETY: as above.
            let rings = unsafe { Arena::rings(arena) };
            let mut watchdog = Watchdog::new(facts, (slots, wanted, rings), tasks, link);
            watchdog.run(work, met);
            status = watchdog.status_of_last(work);
        }
    }
    hello::ended();
    last::end_with(status)
}

enum Leave {
    Credentials,
    Alone,
    /// Another user listens, or the host has become another user: the collector learns nothing more.
    Stranger,
}

impl Watchdog {
    /// `met`: what came of the first try to connect; none: there was none yet.
    fn run(&mut self, work: &mut Work, met: Option<Connected>) {
        if self.flags & hello_flags::FORKED != 0 {
            sys::wait(None, For::Reading, CHILD_PAUSE);
        }
        let friendly = match met {
            Some(met) => self.meet(work, met),
            None => self.greet(work),
        };
        if !friendly {
            return self.leave(work, &Leave::Stranger);
        }
        if let Ok(own) = self.tasks.status(self.tasks.own, &mut work.text) {
            filters::begin(own);
        }
        let mut next_look = self.init_ns + self.facts.tick_ns();
        let mut next_watch = next_look;
        loop {
            // The filter of all threads is this one's, too: the next call might be what it ends the process
            // for. The descriptors go with the thread.
            if filters::reach_all() && !self.facts.config.seccomp {
                if filters::may_give_back() {
                    self.calm(work);
                }
                sys::exit_thread(0);
            }
            let now = sys::now();
            let due = self.stall_due || self.due().is_some_and(|at| now >= at);
            if now >= next_watch || due {
                if let Some(why) = self.must_leave(work) {
                    return self.leave(work, &why);
                }
                let pause = if self.pending.is_some() { DUMP_WATCH } else { SECOND };
                next_watch = now + pause.min(self.facts.tick_ns());
            }
            if now >= next_look {
                self.look(work);
                self.tidy(work);
                // From now on, not from the last one: after SIGSTOP there is no burst of looks.
                next_look = sys::now() + self.interval;
            }
            self.step(work);
            if !self.greet(work) {
                return self.leave(work, &Leave::Stranger);
            }
            let mut until = next_look.min(next_watch);
            for at in [self.pending.as_ref().map(Pending::next), self.link.next_try(), self.due()]
                .into_iter()
                .flatten()
            {
                until = until.min(at);
            }
            if self.wait(work, until) {
                // The host may have become another user since the last look.
                if let Some(why) = self.must_leave(work) {
                    return self.leave(work, &why);
                }
                self.answer(work);
            }
        }
    }

    /// When a dump is due by itself; none while it could not be sent, or one is being made.
    fn due(&self) -> Option<u64> {
        (self.deadline != 0 && self.link.is_up() && self.pending.is_none()).then_some(self.deadline)
    }

    /// Gives back what the start or the last dump has needed, once it is over. Not right after the hello:
    /// short runs would pay for it, and need the memory again.
    fn tidy(&mut self, work: &mut Work) {
        if self.pending.is_none() && core::mem::take(&mut self.untidy) {
            work.give_back();
            self.facts.dsos.unload_follow();
        }
    }

    /// Begins a dump that is due, or goes on with one.
    fn step(&mut self, work: &mut Work) {
        if self.pending.is_some() {
            self.go_on(work);
        }
        if self.due().is_some_and(|at| sys::now() >= at) {
            let again = self.deadline > self.init_ns + self.facts.config.hang_after.nanoseconds();
            self.deadline = sys::now() + AGAIN;
            let reason = if again { dump_reason::STILL } else { dump_reason::DEADLINE };
            self.begin_dump(work, reason, UNASKED);
        }
        if core::mem::take(&mut self.stall_due) && self.pending.is_none() && self.link.is_up() {
            self.begin_dump(work, dump_reason::STALL, UNASKED);
        }
        if self.pending.is_none() {
            if self.views.any_open() {
                self.views.begin(sys::Plan::ONCE);
            }
            self.prober.uninstall(&self.tasks, &mut work.text);
        }
    }

    /// Follows the host's credentials; whether it is time to go.
    fn must_leave(&mut self, work: &mut Work) -> Option<Leave> {
        // With other credentials it might not be able to give back what it has changed.
        self.rest(work);
        match creds::follow(&self.tasks, &mut work.text) {
            Followed::Same => {}
            Followed::Yes(_) | Followed::No if !self.link.is_with_friend() => return Some(Leave::Stranger),
            Followed::Yes(euid) => {
                if let Some(stir) = &mut self.stir {
                    stir.credentials_changed();
                }
                self.note(
                    work,
                    note_code::FOLLOWED_CREDENTIALS,
                    u64::from(euid),
                    b"the host changed its credentials",
                );
            }
            Followed::No => return Some(Leave::Credentials),
        }
        self.mind_filters(work);
        self.take_name_back(false);
        // The kernel keeps a process whose last other thread ended without exit_group: then it would be the
        // watchdog that keeps it.
        let found = self.tasks.list(&mut work.entries, &mut work.tids).unwrap_or(usize::MAX);
        let any =
            found > 2 || work.tids.iter().take(found).any(|tid| self.tasks.is_alive(*tid, &mut work.text));
        if any {
            self.see_first(work);
            return None;
        }
        Some(Leave::Alone)
    }

    /// Once the program has put a filter of system calls in force, nothing of the shim runs on its threads
    /// any more: a call that the filter does not know might end the process.
    fn mind_filters(&mut self, work: &mut Work) {
        if filters::may_be_new() && !hello::was_filtered() {
            hello::filtered();
            crash::withdraw();
            self.calm(work);
        }
    }

    fn leave(&mut self, work: &mut Work, why: &Leave) {
        self.calm(work);
        self.views.begin(sys::Plan::ONCE);
        self.take_name_back(true);
        let (code, text) = match why {
            Leave::Credentials => {
                (note_code::LEAVES_CREDENTIALS, &b"could not follow the host's credentials"[..])
            }
            Leave::Alone => (note_code::LEAVES_ALONE, &b"no other thread lives"[..]),
            Leave::Stranger => return self.leave_silently(work),
        };
        let [frame, _] = &mut work.frames;
        let note = NoteRecord { code, reserved: 0, tid: 0, value: 0 };
        self.link.send_one(frame, Kind::Bye, None, &mut |w| w.record_with(&note, text));
    }

    /// Leaves without a word to whoever listens: also the pages that are shared already get no more.
    fn leave_silently(&mut self, work: &mut Work) {
        self.link.close();
        crash::forget();
        self.wanted.forget();
        self.prober.abandon(&self.tasks, &mut work.text, &mut |_| {});
        self.prober.uninstall(&self.tasks, &mut work.text);
        if self.facts.config.debug {
            sys::debug_line(b"hangscope: another user listens at the socket: nothing is watched\n");
        }
    }
}
