//! The files in `preload_verify/`: `run_N.log` and `result.txt`.

use std::path::{Path, PathBuf};

use super::error::VerifyError;
use super::run::Ran;
use crate::files::atomic;

/// Last line of `result.txt` on success.
pub(crate) const PASSED: &str = "[STRICT-PRELOAD] verification passed";
/// Beginning of its last line otherwise.
pub(super) const FAILED: &str = "[STRICT-PRELOAD] verification failed";

#[derive(Debug)]
pub(super) struct Log {
    dir: PathBuf,
    lines: Vec<String>,
}

impl Log {
    pub(super) fn begin(dir: &Path) -> Result<Log, VerifyError> {
        atomic::make_dir(dir)?;
        // Nobody may take the result of an earlier verification for this one's.
        atomic::write(&dir.join("result.txt"), b"[STRICT-PRELOAD] verification begun\n")?;
        Ok(Log { dir: dir.to_owned(), lines: vec![] })
    }

    pub(super) fn run(&mut self, number: u32, ran: &Ran) -> Result<(), VerifyError> {
        atomic::write(&self.dir.join(format!("run_{number}.log")), &ran.log)?;
        self.lines.push(match &ran.result {
            Ok(verified) => {
                let hang = verified.hang.as_ref().map(|hang| format!("; {}", hang.line().en()));
                format!("run {number}: {}{}", verified.line().en(), hang.unwrap_or_default())
            }
            Err(error) => format!("run {number}: {error}"),
        });
        Ok(())
    }

    pub(super) fn end<T>(&mut self, outcome: &Result<T, VerifyError>) -> Result<(), VerifyError> {
        self.lines.push(match outcome {
            Ok(_) => PASSED.to_owned(),
            Err(error) => format!("{FAILED}: {error}"),
        });
        let mut text = self.lines.join("\n");
        text.push('\n');
        Ok(atomic::write(&self.dir.join("result.txt"), text.as_bytes())?)
    }
}
