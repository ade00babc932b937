//! The counters of one run: those that it printed (`[HZ4_OS_STATS] seg_acq=951 share=12.5% mask=0xff`), and those that
//! were read from its memory.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::text::message::Text;

/// A counter that a run printed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Printed {
    /// The beginning of the line: `[HZ4_OS_STATS_B6]`. Empty where the line begins with a counter.
    pub(crate) tag: String,
    pub(crate) name: String,
    /// Whole numbers above 2^53 are rounded.
    pub(crate) value: f64,
}

/// When the memory was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Moment {
    /// In the shim's destructor, after the exit handlers of the program.
    Exit,
    /// In the first look of the last dump.
    Dump,
    /// At the hang, from outside: the shim sent nothing.
    Outside,
}

/// Counters read from the memory of a process. They are read word by word while its threads may run, so they are not all
/// from one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reading {
    pub(crate) moment: Moment,
    /// Names and figures, in the order of the profile.
    pub(crate) values: Vec<(String, f64)>,
}

/// The counters of one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunCounters {
    /// Number of counter lines.
    pub(crate) lines: u32,
    /// Printed counters, in the order of their first appearance.
    pub(crate) printed: Vec<Printed>,
    /// Number of words in those lines that are not `name=number`.
    pub(crate) passed_over: u32,
    /// How often a counter appeared again, from another process of the run or later in the same one. The largest figure
    /// counts.
    pub(crate) repeated: u32,
    /// Counters read from memory.
    pub(crate) memory: Option<Reading>,
    /// Why no counter was read from memory, where the profile names some.
    pub(crate) not_read: Option<Text>,
    /// Where some counters could be read: the variables that differ from the profile in this build, with the difference,
    /// and those that could not be read.
    pub(crate) missing: Vec<Text>,
}

impl RunCounters {
    pub(crate) fn is_empty(&self) -> bool {
        self.printed.is_empty() && self.memory.as_ref().is_none_or(|m| m.values.is_empty())
    }
}

/// The highest number of counters of a run. It bounds the memory, and is far above what any allocator prints.
const MOST: usize = 10_000;

/// Gathers the counters of one run, line by line.
#[derive(Debug)]
pub(crate) struct Gatherer<'p> {
    prefixes: &'p [&'p str],
    run: RunCounters,
    at: HashMap<(String, String), usize>,
}

impl<'p> Gatherer<'p> {
    /// For lines that begin with one of `prefixes`.
    pub(crate) fn new(prefixes: &'p [&'p str]) -> Self {
        Gatherer { prefixes, run: RunCounters::default(), at: HashMap::new() }
    }

    /// Takes a line of the output. Lines with another prefix are ignored.
    pub(crate) fn line(&mut self, line: &[u8]) {
        if !self.prefixes.iter().any(|prefix| line.starts_with(prefix.as_bytes())) {
            return;
        }
        self.run.lines = self.run.lines.saturating_add(1);
        let line = String::from_utf8_lossy(line);
        let (tag, rest) = tag(line.trim_end());
        for word in rest.split_whitespace() {
            match counter(word) {
                Some((name, value)) => self.counter(tag, name, value),
                None => self.run.passed_over = self.run.passed_over.saturating_add(1),
            }
        }
    }

    fn counter(&mut self, tag: &str, name: &str, value: f64) {
        let key = (tag.to_owned(), name.to_owned());
        let run = &mut self.run;
        if let Some(before) = self.at.get(&key).and_then(|at| run.printed.get_mut(*at)) {
            before.value = before.value.max(value);
            run.repeated = run.repeated.saturating_add(1);
        } else if run.printed.len() < MOST {
            self.at.insert(key, run.printed.len());
            run.printed.push(Printed { tag: tag.to_owned(), name: name.to_owned(), value });
        } else {
            run.passed_over = run.passed_over.saturating_add(1);
        }
    }

    /// The counters of all lines.
    pub(crate) fn end(self) -> RunCounters {
        self.run
    }
}

/// Splits off the tag: the beginning of the line up to its closing bracket, or else up to its first space. The tag is
/// empty where the line begins with a counter.
fn tag(line: &str) -> (&str, &str) {
    let end = match line.strip_prefix('[').and_then(|rest| rest.find(']')) {
        Some(bracket) => bracket + 2,
        None => line.find(char::is_whitespace).unwrap_or(line.len()),
    };
    let (tag, rest) = line.split_at(end);
    if !tag.starts_with('[') && tag.contains('=') { ("", line) } else { (tag, rest) }
}

/// A counter `name=value`. A comma or semicolon may follow.
fn counter(word: &str) -> Option<(&str, f64)> {
    let (name, value) = word.trim_end_matches([',', ';']).split_once('=')?;
    let named = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "_.-:/".contains(c));
    named.then_some(())?;
    Some((name, number(value)?))
}

/// A whole number (decimal, or hexadecimal after `0x`), a finite decimal fraction, or a percentage.
fn number(text: &str) -> Option<f64> {
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u64::from_str_radix(hex, 16).ok().filter(|_| !hex.starts_with('+')).map(|n| n as f64);
    }
    let text = text.strip_suffix('%').unwrap_or(text);
    // Rust would also accept `inf`, `infinity` and `nan`.
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    text.parse::<f64>().ok().filter(|n| plain && n.is_finite())
}
