//! The files of a night in OUT: the page, and the report in both languages.

use std::path::Path;

use super::markdown;
use super::model::Night;
use crate::files::atomic::{self, WriteError};
use crate::files::free;
use crate::report::file_names::{PAGE, markdown_name};
use crate::text::message::Lang;

/// Writes `report.html` (`page`), `report.md` and `report.ja.md`, each whole or not at all. Returns their
/// names.
///
/// # Errors
/// [`WriteError`] of the first that could not be written; the others are tried all the same.
pub(crate) fn write(out: &Path, night: &Night, page: &str) -> Result<Vec<&'static str>, WriteError> {
    let reports = write_reports(out, night);
    let written = free::write_page(&out.join(PAGE), page);
    let reports = reports?;
    written.map(|()| [&[PAGE], &reports[..]].concat())
}

/// The same without the page.
///
/// # Errors
/// As [`write()`].
pub(crate) fn write_reports(out: &Path, night: &Night) -> Result<Vec<&'static str>, WriteError> {
    let one = |lang| atomic::write_text(&out.join(markdown_name(lang)), &markdown::report(night, lang));
    let written: Vec<Result<(), WriteError>> = Lang::ALL.into_iter().map(one).collect();
    written.into_iter().collect::<Result<(), _>>()?;
    Ok(Lang::ALL.map(markdown_name).to_vec())
}
