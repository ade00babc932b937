//! Functions with which a program ends calls without their return. A lock that the call took stays locked.

use std::collections::BTreeSet;

use object::{Object as _, ObjectSymbol as _};

use super::images::Modules;

/// longjmp(3), pthread_cancel(3), pthread_exit(3), and the names that `_FORTIFY_SOURCE` gives them.
const WAYS_OUT: [&str; 6] =
    ["longjmp", "_longjmp", "siglongjmp", "__longjmp_chk", "pthread_cancel", "pthread_exit"];

/// Those that the program imports: its executable and libraries, as far as their files were read. The C library, the loader
/// and the allocator are left out.
pub(super) fn of(modules: &Modules) -> Vec<String> {
    let mut found = BTreeSet::new();
    for bytes in modules.read_of_program() {
        let Ok(file) = object::File::parse(bytes) else { continue };
        let undefined = file.dynamic_symbols().filter(|symbol| symbol.is_undefined());
        let names = undefined.filter_map(|symbol| symbol.name().ok());
        found.extend(names.filter(|name| WAYS_OUT.contains(name)).map(str::to_owned));
    }
    found.into_iter().collect()
}
