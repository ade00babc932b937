//! Profiles: what is particular to an allocator, so that nothing else in the collector needs to know any.
//!
//! - [`parse`]: the TOML, and one clear line for each thing that can be wrong with it
//! - `builtin/`: the profiles that are built in

use std::path::{Path, PathBuf};

use regex::bytes::Regex;

pub(crate) use crate::analysis::counters::Ratio;
use crate::files::pin::name_of;

mod parse;

pub(crate) use parse::{BadProfile, load};

/// Where `ops/s` is found in a benchmark's output, unless a profile says otherwise.
pub(crate) const DEFAULT_OPS: &str = r"ops/s=([0-9.eE+]+)";

const BUILTIN: &[&str] = &[
    include_str!("builtin/hz4.toml"),
    include_str!("builtin/hz3.toml"),
    include_str!("builtin/mimalloc.toml"),
    include_str!("builtin/jemalloc.toml"),
    include_str!("builtin/tcmalloc.toml"),
];

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
    pub(crate) fn len(&self) -> u32 {
        (self.fields.len() * self.word.bytes()) as u32
    }

    /// Whether there are no fields; a profile that was read has some.
    pub(crate) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Bytes that the variable must have.
    pub(crate) fn size(&self) -> u64 {
        self.whole.unwrap_or_else(|| self.len().into())
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

    /// The built-in ones.
    pub(crate) fn builtin() -> impl Iterator<Item = Profile> {
        BUILTIN.iter().map(|text| parse::parse(text, None).unwrap_or_else(|bad| unreachable!("{bad}")))
    }

    /// The built-in profile for a DSO: by the name that the user gave, else by the name of its file; a
    /// [plain](Profile::plain) one where none fits.
    pub(crate) fn for_dso(dso: &Path, name: Option<&str>) -> Profile {
        let stem = name_of(dso);
        Profile::builtin()
            .find(|p| name == Some(p.name.as_str()))
            .or_else(|| Profile::builtin().find(|p| p.is_for(&stem)))
            .unwrap_or_else(|| Profile::plain(&stem))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_builtin_ones_are_well_formed_and_have_names_of_their_own() {
        let names: Vec<String> = Profile::builtin().map(|p| p.name).collect();
        assert_eq!(names, ["hz4", "hz3", "mimalloc", "jemalloc", "tcmalloc"]);
    }

    #[test]
    fn a_dso_finds_its_profile_by_name_then_by_file() {
        let found = |dso: &str, name| Profile::for_dso(Path::new(dso), name).name;
        assert_eq!(found("/x/libhakozuna_hz4.so", None), "hz4");
        assert_eq!(found("/x/libhakozuna_hz3_scale.so", None), "hz3");
        assert_eq!(found("/x/libtcmalloc_minimal.so.4", None), "tcmalloc");
        assert_eq!(found("/x/build-17.so", Some("hz4")), "hz4");
        assert_eq!(found("/x/libmimalloc.so", Some("jemalloc")), "jemalloc");
        assert_eq!(found("/x/libmimalloc.so", Some("mine")), "mimalloc");
        assert_eq!(found("/x/libfoo\"bar.so", None), "foo_bar");
    }

    #[test]
    fn ops_are_the_first_number_that_is_found() {
        let plain = Profile::plain("x");
        assert_eq!(plain.ops(b"time=1.2 ops/s=7095204.36 rss\nops/s=3\n"), Some(7095204.36));
        assert_eq!(plain.ops(b"ops/s=1.5e+6"), Some(1.5e6));
        assert_eq!(plain.ops(b"ops/s=e ops/s=12"), Some(12.0));
        assert_eq!(plain.ops(b"work_ops/s=nan \xff"), None);
    }

    #[test]
    fn only_the_profiles_variables_are_recorded() {
        let hz4 = Profile::for_dso(Path::new("hz4.so"), None);
        assert!(hz4.records(b"LD_PRELOAD") && hz4.records(b"HZ4_X") && hz4.records(b"HAKMEM_Y"));
        assert!(!hz4.records(b"PATH") && !hz4.records(b"XHZ4_X") && !hz4.records(b"LD_PRELOAD_X"));
    }
}
