//! What of a bundle could not be written: said in its own files where that can be done, and by whoever made
//! it.

use std::fmt::Display;
use std::path::Path;

use crate::files::atomic::WriteError;
use crate::text::message::{Say as _, Text, say};
use crate::text::note::Note;

/// Files that could not be written, and why.
#[derive(Clone, Debug, Default)]
pub(crate) struct NotWritten {
    /// Names in the folder of the bundle, each once.
    pub(crate) files: Vec<String>,
    /// Of the first one.
    error: String,
    /// There was no room for it.
    full: bool,
}

impl NotWritten {
    /// What is missing in the folder because of these errors. A file of the finding is written twice: one
    /// time may have been enough.
    pub(super) fn of(dir: &Path, errors: &[WriteError]) -> NotWritten {
        let mut missing = NotWritten::default();
        for error in errors {
            let Some(name) = error.path.file_name().filter(|name| !dir.join(name).exists()) else { continue };
            let name = name.to_string_lossy().into_owned();
            if missing.error.is_empty() {
                (missing.error, missing.full) = (error.source.to_string(), error.is_full());
            }
            // Without the folder its files are missing.
            if error.path == dir {
                continue;
            }
            if !missing.files.contains(&name) {
                missing.files.push(name);
            }
        }
        missing
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Whether there was no room.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    /// Why, in the words of the system.
    pub(crate) fn error(&self) -> &str {
        &self.error
    }

    /// What a person should know of the bundle with this name; none if all of it is there.
    pub(crate) fn note(&self, snapshot: impl Display) -> Option<Text> {
        let (files, error) = (self.files.join(", "), &self.error);
        match (self.is_empty(), self.full) {
            (true, _) => None,
            (false, true) => Some(say!(Note::NoRoomFor { files, error, snapshot }).said()),
            (false, false) => Some(say!(Note::NotWritten { files, error, snapshot }).said()),
        }
    }
}
