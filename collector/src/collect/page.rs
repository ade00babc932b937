//! The report of a collector, written at its end: its sessions as a night.

use std::path::Path;

use super::night;
use crate::console::out;
use crate::files::atomic::WriteError;
use crate::report::html;
use crate::report::night::model::Night;
use crate::report::night::write::write as write_files;

/// Most bytes of the list that are read, at its end: some ten thousand sessions. The collector is to end
/// soon.
const MOST: u64 = 64 << 20;

/// Writes the report of OUT.
///
/// # Errors
/// [`WriteError`].
pub(crate) fn write(out: &Path) -> Result<(), WriteError> {
    let night = Night::of(night::read(out, Some(MOST), true));
    write_files(out, &night, &html::night::page(&night, out::lang())).map(|_| ())
}
