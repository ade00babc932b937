//! What the system says of the programs and DSOs that are named. rustix makes the system calls raw:
//! `errno` stays as it is.

use core::ffi::CStr;

use hangscope_reader::text::base_name;
use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags, Stat};

use crate::number::Number;
use crate::room::Text;

/// Longest path that is looked at.
const LONGEST: usize = 1024;

/// `FILE:OTHER`.
pub(crate) fn pair(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|b| *b == b':')?;
    Some((text.get(..at)?, text.get(at + 1..)?)).filter(|(file, other)| !file.is_empty() && !other.is_empty())
}

/// Whether a name in LD_PRELOAD means the file at `path`. A name without a slash is searched for in folders
/// (ld.so(8)): it means every file of this name.
pub(crate) fn are_same(name: &[u8], path: &[u8]) -> bool {
    if name == path {
        return true;
    }
    if !name.contains(&b'/') {
        return name == base_name(path);
    }
    match (stat(name), stat(path)) {
        (Some(a), Some(b)) => (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino),
        _ => false,
    }
}

fn stat(path: &[u8]) -> Option<Stat> {
    with_nul(&[path], |path| rustix::fs::statat(CWD, path, AtFlags::empty()).ok())?
}

/// Calls `run` with these bytes as one string. None if they are too long.
fn with_nul<R>(parts: &[&[u8]], run: impl FnOnce(&CStr) -> R) -> Option<R> {
    let mut room = [0; LONGEST];
    let mut text = Text::new(&mut room);
    let whole = parts.iter().all(|part| text.push(part)) && text.push(b"\0");
    if !whole {
        return None;
    }
    CStr::from_bytes_until_nul(&room).ok().map(run)
}

pub(crate) fn may_be_executed(path: &CStr) -> bool {
    rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::empty()).is_ok()
}

/// Whether the program that `execvp` would find for `file` is an ELF file that is really named so, and no
/// script or part of another program (busybox). `path` is the value of PATH; none: libc's default.
pub(crate) fn is_program_of_its_own(file: &CStr, path: Option<&CStr>) -> bool {
    if file.to_bytes().contains(&b'/') {
        return is_elf_named(file, base_name(file.to_bytes()));
    }
    let folders = path.map_or(&b"/bin:/usr/bin"[..], CStr::to_bytes);
    let found = folders.split(|b| *b == b':').find_map(|folder| {
        let folder = if folder.is_empty() { b"." } else { folder };
        let look = |path: &CStr| may_be_executed(path).then(|| is_elf_named(path, file.to_bytes()));
        with_nul(&[folder, b"/", file.to_bytes()], look)?
    });
    found == Some(true)
}

fn is_elf_named(path: &CStr, name: &[u8]) -> bool {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let Ok(file) = rustix::fs::open(path, flags, Mode::empty()) else { return false };
    let mut magic = [0u8; 4];
    if rustix::io::pread(&file, &mut magic, 0) != Ok(4) || &magic != b"\x7fELF" {
        return false;
    }
    let mut target = [0; LONGEST];
    let number = Number::new(rustix::fd::AsRawFd::as_raw_fd(&file) as u32);
    let real = with_nul(&[b"/proc/self/fd/", number.digits()], |link| {
        rustix::fs::readlinkat_raw(CWD, link, &mut target[..]).ok()
    });
    let real = real.flatten().and_then(|n| target.get(..n));
    real.is_some_and(|real| base_name(real) == name)
}

/// Id of this process; of the child, in one of vfork.
pub(crate) fn process() -> u32 {
    rustix::process::getpid().as_raw_nonzero().get() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_file_that_it_leads_to() {
        let dir = std::env::temp_dir().join(format!("hs-follow-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("d")).unwrap();
        let (file, link) = (dir.join("d/hz4.so"), dir.join("link.so"));
        std::fs::write(&file, "x").unwrap();
        let _ = std::os::unix::fs::symlink(&file, &link);
        let bytes = |path: &std::path::Path| path.to_str().unwrap().as_bytes().to_vec();
        let file = bytes(&file);
        for (name, same) in [
            (file.clone(), true),
            (bytes(&link), true),
            (bytes(&dir.join("d/../d/hz4.so")), true),
            (b"hz4.so".to_vec(), true),
            (b"libhz4.so".to_vec(), false),
            (bytes(&dir.join("none.so")), false),
            (b"/etc/passwd".to_vec(), false),
            (vec![b'/'; 2000], false),
        ] {
            assert_eq!(are_same(&name, &file), same, "{}", String::from_utf8_lossy(&name));
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_pair_has_two_paths() {
        assert_eq!(pair(b"/a:/b"), Some((&b"/a"[..], &b"/b"[..])));
        assert!([&b""[..], b"/a", b"/a:", b":/b"].iter().all(|text| pair(text).is_none()));
    }

    #[test]
    fn only_a_program_that_is_really_named_so_is_of_its_own() {
        let dir = std::env::temp_dir().join(format!("hs-own-{}", std::process::id()));
        let path = |name: &str| std::ffi::CString::new(dir.join(name).to_str().unwrap()).unwrap();
        std::fs::create_dir_all(dir.join("script")).unwrap();
        std::fs::create_dir_all(dir.join("link")).unwrap();
        std::fs::create_dir_all(dir.join("own")).unwrap();
        std::fs::write(dir.join("script/timeout"), "#!/bin/sh\n").unwrap();
        let _ = std::os::unix::fs::symlink("/bin/sleep", dir.join("link/timeout"));
        std::fs::copy("/bin/sleep", dir.join("own/timeout")).unwrap();
        let executable = || std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(dir.join("script/timeout"), executable()).unwrap();
        for (folder, own) in [("script", false), ("link", false), ("own", true), ("none", false)] {
            assert_eq!(is_program_of_its_own(&path(&format!("{folder}/timeout")), None), own, "{folder}");
        }
        // The first in PATH counts.
        let all = |first: &str, second: &str| {
            let value = format!("/nonexistent:{}:{}", dir.join(first).display(), dir.join(second).display());
            is_program_of_its_own(c"timeout", Some(&std::ffi::CString::new(value).unwrap()))
        };
        assert!(all("own", "script") && !all("script", "own") && all("none", "own"));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
