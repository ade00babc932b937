//! A hunt in GitHub Actions: annotations, and the report in the summary of the step.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::analysis::{Conclusion, HuntFacts};
use crate::console::out;
use crate::report::{github, markdown_name, terminal};
use crate::text::message::Lang;

/// Largest summary of a step, bytes.
const MOST: u64 = 1 << 20;

/// Reports a hunt to GitHub Actions, if it runs there. An error changes nothing in how the hunt ends.
pub(super) fn tell(facts: &HuntFacts, conclusion: &Conclusion, out: &Path, lang: Lang) {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if set("GITHUB_ACTIONS").is_some_and(|value| value == "true") {
        let workspace = set("GITHUB_WORKSPACE").map(PathBuf::from);
        let file = |path: &str| github::in_workspace(path, workspace.as_deref()?);
        for annotation in github::annotations(facts, conclusion, file, lang) {
            out::line(annotation);
        }
    }
    if let Some(summary) = set("GITHUB_STEP_SUMMARY").map(PathBuf::from) {
        let report = out.join(markdown_name(lang));
        if let Err(error) = append(&summary, &report, &terminal::summary(facts, conclusion, lang)) {
            let summary = summary.display();
            out::error_line(format_args!("hangscope: hunt: cannot add the report to {summary}: {error}"));
        }
    }
}

/// Appends a report; only its `short` form if the whole would be too long to be shown.
fn append(summary: &Path, report: &Path, short: &str) -> std::io::Result<()> {
    let mut file = File::options().append(true).create(true).open(summary)?;
    let (there, len) = (file.metadata()?.len(), std::fs::metadata(report)?.len());
    let text = if there + len < MOST { std::fs::read_to_string(report)? } else { short.to_owned() };
    file.write_all(format!("{text}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_grows_and_stays_below_what_is_shown() {
        let dir = tempfile::tempdir().unwrap();
        let (summary, report) = (dir.path().join("summary"), dir.path().join("report.md"));
        std::fs::write(&report, "# whole\n").unwrap();
        append(&summary, &report, "short").unwrap();
        append(&summary, &report, "short").unwrap();
        assert_eq!(std::fs::read_to_string(&summary).unwrap(), "# whole\n\n# whole\n\n");
        std::fs::write(&report, "x".repeat(MOST as usize)).unwrap();
        append(&summary, &report, "short").unwrap();
        assert!(std::fs::read_to_string(&summary).unwrap().ends_with("# whole\n\nshort\n"));
        assert!(append(dir.path(), &report, "short").is_err(), "a folder");
    }
}
