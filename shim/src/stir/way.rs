//! One of the ways to disturb a process: that of its strategy.

use hangscope_protocol::stir::strategy;

use super::holds::Holds;
use super::rounds::{Rounds, Tools};
use super::strict::Strict;
use crate::host::filters;
use crate::sys::{self, For, OwnedFd};

/// What the watchdog knows of the disturbance.
#[expect(clippy::large_enum_variant, reason = "there is no heap, and there is one of it")]
enum Way {
    Rounds(Rounds),
    Holds(Holds),
    Strict(Strict),
    /// What is lacking was said.
    None,
}

pub(crate) struct Stir {
    way: Way,
    code: u32,
    over: bool,
    /// What cannot be done, until the collector has been told.
    trouble: Option<&'static [u8]>,
}

impl Stir {
    /// For the watchdog `tid` of `pid`, whose allocator is mapped at `allocator`. `code` is a strategy's, of
    /// [`strategy`]. None where nothing is to be disturbed.
    pub(crate) fn new(code: u32, seed: u32, ids: (u32, u32), allocator: Option<(u64, u64)>) -> Option<Stir> {
        if code == 0 {
            return None;
        }
        let rounds = |level, trouble| match Rounds::new(level, seed, ids, allocator) {
            Some(rounds) => (Way::Rounds(rounds), trouble),
            None => (Way::None, Some(&b"processors cannot be chosen"[..])),
        };
        let (way, trouble) = if strategy::holds(code) {
            match Holds::new() {
                Some(holds) => (Way::Holds(holds), None),
                None => (Way::None, Some(&b"libhangscope_stir.so is not preloaded"[..])),
            }
        } else if let Some(strength) = code.checked_sub(strategy::STRICT) {
            match Strict::new(strength, seed, ids) {
                Some(strict) => (Way::Strict(strict), None),
                // Nice values and affinities instead.
                None => rounds(
                    strength,
                    Some(&b"real-time priorities are not permitted, or there is one CPU"[..]),
                ),
            }
        } else {
            rounds(code, None)
        };
        filters::disturbed(!matches!(way, Way::None));
        Some(Stir { way, code, over: false, trouble })
    }

    /// The strategy, as in [`strategy`]; 0 if nothing can be disturbed.
    pub(crate) fn code(&self) -> u32 {
        if matches!(self.way, Way::None) { 0 } else { self.code }
    }

    /// Disturbs until this time. True as soon as the socket can be read; false before that time if the
    /// program installs a filter of system calls.
    pub(crate) fn until(&mut self, until: u64, socket: Option<&OwnedFd>, tools: &mut Tools<'_>) -> bool {
        if filters::may_be_new() {
            self.end(tools);
        }
        while !self.over {
            // The next call might be what a filter of all threads ends the process for.
            if filters::may_be_new() {
                return false;
            }
            let now = sys::now();
            if now >= until {
                return false;
            }
            let next = match &mut self.way {
                Way::Rounds(rounds) => rounds.step(tools, now),
                Way::Holds(holds) => holds.step(now),
                Way::Strict(strict) => strict.step(tools, now),
                Way::None => u64::MAX,
            };
            if sys::wait(socket, For::Reading, until.min(next).saturating_sub(sys::now())) {
                return true;
            }
            if let Way::Rounds(rounds) = &mut self.way {
                rounds.woke();
            }
        }
        sys::wait(socket, For::Reading, until.saturating_sub(sys::now()))
    }

    /// What cannot be done; given only once.
    pub(crate) fn take_trouble(&mut self) -> Option<&'static [u8]> {
        self.trouble.take().or_else(|| match &mut self.way {
            Way::Rounds(rounds) => rounds.take_trouble(),
            _ => None,
        })
    }

    /// Gives back all that was changed, until the next [`Stir::until`].
    pub(crate) fn rest(&mut self, tools: &mut Tools<'_>) {
        if self.over {
            return;
        }
        match &mut self.way {
            Way::Rounds(rounds) => rounds.rest(tools),
            Way::Holds(holds) => holds.rest(),
            Way::Strict(strict) => strict.rest(tools),
            Way::None => {}
        }
    }

    /// The host's credentials have changed, and the watchdog's with them.
    pub(crate) fn credentials_changed(&mut self) {
        if let Way::Rounds(rounds) = &mut self.way {
            rounds.credentials_changed();
        }
    }

    /// Ends the disturbance for good. When it returns, the host is as if it had never been disturbed. Under a
    /// filter of all threads nothing can be given back.
    pub(crate) fn end(&mut self, tools: &mut Tools<'_>) {
        if !filters::may_give_back() {
            return;
        }
        if core::mem::replace(&mut self.over, true) {
            return;
        }
        match &mut self.way {
            Way::Rounds(rounds) => rounds.end(tools),
            Way::Holds(holds) => holds.rest(),
            Way::Strict(strict) => strict.end(tools),
            Way::None => {}
        }
        filters::disturbed(false);
    }
}
