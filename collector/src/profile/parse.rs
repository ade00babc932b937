//! The TOML of a profile. Each mistake is reported in one line: the file, the line, the mistake,
//! and the likely correction.

use std::fmt;
use std::path::{Path, PathBuf};

use hangscope_protocol::record::{MOST_RANGE_BYTES, MOST_RANGES};
use regex::bytes::Regex;
use serde::Deserialize;
use toml::Spanned;

use super::model::{Counter, DEFAULT_OPS, MemoryCounters, Profile, Word};
use crate::analysis::counters::Ratio;
use crate::files::bounded;
use crate::session::lists::ListHeads;

/// A profile that cannot be used.
#[derive(Debug, thiserror::Error)]
pub struct BadProfile {
    /// None: a built-in profile.
    pub(crate) path: Option<PathBuf>,
    /// Line, from 1; 0: the whole file.
    pub(crate) line: usize,
    pub(crate) what: String,
}

impl fmt::Display for BadProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.as_deref().unwrap_or(Path::new("built-in profile"));
        match self.line {
            0 => write!(f, "{}: {}", path.display(), self.what),
            line => write!(f, "{}:{line}: {}", path.display(), self.what),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: Spanned<String>,
    #[serde(default)]
    dso: Vec<Spanned<String>>,
    #[serde(default)]
    env: Vec<Spanned<String>>,
    ops: Option<Spanned<String>>,
    verify_args: Option<Vec<String>>,
    #[serde(default)]
    counters: Vec<CounterEntry>,
    #[serde(default)]
    memory: Vec<MemoryEntry>,
    #[serde(default)]
    ratios: Vec<RatioEntry>,
    #[serde(default)]
    list: Vec<ListEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CounterEntry {
    prefix: Spanned<String>,
    file: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MemoryEntry {
    symbol: Spanned<String>,
    fields: Spanned<Vec<String>>,
    #[serde(rename = "type")]
    word: Option<Word>,
    size: Option<Spanned<u64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RatioEntry {
    name: Spanned<String>,
    of: Spanned<String>,
    to: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListEntry {
    head: Spanned<String>,
    stride: Option<Spanned<u64>>,
    count: Option<Spanned<u64>>,
    #[serde(default)]
    offset: u64,
    #[serde(default)]
    next: i64,
    #[serde(default)]
    sizes: Vec<u64>,
}

/// Reads the profile of a user.
///
/// # Errors
/// [`BadProfile`]: the file cannot be read, or has a mistake.
pub(crate) fn load(path: &Path) -> Result<Profile, BadProfile> {
    let whole = |what| BadProfile { path: Some(path.to_owned()), line: 0, what };
    let bytes = bounded::read(path).map_err(|e| whole(format!("cannot read the profile: {e}")))?;
    let text = String::from_utf8(bytes).map_err(|e| BadProfile {
        line: e.as_bytes()[..e.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1,
        ..whole("not UTF-8".to_owned())
    })?;
    parse(&text, Some(path))
}

impl Profile {
    /// Reads the TOML of a profile that has no file.
    ///
    /// # Errors
    /// [`BadProfile`]: the first mistake in it.
    pub fn parse(text: &str) -> Result<Profile, BadProfile> {
        parse(text, None)
    }
}

pub(super) fn parse(text: &str, path: Option<&Path>) -> Result<Profile, BadProfile> {
    let bad = |at: usize, what: String| BadProfile {
        path: path.map(Path::to_owned),
        line: text.as_bytes()[..at.min(text.len())].iter().filter(|b| **b == b'\n').count() + 1,
        what,
    };
    let file: File = toml::from_str(text).map_err(|e| {
        let what = explain(e.message());
        e.span().map_or_else(
            || BadProfile { path: path.map(Path::to_owned), line: 0, what: what.clone() },
            |span| bad(span.start, what.clone()),
        )
    })?;
    let filled = |item: &Spanned<String>, key: &str| match item.get_ref().trim() {
        "" => Err(bad(item.span().start, format!("`{key}` is empty"))),
        _ => Ok(item.get_ref().clone()),
    };

    let ops = match &file.ops {
        None => Regex::new(DEFAULT_OPS),
        Some(pattern) => Regex::new(pattern.get_ref()),
    };
    let at = file.ops.as_ref().map_or(0, |pattern| pattern.span().start);
    let ops = ops.map_err(|e| bad(at, format!("`ops` is no regular expression: {}", one_line(&e))))?;
    if ops.captures_len() < 2 {
        return Err(bad(
            at,
            "`ops` has no group: put the number in parentheses, as in `ops/s=([0-9.]+)`".into(),
        ));
    }

    let mut counters: Vec<Counter> = vec![];
    for entry in &file.counters {
        let counter =
            Counter { prefix: filled(&entry.prefix, "prefix")?, file: filled(&entry.file, "file")? };
        let at = entry.file.span().start;
        if !counter.file.ends_with(".log") || counter.file.contains('/') || counter.file.starts_with('.') {
            let what = format!("`file` is {:?}: give a plain name that ends in .log", counter.file);
            return Err(bad(at, what));
        }
        if counter.file == "progress.log" {
            return Err(bad(at, "`file` is \"progress.log\", which is the hunt's own".into()));
        }
        counters.push(counter);
    }
    let mut memory: Vec<MemoryCounters> = vec![];
    for entry in &file.memory {
        memory.push(memory_counters(entry, filled(&entry.symbol, "symbol")?, &bad)?);
        let bytes: usize = memory.iter().map(|m| m.field_bytes() as usize).sum();
        if memory.len() > MOST_RANGES || bytes > MOST_RANGE_BYTES {
            let what = format!("more than {MOST_RANGES} variables or {MOST_RANGE_BYTES} bytes of `memory`");
            return Err(bad(entry.symbol.span().start, what));
        }
    }
    let mut ratios = vec![];
    for entry in &file.ratios {
        ratios.push(Ratio {
            name: filled(&entry.name, "name")?,
            of: filled(&entry.of, "of")?,
            to: filled(&entry.to, "to")?,
        });
    }
    let mut lists = vec![];
    for entry in &file.list {
        lists.push(list_heads(entry, filled(&entry.head, "head")?, &bad)?);
    }
    Ok(Profile {
        name: filled(&file.name, "name")?,
        dso: file.dso.iter().map(|p| filled(p, "dso")).collect::<Result<_, _>>()?,
        env: file.env.iter().map(|p| filled(p, "env")).collect::<Result<_, _>>()?,
        counters,
        memory,
        ratios,
        lists,
        ops,
        verify_args: file.verify_args,
        from: path.map(Path::to_owned),
    })
}

fn memory_counters(
    entry: &MemoryEntry,
    symbol: String,
    bad: &dyn Fn(usize, String) -> BadProfile,
) -> Result<MemoryCounters, BadProfile> {
    let fields = entry.fields.get_ref();
    let at = entry.fields.span().start;
    if fields.is_empty() || fields.iter().any(|name| name.trim().is_empty()) {
        return Err(bad(
            at,
            "`fields` is empty, or one of them is: name every word, `-` for one that is no counter".into(),
        ));
    }
    let fields = fields.iter().map(|name| (name != "-").then(|| name.clone())).collect();
    let whole = entry.size.as_ref().map(|size| *size.get_ref());
    let counters = MemoryCounters { symbol, fields, word: entry.word.unwrap_or(Word::U64), whole };
    match &entry.size {
        Some(size) if *size.get_ref() < u64::from(counters.field_bytes()) => {
            let what = format!(
                "`size` is {}, the fields alone have {} bytes",
                size.get_ref(),
                counters.field_bytes()
            );
            Err(bad(size.span().start, what))
        }
        _ => Ok(counters),
    }
}

fn list_heads(
    entry: &ListEntry,
    head: String,
    bad: &dyn Fn(usize, String) -> BadProfile,
) -> Result<ListHeads, BadProfile> {
    let stride = entry.stride.as_ref().map_or(0, |stride| *stride.get_ref());
    if let Some(given) = entry.stride.as_ref().filter(|_| stride < 8) {
        return Err(bad(given.span().start, format!("`stride` is {stride}: a head has 8 bytes")));
    }
    match &entry.count {
        Some(count) if entry.stride.is_none() => {
            Err(bad(count.span().start, "`count` without `stride`: say how far the heads are apart".into()))
        }
        Some(count) if *count.get_ref() == 0 => Err(bad(count.span().start, "`count` is 0".into())),
        count => {
            let count = count.as_ref().map_or(0, |count| *count.get_ref());
            let (offset, next, sizes) = (entry.offset, entry.next, entry.sizes.clone());
            Ok(ListHeads { head, stride, count, offset, next, sizes })
        }
    }
}

/// An error of the TOML parser in one line. For an unknown key or value it names the most similar one.
pub(crate) fn explain(message: &str) -> String {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let Some((unknown, known)) = quoted.split_first().filter(|_| message.starts_with("unknown ")) else {
        return one_line(&message);
    };
    let likeness = |key: &&&str| strsim::jaro_winkler(key, unknown) + f64::from(key.ends_with(unknown));
    let nearest = known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let nearest = nearest.filter(|key| likeness(key) > 0.7);
    match nearest {
        Some(key) if message.starts_with("unknown field") => {
            format!("unknown key `{unknown}`: did you mean `{key}`?")
        }
        Some(key) => {
            format!("unknown value `{unknown}`: did you mean `{key}`? There are {}", known.join(", "))
        }
        None if message.starts_with("unknown field") => {
            format!("unknown key `{unknown}`; there are {}", known.join(", "))
        }
        None => format!("unknown value `{unknown}`; there are {}", known.join(", ")),
    }
}

/// The last line that is not empty. The error of a regular expression shows the
/// expression in the lines before it.
fn one_line(message: &dyn fmt::Display) -> String {
    let text = message.to_string();
    let last = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("no reason given");
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse(text, Some(Path::new("my.toml"))).unwrap_err().to_string()
    }

    #[test]
    fn a_whole_profile_is_read() {
        let text = "name = 'x'\ndso = ['x*']\nenv = ['X_']\nops = 'rate (\\d+)'\nverify_args = ['2', '1000']\n\
            [[counters]]\nprefix = '[X]'\nfile = 'x.log'\n[[ratios]]\nname = 'r'\nof = 'a'\nto = 'b'\n";
        let profile = parse(text, None).unwrap();
        assert_eq!(profile.ops(b"rate 12"), Some(12.0));
        assert_eq!(profile.verify_args.unwrap(), ["2", "1000"]);
        assert_eq!(profile.counters, [Counter { prefix: "[X]".into(), file: "x.log".into() }]);
        assert_eq!(profile.ratios, [Ratio { name: "r".into(), of: "a".into(), to: "b".into() }]);
    }

    #[test]
    fn heads_of_lists_have_a_place_and_a_size() {
        let text = "name = 'x'\n[[list]]\nhead = 'g_bins'\nstride = 64\nnext = 8\nsizes = [16, 32]\n\
            [[list]]\nhead = 'g_free'\n";
        let [bins, free] = &parse(text, None).unwrap().lists[..] else { panic!("{text}") };
        assert_eq!((bins.stride, bins.count, bins.next, &bins.sizes[..]), (64, 0, 8, &[16, 32][..]));
        assert_eq!((&*free.head, free.stride, free.next), ("g_free", 0, 0));
        let all = [
            "name = 'x'\n[[list]]\nhead = 'g'\nstrid = 64\n",
            "name = 'x'\n[[list]]\nhead = 'g'\nstride = 4\n",
            "name = 'x'\n[[list]]\nhead = 'g'\ncount = 4\n",
            "name = 'x'\n[[list]]\nhead = 'g'\nstride = 8\ncount = 0\n",
            "name = 'x'\n[[list]]\nhead = ''\n",
            "name = 'x'\n[[list]]\nnext = 0\n",
        ]
        .map(error);
        insta::assert_snapshot!(all.join("\n"), @r"
        my.toml:4: unknown key `strid`: did you mean `stride`?
        my.toml:4: `stride` is 4: a head has 8 bytes
        my.toml:4: `count` without `stride`: say how far the heads are apart
        my.toml:5: `count` is 0
        my.toml:3: `head` is empty
        my.toml:2: missing field `head`
        ");
    }

    #[test]
    fn counters_in_memory_have_names_a_type_and_a_size() {
        let text = "name = 'x'\n[[memory]]\nsymbol = 'g'\nfields = ['a', '-', 'c']\n\
            [[memory]]\nsymbol = 'h'\ntype = 'i32'\nsize = 64\nfields = ['d', 'e']\n";
        let [g, h] = &parse(text, None).unwrap().memory[..] else { panic!("{text}") };
        assert_eq!((g.field_bytes(), g.size(), h.field_bytes(), h.size()), (24, 24, 8, 64));
        let bytes = [5u64, u64::MAX, 7].map(u64::to_le_bytes).concat();
        assert_eq!(g.figures(&bytes), [("a".to_owned(), 5.0), ("c".to_owned(), 7.0)]);
        assert_eq!(h.figures(&[-3i32, 4].map(i32::to_le_bytes).concat())[0], ("d".to_owned(), -3.0));
        let all = [
            "name = 'x'\n[[memory]]\nsymbol = 'g'\nfields = []\n",
            "name = 'x'\n[[memory]]\nsymbol = 'g'\nfields = ['a', ' ']\n",
            "name = 'x'\n[[memory]]\nsymbol = ''\nfields = ['a']\n",
            "name = 'x'\n[[memory]]\nsymbol = 'g'\nfields = ['a', 'b']\nsize = 8\n",
            "name = 'x'\n[[memory]]\nsymbol = 'g'\ntype = 'f64'\nfields = ['a']\n",
        ]
        .map(error);
        insta::assert_snapshot!(all.join("\n"), @r#"
        my.toml:4: `fields` is empty, or one of them is: name every word, `-` for one that is no counter
        my.toml:4: `fields` is empty, or one of them is: name every word, `-` for one that is no counter
        my.toml:3: `symbol` is empty
        my.toml:5: `size` is 8, the fields alone have 16 bytes
        my.toml:4: unknown value `f64`: did you mean `i64`? There are u64, i64, u32, i32
        "#);
        let many = "[[memory]]\nsymbol = 'g'\nfields = ['a']\n".repeat(MOST_RANGES + 1);
        assert!(
            error(&format!("name = 'x'\n{many}"))
                .ends_with("more than 200 variables or 32768 bytes of `memory`")
        );
    }

    #[test]
    fn each_mistake_is_one_line_with_file_and_line() {
        let all = [
            "name = 'x'\nenf = ['A_']\n",
            "name = 'x'\n\n[[counters]]\nprefxi = 'a'\nfile = 'a.log'\n",
            "name = 'x'\nwholly_other = 1\n",
            "name = 'x'\ndump_function = 'hz4_print'\n",
            "name = 'x'\nops = 'ops=(['\n",
            "name = 'x'\nops = 'ops='\n",
            "name = 'x'\nenv = 'A_'\n",
            "name = 'x\n",
            "env = []\n",
            "name = ' '\n",
            "name = 'x'\n[[counters]]\nprefix = 'a'\nfile = '../a.log'\n",
            "name = 'x'\n[[counters]]\nprefix = 'a'\nfile = 'progress.log'\n",
        ]
        .map(error);
        assert!(all.iter().all(|line| !line.contains('\n')));
        insta::assert_snapshot!(all.join("\n"), @r#"
        my.toml:2: unknown key `enf`: did you mean `env`?
        my.toml:4: unknown key `prefxi`: did you mean `prefix`?
        my.toml:2: unknown key `wholly_other`; there are name, dso, env, ops, verify_args, counters, memory, ratios, list
        my.toml:2: unknown key `dump_function`; there are name, dso, env, ops, verify_args, counters, memory, ratios, list
        my.toml:2: `ops` is no regular expression: unclosed character class
        my.toml:2: `ops` has no group: put the number in parentheses, as in `ops/s=([0-9.]+)`
        my.toml:2: invalid type: string "A_", expected a sequence
        my.toml:1: invalid literal string, expected `'`
        my.toml:1: missing field `name`
        my.toml:1: `name` is empty
        my.toml:4: `file` is "../a.log": give a plain name that ends in .log
        my.toml:4: `file` is "progress.log", which is the hunt's own
        "#);
    }

    #[test]
    fn a_missing_file_and_a_file_that_is_not_text_are_errors() {
        let missing = load(Path::new("/nonexistent/p.toml")).unwrap_err().to_string();
        assert!(
            missing.starts_with("/nonexistent/p.toml: cannot read the profile: No such file"),
            "{missing}"
        );
        let mut file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file, b"name = 'x'\n\xff").unwrap();
        assert!(load(file.path()).unwrap_err().to_string().ends_with(":2: not UTF-8"));
    }
}
