//! The profiles that are built in, and the one for a DSO.

use std::path::Path;

use super::model::Profile;
use super::parse;
use crate::files::pin::name_of;

const BUILTIN: &[&str] = &[
    include_str!("builtin/hz4.toml"),
    include_str!("builtin/hz3.toml"),
    include_str!("builtin/mimalloc.toml"),
    include_str!("builtin/jemalloc.toml"),
    include_str!("builtin/tcmalloc.toml"),
];

impl Profile {
    /// The built-in ones.
    pub(crate) fn builtin() -> impl Iterator<Item = Profile> {
        BUILTIN.iter().map(|text| parse::parse(text, None).unwrap_or_else(|bad| unreachable!("{bad}")))
    }

    /// The built-in profile for a DSO: by the name that the user gave, else by the name of its file; a
    /// [plain](Profile::plain) one where none fits.
    pub(crate) fn for_dso(dso: &Path, name: Option<&str>) -> Profile {
        let stem = name_of(dso);
        Profile::builtin()
            .find(|p| name == Some(p.name.as_str()))
            .or_else(|| Profile::builtin().find(|p| p.is_for(&stem)))
            .unwrap_or_else(|| Profile::plain(&stem))
    }
}
