//! What is said to people, in both languages from one definition.
//!
//! A [`Msg`] is a key with its values; [`Msg::text`] renders it. The two texts of a key stand beside each
//! other and use the same values: a value that only one of them uses, or that neither has, does not compile
//! (and a test looks at the placeholders as well). Values are names, numbers and addresses, the same in both.

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

/// Defines [`Msg`]-like enums: `Key { value, ... } => "English", "Japanese";`.
macro_rules! messages {
    ($(#[$meta:meta])* $name:ident {
        $($(#[$vmeta:meta])* $key:ident { $($value:ident),* } => $en:literal, $ja:literal;)*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "kebab-case", tag = "key")]
        #[expect(missing_docs, reason = "the values are named in the texts")]
        pub enum $name { $($(#[$vmeta])* $key { $($value: String),* },)* }

        impl $name {
            /// Key, English and Japanese template of every message.
            pub const TEMPLATES: &[(&str, &str, &str)] = &[$((stringify!($key), $en, $ja),)*];

            /// The sentence.
            pub fn text(&self, lang: $crate::analysis::message::Lang) -> String {
                match (self, lang) {
                    $(
                        ($name::$key { $($value),* }, $crate::analysis::message::Lang::En) => format!($en),
                        ($name::$key { $($value),* }, $crate::analysis::message::Lang::Ja) => format!($ja),
                    )*
                }
            }

            /// The sentence in English: what files for programs hold.
            pub fn en(&self) -> String {
                self.text($crate::analysis::message::Lang::En)
            }
        }
    };
}
pub(crate) use messages;

/// A message with its values turned into text: `say!(Msg::Key { tid: 5 })`.
macro_rules! say {
    ($name:ident::$key:ident $({ $($value:ident $(: $e:expr)?),* $(,)? })?) => {
        $name::$key { $($($value: $crate::analysis::message::say!(@ $value $(, $e)?),)*)? }
    };
    (@ $value:ident) => { $value.to_string() };
    (@ $value:ident, $e:expr) => { ($e).to_string() };
}
pub(crate) use say;

/// Numbers for a sentence: `3-7, 9`, cut after so many parts that it stays a line.
pub(crate) fn ranges(numbers: &[u32]) -> String {
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
    if parts.len() > MOST {
        format!("{}, ... ({} in all)", shown.join(", "), numbers.len())
    } else {
        shown.join(", ")
    }
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

/// Every key has both languages, with the same values, and the Japanese is Japanese.
#[cfg(test)]
pub(crate) fn check_templates(templates: &[(&str, &str, &str)]) {
    assert!(!templates.is_empty());
    for (key, en, ja) in templates {
        assert!(!en.is_empty() && !ja.is_empty(), "{key} lacks a text");
        assert_eq!(placeholders(en), placeholders(ja), "the texts of {key} use other values");
        assert!(en.is_ascii(), "the English text of {key} holds other letters");
        assert!(ja.chars().any(|c| ('\u{3040}'..'\u{a000}').contains(&c)), "{key} is not Japanese: {ja}");
    }
}

#[cfg(test)]
mod tests {
    use super::ranges;

    #[test]
    fn numbers_in_a_row_are_a_range() {
        assert_eq!(ranges(&[]), "");
        assert_eq!(ranges(&[7]), "7");
        assert_eq!(ranges(&[7, 8]), "7, 8");
        assert_eq!(ranges(&[1, 3, 4, 5, 9, 10]), "1, 3-5, 9, 10");
        let many: Vec<u32> = (0..20).map(|n| n * 2).collect();
        assert_eq!(ranges(&many), "0, 2, 4, 6, 8, 10, 12, 14, ... (20 in all)");
        assert_eq!(ranges(&[u32::MAX, 1]), "4294967295, 1");
    }
}
