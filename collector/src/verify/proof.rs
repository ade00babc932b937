//! Compares what the shim of a process reported with the request. Pure.

use std::path::PathBuf;
use std::time::Instant;

use hangscope_protocol::record::dso_flags;

use super::error::VerifyError;
use super::program::Expected;
use super::request::Wanted;
use crate::analysis::Integrity;
use crate::analysis::integrity::judge;
use crate::session::{Dso, Identity};
use crate::text::message::{Lang, say};
use crate::text::progress::JobLine;

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Proof {
    /// The process that said hello.
    pub(crate) pid: u32,
    pub(crate) program: PathBuf,
    /// The DSO that provides malloc in it, as in /proc/PID/maps.
    pub(crate) malloc: PathBuf,
    /// The file at that path is the given one (device, inode, times).
    pub(crate) same_file: bool,
    /// The bytes that the process sent are those of the file.
    pub(crate) same_bytes: bool,
}

impl Proof {
    pub(crate) fn line(&self) -> JobLine {
        let how = match (self.same_file, self.same_bytes) {
            (true, true) => JobLine::SameFileAndBytes {},
            (true, false) => JobLine::SameFile {},
            _ => JobLine::SameBytes {},
        };
        let (program, malloc) = (self.program.display(), self.malloc.display());
        say!(JobLine::Proof { program, pid: self.pid, malloc, how })
    }
}

/// What one process has sent so far.
#[derive(Clone, Debug)]
pub(super) struct ProcessReport {
    pub(super) pid: u32,
    pub(super) identity: Identity,
    pub(super) dsos: Vec<Dso>,
    /// SHA-1 of the allocator's bytes that the process sent; else why they could not be read.
    pub(super) copy: Option<Result<String, String>>,
    pub(super) over: bool,
    pub(super) at: Instant,
}

impl ProcessReport {
    /// Whether everything that can be checked has come.
    pub(super) fn is_complete(&self) -> bool {
        !self.dsos.is_empty() && self.copy.is_some()
    }

    /// The proof, or what is wrong. None if this is not the expected program, or too little has come.
    pub(super) fn judge(&self, expected: &Expected, wanted: &Wanted) -> Option<Result<Proof, VerifyError>> {
        let exe = self.identity.exe.trim_end_matches(" (deleted)");
        let complete = expected.is(exe, &self.identity.command) && !self.dsos.is_empty();
        complete.then(|| self.proof(PathBuf::from(exe), wanted))
    }

    fn proof(&self, program: PathBuf, wanted: &Wanted) -> Result<Proof, VerifyError> {
        let so = wanted.path.clone();
        let provider = self.dsos.iter().find(|dso| dso.is(dso_flags::PROVIDES_MALLOC));
        let same = |dso: &Dso| (dso.init.dev, dso.init.ino) == (wanted.file.dev, wanted.file.ino);
        let mine = self.dsos.iter().find(|dso| same(dso) || std::path::Path::new(&dso.path) == so);
        let Some(provider) = provider.filter(|p| mine.is_some_and(|mine| mine.init.id == p.init.id)) else {
            let hint = match mine {
                None => ": it is not even mapped; does something in front of the program clear LD_PRELOAD?",
                Some(_) if wanted.elf.defines_malloc => ": something comes before it in symbol order",
                Some(_) => ": it defines no malloc",
            };
            let provider = provider.map_or("nothing that is known".into(), |p| p.path.clone());
            return Err(VerifyError::OtherMalloc { program, provider, so, hint });
        };
        let judged = judge(provider, None);
        if judged.deleted_seen || judged.integrity > Integrity::Unknown {
            let gone = provider.is(dso_flags::DELETED_AT_INIT);
            let gone = gone.then(|| "its file was gone when the program started".to_owned());
            let what = gone.unwrap_or_else(|| judged.sentence(Lang::En));
            return Err(VerifyError::NotIntact { program, so, what });
        }
        let (init, file) = (&provider.init, &wanted.file);
        let untouched =
            (init.size, init.mtime_ns, init.ctime_ns) == (file.size, file.mtime_ns, file.ctime_ns);
        let same_file = same(provider) && untouched && provider.is(dso_flags::SAME_FILE_AT_INIT);
        let same_bytes = match &self.copy {
            Some(Ok(sha1)) if *sha1 == wanted.sha1 => true,
            Some(Ok(sha1)) => {
                let what = format!("sha1 {sha1}, not {}", wanted.sha1);
                return Err(VerifyError::OtherFile { program, so, what });
            }
            // The process ended first, or could not send them. The file's identity must do.
            _ => false,
        };
        if !same_file && !same_bytes {
            let what = match &self.copy {
                Some(Err(why)) => format!("another file or time ({why})"),
                _ => "another file or time, and no copy of its bytes came".into(),
            };
            return Err(VerifyError::OtherFile { program, so, what });
        }
        Ok(Proof { pid: self.pid, program, malloc: PathBuf::from(&provider.path), same_file, same_bytes })
    }
}
