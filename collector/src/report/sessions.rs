//! The sessions of a collector, each once. Sessions that have ended have lines in `sessions.jsonl`; those
//! that are open, or that were not folded, have folders.

use std::collections::HashMap;

/// Folder of the sessions in OUT.
const ABOVE: &str = "sessions/";

pub(crate) struct Sessions<T> {
    /// With their folders, relative to OUT, in the order in which they were added.
    pub(crate) all: Vec<(String, T)>,
    /// Where those are whose folders are not removed.
    by_folder: HashMap<String, usize>,
}

impl<T> Default for Sessions<T> {
    fn default() -> Sessions<T> {
        Sessions { all: vec![], by_folder: HashMap::new() }
    }
}

impl<T> Sessions<T> {
    /// Adds a line of `sessions.jsonl`. A collector that ends writes a line for a session that is still open;
    /// the next collector writes another one, and the last line counts. `folded`: the folder is removed, so
    /// another session may have its name. False: it names no session's folder. Nothing outside of OUT is read
    /// because of a line in a file.
    pub(crate) fn ended(&mut self, folder: &str, folded: bool, session: T) -> bool {
        if !folder.strip_prefix(ABOVE).is_some_and(is_name) {
            return false;
        }
        if !folded {
            self.in_folder(folder, session);
        } else if let Some(open) = self.by_folder.remove(folder) {
            self.all[open].1 = session;
        } else {
            self.all.push((folder.to_owned(), session));
        }
        true
    }

    /// Adds the session of a folder, or what is newer about it.
    pub(crate) fn in_folder(&mut self, folder: &str, session: T) {
        match self.by_folder.get(folder) {
            Some(known) => self.all[*known].1 = session,
            None => {
                self.by_folder.insert(folder.to_owned(), self.all.len());
                self.all.push((folder.to_owned(), session));
            }
        }
    }

    /// The session of a folder that is not removed.
    pub(crate) fn of_folder(&self, folder: &str) -> Option<&T> {
        self.by_folder.get(folder).map(|at| &self.all[*at].1)
    }
}

/// Whether this is a path below another one, without a step upwards.
pub(crate) fn is_below(path: &str) -> bool {
    !path.is_empty() && path.split('/').all(is_name)
}

/// Whether this is the name of a file or folder, without a folder above it.
pub(crate) fn is_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains('/')
}
