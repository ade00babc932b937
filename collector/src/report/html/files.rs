//! Links from sentences to the files that they name. A sentence names a file as it is from OUT or from the
//! bundle: `(hang_run_8/threads.json)`, `(stacks.txt)`.

use std::collections::BTreeMap;
use std::path::Path;

use maud::{Markup, html};

use super::piece::{in_code, of_both};
use crate::text::message::Text;

/// The files that may be named, with their links.
#[derive(Clone, Debug, Default)]
pub(super) struct Files {
    links: BTreeMap<String, String>,
}

/// Most files of a folder that are linked.
const MOST: usize = 4000;

impl Files {
    /// The files of a bundle, and those of the folder above it.
    pub(super) fn of_bundle(dir: &Path) -> Files {
        let mut files = Files::default();
        let above = dir.parent().map_or_else(Vec::new, names);
        for name in above {
            files.add(&name, &format!("../{name}"));
        }
        let own = dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        for name in names(dir) {
            files.add(&format!("{own}/{name}"), &name);
            files.add(&name, &name);
        }
        files
    }

    /// The files of OUT, and those of the folders in it.
    pub(super) fn of_out<'a>(out: &Path, folders: impl Iterator<Item = &'a str>) -> Files {
        let mut files = Files::default();
        for name in names(out) {
            files.add(&name, &name);
        }
        for folder in folders {
            for name in names(&out.join(folder)) {
                let name = format!("{folder}/{name}");
                files.add(&name, &name);
            }
        }
        files
    }

    fn add(&mut self, name: &str, link: &str) {
        if name.bytes().all(is_plain) && !link.starts_with('/') && self.links.len() < MOST {
            self.links.insert(name.to_owned(), link.to_owned());
        }
    }

    /// The link of a file; none: there is no such file.
    pub(super) fn link(&self, name: &str) -> Option<&str> {
        self.links.get(name).map(String::as_str)
    }

    /// All of them that are in the folder itself, with their links.
    pub(super) fn own(&self) -> impl Iterator<Item = (&str, &str)> {
        self.links
            .iter()
            .filter(|(name, link)| name == link && !link.contains('/'))
            .map(|(n, l)| (&**n, &**l))
    }

    /// A sentence with its files as links.
    pub(super) fn linked(&self, sentence: &Text) -> Markup {
        of_both(sentence, |text| self.pieces(text))
    }

    fn pieces(&self, text: &str) -> Markup {
        let mut pieces: Vec<Markup> = vec![];
        let mut from = 0;
        let mut at = 0;
        for word in text.split_inclusive(|c: char| !c.is_ascii() || !is_plain(c as u8)) {
            let file = word.trim_end_matches(|c: char| !c.is_ascii() || !is_plain(c as u8) || c == '.');
            if let Some(link) = self.link(file).filter(|_| file.contains('.')) {
                let before = &text[from..at];
                pieces.push(html! { (in_code(before)) a href=(link) { (file) } });
                from = at + file.len();
            }
            at += word.len();
        }
        html! { @for piece in &pieces { (piece) } (in_code(&text[from..])) }
    }
}

/// What stands in a link as it is, without any meaning of its own.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/')
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.take(MOST).filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::message::Say as _;

    #[test]
    fn only_files_that_are_there_become_links() {
        let dir = tempfile::tempdir().unwrap();
        let bundle = dir.path().join("hang_run_8");
        std::fs::create_dir(&bundle).unwrap();
        for name in ["hang_run_8/threads.json", "runs.jsonl", "hang_run_8/javascript:alert(1).txt"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let sentence =
            "<b> waits (hang_run_8/threads.json, stacks.txt). See runs.jsonl. javascript:alert(1).txt".said();
        let out = Files::of_out(dir.path(), ["hang_run_8"].into_iter()).linked(&sentence).into_string();
        assert_eq!(
            out,
            "<bdi>&lt;b&gt; waits (<a href=\"hang_run_8/threads.json\">hang_run_8/threads.json</a>, stacks.txt). See \
             <a href=\"runs.jsonl\">runs.jsonl</a>. javascript:alert(1).txt</bdi>"
        );
        let bundle = Files::of_bundle(&bundle).linked(&sentence).into_string();
        assert!(bundle.contains("<a href=\"threads.json\">hang_run_8/threads.json</a>"), "{bundle}");
        assert!(bundle.contains("<a href=\"../runs.jsonl\">"), "{bundle}");
    }
}
