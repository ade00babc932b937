//! Where the shim is: `libhangscope.so`, and beside it `libhangscope_follow.so`.

use std::path::{Path, PathBuf};

pub(crate) const FILE: &str = "libhangscope.so";
const FOLLOW: &str = "libhangscope_follow.so";
const STIR: &str = "libhangscope_stir.so";

/// Both DSOs of the shim, by absolute paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shim {
    pub(crate) file: PathBuf,
    /// What keeps it in the programs that a command starts.
    pub(crate) follow: PathBuf,
}

impl Shim {
    /// What holds threads, beside the shim. Only some runs need it.
    pub(crate) fn stir(&self) -> Result<PathBuf, NoShim> {
        let stir = self.file.with_file_name(STIR);
        if !stir.is_file() {
            return Err(NoShim::NoStir { shim: self.file.clone() });
        }
        usable(&stir)?;
        Ok(stir)
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum NoShim {
    #[error(
        "no {FILE} found (looked in {}); build it with `./scripts/build.sh`, or name it with \
         HANGSCOPE_SHIM or --shim",
        looked.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
    )]
    NotFound {
        /// Folders that were looked in.
        looked: Vec<PathBuf>,
    },
    /// The named file does not exist.
    #[error("no shim at {}: {source}; set HANGSCOPE_SHIM or --shim to the path of {FILE}", path.display())]
    Missing { path: PathBuf, source: std::io::Error },
    #[error("no {FOLLOW} beside {}; build both with `./scripts/build.sh`, or put it there", shim.display())]
    NoFollow { shim: PathBuf },
    #[error(
        "no {STIR} beside {}; build it with `./scripts/build.sh`, or give --stir 1, 2, 3 or strict, which do without",
        shim.display()
    )]
    NoStir { shim: PathBuf },
    /// The loader cannot load the file.
    #[error("no usable shim: {}: {why}; build it with `./scripts/build.sh`", path.display())]
    Unusable { path: PathBuf, why: String },
}

/// The absolute path of the shim: `named` (`--shim`), else `HANGSCOPE_SHIM`, else a file beside the
/// executable, in its `../lib/` or `../lib/hangscope/`; for a build folder also in its sibling profiles, the
/// newest one.
pub(crate) fn find(named: Option<&Path>) -> Result<PathBuf, NoShim> {
    let from_env = std::env::var_os("HANGSCOPE_SHIM").filter(|v| !v.is_empty()).map(PathBuf::from);
    let found = match named.map(Path::to_owned).or(from_env) {
        Some(path) => std::fs::canonicalize(&path).map_err(|source| NoShim::Missing { path, source })?,
        None => search(&std::env::current_exe().unwrap_or_default())?,
    };
    usable(&found)?;
    Ok(found)
}

/// [`find`], and the DSO beside it.
pub(crate) fn find_both(named: Option<&Path>) -> Result<Shim, NoShim> {
    let file = find(named)?;
    let follow = file.with_file_name(FOLLOW);
    if !follow.is_file() {
        return Err(NoShim::NoFollow { shim: file });
    }
    usable(&follow)?;
    Ok(Shim { file, follow })
}

/// Looks around the executable.
fn search(exe: &Path) -> Result<PathBuf, NoShim> {
    let looked = around(exe);
    let found = looked
        .iter()
        .map(|dir| dir.join(FILE))
        .filter(|path| path.is_file())
        // Of several builds, the newest.
        .max_by_key(|path| (!is_build_dir(path), path.metadata().and_then(|m| m.modified()).ok()));
    found.and_then(|path| std::fs::canonicalize(path).ok()).ok_or(NoShim::NotFound { looked })
}

/// Folders in which the shim of this executable may be.
fn around(exe: &Path) -> Vec<PathBuf> {
    let Some(dir) = exe.parent() else { return vec![] };
    let mut dirs = vec![dir.to_owned()];
    // A test's executable is in target/PROFILE/deps.
    let profile = if dir.ends_with("deps") { dir.parent().unwrap_or(dir) } else { dir };
    if let Some(above) = profile.parent() {
        dirs.extend([above.join("lib"), above.join("lib/hangscope")]);
        if is_build_dir(profile) {
            dirs.extend(["release", "debug"].map(|profile| above.join(profile)));
        }
    }
    dirs.dedup();
    dirs
}

fn is_build_dir(path: &Path) -> bool {
    path.components().any(|c| c.as_os_str() == "release" || c.as_os_str() == "debug")
}

/// Refuses a file that the loader of this machine's programs cannot load.
fn usable(path: &Path) -> Result<(), NoShim> {
    let unusable = |why: String| NoShim::Unusable { path: path.to_owned(), why };
    let bytes = std::fs::read(path).map_err(|e| unusable(e.to_string()))?;
    let elf = crate::files::pin::shared_object(path, &bytes).map_err(|e| unusable(e.to_string()))?;
    let own = crate::files::elf::Target::own();
    if elf.target != own {
        return Err(unusable(format!("it is {}, this machine's programs are {own}", elf.target)));
    }
    crate::launch::preload::value([path]).map(drop).map_err(|e| unusable(e.to_string()))
}

#[cfg(test)]
mod tests {
    use crate::launch::shim_path::*;

    #[test]
    fn it_is_looked_for_around_the_executable() {
        let text = |exe| {
            around(Path::new(exe)).iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(text("/usr/bin/hangscope"), "/usr/bin /usr/lib /usr/lib/hangscope");
        assert_eq!(
            text("/p/target/debug/deps/test-1"),
            "/p/target/debug/deps /p/target/lib /p/target/lib/hangscope /p/target/release /p/target/debug"
        );
    }

    #[test]
    fn an_installed_command_finds_its_shim() {
        let prefix = tempfile::tempdir().unwrap();
        let shim = prefix.path().join("lib/hangscope/libhangscope.so");
        std::fs::create_dir_all(shim.parent().unwrap()).unwrap();
        std::fs::write(&shim, "").unwrap();
        let found = search(&prefix.path().join("bin/hangscope")).unwrap();
        assert_eq!(found, std::fs::canonicalize(shim).unwrap());
    }

    #[test]
    fn what_is_missing_or_no_shim_is_said_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let error = search(&dir.path().join("bin/hangscope")).unwrap_err().to_string();
        assert!(error.contains("./scripts/build.sh"), "{error}");
        let named = dir.path().join("x.so");
        assert!(matches!(find(Some(&named)), Err(NoShim::Missing { .. })));
        std::fs::write(&named, "text").unwrap();
        assert!(matches!(find(Some(&named)), Err(NoShim::Unusable { .. })));
        let alone = Shim { file: named.clone(), follow: named };
        assert!(alone.stir().unwrap_err().to_string().contains("no libhangscope_stir.so beside"));
    }
}
