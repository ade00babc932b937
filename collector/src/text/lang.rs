//! The language of what people read.

use serde::{Deserialize, Serialize};

/// The language of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lang {
    En,
    Ja,
}

impl Lang {
    pub const ALL: [Lang; 2] = [Lang::En, Lang::Ja];

    /// The language that the environment asks for: the first of `HANGSCOPE_LANG`, `LC_ALL`, `LC_MESSAGES`
    /// and `LANG` that is set decides (the order of the last three is that of locale(7)). English where
    /// none is set.
    pub(crate) fn of_environment() -> Lang {
        Lang::of_variables(|name| std::env::var(name).ok())
    }

    /// [`Lang::of_environment`] with another source of variables.
    fn of_variables(variable: impl Fn(&str) -> Option<String>) -> Lang {
        let names = ["HANGSCOPE_LANG", "LC_ALL", "LC_MESSAGES", "LANG"];
        let first = names.into_iter().filter_map(variable).find(|value| !value.is_empty());
        first.map_or(Lang::En, |value| Lang::of_locale(&value))
    }

    /// `ja`, `ja_JP.UTF-8` and `ja-JP` are Japanese. Everything else is English: hangscope has no third
    /// language.
    fn of_locale(locale: &str) -> Lang {
        match locale.split(['_', '-', '.', '@']).next() {
            Some("ja") => Lang::Ja,
            _ => Lang::En,
        }
    }

    /// The value of `--lang`.
    ///
    /// # Errors
    /// The values that there are, if it is none of them.
    pub(crate) fn parse(text: &str) -> Result<Lang, String> {
        match text {
            "en" => Ok(Lang::En),
            "ja" => Ok(Lang::Ja),
            _ => Err("en or ja".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::text::lang::Lang;

    #[test]
    fn the_first_variable_that_is_set_decides() {
        let of = |set: &[(&str, &str)]| {
            let value =
                |name: &str| set.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
            Lang::of_variables(value)
        };
        assert_eq!(of(&[]), Lang::En);
        assert_eq!(of(&[("LANG", "ja_JP.UTF-8")]), Lang::Ja);
        assert_eq!(of(&[("LANG", "ja_JP.UTF-8"), ("LC_MESSAGES", "C")]), Lang::En);
        assert_eq!(
            of(&[("LC_MESSAGES", "ja_JP.eucJP"), ("LC_ALL", "")]),
            Lang::Ja,
            "an empty one is not set"
        );
        assert_eq!(of(&[("LC_ALL", "ja_JP.UTF-8"), ("HANGSCOPE_LANG", "en")]), Lang::En);
        assert_eq!(of(&[("LC_ALL", "C.UTF-8"), ("HANGSCOPE_LANG", "ja")]), Lang::Ja);
        assert_eq!(of(&[("LANG", "jav_ID")]), Lang::En, "Javanese is another language");
    }
}
