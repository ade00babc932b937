//! A copy of a DSO that nobody rebuilds, removes or overwrites during the runs.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use sha1::{Digest as _, Sha1};

use crate::files::atomic::{self, WriteError};
use crate::files::companions;
use crate::files::elf::{self, Elf, NotElf};

/// Largest DSO that is accepted, bytes.
const MOST: u64 = 1 << 30;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pinned {
    /// Short name of the allocator: see [`name_of`].
    pub(crate) name: String,
    /// The path of the copy, absolute.
    pub(crate) path: PathBuf,
    /// The path of the original, absolute.
    pub(crate) source: PathBuf,
    /// The original at the time of the copy, to compare with a later look.
    pub(crate) source_file: FileId,
    /// SHA-1 of the bytes, as hex.
    pub(crate) sha1: String,
    pub(crate) elf: Elf,
    pub(crate) size: u64,
}

impl Pinned {
    /// The build-id as hex; none if there is none.
    pub(crate) fn build_id(&self) -> Option<&str> {
        self.elf.build_id.as_deref()
    }
}

/// Identity of a file from `stat`. Every write changes ctime. Unlike mtime, ctime cannot be set back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId {
    pub(crate) dev: u64,
    pub(crate) ino: u64,
    pub(crate) size: u64,
    /// Time of the last write, ns since the epoch.
    pub(crate) mtime_ns: i128,
    /// Time of the last change of the inode, ns since the epoch.
    pub(crate) ctime_ns: i128,
}

impl FileId {
    pub(crate) fn of(meta: &fs::Metadata) -> FileId {
        let ns = |s: i64, ns: i64| i128::from(s) * 1_000_000_000 + i128::from(ns);
        FileId {
            dev: meta.dev(),
            ino: meta.ino(),
            size: meta.size(),
            mtime_ns: ns(meta.mtime(), meta.mtime_nsec()),
            ctime_ns: ns(meta.ctime(), meta.ctime_nsec()),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum PinError {
    #[error("cannot read {}: {source}; give the path of the allocator's .so", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("not a shared object: {}: {why}; give the path of the allocator's .so", path.display())]
    NotADso { path: PathBuf, why: String },
    #[error(
        "changes while it is copied: {}: {what}; wait until the build is done and try again",
        path.display()
    )]
    Changing { path: PathBuf, what: String },
    #[error(
        "the DSO needs {name} from {}, by a path from its own folder, and the pinned copy is in another one: \
         add that folder to LD_LIBRARY_PATH, or give --so a copy that has {name} beside it", folder.display()
    )]
    Elsewhere { name: String, folder: PathBuf },
    #[error(
        "{} is another file than {}, which the DSO needs beside itself: give another --out",
        path.display(),
        original.display()
    )]
    OtherCompanion { path: PathBuf, original: PathBuf },
    #[error("not a usable name: {0:?}; give letters, digits, '.', '_' or '-' with --name")]
    Name(String),
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Identity and SHA-1 of a file at one moment.
#[derive(Debug, PartialEq, Eq)]
struct Look {
    file: FileId,
    sha1: String,
}

impl Look {
    fn take(path: &Path) -> io::Result<(Look, Vec<u8>)> {
        // Without O_NONBLOCK, opening a named pipe would block for ever.
        let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
        let before = file.metadata()?;
        if !before.is_file() {
            return Err(io::Error::other("not a plain file"));
        }
        if before.len() > MOST {
            return Err(io::Error::other("more than 1 GiB"));
        }
        let mut bytes = Vec::with_capacity(before.len() as usize);
        (&file).take(MOST + 1).read_to_end(&mut bytes)?;
        Ok((Look { file: FileId::of(&before), sha1: sha1_hex(&bytes) }, bytes))
    }

    /// What is different in a later look, in words.
    fn changed(&self, later: &Look) -> Option<String> {
        let (a, b) = (&self.file, &later.file);
        if (a.dev, a.ino) != (b.dev, b.ino) {
            Some("another file took its place".into())
        } else if a.size != b.size {
            Some(format!("its size went from {} to {} bytes", a.size, b.size))
        } else if self.sha1 != later.sha1 {
            Some(format!("its sha1 went from {} to {}", self.sha1, later.sha1))
        } else if a != b {
            Some("it was written to".into())
        } else {
            None
        }
    }
}

pub(crate) fn sha1_hex(bytes: &[u8]) -> String {
    hex::encode(Sha1::digest(bytes))
}

