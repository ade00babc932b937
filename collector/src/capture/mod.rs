//! The outside view of a process: what `/proc` and `perf` say about it, in the files that people's scripts
//! read.
//!
//! - [`threads`]: a look at all threads
//! - [`tables`]: the texts: `ps_L.txt`, `wchan_by_tid.tsv`, `environ.txt`, `maps_{name}.txt`; pure
//! - [`hot`]: which thread spent the most CPU between two looks
//! - [`mod@perf`]: `perf record` and `perf report` of that thread; `perf_names`: where perf finds names
//! - [`part`]: a file of a bundle, or the line that says why it has no contents
//! - [`tool`]: runs a program that may not end
//!
//! A process may end at any moment, and the kernel may refuse a part. Such a part is one line in its file
//! that says why: a file is never missing and never empty.

use std::path::{Path, PathBuf};

use crate::files::atomic::WriteError;
use crate::files::pin::name_of;
use crate::proc::task;
use crate::profile::Profile;
use crate::text::escape;

pub(crate) mod hot;
mod part;
pub mod perf;
mod perf_names;
pub(crate) mod tables;
pub(crate) mod threads;
pub(crate) mod tool;

pub(crate) use hot::CpuLook;
pub(crate) use part::{Part, reason_line, write_part, write_reason};
pub use perf::{CallGraph, PerfOptions, Perfed, perf};
pub use perf_names::NameSources;
pub(crate) use threads::ThreadLook;

#[derive(Clone, Debug)]
pub struct Options<'a> {
    /// Short name of the allocator, for `maps_{name}.txt`.
    pub name: &'a str,
    /// Tells which variables are recorded, and how the allocator's files are named.
    pub profile: &'a Profile,
    /// Paths of the allocator's DSO: the pinned copy, the original.
    pub dso: Vec<PathBuf>,
    /// The shim's own thread, by the tid that its hello has; none without a hello. It is in no table.
    pub shim_tid: Option<u32>,
}

#[derive(Clone, Debug)]
pub struct Outside {
    /// The threads, by tid; empty if the process had ended.
    pub threads: Vec<ThreadLook>,
    /// `/proc/PID/maps` as the kernel printed it.
    pub maps: Part,
    /// The files and their names, `pid.txt` and `maps.txt` among them.
    pub files: Vec<(String, Part)>,
}

/// Looks at a process from outside. Never fails: the file of a part that could not be read says why.
pub fn outside(pid: u32, options: &Options<'_>) -> Outside {
    let looked = threads::look(pid, options.shim_tid);
    // A process that is dying has empty maps. A process that lives may have an empty environment.
    let shared = format!("task/{}", task::sharing(pid));
    let maps = threads::read(pid, &format!("{shared}/maps"))
        .and_then(|maps| if maps.is_empty() { Err(threads::ended(pid)) } else { Ok(maps) });
    let environ =
        maps.as_ref().map_err(String::clone).and_then(|_| threads::read(pid, &format!("{shared}/environ")));

    let ps = looked.as_ref().map(|threads| tables::ps(pid, threads, threads::pid_width()).into_bytes());
    let wchan = looked.as_ref().map(|threads| tables::wchan(threads).into_bytes());
    let environ = environ.and_then(|environ| {
        let lines = tables::environ(&environ, |name| options.profile.records(name));
        if lines.is_empty() {
            Err("no variable that the profile records is set".to_owned())
        } else {
            Ok(lines)
        }
    });
    let named = maps.as_ref().map_err(String::clone).and_then(|maps| {
        let lines = tables::maps_of(maps, |file| is_allocator(file, options));
        if lines.is_empty() {
            Err(format!("no line of maps names {}; maps.txt has all of them", options.name))
        } else {
            Ok(lines)
        }
    });
    let files = vec![
        ("pid.txt".to_owned(), Ok(format!("{pid}\n").into_bytes())),
        ("ps_L.txt".to_owned(), ps.map_err(String::clone)),
        ("environ.txt".to_owned(), environ),
        (format!("maps_{}.txt", options.name), named),
        ("maps.txt".to_owned(), maps.clone().map(tables::short_maps)),
        ("wchan_by_tid.tsv".to_owned(), wchan.map_err(String::clone)),
    ];
    Outside { threads: looked.unwrap_or_default(), maps, files }
}

