//! What is said to people, in both languages from one definition.
//!
//! - [`message`]: the `messages!` macro, [`message::Text`], the language
//! - [`note`]: what a run or a collection met
//! - [`labels`]: headings and field names that several renderers share

pub(crate) mod labels;
pub mod message;
pub(crate) mod note;
