//! Which imports run back, in a tree of files.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{Import, imports};

/// A crate's sources and the order of its rooms.
pub(crate) struct Crate<'c> {
    /// The folder, as messages name it.
    pub(crate) root: &'c str,
    /// Rooms (folders and files of the root), lowest first. A room may import rooms of earlier lines only.
    pub(crate) layers: &'c [&'c [&'c str]],
    /// Most files at the root.
    pub(crate) most_at_root: usize,
}

/// Names from the root down; the root itself is empty.
type Module = Vec<String>;

struct File {
    /// Below the root.
    path: String,
    module: Module,
    imports: Vec<Import>,
}

/// A file, a line in it, and what is wrong there.
type Fault = (String, usize, String);

/// What is wrong in these files (path below the root, text): a line each, ordered by file and line.
pub(crate) fn check(of: &Crate<'_>, files: &[(String, String)]) -> Vec<String> {
    let is_test = |path: &str| {
        path.ends_with("tests.rs")
            || path.starts_with("testkit/")
            || path.split('/').any(|folder| folder == "tests")
    };
    let files = files.iter().filter(|(path, _)| !is_test(path));
    let files: Vec<File> = files
        .map(|(path, text)| File { path: path.clone(), module: module(path), imports: imports(text) })
        .collect();
    let tree = Tree::of(&files);
    let mut faults = vec![];
    let mut folders: BTreeMap<Module, Edges<'_>> = BTreeMap::new();
    for file in &files {
        for import in &file.imports {
            let Some((target, item)) = tree.target(file, import) else { continue };
            let fault = |why| (file.path.clone(), import.line, why);
            let common = file.module.iter().zip(&target).take_while(|(a, b)| a == b).count();
            match (file.module.get(common), target.get(common)) {
                // The mod.rs of a folder may import everything in the folder.
                (None, _) => {}
                (Some(from), None) => faults.push(fault(upwards(from, &target, &item))),
                (Some(from), Some(to)) if common == 0 => faults.extend(of.backwards(from, to).map(fault)),
                (Some(from), Some(to)) => {
                    let edges = folders.entry(target[..common].to_vec()).or_default();
                    edges.entry((from.clone(), to.clone())).or_insert((file, import));
                }
            }
        }
    }
    faults.extend(folders.values().flat_map(circles));
    faults.sort();
    faults.dedup();
    let at_root = of.at_root(&files);
    let lines = faults.into_iter().map(|(path, line, why)| format!("{}/{path}:{line}: {why}", of.root));
    lines.chain(at_root).collect()
}

/// `a/b.rs` and `a/b/mod.rs` are `a::b`.
fn module(path: &str) -> Module {
    let mut names: Module = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    let is_root = names.len() == 1;
    names.pop_if(|name| name == "mod" || is_root && (name == "lib" || name == "main"));
    names
}

/// The modules that are files, and what the names that `use` makes in them mean.
struct Tree {
    modules: BTreeSet<Module>,
    names: BTreeMap<Module, Module>,
}

impl Tree {
    fn of(files: &[File]) -> Tree {
        let modules = files.iter().map(|file| file.module.clone()).collect();
        let mut tree = Tree { modules, names: BTreeMap::new() };
        for file in files {
            for import in file.imports.iter().filter(|import| import.is_use) {
                let (Some(name), Some(path)) = (&import.name, tree.absolute(file, import)) else { continue };
                let named = [&file.module[..], &import.inside, std::slice::from_ref(name)].concat();
                if named != path {
                    tree.names.insert(named, path);
                }
            }
        }
        tree
    }

    /// From the root of the crate; none for a path into another crate.
    fn absolute(&self, file: &File, import: &Import) -> Option<Module> {
        let mut from = [&file.module[..], &import.inside].concat();
        let mut path = &import.path[..];
        match path.first()?.as_str() {
            "crate" => {
                from.clear();
                path = &path[1..];
            }
            "self" => path = &path[1..],
            "super" => {
                while path.first().is_some_and(|segment| segment == "super") {
                    from.pop();
                    path = &path[1..];
                }
            }
            first => {
                let child = [&from[..], &[first.to_owned()]].concat();
                if !self.modules.contains(&child) {
                    return None;
                }
            }
        }
        from.extend_from_slice(path);
        Some(from)
    }

