//! The DSOs that a DSO finds beside itself: by `$ORIGIN` in its search path, or by dlopen. A pinned copy in
//! another folder does not find them, so they are copied with it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use super::links::{Links, is_system};

/// Folders that the loader searches by itself.
const SEARCHED: [&str; 8] = [
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
];

/// A DSO beside another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Companion {
    /// Where the loader looks for it, relative to the folder of the other one: `libcore.so`, `sub/libcore.so`.
    pub(super) place: PathBuf,
    pub(super) source: PathBuf,
    pub(super) bytes: Vec<u8>,
}

/// A DSO that is found by a path that leads out of the folder: a copy cannot be placed there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Elsewhere {
    pub(super) name: String,
    /// The folder in which it is.
    pub(super) folder: PathBuf,
}

/// The companions of a DSO, and theirs. `source` is absolute, `bytes` are its bytes.
///
/// # Errors
/// [`Elsewhere`].
pub(super) fn of(source: &Path, bytes: &[u8]) -> Result<Vec<Companion>, Elsewhere> {
    let origin = source.parent().unwrap_or(Path::new("/"));
    let mut found: BTreeMap<PathBuf, Companion> = BTreeMap::new();
    let mut open = vec![(source.to_owned(), bytes.to_vec())];
    while let Some((from, bytes)) = open.pop() {
        let folder = from.parent().unwrap_or(origin);
        let links = Links::of(&bytes);
        let needed = links.needed.iter().filter(|name| !name.contains('/') && !is_system(name));
        for name in needed {
            let Some(at) = by_origin(&links, name, folder) else { continue };
            add(&mut found, &mut open, origin, at, name)?;
        }
        if !SEARCHED.contains(&&*folder.to_string_lossy()) {
            for name in opened(&bytes).into_iter().filter(|name| links.soname.as_ref() != Some(name)) {
                add(&mut found, &mut open, origin, folder.join(&name), &name)?;
            }
        }
    }
    Ok(found.into_values().collect())
}

/// Adds the file at `at`, if it is a DSO other than the ones that are known.
fn add(
    found: &mut BTreeMap<PathBuf, Companion>,
    open: &mut Vec<(PathBuf, Vec<u8>)>,
    origin: &Path,
    at: PathBuf,
    name: &str,
) -> Result<(), Elsewhere> {
    let id = |path: &Path| fs::metadata(path).map(|m| (m.dev(), m.ino())).ok();
    let known = open.iter().any(|(path, _)| id(path) == id(&at));
    if known || found.values().any(|c| c.source == at) || !fs::metadata(&at).is_ok_and(|m| m.is_file()) {
        return Ok(());
    }
    let Ok(bytes) = fs::read(&at) else { return Ok(()) };
    if Links::of(&bytes) == Links::default() {
        return Ok(());
    }
    let place = at
        .strip_prefix(origin)
        .ok()
        .filter(|place| place.components().all(|part| matches!(part, Component::Normal(_))));
    let Some(place) = place else {
        let folder = at.parent().unwrap_or(origin);
        let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        return Err(Elsewhere { name: name.to_owned(), folder });
    };
    open.push((at.clone(), bytes.clone()));
    found.insert(place.to_owned(), Companion { place: place.to_owned(), source: at, bytes });
    Ok(())
}

/// The path at which the loader finds a needed DSO, if the first folder that has it is given by `$ORIGIN`.
fn by_origin(links: &Links, name: &str, origin: &Path) -> Option<PathBuf> {
    let folder =
        links.search.iter().find(|folder| Path::new(&expanded(folder, origin)).join(name).exists())?;
    let relative = folder.contains("$ORIGIN") || folder.contains("${ORIGIN}");
    relative.then(|| normal(&Path::new(&expanded(folder, origin)).join(name)))
}

fn expanded(folder: &str, origin: &Path) -> String {
    let origin = origin.to_string_lossy();
    folder.replace("${ORIGIN}", &origin).replace("$ORIGIN", &origin)
}

/// Without `.`, and without a `..` behind a plain folder.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            part => normal.push(part),
        }
    }
    normal
}

