//! Text for people, in both languages from one definition.
//!
//! [`messages!`] defines a set of keys. Each key has its values and its two texts beside each other. A text
//! that is missing or that names an unknown value does not compile. Each set has its own test, which
//! renders every key in both languages. A value is a [`Text`]: a name, a number or an address, the same in
//! both languages, or another message, which is rendered in the language of the sentence around it.
//!
//! English needs a noun that agrees with its count: `Key { of: "run" } => "not in {of}", "{of} 回"` says "in
//! 1 run" and "in 2 runs"; the Japanese text gets the number alone. A noun with another plural, or with its
//! verb, is written `"thread waits|threads wait"`.
//!
//! To add a key: write it into the set of its subject (`Line` for verdicts, `Why` for findings, `Label` for
//! headings and fields, `Note` for notes of runs), and use it with `say!(Line::Key { value })`.

use std::fmt::Display;

use serde::de::DeserializeOwned;
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};

use crate::text::escape;
pub use crate::text::lang::Lang;

/// Text in both languages. It has no `Display`: the caller chooses the language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Text {
    /// A name, a number, an address; or what a system or another program said.
    Same(String),
    Both {
        en: String,
        ja: String,
    },
}

impl Text {
    /// The text that `of` returns for each language.
    pub(crate) fn of(of: impl Fn(Lang) -> String) -> Text {
        let (en, ja) = (of(Lang::En), of(Lang::Ja));
        if en == ja { Text::Same(en) } else { Text::Both { en, ja } }
    }

    pub(crate) fn text(&self, lang: Lang) -> &str {
        match (self, lang) {
            (Text::Same(text) | Text::Both { en: text, .. }, Lang::En) => text,
            (Text::Same(text) | Text::Both { ja: text, .. }, Lang::Ja) => text,
        }
    }

    /// In English, as files for programs have it.
    pub fn en(&self) -> &str {
        self.text(Lang::En)
    }

    /// All of them, with `; ` between. None if there is none.
    pub(crate) fn joined(all: &[Text]) -> Option<Text> {
        let joined = |lang| all.iter().map(|t| t.text(lang)).collect::<Vec<_>>().join("; ");
        (!all.is_empty()).then(|| Text::of(joined))
    }
}

/// Lists of equal length in both languages, as texts in both.
pub(crate) fn of_each(of: impl Fn(Lang) -> Vec<String>) -> Vec<Text> {
    let both = of(Lang::En).into_iter().zip(of(Lang::Ja));
    both.map(|(en, ja)| if en == ja { Text::Same(en) } else { Text::Both { en, ja } }).collect()
}

impl Default for Text {
    fn default() -> Self {
        Text::Same(String::new())
    }
}

/// Removes spaces between two Japanese characters, which values bring into a sentence. Text in backquotes
/// or parentheses (names and paths) stays as it is.
pub(crate) fn tight(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    let (mut in_code, mut depth) = (false, 0_i32);
    while let Some(c) = rest.next() {
        match c {
            '`' => in_code = !in_code,
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        let between = c == ' '
            && !in_code
            && depth <= 0
            && out.chars().next_back().is_some_and(is_japanese)
            && rest.peek().is_some_and(|c| is_japanese(*c));
        if !between {
            out.push(c);
        }
    }
    out
}

pub(crate) fn is_japanese(c: char) -> bool {
    ('\u{3001}'..'\u{a000}').contains(&c)
}

/// For a key that other programs read as a string or null.
///
/// # Errors
/// The serializer's.
pub(crate) fn english_or_none<S: serde::Serializer>(
    text: &Option<Text>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    text.as_ref().map(Text::en).serialize(serializer)
}

/// A value of a sentence: anything with `Display`, and messages.
pub(crate) trait Say {
    fn said(&self) -> Text;
}

impl<T: Display + ?Sized> Say for T {
    fn said(&self) -> Text {
        Text::Same(escape::line(&self.to_string()).into_owned())
    }
}

impl Say for Text {
    fn said(&self) -> Text {
        self.clone()
    }
}

/// A set of messages as data.
pub(crate) trait Templates {
    /// Key, English and Japanese template of every message.
    const ALL: &[(&str, &str, &str)];
}

/// The message of a set that has this English text. Its values are messages, too, where the set has their
/// text. None if no key has it. Files for programs hold the English text; this is how `show` says it in
/// Japanese. Not for messages whose values have a noun.
pub(crate) fn of_english<M: Templates + DeserializeOwned + Say>(text: &str) -> Option<M> {
    M::ALL.iter().find_map(|(key, template, _)| {
        let values = values_of(template, text)?;
        let mut message = serde_json::Map::new();
        message.insert("key".to_owned(), kebab(key).into());
        for (name, text) in values {
            let value = if text.is_empty() { text.said() } else { in_both::<M>(text) };
            message.insert(name.to_owned(), serde_json::to_value(value).ok()?);
        }
        serde_json::from_value(message.into()).ok()
    })
}

/// An English text in both languages, where it is that of a message of the set `M`.
pub(crate) fn in_both<M: Templates + DeserializeOwned + Say>(text: &str) -> Text {
    of_english::<M>(text).map_or_else(|| text.said(), |message| message.said())
}

/// `NoTable` as serde writes it: `no-table`.
fn kebab(key: &str) -> String {
    let mut text = String::new();
    for c in key.chars() {
        if c.is_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.extend(c.to_lowercase());
    }
    text
}

/// Writes a message as serde's derived code would: the key, then the values by name. That code, for some
/// hundred keys, would be a third of the time that the command takes to compile.
pub(crate) fn write<S: Serializer>(
    (key, values): (&str, &[(&str, &Text)]),
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(values.len() + 1))?;
    map.serialize_entry("key", &kebab(key))?;
    values.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
    map.end()
}

