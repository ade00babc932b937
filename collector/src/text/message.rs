//! What is said to people, in both languages from one definition.
//!
//! [`messages!`] defines a set of keys, each with its values and its two texts beside each other; `text` renders
//! one. A value that a text does not know, or does not use, does not compile (with warnings denied), nor does a
//! text that is missing; and each set brings its own test, which renders every key in both languages. A value is
//! a [`Text`]: a name, a number or an address, the same in both, or another message, which is said in the
//! language of the sentence that it stands in.
//!
//! To add a key: write it into the set of its subject (`Line` for verdicts, `Why` for findings, `Label` for
//! headings and fields, `Note` for what a run met), and say it with `say!(Line::Key { value })`.

use std::fmt::Display;

use serde::{Deserialize, Serialize};

/// The language of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lang {
    /// English.
    En,
    /// Japanese.
    Ja,
}

impl Lang {
    /// All of them.
    pub const ALL: [Lang; 2] = [Lang::En, Lang::Ja];
}

/// Text in both languages. It has no `Display`: who prints it says in which.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Text {
    /// A name, a number, an address; or what a system or another program said.
    Same(String),
    /// A sentence or a word.
    Both {
        /// English.
        en: String,
        /// Japanese.
        ja: String,
    },
}

impl Text {
    /// What `of` gives for each language.
    pub(crate) fn of(of: impl Fn(Lang) -> String) -> Text {
        let (en, ja) = (of(Lang::En), of(Lang::Ja));
        if en == ja { Text::Same(en) } else { Text::Both { en, ja } }
    }

    /// In a language.
    pub(crate) fn text(&self, lang: Lang) -> &str {
        match (self, lang) {
            (Text::Same(text) | Text::Both { en: text, .. }, Lang::En) => text,
            (Text::Same(text) | Text::Both { ja: text, .. }, Lang::Ja) => text,
        }
    }

    /// In English: what files for programs hold.
    pub fn en(&self) -> &str {
        self.text(Lang::En)
    }

    /// Several, with `; ` between; none of none.
    pub(crate) fn joined(all: &[Text]) -> Option<Text> {
        let joined = |lang| all.iter().map(|t| t.text(lang)).collect::<Vec<_>>().join("; ");
        (!all.is_empty()).then(|| Text::of(joined))
    }
}

impl Default for Text {
    fn default() -> Self {
        Text::Same(String::new())
    }
}

/// Japanese as it is set: a space stands between its letters and others, and none between two of its own, whatever
/// value came beside them. What stands in backquotes or parentheses, names and paths, stays as it is.
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

fn is_japanese(c: char) -> bool {
    ('\u{3001}'..'\u{a000}').contains(&c)
}

/// For a key whose readers know it as a string or null.
///
/// # Errors
/// The serializer's.
pub(crate) fn english_or_none<S: serde::Serializer>(
    text: &Option<Text>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    text.as_ref().map(Text::en).serialize(serializer)
}

/// What can stand in a sentence: anything that has one text, and messages.
pub(crate) trait Say {
    /// As a value.
    fn said(&self) -> Text;
}

impl<T: Display + ?Sized> Say for T {
    fn said(&self) -> Text {
        Text::Same(self.to_string())
    }
}

impl Say for Text {
    fn said(&self) -> Text {
        self.clone()
    }
}

/// Defines a set of messages: `Key { value, ... } => "English", "Japanese";`, one set a module.
macro_rules! messages {
    ($(#[$meta:meta])* $name:ident {
        $($(#[$vmeta:meta])* $key:ident { $($value:ident),* } => $en:literal, $ja:literal;)*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "kebab-case", tag = "key")]
        pub enum $name { $($(#[$vmeta])* $key { $($value: $crate::text::message::Text),* },)* }

        impl $name {
            /// Key, English and Japanese template of every message.
            pub(crate) const TEMPLATES: &[(&str, &str, &str)] = &[$((stringify!($key), $en, $ja),)*];

            /// The sentence.
            pub fn text(&self, lang: $crate::text::message::Lang) -> String {
                use $crate::text::message::Lang;
                match (self, lang) {
                    $(
                        ($name::$key { $($value),* }, Lang::En) => {
                            $(let $value = $value.text(Lang::En);)*
                            format!($en)
                        }
                        ($name::$key { $($value),* }, Lang::Ja) => {
                            $(let $value = $value.text(Lang::Ja);)*
                            format!($ja)
                        }
                    )*
                }
            }

            /// The sentence in English: what files for programs hold.
            pub(crate) fn en(&self) -> String {
                self.text($crate::text::message::Lang::En)
            }

            /// One of every key, with the names of its values for values, and those names.
            #[cfg(test)]
            pub(crate) fn one_of_each() -> Vec<($name, Vec<&'static str>)> {
                let named = |name: &str| $crate::text::message::Text::Same(format!("<{name}>"));
                vec![$(($name::$key { $($value: named(stringify!($value))),* }, vec![$(stringify!($value)),*]),)*]
            }
        }

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
        $name::$key { $($value: $crate::text::message::say!(@ $value $(, $e)?),)+ }
    }};
    (@ $value:ident) => { $value.said() };
    (@ $value:ident, $e:expr) => { ($e).said() };
}
pub(crate) use say;

/// Numbers for a sentence: `3-7, 9`, cut after so many parts that it stays a line.
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