/// Names of DSOs among the strings of a file, without their folders: it may open them with dlopen.
fn opened(bytes: &[u8]) -> Vec<String> {
    let strings = bytes.split(|b| *b == 0).filter(|s| (4..256).contains(&s.len()));
    let names = strings.filter_map(|s| std::str::from_utf8(s).ok());
    let names = names.map(|s| s.rsplit('/').next().unwrap_or(s));
    let mut names: Vec<String> =
        names.filter(|n| is_dso_name(n) && !is_system(n)).map(str::to_owned).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// `libx.so`, `libx.so.1.2`.
fn is_dso_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    name.split_once(".so").is_some_and(|(stem, version)| {
        !stem.is_empty() && stem.chars().all(plain) && version.chars().all(|c| c == '.' || c.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn build(folder: &Path, to: &str, source: &str, flags: &[&str]) {
        fs::create_dir_all(folder.join(to).parent().unwrap()).unwrap();
        let code = folder.join("code.c");
        fs::write(&code, source).unwrap();
        let mut cc = Command::new("cc");
        cc.current_dir(folder).args(["-shared", "-fPIC", "-o", to, "code.c"]).args(flags);
        let built = cc.output().expect("a C compiler is installed");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    }

    fn companions(folder: &Path, front: &str) -> Result<Vec<PathBuf>, Elsewhere> {
        let source = folder.join(front);
        let found = of(&source, &fs::read(&source).unwrap())?;
        Ok(found.into_iter().map(|c| c.place).collect())
    }

    #[test]
    fn a_core_beside_the_front_is_found_with_what_it_needs_itself() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        build(folder, "sub/libbase.so", "int base(void) { return 1; }", &[]);
        build(
            folder,
            "libcore.so",
            "int base(void); int core(void) { return base(); }",
            &["-Lsub", "-lbase", "-Wl,-rpath,$ORIGIN/sub"],
        );
        let front = "int core(void); int front(void) { return core(); }";
        build(folder, "libfront.so", front, &["-L.", "-lcore", "-Wl,-rpath,$ORIGIN"]);
        let expected = ["libcore.so", "sub/libbase.so"].map(PathBuf::from).to_vec();
        assert_eq!(companions(folder, "libfront.so"), Ok(expected));
        // Found by another way than from its own folder: a copy finds it too.
        let absolute = format!("-Wl,-rpath,{}", folder.display());
        build(folder, "libabsolute.so", front, &["-L.", "-lcore", &absolute]);
        let needed = Links::of(&fs::read(folder.join("libabsolute.so")).unwrap());
        assert_eq!(by_origin(&needed, "libcore.so", folder), None);
    }

    #[test]
    fn a_core_that_is_opened_is_found_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        build(folder, "libcore.so.2", "int core(void) { return 1; }", &[]);
        fs::write(folder.join("libtext.so"), "no DSO").unwrap();
        let source = r#"const char *const names[] = {"plugins/libcore.so.2", "libtext.so", "libgone.so", "libc.so.6"};"#;
        build(folder, "libfront.so", source, &[]);
        assert_eq!(companions(folder, "libfront.so"), Ok(vec![PathBuf::from("libcore.so.2")]));
    }

    #[test]
    fn a_core_in_another_folder_is_named_with_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        build(folder, "lib/libcore.so", "int core(void) { return 1; }", &[]);
        let flags = ["-Llib", "-lcore", "-Wl,-rpath,$ORIGIN/../lib"];
        build(folder, "bin/libfront.so", "int core(void); int front(void) { return core(); }", &flags);
        let lib = fs::canonicalize(folder.join("lib")).unwrap();
        let elsewhere = Elsewhere { name: "libcore.so".to_owned(), folder: lib };
        assert_eq!(companions(folder, "bin/libfront.so"), Err(elsewhere));
    }

    #[test]
    fn names_of_dsos() {
        for name in ["libx.so", "x.so.1.2.3", "libc++x.so.1"] {
            assert!(is_dso_name(name), "{name}");
        }
        for name in [".so", "libx.a", "lib x.so", "libx.socket", "%s.so"] {
            assert!(!is_dso_name(name), "{name}");
        }
    }
}
