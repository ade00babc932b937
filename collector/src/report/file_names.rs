//! Names of the files of a report.

use crate::text::message::Lang;

/// Name of a page in its folder.
pub(crate) const PAGE: &str = "report.html";

/// Name of the Markdown report in OUT.
pub(crate) fn markdown_name(lang: Lang) -> &'static str {
    match lang {
        Lang::En => "report.md",
        Lang::Ja => "report.ja.md",
    }
}
