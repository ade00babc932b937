//! What is preloaded into a command, and follows into what that starts: `follow:shim:allocator`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use hangscope_protocol::variable;

use super::preload::{self, NotPreloadable};
use super::shim_path::Shim;
use super::sockets::preloadable;

/// The DSOs in front of a command, and what goes along with the programs that it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Preloads {
    /// The value of LD_PRELOAD.
    pub(crate) value: OsString,
    /// The files of that value, in order, as it names them.
    pub(crate) files: Vec<PathBuf>,
    /// The first two of `files`, in the settings of `libhangscope_follow.so`.
    settings: Vec<(&'static str, OsString)>,
}

impl Preloads {
    /// For runs of one DSO, which is at `dso`. A program that preloads the file at `source`, its original,
    /// gets the one at `dso`. Links to files that LD_PRELOAD cannot name are made in `links`.
    ///
    /// # Errors
    /// A path that LD_PRELOAD cannot hold, and for which no link could be made.
    pub(crate) fn of_run(
        shim: &Shim,
        dso: &Path,
        source: &Path,
        links: &Path,
    ) -> Result<Preloads, NotPreloadable> {
        let dso = preloadable(dso, links)?;
        let mut preloads = Preloads::with(shim, [dso.clone()], true, links)?;
        // A path with a colon cannot be in LD_PRELOAD either.
        if let Ok(source) = std::path::absolute(source).map(PathBuf::into_os_string)
            && !source.as_bytes().contains(&b':')
        {
            let pair = [source.as_os_str(), dso.as_os_str()].join(OsStr::new(":"));
            preloads.settings.push((variable::FOLLOW_INSTEAD, pair));
        }
        Ok(preloads)
    }

    /// For runs with the system's malloc: the shim alone.
    ///
    /// # Errors
    /// As [`Preloads::of_run`].
    pub(crate) fn of_system(shim: &Shim, links: &Path) -> Result<Preloads, NotPreloadable> {
        Preloads::of_runner(shim, OsStr::new(""), true, links)
    }

    /// For a command whose programs preload allocators of their own. `before` is the LD_PRELOAD that it gets
    /// anyway. `everywhere`: the shim goes into every program, not only where something else is preloaded.
    ///
    /// # Errors
    /// As [`Preloads::of_run`].
    pub(crate) fn of_runner(
        shim: &Shim,
        before: &OsStr,
        everywhere: bool,
        links: &Path,
    ) -> Result<Preloads, NotPreloadable> {
        let files = before.as_bytes().split(|b| matches!(b, b':' | b' ')).filter(|file| !file.is_empty());
        let files: Vec<PathBuf> = files.map(|file| PathBuf::from(OsStr::from_bytes(file))).collect();
        let with_shim = everywhere || !files.is_empty();
        let mut preloads = Preloads::with(shim, files, with_shim, links)?;
        if everywhere {
            preloads.settings.push((variable::FOLLOW_ALL, "1".into()));
        }
        Ok(preloads)
    }

    fn with(
        shim: &Shim,
        others: impl IntoIterator<Item = PathBuf>,
        with_shim: bool,
        links: &Path,
    ) -> Result<Preloads, NotPreloadable> {
        let (follow, shim) = (preloadable(&shim.follow, links)?, preloadable(&shim.file, links)?);
        let settings = [(variable::FOLLOW, &follow), (variable::FOLLOW_SHIM, &shim)];
        let settings = settings.map(|(name, path)| (name, path.clone().into_os_string())).to_vec();
        let ours = [follow.clone(), shim.clone()];
        let first = if with_shim { &ours[..] } else { &ours[..1] };
        let others = others.into_iter().filter(|file| !ours.contains(file));
        let files: Vec<PathBuf> = first.iter().cloned().chain(others).collect();
        // What the command has anyway is the loader's business: also a bare name.
        let checked = preload::value(first.iter().map(PathBuf::as_path))?;
        let rest = files.iter().skip(first.len()).map(|file| file.as_os_str());
        let value =
            std::iter::once(checked.as_os_str()).chain(rest).collect::<Vec<_>>().join(OsStr::new(":"));
        Ok(Preloads { value, files, settings })
    }

