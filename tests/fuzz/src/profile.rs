//! The TOML of a profile.

use hangscope_collector::profile::Profile;

pub fn any(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(error) = Profile::parse(text) {
        // A mistake is said in one line.
        assert_eq!(error.to_string().lines().count(), 1, "{error}");
    }
}