/// What [`write()`] has written.
#[derive(Deserialize)]
pub(crate) struct Read {
    key: String,
    #[serde(flatten)]
    values: serde_json::Map<String, serde_json::Value>,
}

impl Read {
    /// The key as the set has it.
    pub(crate) fn name(&self) -> String {
        let parts = self.key.split('-').filter_map(|part| part.split_at_checked(1));
        parts.map(|(first, rest)| first.to_uppercase() + rest).collect()
    }

    /// # Errors
    /// There is no value of this name, or it is no text.
    pub(crate) fn value(&self, name: &str) -> Result<Text, String> {
        let value = self.values.get(name).ok_or_else(|| format!("{}: {name} is missing", self.key))?;
        Text::deserialize(value).map_err(|e| format!("{}: {name}: {e}", self.key))
    }

    pub(crate) fn unknown(&self) -> String {
        format!("no message has the key {}", self.key)
    }
}

/// Defines a set of messages: `Key { value, ... } => "English", "Japanese";`, one set in a module. `"thread
/// waits|threads wait"` after a value is its noun.
macro_rules! messages {
    ($(#[$meta:meta])* $vis:vis $name:ident {
        $($(#[$vmeta:meta])* $key:ident { $($value:ident $(: $noun:literal)?),* $(,)? } => $en:literal, $ja:literal;)*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        $vis enum $name { $($(#[$vmeta])* $key { $($value: $crate::text::message::Text),* },)* }

        impl $name {
            /// Key, English and Japanese template of every message.
            pub(crate) const TEMPLATES: &[(&str, &str, &str)] = &[$((stringify!($key), $en, $ja),)*];

            $vis fn text(&self, lang: $crate::text::message::Lang) -> String {
                use $crate::text::message::Lang;
                match (self, lang) {
                    $(
                        ($name::$key { $($value),* }, Lang::En) => {
                            $(
                                let $value = $value.text(Lang::En);
                                $(let $value = $crate::text::message::counted($value, $noun);)?
                            )*
                            format!($en)
                        }
                        ($name::$key { $($value),* }, Lang::Ja) => {
                            $(let $value = $value.text(Lang::Ja);)*
                            format!($ja)
                        }
                    )*
                }
            }

            /// The sentence in English, as files for programs have it.
            pub(crate) fn en(&self) -> String {
                self.text($crate::text::message::Lang::En)
            }

            /// One of every key, with the names of its values for values, and those names.
            #[cfg(test)]
            pub(crate) fn one_of_each() -> Vec<($name, Vec<&'static str>)> {
                vec![$(($name::$key { $($value: $crate::text::message::named(stringify!($value))),* }, vec![$(stringify!($value)),*]),)*]
            }
        }

        impl $crate::text::message::Templates for $name {
            const ALL: &[(&str, &str, &str)] = $name::TEMPLATES;
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let parts: (&str, &[(&str, &$crate::text::message::Text)]) = match self {
                    $($name::$key { $($value),* } => (stringify!($key), &[$((stringify!($value), $value)),*]),)*
                };
                $crate::text::message::write(parts, serializer)
            }
        }

        impl TryFrom<$crate::text::message::Read> for $name {
            type Error = String;

            fn try_from(read: $crate::text::message::Read) -> Result<$name, String> {
                match read.name().as_str() {
                    $(stringify!($key) => Ok($name::$key { $($value: read.value(stringify!($value))?),* }),)*
                    _ => Err(read.unknown()),
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                let read = $crate::text::message::Read::deserialize(deserializer)?;
                read.try_into().map_err(serde::de::Error::custom)
            }
        }

        // A set may have no other use of it.
        const _: fn(&$name) -> String = $name::en;

        impl $crate::text::message::Say for $name {
            fn said(&self) -> $crate::text::message::Text {
                $crate::text::message::Text::of(|lang| self.text(lang))
            }
        }

        #[cfg(test)]
        mod every_message {
            #[test]
            fn is_said_in_both_languages() {
                use $crate::text::message::{check_rendered, check_templates};
                check_templates(super::$name::TEMPLATES);
                for (message, values) in super::$name::one_of_each() {
                    check_rendered(&values, |lang| message.text(lang));
                    let written = serde_json::to_string(&message).unwrap();
                    assert_eq!(serde_json::from_str::<super::$name>(&written).unwrap(), message, "{written}");
                }
            }
        }
    };
}
pub(crate) use messages;

/// A message with its values: `say!(Msg::Key { tid: 5 })`.
macro_rules! say {
    ($name:ident::$key:ident { $($value:ident $(: $e:expr)?),+ $(,)? }) => {{
        use $crate::text::message::Say as _;
        // A use of the import, also where each value has its own method of this name.
        let _ = || "".said();
        $name::$key { $($value: $crate::text::message::say!(@ $value $(, $e)?),)+ }
    }};
    (@ $value:ident) => { $value.said() };
    (@ $value:ident, $e:expr) => { ($e).said() };
}
pub(crate) use say;

/// A count with its noun, which is `one` or `one|many`: "1 run", "2 runs". What is no number is many.
pub(crate) fn counted(count: &str, noun: &str) -> String {
    match (count, noun.split_once('|')) {
        ("1", Some((one, _))) => format!("1 {one}"),
        ("1", None) => format!("1 {noun}"),
        (_, Some((_, many))) => format!("{count} {many}"),
        (_, None) => format!("{count} {noun}s"),
    }
}

/// The values of a message, by name, where `text` was rendered from this English template; none where it
/// was not.
pub(crate) fn values_of<'a>(template: &'a str, text: &'a str) -> Option<Vec<(&'a str, &'a str)>> {
    let mut parts = template.split('{');
    let mut rest = text.strip_prefix(parts.next()?)?;
    let mut values = vec![];
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        let (name, literal) = part.split_once('}')?;
        let end = match (literal, parts.peek()) {
            ("", None) => rest.len(),
            (_, None) => rest.len().checked_sub(literal.len())?,
            _ => rest.find(literal)?,
        };
        values.push((name, &rest[..end]));
        rest = rest.get(end..)?.strip_prefix(literal)?;
    }
    rest.is_empty().then_some(values)
}

/// Numbers for a sentence: `3-7, 9`. At most eight parts, so that it stays one line.
pub(crate) fn ranges(numbers: &[u32]) -> Text {
    const MOST: usize = 8;
    let mut parts: Vec<(u32, u32)> = vec![];
    for number in numbers {
        match parts.last_mut() {
            Some((_, to)) if to.checked_add(1) == Some(*number) => *to = *number,
            _ => parts.push((*number, *number)),
        }
    }
    let one = |(from, to): &(u32, u32)| match to - from {
        0 => from.to_string(),
        1 => format!("{from}, {to}"),
        _ => format!("{from}-{to}"),
    };
    let shown: Vec<String> = parts.iter().take(MOST).map(one).collect();
    let (shown, all) = (shown.join(", "), numbers.len());
    if parts.len() <= MOST {
        return Text::Same(shown);
    }
    Text::Both { en: format!("{shown}, ... ({all} in all)"), ja: format!("{shown}, ... (計 {all})") }
}

/// A value of a message that shows its name.
#[cfg(test)]
pub(crate) fn named(name: &str) -> Text {
    Text::Same(format!("<{name}>"))
}

/// The placeholders of a template, sorted, for the test of completeness.
#[cfg(test)]
pub(crate) fn placeholders(template: &str) -> Vec<&str> {
    let mut found: Vec<&str> =
        template.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Every value of a message is said, in both languages, and nothing of the template is left over.
#[cfg(test)]
pub(crate) fn check_rendered(values: &[&str], render: impl Fn(Lang) -> String) {
    for lang in Lang::ALL {
        let text = render(lang);
        assert!(!text.trim().is_empty() && !text.contains(['{', '}', '\n']), "{text:?}");
        for value in values {
            assert!(text.contains(&format!("<{value}>")), "{value} is not said in {text:?}");
        }
    }
}

/// Every key has both languages, with the same values, and the Japanese is Japanese.
#[cfg(test)]
pub(crate) fn check_templates(templates: &[(&str, &str, &str)]) {
    assert!(!templates.is_empty());
    for (key, en, ja) in templates {
        assert!(!en.is_empty() && !ja.is_empty(), "{key} lacks a text");
        assert_eq!(placeholders(en), placeholders(ja), "the texts of {key} use other values");
        assert!(en.is_ascii(), "the English text of {key} holds other letters");
        assert!(ja.chars().any(is_japanese), "{key} is not Japanese: {ja}");
    }
}

#[cfg(test)]
mod tests {
    use crate::text::message::*;

    #[test]
    fn a_message_in_a_message_is_said_in_its_language() {
        use crate::symbolize::problem::StackProblem;
        let told = say!(StackProblem::CutAt { frame: 7, why: StackProblem::NoTable {} });
        assert_eq!(told.en(), "cut at frame 7: no unwind tables for its code");
        assert_eq!(told.text(Lang::Ja), "フレーム 7 で途切れた: そのコードの巻き戻し表がない");
        let json = serde_json::to_string(&told).unwrap();
        assert_eq!(serde_json::from_str::<StackProblem>(&json).unwrap(), told, "{json}");
        let both = Text::joined(&[told.said(), "x".said()]).unwrap();
        assert!(both.en().ends_with("code; x") && both.text(Lang::Ja).ends_with("ない; x"), "{both:?}");
        assert_eq!(Text::joined(&[]), None);
    }

    #[test]
    fn a_count_agrees_with_its_noun() {
        assert_eq!(counted("1", "run"), "1 run");
        assert_eq!(counted("0", "run"), "0 runs");
        assert_eq!(counted("13", "thread waits|threads wait"), "13 threads wait");
        assert_eq!(counted("1", "process|processes"), "1 process");
    }

    #[test]
    fn a_message_is_known_by_its_english_sentence() {
        use crate::symbolize::problem::StackProblem;
        let lack =
            say!(StackProblem::CutAt { frame: 7, why: say!(StackProblem::NotCopied { address: "0x7f" }) });
        let again = of_english::<StackProblem>(&lack.en()).unwrap();
        assert_eq!(again.text(Lang::Ja), lack.text(Lang::Ja));
        assert_eq!(of_english::<StackProblem>("another sentence"), None);
        assert_eq!(values_of("a {x} b", "a b"), None);
    }

    #[test]
    fn no_space_is_between_japanese_letters() {
        assert_eq!(tight("これが ロック `a b` 待ち、 起こす者なし"), "これがロック `a b` 待ち、起こす者なし");
        for as_it_is in ["2 ワーカー中 1 が mutex 待ち", "fd 3 (/日 本) の `日 本`"] {
            assert_eq!(tight(as_it_is), as_it_is);
        }
    }

    #[test]
    fn numbers_in_a_row_are_a_range() {
        let ranges = |numbers: &[u32]| ranges(numbers).en().to_owned();
        assert_eq!(ranges(&[]), "");
        assert_eq!(ranges(&[7]), "7");
        assert_eq!(ranges(&[7, 8]), "7, 8");
        assert_eq!(ranges(&[1, 3, 4, 5, 9, 10]), "1, 3-5, 9, 10");
        let many: Vec<u32> = (0..20).map(|n| n * 2).collect();
        assert_eq!(ranges(&many), "0, 2, 4, 6, 8, 10, 12, 14, ... (20 in all)");
        assert_eq!(ranges(&[u32::MAX, 1]), "4294967295, 1");
    }
}
