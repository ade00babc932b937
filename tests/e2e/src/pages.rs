//! Pages for the check in a browser (`tests/page`): where KEEP_PAGES_IN names a folder, tests leave the pages there that
//! their hunts made.

use std::path::{Path, PathBuf};

/// Copies `report.html` of a folder as NAME.html, with `threads.json` as NAME.json if there is one.
pub fn keep(name: &str, folder: &Path) {
    let Some(to) = folder_of_pages() else { return };
    let page = folder.join("report.html");
    std::fs::copy(&page, to.join(format!("{name}.html")))
        .unwrap_or_else(|e| panic!("{}: {e}", page.display()));
    let threads = folder.join("threads.json");
    if threads.exists() {
        std::fs::copy(threads, to.join(format!("{name}.json"))).expect("a copy");
    }
}

/// Writes a file beside the pages.
pub fn keep_text(name: &str, text: &str) {
    if let Some(to) = folder_of_pages() {
        std::fs::write(to.join(name), text).expect("a file beside the pages");
    }
}

fn folder_of_pages() -> Option<PathBuf> {
    let to = PathBuf::from(std::env::var_os("KEEP_PAGES_IN")?);
    std::fs::create_dir_all(&to).expect("a folder for pages");
    Some(to)
}
