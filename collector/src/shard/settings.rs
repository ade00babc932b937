//! Settings by name. All shards of one job have the same ones.

use std::collections::BTreeMap;

use crate::files::pin;

/// The settings of a job, by name. Their order is that of the names, so their digest is that of the content.
pub(crate) type Settings = BTreeMap<String, String>;

/// What a name begins with whose value is the SHA-1 of a DSO.
pub(crate) const DSO: &str = "dso ";

/// SHA-1 of the settings, hex.
pub(crate) fn digest(settings: &Settings) -> String {
    let lines = settings.iter().map(|(name, value)| format!("{name:?} {value:?}\n"));
    pin::sha1_hex(lines.collect::<String>().as_bytes())
}

/// A number that is the same in all shards of a job, and another one for other settings.
pub(crate) fn seed(parts: &[&str]) -> u64 {
    let digest = pin::sha1_hex(format!("{parts:?}").as_bytes());
    digest.get(..16).and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or_default()
}

/// A value that is compared and not shown: the environment may hold secrets.
pub(crate) fn hidden(value: &str) -> String {
    let digest = pin::sha1_hex(value.as_bytes());
    format!("not recorded (SHA-1 {})", digest.get(..8).unwrap_or_default())
}

/// A setting that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference<'a> {
    pub(crate) name: &'a str,
    /// None: the first has no such setting.
    pub(crate) first: Option<&'a str>,
    /// None: the other has no such setting.
    pub(crate) other: Option<&'a str>,
}

impl Difference<'_> {
    /// A value for people.
    pub(crate) fn show(value: Option<&str>) -> &str {
        value.unwrap_or("not set")
    }
}

/// The first setting that differs, DSOs before all others.
pub(crate) fn difference<'a>(first: &'a Settings, other: &'a Settings) -> Option<Difference<'a>> {
    let names = || first.keys().chain(other.keys()).map(String::as_str);
    let differs = |name: &&str| first.get(*name) != other.get(*name);
    let dsos = names().filter(|name| name.starts_with(DSO)).filter(differs).min();
    let name = dsos.or_else(|| names().filter(differs).min())?;
    let of = |settings: &'a Settings| settings.get(name).map(String::as_str);
    Some(Difference { name, first: of(first), other: of(other) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_dso_is_named_before_other_settings() {
        let one = settings(&[("arms", "pinned"), ("dso hz4", "aa"), ("env A", "1")]);
        assert_eq!(difference(&one, &one), None);
        let other = settings(&[("arms", "deleted"), ("dso hz4", "bb")]);
        let first = difference(&one, &other).unwrap();
        assert_eq!((first.name, first.first, first.other), ("dso hz4", Some("aa"), Some("bb")));
        let fewer = settings(&[("arms", "pinned"), ("dso hz4", "aa")]);
        let first = difference(&fewer, &one).unwrap();
        assert_eq!((first.name, Difference::show(first.first), first.other), ("env A", "not set", Some("1")));
        assert_ne!(digest(&one), digest(&other));
        // A name that holds the text of another line changes the digest.
        assert_ne!(
            digest(&settings(&[("a", "b\"\n\"c\" \"d")])),
            digest(&settings(&[("a", "b"), ("c", "d")]))
        );
    }

    #[test]
    fn a_seed_is_that_of_its_parts() {
        assert_eq!(seed(&["hz4", "50"]), seed(&["hz4", "50"]));
        assert_ne!(seed(&["hz4", "50"]), seed(&["hz4 50"]));
        assert!(!hidden("secret").contains("secret"));
    }
}
