//! Which commit, or which setting of a build, made a program hang, if it hangs only now and then.
//!
//! `git bisect` needs an answer for each commit: hangs, or does not. A run that did not hang says little
//! where one run in a hundred hangs. Here each run only shifts belief. The model: one commit (or one value of
//! one setting) changed the rate of hangs, once; before and after it the rate is constant; both rates are
//! unknown, and the later one is higher. That nothing changed is one of the hypotheses, too.
//!
//! - [`space`]: the builds, and the hypotheses about them
//! - `rates`: two unknown rates, integrated out
//! - [`belief`]: the posterior of each hypothesis
//! - [`plan`]: the next build to run, by information for its time
//! - [`search`]: one look at the search: [`Search::look`]
//! - `task`: the journal of a search, and the next step

pub mod belief;
pub mod plan;
mod rates;
pub mod search;
pub mod space;
pub(crate) mod task;
#[cfg(test)]
mod tests;

pub use belief::{Belief, Group};
pub use plan::{Ask, Built, Costs};
pub use search::{End, Look, Search, Seen};
pub use space::{Hypothesis, Space};
pub(crate) use task::{Counted, Entry, Hang, Make, Over, Signed, State, Task, Trial};
