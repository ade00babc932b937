//! What an ELF file tells the loader: which DSOs it needs and where they are looked for, and which functions
//! it takes from other DSOs.

use std::collections::BTreeSet;

use object::elf::{self, FileHeader64};
use object::read::StringTable;
use object::read::elf::{Dyn as _, FileHeader as _, ProgramHeader as _};
use object::{LittleEndian, Object as _, ObjectSymbol as _, SymbolKind};

/// The facts of a 64-bit little-endian file. All are empty for any other file, and for a file without a
/// dynamic section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Links {
    pub(crate) soname: Option<String>,
    /// DT_AUXILIARY, the first: a DSO that comes before this one in the order of symbol search, if it is
    /// there.
    pub(crate) auxiliary: Option<String>,
    /// DT_FILTER, the first: the same for a DSO that must be there.
    pub(crate) filter: Option<String>,
    /// DT_NEEDED: names, or paths with a `/`.
    pub(crate) needed: Vec<String>,
    /// The folders of DT_RUNPATH, else of DT_RPATH, as written in the file.
    pub(crate) search: Vec<String>,
    /// The file names a loader: it is a program (or the C library, which can be started too).
    pub(crate) starts: bool,
    /// Functions that it takes from other DSOs and cannot run without (no weak symbols).
    pub(crate) imports: BTreeSet<String>,
    /// Functions that it defines for other DSOs.
    pub(crate) defines: BTreeSet<String>,
}

impl Links {
    pub(crate) fn of(bytes: &[u8]) -> Links {
        let mut links = dynamic(bytes).unwrap_or_default();
        if let Ok(file) = object::File::parse(bytes) {
            for symbol in file.dynamic_symbols() {
                let Ok(name) = symbol.name() else { continue };
                if symbol.is_undefined() && !symbol.is_weak() {
                    links.imports.insert(name.to_owned());
                } else if symbol.is_definition() && symbol.kind() == SymbolKind::Text {
                    links.defines.insert(name.to_owned());
                }
            }
        }
        links
    }

    /// Whether a name of DT_NEEDED names the file at this path.
    pub(crate) fn is_named(&self, needed: &str, path: &str) -> bool {
        let file = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
        file(path) == file(needed) || self.soname.as_deref() == Some(needed)
    }
}

/// Without section headers: these may be stripped.
fn dynamic(bytes: &[u8]) -> Option<Links> {
    let header = FileHeader64::<LittleEndian>::parse(bytes).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, bytes).ok()?;
    let entries = segments.iter().find_map(|s| s.dynamic(endian, bytes).ok().flatten())?;
    let value = |tag| entries.iter().find(|d| d.d_tag(endian) == tag).map(|d| d.d_val(endian));
    let (at, size) = (value(elf::DT_STRTAB)?, value(elf::DT_STRSZ)?);
    let load = segments.iter().find(|s| {
        s.p_type(endian) == elf::PT_LOAD
            && at.checked_sub(s.p_vaddr(endian)).is_some_and(|into| into < s.p_filesz(endian))
    })?;
    let from = (at - load.p_vaddr(endian)).checked_add(load.p_offset(endian))?;
    let strings = StringTable::new(bytes, from, from.checked_add(size)?);
    let text = |offset: u64| {
        let bytes = strings.get(u32::try_from(offset).ok()?).ok()?;
        Some(String::from_utf8_lossy(bytes).into_owned())
    };
    let all = |tag| {
        let of_tag = entries.iter().filter(move |d| d.d_tag(endian) == tag);
        of_tag.filter_map(|d| text(d.d_val(endian)))
    };
    let folders = |tag| -> Vec<String> {
        all(tag).flat_map(|list| list.split(':').map(str::to_owned).collect::<Vec<_>>()).collect()
    };
    let runpath = folders(elf::DT_RUNPATH);
    Some(Links {
        soname: all(elf::DT_SONAME).next(),
        auxiliary: all(elf::DT_AUXILIARY).next(),
        filter: all(elf::DT_FILTER).next(),
        needed: all(elf::DT_NEEDED).collect(),
        search: if runpath.is_empty() { folders(elf::DT_RPATH) } else { runpath },
        starts: segments.iter().any(|s| s.p_type(endian) == elf::PT_INTERP),
        ..Links::default()
    })
}

/// How file names of dynamic linkers begin.
const LINKERS: [&str; 3] = ["ld-", "ld64", "ld.so"];