    /// With `libhangscope_stir.so`, directly behind the shim: its functions come before those of the
    /// allocator and of libc.
    ///
    /// # Errors
    /// As [`Preloads::of_run`].
    pub(crate) fn with_stir(&self, stir: &Path, links: &Path) -> Result<Preloads, NotPreloadable> {
        let stir = preloadable(stir, links)?;
        let checked = preload::value([stir.as_path()])?;
        let mut files = self.files.clone();
        let behind = self.ours().iter().take_while(|ours| files.contains(ours)).count();
        let mut names: Vec<&OsStr> = files.iter().map(|file| file.as_os_str()).collect();
        names.insert(behind, &checked);
        let value = names.join(OsStr::new(":"));
        files.insert(behind, stir);
        let mut settings = self.settings.clone();
        // It goes along with the shim.
        for (_, shim) in settings.iter_mut().filter(|(name, _)| *name == variable::FOLLOW_SHIM) {
            *shim = [shim.as_os_str(), checked.as_os_str()].join(OsStr::new(":"));
        }
        Ok(Preloads { value, files, settings })
    }

    /// A program named `timeout` is `program`, which behaves so by that name.
    pub(crate) fn with_timeout(mut self, program: &Path) -> Preloads {
        self.settings.push((variable::FOLLOW_TIMEOUT, program.into()));
        self
    }

    /// `libhangscope_follow.so` and the shim, as LD_PRELOAD names them.
    pub(crate) fn ours(&self) -> [PathBuf; 2] {
        [0, 1].map(|at| PathBuf::from(&self.settings[at].1))
    }

    /// Names and values, in a fixed order; LD_PRELOAD is the last.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&str, &OsStr)> {
        let settings = self.settings.iter().map(|(name, value)| (*name, value.as_os_str()));
        settings.chain([("LD_PRELOAD", self.value.as_os_str())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shim() -> Shim {
        Shim { file: "/s.so".into(), follow: "/f.so".into() }
    }

    fn variables(preloads: &Preloads) -> Vec<String> {
        preloads.variables().map(|(name, value)| format!("{name}={}", value.display())).collect()
    }

    #[test]
    fn a_run_has_its_dso_wherever_the_original_is_named() {
        let preloads =
            Preloads::of_run(&shim(), Path::new("/pinned.so"), Path::new("/hz4.so"), Path::new("/")).unwrap();
        assert_eq!(
            variables(&preloads),
            [
                "HANGSCOPE_FOLLOW=/f.so",
                "HANGSCOPE_FOLLOW_SHIM=/s.so",
                "HANGSCOPE_FOLLOW_INSTEAD=/hz4.so:/pinned.so",
                "LD_PRELOAD=/f.so:/s.so:/pinned.so"
            ]
        );
        let held = preloads.with_stir(Path::new("/stir.so"), Path::new("/")).unwrap();
        assert_eq!(held.value, "/f.so:/s.so:/stir.so:/pinned.so");
        assert!(variables(&held).contains(&"HANGSCOPE_FOLLOW_SHIM=/s.so:/stir.so".to_owned()));
        let colon =
            Preloads::of_run(&shim(), Path::new("/pinned.so"), Path::new("/a:b.so"), Path::new("/")).unwrap();
        assert!(!variables(&colon).iter().any(|variable| variable.contains("INSTEAD")));
    }

    #[test]
    fn a_runner_keeps_what_it_preloads() {
        let of = |before: &str, everywhere| {
            let preloads =
                Preloads::of_runner(&shim(), OsStr::new(before), everywhere, Path::new("/")).unwrap();
            preloads.value.into_string().unwrap()
        };
        assert_eq!(of("", false), "/f.so");
        assert_eq!(of("", true), "/f.so:/s.so");
        assert_eq!(of("liba.so /b.so", false), "/f.so:/s.so:liba.so:/b.so");
        assert_eq!(of("/f.so:/s.so:/a.so", false), "/f.so:/s.so:/a.so");
    }
}