/// The short name of an allocator from the path of its DSO: the stem of the file name without `lib` and
/// without a version at the end (`libjemalloc.so.2` and `libjemalloc-5.3.so` are `jemalloc`, `libhz4.so`
/// is `hz4`). Of a copy that [`pin`] made, the name that it was pinned under: `hz4` for `hz4_0a1b2c3d.so`
/// with `hz4_so.sha1` beside it.
pub(crate) fn name_of(path: &Path) -> String {
    let name = name_of_file(path);
    let is_digits = |text: &str| text.len() == 8 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let short = name.rsplit_once('_').filter(|(_, digits)| is_digits(digits)).map(|(short, _)| short);
    let short = short.filter(|short| path.with_file_name(format!("{short}_so.sha1")).is_file());
    short.map(str::to_owned).unwrap_or(name)
}

fn name_of_file(path: &Path) -> String {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = file.find(".so").map_or(&*file, |at| &file[..at]);
    let stem = stem.strip_prefix("lib").filter(|rest| !rest.is_empty()).unwrap_or(stem);
    // A version is digits and dots behind a dash or a dot. The 4 of hz4 is no version.
    let bare = stem.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let name = match bare.strip_suffix('-') {
        Some(name) if bare.len() < stem.len() && !name.is_empty() => name,
        _ => stem,
    };
    let name: String = name.chars().map(|c| if usable(c) { c } else { '_' }).collect();
    // Files with these names would be hidden, or read as options.
    name.trim_start_matches(['.', '-']).to_owned()
}

fn usable(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._-".contains(c)
}

/// Checks a name that becomes part of file names.
pub(crate) fn check_name(name: &str) -> Result<(), PinError> {
    let good = !name.is_empty() && name.len() <= 100 && !name.starts_with(['.', '-']);
    if good && name.chars().all(usable) { Ok(()) } else { Err(PinError::Name(name.into())) }
}

/// Copies the DSO `src` to `OUT/{name}_{first 8 digits of its sha1}.so`, mode 0444, and writes
/// `OUT/{name}_so.sha1` in the format of `sha1sum`. `name` defaults to [`name_of`]. An existing copy with
/// the same bytes is kept: processes that run it must not see `(deleted)`. A file that changes during the
/// copy is refused. DSOs that it finds beside itself are copied too, under their own names.
pub(crate) fn pin(src: &Path, out: &Path, name: Option<&str>) -> Result<Pinned, PinError> {
    let name = name.map_or_else(|| name_of(src), str::to_owned);
    let sums = format!("{name}_so.sha1");
    pin_as(src, out, &name, &sums)
}

/// Copies what a DSO finds beside itself to the folder of its pinned copy. `bytes` are those of the DSO.
/// Returns lines for the file of sums.
pub(crate) fn pin_companions(source: &Path, bytes: &[u8], out: &Path) -> Result<Vec<u8>, PinError> {
    let mut sums = vec![];
    let searched = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let companions = match companions::of(source, bytes) {
        // The loader finds it in a folder of the environment.
        Err(elsewhere) if std::env::split_paths(&searched).any(|f| f.join(&elsewhere.name).exists()) => {
            vec![]
        }
        companions => companions.map_err(|e| PinError::Elsewhere { name: e.name, folder: e.folder })?,
    };
    for companion in companions {
        let path = out.join(&companion.place);
        let sha1 = sha1_hex(&companion.bytes);
        match fs::read(&path) {
            Ok(kept) if kept == companion.bytes => {}
            Ok(_) => return Err(PinError::OtherCompanion { path, original: companion.source }),
            Err(_) => {
                atomic::make_dir(path.parent().unwrap_or(out))?;
                atomic::write_with(&path, atomic::READ_ONLY, |file| file.write_all(&companion.bytes))?;
            }
        }
        sums.extend(sha1sum_line(&sha1, &path));
    }
    Ok(sums)
}

