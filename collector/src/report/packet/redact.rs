//! A text without the names of the user, the host and the home.

use std::collections::BTreeSet;

use regex::Regex;

/// What is to be taken out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) users: BTreeSet<String>,
    pub(crate) hosts: BTreeSet<String>,
    /// Paths of home folders.
    pub(crate) homes: BTreeSet<String>,
}

/// Users whose name says nothing of a person.
const OF_NOBODY: [&str; 3] = ["root", "nobody", "user"];

impl Names {
    /// Those of whoever runs this, and those whose homes the text names.
    pub(crate) fn of(text: &str) -> Names {
        let mut names = Names::default();
        let uid = nix::unistd::getuid();
        if let Ok(Some(user)) = nix::unistd::User::from_uid(uid) {
            names.homes.insert(user.dir.display().to_string());
            names.users.insert(user.name);
        }
        names.homes.extend(std::env::var("HOME").ok());
        if let Ok(host) = nix::unistd::gethostname() {
            let host = host.to_string_lossy().into_owned();
            names.hosts.extend(host.split_once('.').map(|(short, _)| short.to_owned()));
            names.hosts.insert(host);
        }
        let homes = Regex::new(r"(?:^|[^\w/])(/(?:home|Users|export/home)/([^/\s:;,`'\x22()]+))");
        for found in homes.iter().flat_map(|homes| homes.captures_iter(text)) {
            names.homes.insert(found[1].to_owned());
            names.users.insert(found[2].to_owned());
        }
        names.homes.retain(|home| home.len() > 1);
        names.users.retain(|user| !user.is_empty() && !OF_NOBODY.contains(&user.as_str()));
        names.hosts.retain(|host| !host.is_empty() && host != "localhost");
        names
    }

    /// `~`, `USER` and `HOST` in place of the names, wherever they stand as whole words.
    pub(crate) fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (names, by) in [(&self.homes, "~"), (&self.hosts, "HOST"), (&self.users, "USER")] {
            // The longest first: a name may lie in another one.
            let mut names: Vec<&String> = names.iter().collect();
            names.sort_by_key(|name| std::cmp::Reverse(name.len()));
            for name in names {
                text = replaced(&text, name, by);
            }
        }
        text
    }
}

/// A character before or after a name makes it another word.
fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn replaced(text: &str, name: &str, by: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(name) {
        let after = &rest[at + name.len()..];
        let before = rest[..at].chars().next_back().or_else(|| out.chars().next_back());
        let whole = !after.starts_with(is_of_word) && !before.is_some_and(is_of_word);
        out += &rest[..at];
        out += if whole { by } else { name };
        rest = after;
    }
    out + rest
}
