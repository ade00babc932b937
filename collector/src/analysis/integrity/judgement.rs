//! The answer of the integrity check.

use super::reason::Reason;
use crate::analysis::words::Integrity;
use crate::text::message::Lang;

/// Whether a DSO is still the file that was loaded, and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    pub integrity: Integrity,
    /// `(deleted)` stands after the path in maps, now or at init.
    pub(crate) deleted_seen: bool,
    pub(crate) reason: Reason,
}

impl Judgement {
    /// The reason as a sentence.
    pub fn sentence(&self, lang: Lang) -> String {
        self.reason.text(lang)
    }
}