    /// The module that defines what is imported, and the name of the item in it. A re-export counts as its
    /// origin.
    fn target(&self, file: &File, import: &Import) -> Option<(Module, String)> {
        let mut path = self.absolute(file, import)?;
        // More steps than any chain of re-exports has: two that name each other end here.
        for _ in 0..32 {
            let known = self.known(&path);
            let Some(name) = path.get(..=known) else { break };
            let Some(origin) = self.names.get(name) else { break };
            path = [&origin[..], &path[known + 1..]].concat();
        }
        let known = self.known(&path);
        let item = path.get(known).cloned().unwrap_or_default();
        path.truncate(known);
        Some((path, item))
    }

    /// How many leading names of a path are a file.
    fn known(&self, path: &[String]) -> usize {
        (0..=path.len()).rev().find(|len| self.modules.contains(&path[..*len])).unwrap_or(0)
    }
}

fn upwards(from: &str, target: &[String], what: &str) -> String {
    let folder = target.last().map_or("the root", String::as_str);
    format!(
        "{from} may not import {what} from the mod.rs of {folder}, which stands above it; \
         move {what} into a file of its own in {folder} and re-export it from mod.rs"
    )
}

impl Crate<'_> {
    /// Why one room may not import another, if it may not.
    fn backwards(&self, from: &str, to: &str) -> Option<String> {
        let layer = |room: &str| self.layers.iter().position(|line| line.contains(&room));
        let why = match (layer(from), layer(to)) {
            (None, _) => return Some(unknown(from)),
            (_, None) => return Some(unknown(to)),
            (Some(from_layer), Some(to_layer)) if from_layer > to_layer => return None,
            (Some(from_layer), Some(to_layer)) if from_layer == to_layer => {
                "they are in one layer".to_owned()
            }
            _ => format!("{to} is a later layer"),
        };
        Some(format!(
            "{from} may not import {to} ({why}); move what both need into an earlier room, or this code into a later one"
        ))
    }

    fn at_root(&self, files: &[File]) -> Option<String> {
        let files: Vec<&str> =
            files.iter().map(|file| &*file.path).filter(|path| !path.contains('/')).collect();
        let (root, count, most) = (self.root, files.len(), self.most_at_root);
        (count > most).then(|| {
            format!(
                "{root}: {count} files at the root, at most {most} may be ({}); move some into rooms",
                files.join(", ")
            )
        })
    }
}

fn unknown(room: &str) -> String {
    format!("{room} has no layer; give it one in the table of collector/tests/layers/main.rs")
}

/// Imports between two names in one folder, by the two names; the first of each pair.
type Edges<'f> = BTreeMap<(String, String), (&'f File, &'f Import)>;

/// The imports that are part of a circle.
fn circles(edges: &Edges<'_>) -> Vec<Fault> {
    let on_circle = edges.iter().filter_map(|((from, to), (file, import))| {
        let back = way(edges, to, from)?;
        let steps = [from].into_iter().chain(&back).zip(&back).map(|(a, b)| format!("{a} imports {b}"));
        let steps = steps.collect::<Vec<_>>().join(", ");
        let why = format!(
            "a circle: {steps}; move what they share into a file of its own that imports none of them"
        );
        Some((file.path.clone(), import.line, why))
    });
    on_circle.collect()
}

/// The shortest chain of imports between two names, both named.
fn way(edges: &Edges<'_>, from: &str, to: &str) -> Option<Vec<String>> {
    let mut ways = vec![vec![from.to_owned()]];
    let mut seen = BTreeSet::from([from.to_owned()]);
    let mut at = 0;
    while let Some(way) = ways.get(at).cloned() {
        let last = way.last().expect("a way begins with a name");
        if last == to {
            return Some(way);
        }
        for (_, next) in edges.keys().filter(|(importer, _)| importer == last) {
            if seen.insert(next.clone()) {
                ways.push([&way[..], std::slice::from_ref(next)].concat());
            }
        }
        at += 1;
    }
    None
}
