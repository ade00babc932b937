//! The built-in profiles.

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
    pub(crate) fn builtin() -> impl Iterator<Item = Profile> {
        BUILTIN.iter().map(|text| parse::parse(text, None).unwrap_or_else(|bad| unreachable!("{bad}")))
    }

    /// The built-in profile for a DSO. It is found by `name`, which the user gave, or else by the name of the
    /// file. Where none matches, the profile is a [plain](Profile::plain) one.
    pub(crate) fn for_dso(dso: &Path, name: Option<&str>) -> Profile {
        let stem = name_of(dso);
        Profile::builtin()
            .find(|p| name == Some(p.name.as_str()))
            .or_else(|| Profile::builtin().find(|p| p.is_for(&stem)))
            .unwrap_or_else(|| Profile::plain(&stem))
    }
}
