//! What a night says of one hang, from its finding or from its bundle.

use std::path::Path;

use super::model::{Evidence, Hang};
use crate::analysis::Finding;
use crate::analysis::signature::Signature;
use crate::evidence::threads_file::ThreadsFile;
use crate::report::file_names::PAGE;
use crate::report::same::sentence;
use crate::report::show;
use crate::text::message::Text;

impl Hang {
    /// None: nothing was captured from inside.
    pub(crate) fn of(finding: Option<&Finding>) -> Hang {
        Hang {
            signature: finding.map(Signature::of),
            sentence: Text::of(|lang| sentence(finding.cloned(), lang)),
        }
    }

    /// From the finding that a bundle holds. None: it cannot be read.
    pub(crate) fn of_bundle(bundle: &Path) -> Option<(Hang, Finding)> {
        let file: ThreadsFile = show::read(&bundle.join("threads.json")).ok()?;
        Some((Hang::of(Some(&file.finding)), file.finding))
    }
}

impl Evidence {
    /// A folder in OUT.
    pub(crate) fn of(out: &Path, folder: String) -> Evidence {
        Evidence { page: out.join(&folder).join(PAGE).exists(), folder }
    }
}
