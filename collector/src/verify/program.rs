//! Checks of a command before it runs.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::{FsFlags, statvfs};

use super::error::VerifyError;
use super::request::Wanted;
use crate::files::elf::{self, Kind};
use crate::files::facts;
use crate::launch::program;

/// Interpreters of interpreters that are followed; the kernel's own bound is 5.
const DEEPEST: usize = 5;

/// Looks at the command's files, for whatever makes a preload impossible.
/// Gives the program's file, without symbolic links.
pub(super) fn inspect(command: &[String], wanted: &Wanted) -> Result<PathBuf, VerifyError> {
    let first = command.first().ok_or_else(|| VerifyError::NoProgram(String::new()))?;
    // A wrapper that cannot be started or drops LD_PRELOAD fails like such a program.
    secure(&program::find(first)?)?;
    let word = program::benchmark(command).ok_or_else(|| VerifyError::NoProgram(command.join(" ")))?;
    let path = interpreter(&program::find(word)?)?;
    fits(&path, wanted)?;
    Ok(path)
}

/// The file without symbolic links; for a script, the file of its interpreter.
fn interpreter(path: &Path) -> Result<PathBuf, VerifyError> {
    let mut path = canonical(path)?;
    for _ in 0..DEEPEST {
        let unreadable = |source| VerifyError::Unreadable { path: path.clone(), source };
        let start = head(&path).map_err(unreadable)?;
        let Some(line) = start.strip_prefix(b"#!") else { return Ok(path) };
        let line = line.split(|b| *b == b'\n').next().unwrap_or(&[]);
        let line = String::from_utf8_lossy(line).into_owned();
        let mut words = line.split_whitespace();
        let named = words.next().unwrap_or_default().to_owned();
        // `#!/usr/bin/env -S python3 -u`: the program comes after env.
        let behind = words.find(|word| !word.starts_with('-') && !word.contains('='));
        let word = if named.ends_with("/env") { behind.unwrap_or(&named) } else { &named };
        let found = program::find(word).map_err(|_| VerifyError::NotAProgram {
            path: path.clone(),
            why: format!("its interpreter {word} is not there"),
        })?;
        path = canonical(&found)?;
    }
    Err(VerifyError::NotAProgram { path, why: "a script of scripts, too deep".into() })
}

fn canonical(path: &Path) -> Result<PathBuf, VerifyError> {
    fs::canonicalize(path).map_err(|source| VerifyError::Unreadable { path: path.to_owned(), source })
}

fn head(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut start = vec![];
    fs::File::open(path)?.take(256).read_to_end(&mut start)?;
    Ok(start)
}

/// Whether the DSO can be loaded into the program.
fn fits(path: &Path, wanted: &Wanted) -> Result<(), VerifyError> {
    secure(path)?;
    let bytes = fs::read(path).map_err(|source| VerifyError::Unreadable { path: path.to_owned(), source })?;
    let program = elf::read(&bytes).map_err(|e| VerifyError::NotAProgram {
        path: path.to_owned(),
        why: match e {
            // A text without an interpreter line. A shell would run it as a script, exec does not.
            elf::NotElf::Magic(_) => "neither an ELF file nor a script with a #! line".into(),
            damaged => damaged.to_string(),
        },
    })?;
    if program.target != wanted.elf.target {
        return Err(VerifyError::WrongArch {
            program: path.to_owned(),
            program_is: program.target,
            so: wanted.path.clone(),
            so_is: wanted.elf.target,
        });
    }
    match (program.kind, &program.interpreter) {
        (Kind::StaticProgram, _) => Err(VerifyError::Static(path.to_owned())),
        // Old linkers did not mark position-independent programs: those look like a shared object with a
        // loader.
        (Kind::Program, _) | (Kind::SharedObject, Some(_)) => Ok(()),
        _ => {
            Err(VerifyError::NotAProgram { path: path.to_owned(), why: "an ELF file, but no program".into() })
        }
    }
}

