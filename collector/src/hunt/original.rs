//! The user's own file of the DSO. The runs use a pinned copy, so a change of the file does not reach them.
//! The report says that it changed: without the pinned copy it would have.

use std::io;
use std::path::{Path, PathBuf};

use sha1::{Digest as _, Sha1};

use crate::analysis::Integrity;
use crate::files::facts::{self, FileFacts};
use crate::text::message::Text;

/// The user's file as it was when the hunt began.
#[derive(Debug)]
pub(crate) struct Original {
    path: PathBuf,
    facts: FileFacts,
    sha1: [u8; 20],
    worst: Integrity,
}

impl Original {
    /// The first look at the file.
    ///
    /// # Errors
    /// The file cannot be looked at.
    pub(crate) fn new(path: &Path) -> io::Result<Original> {
        let sha1 = digest(path)?;
        let facts = facts::now(path, None)?.ok_or(io::ErrorKind::NotFound)?;
        Ok(Original { path: path.to_owned(), facts, sha1, worst: Integrity::Intact })
    }

    /// The worst of all looks so far.
    pub(crate) fn integrity(&self) -> Integrity {
        self.worst
    }

    /// Looks again. Returns what is worse than before, if anything is. Reads the bytes only if a time
    /// changed.
    pub(crate) fn look(&mut self) -> Option<Changed> {
        let (now, why) = match self.compare() {
            Ok(now) => (now, None),
            Err(e) => (Integrity::Unknown, Some(e)),
        };
        let worse = now > self.worst;
        self.worst = self.worst.max(now);
        worse.then_some(Changed { integrity: now, why })
    }

    fn compare(&self) -> io::Result<Integrity> {
        let was = &self.facts;
        let Some(now) = facts::now(&self.path, None)? else { return Ok(Integrity::Deleted) };
        if (now.dev, now.ino) != (was.dev, was.ino) {
            return Ok(Integrity::Replaced);
        }
        if now.size == was.size && now.mtime_ns == was.mtime_ns && now.ctime_ns == was.ctime_ns {
            return Ok(Integrity::Intact);
        }
        Ok(match digest(&self.path)? {
            sha1 if sha1 != self.sha1 => Integrity::Overwritten,
            // chmod and link move only ctime. Otherwise the file was touched, or written with the same bytes.
            _ if now.mtime_ns == was.mtime_ns => Integrity::Intact,
            _ => Integrity::Unknown,
        })
    }
}

/// A look that found something worse than before.
#[derive(Debug)]
pub(crate) struct Changed {
    pub(crate) integrity: Integrity,
    /// Why the file could not be looked at.
    pub(crate) why: Option<io::Error>,
}

impl Changed {
    pub(crate) fn said(&self) -> Text {
        let word = self.integrity.said();
        let why = self.why.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
        Text::of(|lang| format!("{}{why}", word.text(lang)))
    }
}

fn digest(path: &Path) -> io::Result<[u8; 20]> {
    let mut sha1 = Sha1::new();
    io::copy(&mut std::fs::File::open(path)?, &mut sha1)?;
    Ok(sha1.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_to_the_file_is_seen_and_the_worst_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.so");
        std::fs::write(&path, "one").unwrap();
        let original = || Original::new(&path).unwrap();

        let look = |watched: &mut Original| watched.look().map(|changed| changed.said().en().to_owned());
        let mut watched = original();
        assert_eq!(look(&mut watched), None);
        std::fs::hard_link(&path, dir.path().join("link")).unwrap();
        assert_eq!(look(&mut watched), None);
        std::fs::remove_file(dir.path().join("link")).unwrap();
        std::fs::write(&path, "two").unwrap();
        assert_eq!(look(&mut watched).as_deref(), Some("overwritten"));
        assert_eq!(look(&mut watched), None);

        let mut watched = original();
        let touched = std::time::SystemTime::UNIX_EPOCH;
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(touched).unwrap();
        assert_eq!(look(&mut watched).as_deref(), Some("unknown"));
        std::fs::write(dir.path().join("new"), "two").unwrap();
        std::fs::rename(dir.path().join("new"), &path).unwrap();
        assert_eq!(look(&mut watched).as_deref(), Some("replaced"));

        let mut watched = original();
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("x.so", &path).unwrap();
        let said = "unknown (Too many levels of symbolic links (os error 40))";
        assert_eq!(look(&mut watched).as_deref(), Some(said));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(look(&mut watched).as_deref(), Some("deleted"));
        std::fs::write(&path, "two").unwrap();
        watched.look();
        assert!(watched.integrity() >= Integrity::Deleted);
    }
}