/// Whether a DSO belongs to the system: the loader, the C library and its parts, the runtimes of C and C++,
/// the kernel's own DSO. Such a DSO serves the program and the allocator alike.
pub(crate) fn is_system(path: &str) -> bool {
    const NAMES: [&str; 23] = [
        "libc",
        "libm",
        "libmvec",
        "libpthread",
        "libdl",
        "librt",
        "libutil",
        "libresolv",
        "libanl",
        "libnsl",
        "libcrypt",
        "libthread_db",
        "libstdc++",
        "libc++",
        "libc++abi",
        "libgcc_s",
        "libatomic",
        "libnuma",
        "libsystemd",
        "libgomp",
        "libomp",
        // They stand in for some functions of the C library, and pass each call on.
        "libhangscope",
        "libhangscope_stir",
    ];
    const STARTS: [&str; 3] = ["libc.musl-", "libnss_", "libunwind"];
    let file = path.rsplit('/').next().unwrap_or(path);
    let stem = file.split(".so").next().unwrap_or(file);
    // `libc-2.31.so` of older systems.
    let plain = match stem.rsplit_once('-') {
        Some((name, version)) if version.starts_with(|c: char| c.is_ascii_digit()) => name,
        _ => stem,
    };
    let starts = LINKERS.iter().chain(&STARTS).any(|start| file.starts_with(start));
    file.starts_with('[') || NAMES.contains(&plain) || starts
}

/// Whether a DSO is the dynamic linker of glibc. It allocates through the program's malloc.
pub(crate) fn is_linker(path: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or(path);
    !file.starts_with("ld-musl") && LINKERS.iter().any(|start| file.starts_with(start))
}

/// Whether the bytes of a file contain this file name as a whole string, alone or at the end of a path. A DSO
/// that opens another one with dlopen holds its name.
pub(crate) fn holds_name(bytes: &[u8], name: &str) -> bool {
    let whole = [name.as_bytes(), b"\0"].concat();
    let begins = |at: usize| at == 0 || matches!(bytes.get(at - 1), Some(0 | b'/'));
    !name.is_empty() && memchr::memmem::find_iter(bytes, &whole).any(begins)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loader_and_the_runtimes_are_of_the_system() {
        for path in [
            "/lib/x86_64-linux-gnu/libc.so.6",
            "/lib/libc-2.31.so",
            "/lib64/ld-linux-x86-64.so.2",
            "/lib/ld-musl-x86_64.so.1",
            "/usr/lib/libstdc++.so.6.0.30",
            "/usr/lib/libunwind-x86_64.so.8",
            "[vdso]",
        ] {
            assert!(is_system(path), "{path}");
        }
        assert!(is_linker("/lib64/ld-linux-x86-64.so.2") && !is_linker("/lib/ld-musl-x86_64.so.1"));
        for path in [
            "/usr/lib/libmimalloc.so.2.0",
            "libjemalloc.so.2",
            "/x/libcore.so",
            "/x/libc_alloc.so",
            "/x/prog",
        ] {
            assert!(!is_system(path), "{path}");
        }
    }

    #[test]
    fn a_name_counts_only_as_a_whole_string() {
        let holds = |bytes: &[u8]| holds_name(bytes, "libcore.so");
        assert!(holds(b"x\0libcore.so\0y") && holds(b"libcore.so\0") && holds(b"/opt/a/libcore.so\0"));
        assert!(!holds(b"\0otherlibcore.so\0") && !holds(b"\0libcore.so.1\0") && !holds(b"libcore.so"));
        assert!(!holds_name(b"\0\0", ""));
    }

    #[test]
    fn the_c_library_says_what_it_needs_and_defines() {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let libc = maps.split_whitespace().find(|word| word.ends_with("/libc.so.6")).expect("a C library");
        let links = Links::of(&std::fs::read(libc).unwrap());
        assert_eq!(links.soname.as_deref(), Some("libc.so.6"));
        assert!(links.is_named("libc.so.6", "/x/libc-2.36.so") && links.is_named("libc.so.6", libc));
        assert!(links.defines.contains("pthread_mutex_lock") && !links.imports.contains("malloc"));
        assert!(links.needed.iter().any(|name| name.starts_with("ld-")), "{:?}", links.needed);
        for bytes in [&b""[..], b"\x7fELF", &[0x7f; 4096]] {
            assert_eq!(Links::of(bytes), Links::default());
        }
    }
}
