//! The result of a verification.

use std::path::PathBuf;

use super::hang::VerifyHang;
use super::proof::Proof;
use crate::text::message::{Say as _, Text, say};
use crate::text::progress::JobLine;

/// The result of a verification that passed.
#[derive(Clone, Debug)]
pub(crate) struct Verified {
    /// The program that said hello.
    pub(crate) program: PathBuf,
    pub(crate) sha1: String,
    pub(crate) runs: Vec<VerifiedRun>,
}

/// A verification run that passed.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct VerifiedRun {
    #[serde(flatten)]
    pub(crate) proof: Proof,
    /// The first program of the command, where that is not the one that was proven.
    pub(crate) launcher: Option<PathBuf>,
    /// The shim's own share of the program's memory, KiB; none: the program ended too early.
    pub(crate) shim_kib: Option<u64>,
    /// The run did not come to its end after its proof.
    pub(crate) hang: Option<VerifyHang>,
}

impl VerifiedRun {
    /// A sentence on what was proven.
    pub(crate) fn line(&self) -> Text {
        let proof = self.proof.line();
        match &self.launcher {
            Some(launcher) => say!(JobLine::Behind { proof, launcher: launcher.display() }).said(),
            None => proof.said(),
        }
    }
}

impl Verified {
    /// The run that did not come to its end.
    pub(crate) fn unfinished(&self) -> Option<&VerifyHang> {
        self.runs.iter().find_map(|run| run.hang.as_ref())
    }
}
