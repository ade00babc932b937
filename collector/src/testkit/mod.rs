//! What the tests share.

pub(crate) mod dump;
pub(crate) mod fake_shim;
pub(crate) mod hunt;
