//! The report of a night, whatever made it: a collector, a matrix or a hunt.
//!
//! - `hunt`: the runs of a hunt as a night

use std::path::Path;

use crate::collect;
use crate::console::out;
use crate::files::atomic::WriteError;
use crate::live::place::Pointer;
use crate::matrix;
use crate::matrix::night::Read;
use crate::report::html;
use crate::report::html::FILE;
use crate::report::night::model::Night;
use crate::report::night::write::write;
use crate::report::reread::{self, VERDICT};

mod hunt;
#[cfg(test)]
mod tests;

use hunt::Hunt;

/// What a folder holds.
#[derive(Debug)]
pub(crate) enum Kind {
    Sessions,
    Matrix,
    Hunt,
}

/// What a night is known by, for people.
pub(crate) const LOOKED_FOR: &str = "samples.csv with its first line, matrix.json, sessions.jsonl, \
    sessions/*/session.json or runs.jsonl of a job";

impl Kind {
    /// By what its files hold, not by their names: a report is written there. None: it is not the OUT of a job
    /// with several runs.
    pub(crate) fn of(path: &Path) -> Option<Kind> {
        if collect::night::is_night(path) {
            Some(Kind::Sessions)
        } else if matrix::night::is_night(path) {
            Some(Kind::Matrix)
        } else if reread::is_hunt(path) {
            Some(Kind::Hunt)
        } else {
            None
        }
    }
}

/// A night that was read, and what its files need beside it.
pub(crate) struct Report {
    pub(crate) night: Night,
    rest: Rest,
}

enum Rest {
    Sessions,
    Matrix(Read),
    Hunt(Box<Hunt>),
}

impl Report {
    /// Reads what is in a folder. The job may still be at work. What cannot be read is part of the night.
    pub(crate) fn read(path: &Path, kind: &Kind) -> Report {
        let (found, rest) = match kind {
            Kind::Sessions => {
                let at_work = Pointer::read(path).ok().flatten().is_some_and(|job| job.works());
                (collect::night::read(path, None, at_work), Rest::Sessions)
            }
            Kind::Matrix => {
                let read = matrix::night::read(path);
                (read.found.clone(), Rest::Matrix(read))
            }
            Kind::Hunt => {
                let hunt = Hunt::read(path);
                (hunt::found(path, &hunt), Rest::Hunt(Box::new(hunt)))
            }
        };
        Report { night: Night::of(found), rest }
    }

    /// Writes the page, and the report in both languages. Returns the names of the files. A hunt with a
    /// verdict has its own report already: only its page is written, if it has none.
    ///
    /// # Errors
    /// [`WriteError`] of the first that could not be written; the others are tried all the same.
    pub(crate) fn write(&self, path: &Path) -> Result<Vec<&'static str>, WriteError> {
        match &self.rest {
            Rest::Sessions => write(path, &self.night, &html::night::page(&self.night, out::lang())),
            Rest::Matrix(read) => matrix::page::write_again(path, &read.entries, &self.night),
            Rest::Hunt(hunt) if hunt.has_verdict && !path.join(FILE).exists() => {
                crate::report::write_page(path, &hunt.facts).map(|()| vec![FILE])
            }
            // A verdict that cannot be read had a report all the same.
            Rest::Hunt(_) if path.join(VERDICT).exists() => Ok(vec![]),
            Rest::Hunt(_) => write(path, &self.night, &html::night::page(&self.night, out::lang())),
        }
    }
}
