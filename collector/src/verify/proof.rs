//! Compares what the shim of a process reported with the request. Pure.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use hangscope_protocol::record::dso_flags;

use super::error::VerifyError;
use super::request::Wanted;
use crate::analysis::Integrity;
use crate::analysis::integrity::judge;
use crate::launch::census::Disconnected;
use crate::proc::clock;
use crate::session::copy::Copied;
use crate::session::{Dso, Identity};
use crate::text::message::{Lang, say};
use crate::text::progress::JobLine;

/// When a program began: its shim says so. When its hello came if that is no time of this machine.
pub(crate) fn began(identity: &Identity, received: Instant) -> Instant {
    clock::began(identity.fixed.init_ns, received)
}

/// SHA-1 of the allocator's bytes that a process sent.
///
/// # Errors
/// Why there is none: they could not be read, or are not those of the file.
pub(crate) fn sha1_of_copy(copied: &io::Result<Arc<Copied>>) -> Result<String, String> {
    match copied {
        Ok(copied) if copied.of_file => Ok(copied.sha1.clone()),
        // A copy from memory has relocated words, so its bytes differ from the same file's.
        Ok(_) => Err("its bytes could be had from memory only".into()),
        Err(error) => Err(error.to_string()),
    }
}

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

/// What one process has told so far.
#[derive(Clone, Debug)]
pub(crate) struct ProcessReport {
    /// In the collector's namespace.
    pub(crate) pid: u32,
    pub(crate) identity: Identity,
    pub(crate) dsos: Vec<Dso>,
    /// SHA-1 of the allocator's bytes that the process sent; else why they could not be read.
    pub(crate) copy: Option<Result<String, String>>,
    /// When the program began.
    pub(crate) at: Instant,
    /// When its connection ended. The process ended then, or executed another program.
    pub(crate) ended: Option<Instant>,
    /// The connection ended, but the process has the same DSOs at the same addresses: the program is the same.
    pub(crate) goes_on: bool,
    /// Its destructors ran: its process executed no other program after it.
    pub(crate) exited: bool,
}

impl ProcessReport {
    /// Whether everything that can be checked has come.
    pub(crate) fn is_complete(&self) -> bool {
        !self.dsos.is_empty() && self.copy.is_some()
    }

    /// The shim and the allocator. The program that told of them has them at the same addresses to its end.
    pub(crate) fn own_dsos(&self) -> impl Iterator<Item = &Dso> {
        self.dsos.iter().filter(|dso| dso.is(dso_flags::SHIM) || dso.is(dso_flags::PROVIDES_MALLOC))
    }

    /// The program, once its connection has ended.
    pub(crate) fn disconnected(&self) -> Disconnected<'_> {
        Disconnected { pid: self.pid, dsos: self.own_dsos().collect() }
    }

    /// The file that it executes.
    pub(crate) fn exe(&self) -> &str {
        self.identity.exe.trim_end_matches(" (deleted)")
    }

    /// The proof, or what is wrong.
    pub(crate) fn prove(&self, wanted: &Wanted) -> Result<Proof, VerifyError> {
        let program = PathBuf::from(self.exe());
        if self.dsos.is_empty() {
            let (program, reason) = (program.display().to_string(), "its list of DSOs did not come".into());
            return Err(VerifyError::Rejected { program, reason });
        }
        self.proof(program, wanted)
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
