//! `hangscope top`: a job on the screen, while it works.
//!
//! What is shown follows from what the job told and which keys were pressed. Only `terminal` and `poll` touch
//! the outside.
//!
//! - [`app`]: the state: what was told, what is selected; keys change it
//! - `order`: the order of the processes
//! - [`look`]: language, colour, letters of the terminal
//! - `cells`: figures and names in a fixed number of columns; `columns`: which columns have room
//! - `table`, `process`, `help`: the screens; [`screen`]: all of it, line by line
//! - [`words`]: what is said, in both languages
//! - `poll`: asks the job; [`terminal`]: keys and screen

pub(crate) mod app;
mod cells;
mod columns;
mod help;
pub(crate) mod look;
mod order;
mod poll;
mod process;
pub(crate) mod screen;
mod table;
pub(crate) mod terminal;
#[cfg(test)]
mod tests;
pub(crate) mod words;
