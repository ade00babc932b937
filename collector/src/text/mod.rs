//! What is said to people, in both languages from one definition.
//!
//! - [`escape`]: no name rewrites a terminal
//! - [`lang`]: the two languages, and which one the environment asks for
//! - [`matrix`]: what a matrix says
//! - [`message`]: the `messages!` macro and [`message::Text`]
//! - [`night`]: what the report of a night says
//! - [`note`]: what a run or a collection met
//! - [`carrying`]: what is said of a carrier
//! - [`chain`]: what is said of programs that a collector did not see
//! - [`collecting`]: what a standing collector says about itself
//! - [`history`]: what is said of earlier runs
//! - [`labels`]: headings and field names that several renderers share
//! - [`packet`]: the hand-over of a hang
//! - [`progress`]: lines of a job
//! - [`unseen`]: what is said of a collection without a session
//! - [`view`]: one process on a screen
//! - [`words`]: the words of `verdict.json` in sentences

pub(crate) mod carrying;
pub(crate) mod chain;
pub(crate) mod collecting;
pub(crate) mod escape;
pub(crate) mod history;
pub(crate) mod labels;
pub mod lang;
pub(crate) mod matrix;
pub(crate) mod merge;
pub mod message;
pub(crate) mod night;
pub(crate) mod note;
pub(crate) mod packet;
pub(crate) mod progress;
pub(crate) mod unseen;
pub(crate) mod view;
pub(crate) mod words;