/// As [`pin`]. `sums` is the name of the file with the SHA-1, in OUT.
pub(crate) fn pin_as(src: &Path, out: &Path, name: &str, sums: &str) -> Result<Pinned, PinError> {
    check_name(name)?;
    let unreadable = |source| PinError::Unreadable { path: src.to_owned(), source };
    let source = std::path::absolute(src).map_err(unreadable)?;
    let (before, bytes) = Look::take(&source).map_err(unreadable)?;
    let elf = shared_object(src, &bytes)?;

    atomic::make_dir(out)?;
    let out = fs::canonicalize(out).map_err(|e| WriteError { path: out.to_owned(), source: e })?;
    let path = out.join(format!("{name}_{}.so", &before.sha1[..8]));
    let kept = Look::take(&path).is_ok_and(|(copy, _)| copy.sha1 == before.sha1 && is_read_only(&path));
    if !kept {
        atomic::write_with(&path, atomic::READ_ONLY, |file| file.write_all(&bytes))?;
    }
    let (after, _) = Look::take(&source).map_err(unreadable)?;
    if let Some(what) = before.changed(&after) {
        if !kept {
            let _ = fs::remove_file(&path);
        }
        return Err(PinError::Changing { path: source, what });
    }
    let mut lines = sha1sum_line(&before.sha1, &path);
    lines.extend(pin_companions(&source, &bytes, &out)?);
    atomic::write(&out.join(sums), &lines)?;
    Ok(Pinned {
        name: name.to_owned(),
        path,
        source,
        source_file: before.file,
        sha1: before.sha1,
        elf,
        size: bytes.len() as u64,
    })
}

/// A DSO that is used where it is, as a [`Pinned`] that is its own original: the system's libc.
///
/// # Errors
/// It cannot be read, or is no DSO.
pub(crate) fn in_place(path: &Path, name: &str) -> Result<Pinned, PinError> {
    check_name(name)?;
    let unreadable = |source| PinError::Unreadable { path: path.to_owned(), source };
    let path = fs::canonicalize(path).map_err(unreadable)?;
    let (look, bytes) = Look::take(&path).map_err(unreadable)?;
    let elf = shared_object(&path, &bytes)?;
    Ok(Pinned {
        name: name.to_owned(),
        source: path.clone(),
        path,
        source_file: look.file,
        sha1: look.sha1,
        elf,
        size: bytes.len() as u64,
    })
}

/// The bytes of a plain file, at most 1 GiB.
///
/// # Errors
/// Also for a pipe or a device.
pub(crate) fn bytes_of(path: &Path) -> io::Result<Vec<u8>> {
    Look::take(path).map(|(_, bytes)| bytes)
}

/// A line in the format of `sha1sum`, for `sha1sum -c`.
pub(crate) fn sha1sum_line(sha1: &str, path: &Path) -> Vec<u8> {
    let path = path.as_os_str().as_bytes();
    let mut line = vec![];
    // `sha1sum` escapes names with a backslash or a newline.
    if path.iter().any(|b| matches!(b, b'\\' | b'\n')) {
        line.push(b'\\');
    }
    line.extend_from_slice(format!("{sha1}  ").as_bytes());
    for byte in path {
        match byte {
            b'\\' => line.extend_from_slice(b"\\\\"),
            b'\n' => line.extend_from_slice(b"\\n"),
            byte => line.push(*byte),
        }
    }
    line.push(b'\n');
    line
}

fn is_read_only(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.mode() & 0o222 == 0)
}

/// Reads `bytes` as a shared object. [`PinError::NotADso`] says what the file is instead.
pub(crate) fn shared_object(path: &Path, bytes: &[u8]) -> Result<Elf, PinError> {
    let not = |why: String| PinError::NotADso { path: path.to_owned(), why };
    let elf = elf::read(bytes).map_err(|e: NotElf| not(e.to_string()))?;
    match elf.kind {
        elf::Kind::SharedObject => Ok(elf),
        elf::Kind::Program | elf::Kind::StaticProgram => Err(not("a program".into())),
        elf::Kind::Other => Err(not("an ELF file without a dynamic section (an object file?)".into())),
    }
}

#[cfg(test)]
mod tests {
    use crate::files::pin::*;
    use std::os::unix::fs::PermissionsExt as _;

    /// A real shared object: the C library of this process.
    fn some_dso() -> PathBuf {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let path = maps.lines().find_map(|l| l.split_whitespace().nth(5).filter(|p| p.contains("libc.so")));
        PathBuf::from(path.unwrap())
    }

    #[test]
    fn the_name_is_the_stem_without_lib_and_version() {
        let names = [
            ("libhakozuna_hz4.so", "hakozuna_hz4"),
            ("/usr/lib/libjemalloc.so.2", "jemalloc"),
            ("libjemalloc-5.3.0.so", "jemalloc"),
            ("libtcmalloc_minimal.so.4.5.9", "tcmalloc_minimal"),
            ("libmimalloc.so.2.0", "mimalloc"),
            ("libmimalloc-2.1.so", "mimalloc"),
            ("hz3.so", "hz3"),
            ("lib.so", "lib"),
            ("libfoo-bar.so", "foo-bar"),
            ("lib42.so", "42"),
            ("x y.so", "x_y"),
        ];
        for (path, name) in names {
            assert_eq!(name_of(Path::new(path)), name, "{path}");
        }
    }

