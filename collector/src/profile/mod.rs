//! Profiles: everything that is particular to an allocator. No other room knows an allocator by name.
//!
//! - [`model`]: what a profile holds
//! - [`parse`]: the TOML of a profile, with one clear line for each mistake in it
//! - `builtin`: the built-in profiles

mod builtin;
mod model;
mod parse;

pub use model::Profile;
#[cfg(test)]
pub(crate) use model::Word;
pub(crate) use model::{Counter, MemoryCounters};
pub use parse::BadProfile;
pub(crate) use parse::{explain, load};

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_builtin_profiles_are_valid_and_have_different_names() {
        let names: Vec<String> = Profile::builtin().map(|p| p.name).collect();
        assert_eq!(names, ["hz4", "hz3", "mimalloc", "jemalloc", "tcmalloc"]);
    }

    #[test]
    fn a_dso_finds_its_profile_by_name_then_by_file() {
        let found = |dso: &str, name| Profile::for_dso(Path::new(dso), name).name;
        assert_eq!(found("/x/libhakozuna_hz4.so", None), "hz4");
        assert_eq!(found("/x/libhakozuna_hz3_scale.so", None), "hz3");
        assert_eq!(found("/x/libtcmalloc_minimal.so.4", None), "tcmalloc");
        assert_eq!(found("/x/build-17.so", Some("hz4")), "hz4");
        assert_eq!(found("/x/libmimalloc.so", Some("jemalloc")), "jemalloc");
        assert_eq!(found("/x/libmimalloc.so", Some("mine")), "mimalloc");
        assert_eq!(found("/x/libfoo\"bar.so", None), "foo_bar");
    }

    #[test]
    fn ops_are_the_first_number_that_is_found() {
        let plain = Profile::plain("x");
        assert_eq!(plain.ops(b"time=1.2 ops/s=7095204.36 rss\nops/s=3\n"), Some(7095204.36));
        assert_eq!(plain.ops(b"ops/s=1.5e+6"), Some(1.5e6));
        assert_eq!(plain.ops(b"ops/s=e ops/s=12"), Some(12.0));
        assert_eq!(plain.ops(b"work_ops/s=nan \xff"), None);
    }

    #[test]
    fn only_the_profiles_variables_are_recorded() {
        let hz4 = Profile::for_dso(Path::new("hz4.so"), None);
        assert!(hz4.records(b"LD_PRELOAD") && hz4.records(b"HZ4_X") && hz4.records(b"HAKMEM_Y"));
        assert!(!hz4.records(b"PATH") && !hz4.records(b"XHZ4_X") && !hz4.records(b"LD_PRELOAD_X"));
    }
}
