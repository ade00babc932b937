//! Helpers of several tests.

pub(crate) mod dump;
pub(crate) mod fake_shim;
pub(crate) mod hunt;