/// The same of a process that is not there: `maps` are those of its dump, and the other files say why they
/// have no contents.
pub(crate) fn without_process(pid: u32, maps: &[u8], why: &str, options: &Options<'_>) -> Outside {
    let none = || Err(why.to_owned());
    let named = tables::maps_of(maps, |file| is_allocator(file, options));
    let no_line = || format!("no line of maps names {}; maps.txt has all of them", options.name);
    let named = if named.is_empty() { Err(no_line()) } else { Ok(named) };
    let files = vec![
        ("pid.txt".to_owned(), Ok(format!("{pid}\n").into_bytes())),
        ("ps_L.txt".to_owned(), none()),
        ("environ.txt".to_owned(), none()),
        (format!("maps_{}.txt", options.name), named),
        ("maps.txt".to_owned(), Ok(tables::short_maps(maps.to_vec()))),
        ("wchan_by_tid.tsv".to_owned(), none()),
    ];
    Outside { threads: vec![], maps: Ok(maps.to_vec()), files }
}

impl Outside {
    /// Writes the files into `dir`. Gives those that could not be written.
    pub(crate) fn write(&self, dir: &Path) -> Vec<WriteError> {
        let text = |part: &Part| part.as_ref().map(|bytes| escape::bytes(bytes)).map_err(String::clone);
        let write = |(name, part): &(String, Part)| write_part(&dir.join(name), text(part)).err();
        self.files.iter().filter_map(write).collect()
    }

    /// CPU time of each thread, for a comparison with a later look.
    pub(crate) fn cpu(&self) -> Vec<CpuLook> {
        self.threads.iter().map(CpuLook::of).collect()
    }
}

fn is_allocator(file: &Path, options: &Options<'_>) -> bool {
    options.dso.iter().any(|dso| dso == file)
        || options.profile.is_for(&name_of(file))
        || name_of(file) == options.name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_a_process_that_has_gone_says_so() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let profile = Profile::plain("x");
        let outside =
            outside(child.id(), &Options { name: "x", profile: &profile, dso: vec![], shim_tid: None });
        assert!(outside.write(dir.path()).is_empty());
        for name in ["ps_L.txt", "environ.txt", "maps_x.txt", "maps.txt", "wchan_by_tid.tsv"] {
            let text = std::fs::read_to_string(dir.path().join(name)).unwrap();
            assert_eq!(text, format!("# process {} has ended\n", child.id()), "{name}");
        }
        assert_eq!(std::fs::read_to_string(dir.path().join("pid.txt")).unwrap(), format!("{}\n", child.id()));
    }

    #[test]
    fn a_preloaded_process_is_seen_as_it_is() {
        let dso =
            ["/usr/lib/x86_64-linux-gnu/libmimalloc.so.2.0", "/usr/lib/aarch64-linux-gnu/libmimalloc.so.2.0"]
                .into_iter()
                .find(|dso| Path::new(dso).exists())
                .expect("libmimalloc2.0 is installed");
        let mut child = std::process::Command::new("sleep")
            .arg("1000")
            .env("LD_PRELOAD", dso)
            .env("MIMALLOC_VERBOSE", "0")
            .env("OTHER", "no")
            .spawn()
            .unwrap();
        // The kernel shows the new environment before ld.so has mapped anything. When `sleep` sleeps, its
        // wait channel is there, and everything else too.
        let sleeps =
            || std::fs::read_to_string(format!("/proc/{}/wchan", child.id())).unwrap().contains("nanosleep");
        while !sleeps() {
            std::thread::yield_now();
        }
        let profile = Profile::for_dso(Path::new(dso), None);
        let look = || {
            outside(
                child.id(),
                &Options { name: "mimalloc", profile: &profile, dso: vec![dso.into()], shim_tid: None },
            )
        };
        let seen = look();
        let theirs = std::process::Command::new("ps")
            .args(["-L", "-p", &child.id().to_string(), "-o", "pid,tid,psr,pcpu,state,wchan:30,comm"])
            .output()
            .unwrap();
        let after = look();
        child.kill().unwrap();
        child.wait().unwrap();

        let text_of = |seen: &Outside, name: &str| {
            let part = &seen.files.iter().find(|(n, _)| n == name).unwrap().1;
            String::from_utf8(part.clone().unwrap()).unwrap()
        };
        let text = |name: &str| text_of(&seen, name);
        // %CPU changes with each second: ps agrees with the look before it or with the look after it.
        let theirs = String::from_utf8(theirs.stdout).unwrap();
        let ours = [text("ps_L.txt"), text_of(&after, "ps_L.txt")];
        assert!(ours.contains(&theirs), "{theirs}{ours:?}");
        assert_eq!(text("environ.txt"), format!("LD_PRELOAD={dso}\nMIMALLOC_VERBOSE=0\n"));
        assert_eq!(text("wchan_by_tid.tsv"), format!("{}\thrtimer_nanosleep\n", child.id()));
        let maps = text("maps_mimalloc.txt");
        assert!(maps.lines().count() >= 4 && maps.lines().all(|l| l.contains("libmimalloc.so.2")), "{maps}");
        assert!(text("maps.txt").contains("[stack]"));
    }
}