/// Refuses a program that the kernel would start with AT_SECURE: its ids or capabilities change at exec.
fn secure(path: &Path) -> Result<(), VerifyError> {
    const SETUID: u32 = 0o4000;
    const SETGID: u32 = 0o2010;
    let meta =
        fs::metadata(path).map_err(|source| VerifyError::Unreadable { path: path.to_owned(), source })?;
    // On a nosuid mount the bits mean nothing.
    if statvfs(path).is_ok_and(|fs| fs.flags().contains(FsFlags::ST_NOSUID)) {
        return Ok(());
    }
    let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    let what = if meta.mode() & SETUID != 0 && meta.uid() != uid {
        "setuid binary"
    } else if meta.mode() & SETGID == SETGID && meta.gid() != gid {
        "setgid binary"
    } else if uid != 0 && has_capabilities(path) {
        "binary with file capabilities"
    } else {
        return Ok(());
    };
    Err(VerifyError::Secure { path: path.to_owned(), what })
}

fn has_capabilities(path: &Path) -> bool {
    facts::has_attribute(path, "security.capability")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn wanted() -> Wanted {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let libc = maps.lines().find_map(|l| l.split_whitespace().nth(5).filter(|p| p.contains("libc.so")));
        Wanted::of(Path::new(libc.unwrap())).unwrap()
    }

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn program_of(text: &str) -> Result<PathBuf, VerifyError> {
        inspect(&words(text), &wanted())
    }

    /// A copy of this program's ELF header with something changed.
    fn changed(name: &str, mode: u32, change: impl FnOnce(&mut Vec<u8>)) -> (tempfile::TempDir, String) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        let mut bytes = fs::read("/bin/true").unwrap();
        change(&mut bytes);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (dir, path.display().to_string())
    }

    #[test]
    fn the_program_is_what_the_wrappers_start_and_a_script_its_interpreter() {
        let path = |name: &str| fs::canonicalize(program::find(name).unwrap()).unwrap();
        assert_eq!(program_of("/bin/true").unwrap(), path("true"));
        assert_eq!(program_of("env A=b taskset -c 0 timeout 9 sleep 1").unwrap(), path("sleep"));
        for line in ["#!/bin/sh -e\n", "#!/usr/bin/env sh\n", "#! /usr/bin/env -S sh -e\nx"] {
            let (_dir, script) = changed("run", 0o755, |bytes| *bytes = line.into());
            assert_eq!(program_of(&script).unwrap(), path("sh"), "{line}");
        }
    }

    #[test]
    fn what_cannot_be_preloaded_is_named() {
        let error = |text: &str| program_of(text).unwrap_err().to_string();
        assert!(error("/nonexistent/bench").starts_with("benchmark not found"));
        assert!(error("timeout 5").starts_with("no program in the command"));
        // PT_INTERP (3) is made PT_NULL: nothing loads it.
        let (_dir, path) = changed("static", 0o755, |bytes| {
            let at = (64..64 + 56 * 16).step_by(56).find(|at| bytes[*at] == 3).unwrap();
            bytes[at] = 0;
        });
        assert!(error(&path).starts_with("static binary"), "{}", error(&path));
        let (_dir, path) =
            changed("arm", 0o755, |bytes| bytes[18..20].copy_from_slice(&183u16.to_le_bytes()));
        assert!(error(&path).contains("is 64-bit aarch64, but"), "{}", error(&path));
        let (_dir, path) = changed("text", 0o755, |bytes| *bytes = b"echo hello\n".to_vec());
        assert!(error(&path).ends_with("neither an ELF file nor a script with a #! line"));
        let (_dir, path) = changed("lost", 0o755, |bytes| *bytes = b"#!/nonexistent/sh\n".to_vec());
        assert!(error(&path).ends_with("its interpreter /nonexistent/sh is not there"));
        let (_dir, path) = changed("cut", 0o755, |bytes| bytes.truncate(100));
        assert!(error(&path).contains("a damaged ELF file"), "{}", error(&path));
    }

    #[test]
    fn a_setuid_program_of_another_user_is_named() {
        let (_dir, path) = changed("suid", 0o755, |_| {});
        if nix::unistd::geteuid().is_root() {
            // Of root's own it changes nothing for root.
            fs::set_permissions(&path, fs::Permissions::from_mode(0o4755)).unwrap();
            assert!(program_of(&path).is_ok());
            std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o4755)).unwrap();
        } else if !Path::new("/bin/su").exists() {
            return;
        }
        let path = if nix::unistd::geteuid().is_root() { path } else { "/bin/su".into() };
        assert!(program_of(&path).unwrap_err().to_string().starts_with("setuid binary"));
    }
}
