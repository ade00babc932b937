//! A sentence of the evidence, before its language is chosen.

use super::lines::Line;
use crate::analysis::class::Why;
use crate::text::message::{Lang, say, tight};

/// A sentence, or one with another in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Line(Line),
    /// A sentence of a finding, of which run, in which folder.
    Why {
        run: String,
        snapshot: String,
        why: Why,
    },
    Missing(Why),
}

impl Said {
    pub(super) fn text(&self, lang: Lang) -> String {
        let why = |why: &Why| match lang {
            Lang::En => why.en(),
            Lang::Ja => tight(&why.text(lang)),
        };
        match self {
            Said::Line(line) => line.text(lang),
            Said::Why { run, snapshot, why: said } => {
                say!(Line::InHang { run, sentence: in_folder(&why(said), snapshot) }).text(lang)
            }
            Said::Missing(said) => say!(Line::Missing { sentence: why(said) }).text(lang),
        }
    }
}

/// The file that a sentence of a finding names at its end, seen from OUT.
fn in_folder(sentence: &str, snapshot: &str) -> String {
    let mut text = sentence.to_owned();
    for file in ["threads.json", "stacks.txt", "dump.bin"] {
        text = text.replace(&format!("({file})"), &format!("({snapshot}/{file})"));
    }
    text
}
