//! Scheduling disturbed from inside (HANGSCOPE_STIR).

mod rounds;
pub(crate) mod touched;

pub(crate) use rounds::Stir;
