//! A profile: what it holds, and the questions to it.

use std::path::PathBuf;

use regex::bytes::Regex;

use crate::analysis::counters::Ratio;

/// Where `ops/s` is found in a benchmark's output, unless a profile says otherwise.
pub(crate) const DEFAULT_OPS: &str = r"ops/s=([0-9.eE+]+)";

fn default_ops() -> Regex {
    Regex::new(DEFAULT_OPS).expect("the default pattern compiles")
}

/// Lines of a benchmark's output that belong into a file of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counter {
    /// What the lines begin with.
    pub(crate) prefix: String,
    /// Name of the file in OUT.
    pub(crate) file: String,
}

/// A variable that holds counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MemoryCounters {
    /// Its name.
    pub(crate) symbol: String,
    /// Names of its words, as the counter lines have them; none for a word that is no counter.
    pub(crate) fields: Vec<Option<String>>,
    /// What a word is.
    pub(crate) word: Word,
    /// Bytes of the whole variable, where the fields are only its beginning.
    pub(crate) whole: Option<u64>,
}

/// A word of memory, little-endian as the processors that are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Word {
    U64,
    I64,
    U32,
    I32,
}

impl Word {
    /// Its bytes.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Word::U64 | Word::I64 => 8,
            Word::U32 | Word::I32 => 4,
        }
    }

    /// Its figure; whole numbers above 2^53 are rounded.
    fn figure(self, bytes: &[u8]) -> Option<f64> {
        Some(match self {
            Word::U64 => u64::from_le_bytes(bytes.try_into().ok()?) as f64,
            Word::I64 => i64::from_le_bytes(bytes.try_into().ok()?) as f64,
            Word::U32 => u32::from_le_bytes(bytes.try_into().ok()?).into(),
            Word::I32 => i32::from_le_bytes(bytes.try_into().ok()?).into(),
        })
    }
}

impl MemoryCounters {
    /// Bytes that hold the fields.
    pub(crate) fn field_bytes(&self) -> u32 {
        (self.fields.len() * self.word.bytes()) as u32
    }

    /// Bytes that the variable must have.
    pub(crate) fn size(&self) -> u64 {
        self.whole.unwrap_or_else(|| self.field_bytes().into())
    }

    /// The counters in the bytes of the fields.
    pub(crate) fn figures(&self, bytes: &[u8]) -> Vec<(String, f64)> {
        let words = bytes.chunks_exact(self.word.bytes());
        let figure = |(name, word): (&Option<String>, &[u8])| Some((name.clone()?, self.word.figure(word)?));
        self.fields.iter().zip(words).filter_map(figure).collect()
    }
}

/// What is particular to an allocator.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Short name.
    pub(crate) name: String,
    /// Its DSOs: patterns with `*` for what [`name_of`] makes of the file's name.
    pub(crate) dso: Vec<String>,
    /// Beginnings of the names of environment variables that are recorded.
    pub(crate) env: Vec<String>,
    /// Counter lines.
    pub(crate) counters: Vec<Counter>,
    /// Counters in memory.
    pub(crate) memory: Vec<MemoryCounters>,
    /// Quotients of counters.
    pub(crate) ratios: Vec<Ratio>,
    /// Finds `ops/s` in the output: its first group.
    pub(crate) ops: Regex,
    /// File that it was read from; none if it is built in.
    pub(crate) from: Option<PathBuf>,
}

impl Profile {
    /// A profile that knows nothing but a name.
    pub fn plain(name: &str) -> Profile {
        Profile {
            name: name.to_owned(),
            dso: vec![],
            env: vec![],
            counters: vec![],
            memory: vec![],
            ratios: vec![],
            ops: default_ops(),
            from: None,
        }
    }

    /// Whether a file of this stem is this allocator's.
    pub(crate) fn is_for(&self, stem: &str) -> bool {
        self.dso.iter().any(|pattern| glob(pattern.as_bytes(), stem.as_bytes()))
    }

    /// Whether an environment variable is recorded. LD_PRELOAD always is.
    pub(crate) fn records(&self, variable: &[u8]) -> bool {
        variable == b"LD_PRELOAD" || self.env.iter().any(|prefix| variable.starts_with(prefix.as_bytes()))
    }

    /// `ops/s` of a benchmark's output: the first that is found and is a number.
    pub(crate) fn ops(&self, output: &[u8]) -> Option<f64> {
        self.ops
            .captures_iter(output)
            .filter_map(|found| std::str::from_utf8(found.get(1)?.as_bytes()).ok()?.parse::<f64>().ok())
            .find(|ops| ops.is_finite())
    }
}

/// Whether `text` fits `pattern`, in which `*` stands for anything.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', rest @ ..] => (0..=text.len()).any(|skip| glob(rest, &text[skip..])),
        [c, rest @ ..] => text.split_first().is_some_and(|(first, text)| first == c && glob(rest, text)),
    }
}
