//! The report of a night, whatever made it: a collector, a matrix or a hunt.
//!
//! - `hunt`: the runs of a hunt as a night

use std::path::Path;

use crate::collect;
use crate::console::out;
use crate::files::atomic::WriteError;
use crate::matrix;
use crate::matrix::night::Read;
use crate::report::html::FILE;
use crate::report::night::model::Night;
use crate::report::night::write::write;
use crate::report::show::ShowError;
use crate::report::{html, reread};

mod hunt;
#[cfg(test)]
mod tests;

/// What a folder holds.
#[derive(Debug)]
pub(crate) enum Kind {
    Sessions,
    Matrix,
    Hunt,
}

impl Kind {
    /// None: it is not the OUT of a job with several runs.
    pub(crate) fn of(path: &Path) -> Option<Kind> {
        let has = |name: &str| path.join(name).exists();
        if has("sessions.jsonl") || path.join("sessions").is_dir() {
            Some(Kind::Sessions)
        } else if has("samples.csv") || has("matrix.json") {
            Some(Kind::Matrix)
        } else if has("runs.jsonl") && has("verdict.json") {
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
    Hunt(Box<crate::analysis::HuntFacts>),
}

impl Report {
    /// Reads what is in a folder. The job may still be at work.
    ///
    /// # Errors
    /// [`ShowError`]: the files of a hunt cannot be read. What cannot be read of a collector or a matrix is
    /// part of the night.
    pub(crate) fn read(path: &Path, kind: &Kind) -> Result<Report, ShowError> {
        let (found, rest) = match kind {
            Kind::Sessions => (collect::night::read(path, None), Rest::Sessions),
            Kind::Matrix => {
                let read = matrix::night::read(path);
                (read.found.clone(), Rest::Matrix(read))
            }
            Kind::Hunt => {
                let facts = reread::facts(path)?;
                (hunt::found(path, &facts), Rest::Hunt(Box::new(facts)))
            }
        };
        Ok(Report { night: Night::of(found), rest })
    }

    /// Writes the page, and the report in both languages. Returns the names of the files. A hunt has its own
    /// report already: only its page is written, if it has none.
    ///
    /// # Errors
    /// [`WriteError`] of the first that could not be written; the others are tried all the same.
    pub(crate) fn write(&self, path: &Path) -> Result<Vec<&'static str>, WriteError> {
        match &self.rest {
            Rest::Sessions => write(path, &self.night, &html::night::page(&self.night, out::lang())),
            Rest::Matrix(read) => matrix::page::write_again(path, &read.entries, &self.night),
            Rest::Hunt(_) if path.join(FILE).exists() => Ok(vec![]),
            Rest::Hunt(facts) => crate::report::write_page(path, facts).map(|()| vec![FILE]),
        }
    }
}
