//! What a profile holds.

use std::path::PathBuf;

use regex::bytes::Regex;

use crate::analysis::counters::Ratio;
use crate::session::lists::ListHeads;

/// The default pattern for `ops/s` in the output of a benchmark.
pub(crate) const DEFAULT_OPS: &str = r"ops/s=([0-9.eE+]+)";

fn default_ops() -> Regex {
    Regex::new(DEFAULT_OPS).expect("the default pattern compiles")
}

/// Counter lines: lines in the output of a benchmark that are copied to a file of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counter {
    /// The beginning of the lines.
    pub(crate) prefix: String,
    /// Name of the file in OUT.
    pub(crate) file: String,
}

/// A variable that holds counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MemoryCounters {
    pub(crate) symbol: String,
    /// The counter in each word, by its name in the counter lines; none: the word is no counter.
    pub(crate) fields: Vec<Option<String>>,
    pub(crate) word: Word,
    /// Size of the variable in bytes, where the fields are only its beginning.
    pub(crate) whole: Option<u64>,
}

/// The type of a word of memory. Little-endian, as all processors that hangscope supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Word {
    U64,
    I64,
    U32,
    I32,
}

impl Word {
    /// Size in bytes.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Word::U64 | Word::I64 => 8,
            Word::U32 | Word::I32 => 4,
        }
    }

    /// The word as a figure. Whole numbers above 2^53 are rounded.
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
    /// Size of the fields in bytes.
    pub(crate) fn field_bytes(&self) -> u32 {
        (self.fields.len() * self.word.bytes()) as u32
    }

    /// Size that the variable must have, bytes.
    pub(crate) fn size(&self) -> u64 {
        self.whole.unwrap_or_else(|| self.field_bytes().into())
    }

    /// Names and figures of the counters in `bytes`, the memory of the fields.
    pub(crate) fn figures(&self, bytes: &[u8]) -> Vec<(String, f64)> {
        let words = bytes.chunks_exact(self.word.bytes());
        let figure = |(name, word): (&Option<String>, &[u8])| Some((name.clone()?, self.word.figure(word)?));
        self.fields.iter().zip(words).filter_map(figure).collect()
    }
}

/// Everything that is particular to an allocator.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Short name of the allocator.
    pub(crate) name: String,
    /// The DSOs of the allocator: patterns with `*` for the name that
    /// [`name_of`](crate::files::pin::name_of) returns.
    pub(crate) dso: Vec<String>,
    /// Prefixes of the environment variables that are recorded.
    pub(crate) env: Vec<String>,
    pub(crate) counters: Vec<Counter>,
    pub(crate) memory: Vec<MemoryCounters>,
    pub(crate) ratios: Vec<Ratio>,
    /// The heads of its lists of free blocks.
    pub(crate) lists: Vec<ListHeads>,
    /// Finds `ops/s` in the output, as its first group.
    pub(crate) ops: Regex,
    /// Arguments of a small run of the user's benchmark, for the verification of the preload.
    pub(crate) verify_args: Option<Vec<String>>,
    /// The file that the profile was read from; none: it is built in.
    pub(crate) from: Option<PathBuf>,
}

impl Profile {
    /// A profile that has only a name.
    pub fn plain(name: &str) -> Profile {
        Profile {
            name: name.to_owned(),
            dso: vec![],
            env: vec![],
            counters: vec![],
            memory: vec![],
            ratios: vec![],
            lists: vec![],
            ops: default_ops(),
            verify_args: None,
            from: None,
        }
    }

    /// `stem`, the name of a DSO without `lib` and suffix, belongs to this allocator.
    pub(crate) fn is_for(&self, stem: &str) -> bool {
        self.dso.iter().any(|pattern| glob(pattern.as_bytes(), stem.as_bytes()))
    }

    /// The environment variable is recorded. LD_PRELOAD always is.
    pub(crate) fn records(&self, variable: &[u8]) -> bool {
        variable == b"LD_PRELOAD" || self.env.iter().any(|prefix| variable.starts_with(prefix.as_bytes()))
    }

    /// The `ops/s` in the output of a benchmark: the first match that is a finite number.
    pub(crate) fn ops(&self, output: &[u8]) -> Option<f64> {
        self.ops
            .captures_iter(output)
            .filter_map(|found| std::str::from_utf8(found.get(1)?.as_bytes()).ok()?.parse::<f64>().ok())
            .find(|ops| ops.is_finite())
    }
}

/// `text` matches `pattern`, in which `*` stands for any bytes.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', rest @ ..] => (0..=text.len()).any(|skip| glob(rest, &text[skip..])),
        [c, rest @ ..] => text.split_first().is_some_and(|(first, text)| first == c && glob(rest, text)),
    }
}
