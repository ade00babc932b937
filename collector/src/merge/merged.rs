//! What a merge brought.

use crate::analysis::shards::Joined;
use crate::analysis::verdict::shard_sentences;
use crate::analysis::{Conclusion, HuntFacts};
use crate::console::exit::Status;
use crate::matrix::results::Results;
use crate::report::VerdictFile;
use crate::text::message::{Lang, Text};

/// What a merge brought.
#[derive(Debug)]
pub(crate) struct Merged {
    pub(crate) joined: Joined,
    /// The content of `verdict.json`. None: a matrix has planned nothing.
    pub(crate) verdict: Option<VerdictFile>,
    pub(crate) found: Found,
    /// Folders that could not be joined, and why; other remarks.
    pub(crate) notes: Vec<Text>,
}

/// What the runs show.
#[derive(Debug)]
pub(crate) enum Found {
    Hunt(Box<(HuntFacts, Conclusion)>),
    Matrix(Box<Results>),
}

impl Merged {
    /// What is known of the shards, a sentence each.
    pub(crate) fn shard_lines(&self, lang: Lang) -> Vec<String> {
        match &self.found {
            Found::Hunt(hunt) => shard_sentences(&hunt.0, lang),
            Found::Matrix(results) => {
                results.of_shards().map_or_else(Vec::new, |facts| shard_sentences(&facts, lang))
            }
        }
    }

    /// The documented exit status. Without a hang, shards that are missing or broken off prove nothing.
    pub(crate) fn status(&self) -> Status {
        let status = match &self.found {
            Found::Hunt(hunt) => {
                let code = crate::analysis::verdict::exit_code(&hunt.0);
                Status::ALL.iter().find(|status| status.code() == code).copied().unwrap_or(Status::Failed)
            }
            Found::Matrix(results) => results.status(),
        };
        match status {
            Status::NoHang if !self.joined.is_whole() => Status::Failed,
            status => status,
        }
    }
}
