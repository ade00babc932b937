//! Waits that end by themselves: which ones, and after how long.

use super::wait::Wait;
use crate::session::Dump;
use crate::session::syscalls::Syscalls;
use crate::session::timeouts::{TIME_BYTES, TimeAt, Timeout, Until, timeout_of};
use crate::text::message::{messages, say};

use hangscope_protocol::record::ThreadRecord;

messages! {
    EndText {
        Lasts { wait, seconds } => "{wait} ({seconds} s)", "{wait} ({seconds} 秒)";
        Left { wait, seconds } => "{wait} ({seconds} s left)", "{wait} (残り {seconds} 秒)";
    }
}

/// A wait ends by itself. Both times in seconds; none where they could not be read.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Ends {
    /// From the begin of the call to its end.
    pub(super) whole_s: Option<f64>,
    /// From the first look to the end.
    left_s: Option<f64>,
}

impl Ends {
    /// The longest time that the wait can last from the first look on, seconds.
    pub(super) fn within_s(self) -> Option<f64> {
        self.left_s.or(self.whole_s)
    }
}

/// Whether the wait of a thread ends by itself. The time is known where the memory of its timeout was read.
pub(super) fn ends(dump: &Dump, thread: &ThreadRecord) -> Option<Ends> {
    let arch = Syscalls::from_elf(dump.identity.fixed.arch)?;
    match timeout_of(arch, thread) {
        Timeout::None => None,
        Timeout::Somewhere => Some(Ends::default()),
        Timeout::Millis(ms) => Some(Ends { whole_s: Some(ms as f64 / 1e3), left_s: None }),
        Timeout::At(at) => Some(time(dump, at).unwrap_or_default()),
    }
}

fn time(dump: &Dump, at: TimeAt) -> Option<Ends> {
    let memory =
        dump.memory.iter().find(|m| m.record.address == at.address && m.bytes.len() >= TIME_BYTES)?;
    let number = |from: usize| Some(i64::from_le_bytes(memory.bytes.get(from..from + 8)?.try_into().ok()?));
    let (seconds, parts) = (number(0)?, number(8)?);
    let most = if at.micros { 1_000_000 } else { 1_000_000_000 };
    // The memory may be something else by now.
    if seconds < 0 || !(0..most).contains(&parts) {
        return None;
    }
    let time = seconds as f64 + parts as f64 / most as f64;
    let left = |now_ns: u64| Ends { whole_s: None, left_s: Some((time - now_ns as f64 / 1e9).max(0.0)) };
    let fixed = &dump.identity.fixed;
    match at.until {
        Until::Span => Some(Ends { whole_s: Some(time), left_s: None }),
        Until::Monotonic => Some(left(dump.begin.trigger_ns)),
        Until::Realtime => Some(left(fixed.wall_ns + dump.begin.trigger_ns.saturating_sub(fixed.init_ns))),
        Until::OtherClock => None,
    }
}

/// Adds the time to the phrase of a wait.
pub(super) fn say_time(wait: &mut Wait, ends: Ends) {
    let number = |s: f64| format!("{}", (s * 10.0).round() / 10.0);
    let long = |s: &f64| *s >= 0.1;
    let detail = wait.detail.clone();
    let text = match (ends.whole_s.filter(long), ends.left_s.filter(long)) {
        (Some(s), _) => say!(EndText::Lasts { wait: detail, seconds: number(s) }),
        (None, Some(s)) => say!(EndText::Left { wait: detail, seconds: number(s) }),
        (None, None) => return,
    };
    wait.detail = crate::text::message::Say::said(&text);
}
