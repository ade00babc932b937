//! A sentence of the evidence, before its language is chosen.

use super::ends::EndLine;
use super::lines::Line;
use crate::analysis::class::Why;
use crate::text::message::{Lang, say, tight};

/// A sentence of the verdict's own, or one that quotes a sentence of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sentence {
    Line(Line),
    /// One about runs that died or failed.
    End(EndLine),
    /// The reason that a finding gives, with its run and the folder of its evidence.
    Why {
        run: String,
        snapshot: String,
        why: Why,
    },
    /// What a finding says was missing.
    Missing(Why),
}

impl Sentence {
    pub(super) fn text(&self, lang: Lang) -> String {
        let why = |why: &Why| match lang {
            Lang::En => why.en(),
            Lang::Ja => tight(&why.text(lang)),
        };
        match self {
            Sentence::Line(line) => line.text(lang),
            Sentence::End(line) => line.text(lang),
            Sentence::Why { run, snapshot, why: said } => {
                say!(Line::InHang { run, sentence: in_folder(&why(said), snapshot) }).text(lang)
            }
            Sentence::Missing(said) => say!(Line::Missing { sentence: why(said) }).text(lang),
        }
    }
}

/// The sentence of a finding with its file as a path in OUT: the finding names the file without its folder.
fn in_folder(sentence: &str, snapshot: &str) -> String {
    let mut text = sentence.to_owned();
    for file in ["threads.json", "stacks.txt", "dump.bin"] {
        text = text.replace(&format!("({file})"), &format!("({snapshot}/{file})"));
    }
    text
}
