//! Figures and names in a fixed number of columns of the terminal.

use super::look::Look;
use super::words::TopWord;
use crate::analysis::crash::signal_name;
use crate::console::wrap;
use crate::live::model::{Ended, Process, Threads};
use crate::text::escape;
use crate::text::message::{Say as _, say};

/// Columns that a text takes.
pub(super) fn width(text: &str) -> usize {
    wrap::columns(text)
}

/// Exactly so many columns: cut, with a mark at the end, or filled with spaces. `right`: spaces come first.
pub(super) fn fit(text: &str, columns: usize, right: bool, look: Look) -> String {
    let text = escape::line(text);
    let own = width(&text);
    if own <= columns {
        let spaces = " ".repeat(columns - own);
        return if right { spaces + &text } else { text.into_owned() + &spaces };
    }
    let Some(room) = columns.checked_sub(1) else { return String::new() };
    let (mut cut, mut used) = (String::new(), 0);
    for c in text.chars() {
        let wide = width(c.encode_utf8(&mut [0; 4]));
        if used + wide > room {
            break;
        }
        cut.push(c);
        used += wide;
    }
    cut.push(if look.unicode { '…' } else { '~' });
    cut + &" ".repeat(columns.saturating_sub(used + 1))
}

/// `12s`, `12m`, `3.5h`, `2.1d`: at most five columns for a century.
pub(super) fn time(seconds: f64) -> String {
    match seconds {
        ..100.0 => format!("{:.0}s", seconds.max(0.0).floor()),
        ..6000.0 => format!("{:.0}m", (seconds / 60.0).floor()),
        ..360_000.0 => format!("{:.1}h", seconds / 3600.0),
        _ => format!("{:.0}d", seconds / 86400.0),
    }
}

/// A deadline is often below a second.
pub(super) fn limit(seconds: f64) -> String {
    if seconds < 10.0 && seconds.fract() != 0.0 { format!("{seconds:.1}s") } else { time(seconds) }
}

/// `123M`, at most five columns.
pub(super) fn memory(kib: u64) -> String {
    const MIB: u64 = 1 << 10;
    if kib < 10_000 {
        format!("{kib}K")
    } else if kib < 10_000 * MIB {
        format!("{}M", kib / MIB)
    } else {
        format!("{:.1}G", kib as f64 / (MIB * MIB) as f64)
    }
}

/// `16 1r 15f`.
pub(super) fn threads(threads: &Threads, gap: &str) -> String {
    let Threads { all, running, futex, sleeping, disk, other } = *threads;
    let parts = [(running, 'r'), (futex, 'f'), (sleeping, 's'), (disk, 'D'), (other, '?')];
    let parts = parts.iter().filter(|(n, _)| *n > 0).map(|(n, letter)| format!("{n}{letter}"));
    let parts: Vec<String> = parts.collect();
    if parts.is_empty() { all.to_string() } else { format!("{all} {}", parts.join(gap)) }
}

/// Percent of one processor.
pub(super) fn cpu(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.0}", (share * 100.0).clamp(0.0, 999_999.0)))
}

/// How much of its time has passed: `####....`. Spaces without a deadline.
pub(super) fn bar(process: &Process, columns: usize, look: Look) -> String {
    let Some(limit) = process.hang_after_s.filter(|limit| *limit > 0.0) else { return " ".repeat(columns) };
    let share = (process.age_s / limit).clamp(0.0, 1.0);
    let full = (share * columns as f64).floor() as usize;
    let (on, off) = if look.unicode { ("█", "░") } else { ("#", ".") };
    on.repeat(full.min(columns)) + &off.repeat(columns - full.min(columns))
}

/// The last figures as heights. The lowest of them is the lowest bar.
pub(super) fn sparkline(figures: &[u64], columns: usize, look: Look) -> String {
    let levels: Vec<char> = if look.unicode {
        "▁▂▃▄▅▆▇█".chars().collect()
    } else {
        "_.-=+*%#".chars().collect()
    };
    let last = &figures[figures.len().saturating_sub(columns)..];
    let (low, high) = (last.iter().min().copied().unwrap_or(0), last.iter().max().copied().unwrap_or(0));
    let level = |figure: &u64| {
        let part = (figure - low) as f64 / (high - low).max(1) as f64;
        levels[(part * (levels.len() - 1) as f64).round() as usize]
    };
    let line: String = last.iter().map(level).collect();
    line + &" ".repeat(columns - last.len())
}

/// How a process ended.
pub(super) fn ended(ended: &Ended, look: Look) -> String {
    let signal = ended.signal.map(signal_name);
    let line = match (signal, ended.rc, &ended.why) {
        (Some(signal), ..) => say!(TopWord::EndedSignal { signal }),
        (None, Some(rc), _) => say!(TopWord::EndedExit { rc }),
        (None, None, Some(why)) => say!(TopWord::EndedBecause { why }),
        (None, None, None) => TopWord::EndedSomehow {},
    };
    look.say(&line.said())
}