    #[test]
    fn a_pinned_copy_is_read_only_the_same_and_known_to_sha1sum() {
        let dir = tempfile::tempdir().unwrap();
        let src = dir.path().join("libx-1.2.so");
        fs::copy(some_dso(), &src).unwrap();
        let pinned = pin(&src, &dir.path().join("out/deep"), None).unwrap();
        assert_eq!(pinned.name, "x");
        assert_eq!(pinned.path.file_name().unwrap().to_str().unwrap(), format!("x_{}.so", &pinned.sha1[..8]));
        assert_eq!(fs::read(&pinned.path).unwrap(), fs::read(&src).unwrap());
        assert_eq!(fs::metadata(&pinned.path).unwrap().permissions().mode() & 0o777, 0o444);
        assert!(pinned.build_id().is_some_and(|id| id.len() == 40));
        assert!(pinned.elf.defines_malloc);
        let check = std::process::Command::new("sha1sum")
            .args(["-c", "--status"])
            .arg(dir.path().join("out/deep/x_so.sha1"))
            .status();
        assert!(check.unwrap().success());
        assert_eq!(name_of(&pinned.path), "x");
        assert_eq!(name_of(Path::new("/nonexistent/x_0a1b2c3d.so")), "x_0a1b2c3d");
        // A second pin leaves the file alone: processes may run it.
        let inode = fs::metadata(&pinned.path).unwrap().ino();
        let again = pin(&src, &dir.path().join("out/deep"), None).unwrap();
        assert_eq!((again.path, fs::metadata(&pinned.path).unwrap().ino()), (pinned.path, inode));
    }

    #[test]
    fn a_file_that_changes_between_two_looks_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.so");
        fs::write(&path, "one").unwrap();
        let (first, _) = Look::take(&path).unwrap();
        let changed = |first: &Look| first.changed(&Look::take(&path).unwrap().0);
        assert_eq!(changed(&first), None);
        fs::write(&path, "two").unwrap();
        assert!(changed(&first).unwrap().starts_with("its sha1 went from"));
        let (second, _) = Look::take(&path).unwrap();
        fs::write(&path, "longer").unwrap();
        assert_eq!(changed(&second).unwrap(), "its size went from 3 to 6 bytes");
        let (third, _) = Look::take(&path).unwrap();
        fs::write(dir.path().join("y"), "longer").unwrap();
        fs::rename(dir.path().join("y"), &path).unwrap();
        assert_eq!(changed(&third).unwrap(), "another file took its place");
        let (fourth, _) = Look::take(&path).unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(changed(&fourth).unwrap(), "it was written to");
    }

    #[test]
    fn what_is_no_shared_object_is_refused_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let refused = |path: &Path| pin(path, &out, None).unwrap_err().to_string();
        let write = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            fs::write(&path, bytes).unwrap();
            path
        };
        let remedy = "; give the path of the allocator's .so";
        let case = |path: PathBuf, why: &str| {
            assert_eq!(refused(&path), format!("not a shared object: {}: {why}{remedy}", path.display()));
        };
        case(write("a.so", b""), "not an ELF file (it is empty)");
        case(write("b.so", b"#!/bin/sh\n"), "not an ELF file but a script");
        case(write("c.so", b"/* GNU ld script */ GROUP ( x )"), "not an ELF file but a linker script");
        case(write("d.so", b"!<arch>\n"), "not an ELF file but an archive (.a)");
        case(PathBuf::from("/bin/sh"), "a program");
        assert!(refused(&write("e.so", b"\x7fELF\x02\x01\x01")).contains("a damaged ELF file"));
        fs::create_dir(dir.path().join("f.so")).unwrap();
        assert!(refused(&dir.path().join("f.so")).contains("not a plain file"));
        nix::unistd::mkfifo(&dir.path().join("g.so"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(refused(&dir.path().join("g.so")).contains("not a plain file"));
        assert!(refused(&dir.path().join("none.so")).contains("No such file"));
        assert!(matches!(pin(&some_dso(), &out, Some("a/b")), Err(PinError::Name(_))));
        assert!(!out.exists());
    }

    #[test]
    fn names_that_would_break_a_line_are_written_as_sha1sum_does() {
        assert_eq!(sha1sum_line("ab", Path::new("/x y.so")), b"ab  /x y.so\n");
        assert_eq!(sha1sum_line("ab", Path::new("/x\\\n.so")), b"\\ab  /x\\\\\\n.so\n");
    }
}
