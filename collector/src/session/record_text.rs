//! Bytes of records as text, and back.

use serde::{Deserialize as _, Deserializer, Serializer};

/// A text that is padded with NUL. Bytes that are not UTF-8 become U+FFFD.
pub(crate) fn padded(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// For `#[serde(with = ...)]`: bytes as a JSON string. Bytes that are not UTF-8 become U+FFFD.
pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&String::from_utf8_lossy(bytes))
}

pub(super) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Vec<u8>, D::Error> {
    String::deserialize(from).map(String::into_bytes)
}
