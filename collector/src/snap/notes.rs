//! Notes of a look from outside. A dump has them as English text, as it has the notes of the shim; a report
//! has them in both languages.

use hangscope_protocol::record::{NoteRecord, note_code};

use super::zero::zero;
use crate::session::Note;
use crate::text::message::{Text, in_both, messages};

messages! {
    pub(crate) OutsideNote {
        FromOutside {} => "taken from outside, without a snapshot from the start of the process: only a change time or a \
            relocated word shows whether a DSO was overwritten before",
            "外側からの観測で、プロセス開始時の記録はない。DSO が以前に上書きされたかどうかは、変更時刻か再配置済みワードからしか分からない";
        NoMalloc {} => "no DSO provides malloc (a static program?); name it with --target",
            "malloc を提供する DSO が見つからない (静的リンクのプログラムか)。--target で指定できる";
        NoStack { tid, why } => "the stack of tid {tid} could not be read: {why}",
            "tid {tid} のスタックを読めなかった: {why}";
        AskedByPtrace { tid } => "tid {tid} answers no signal: it was probed from outside, by ptrace",
            "tid {tid} はシグナルに応答しないため、外側から ptrace で観測した";
    }
}

impl OutsideNote {
    /// The note as a dump has it. `tid` is 0 if the note is about the process.
    pub(crate) fn note(&self, tid: u32) -> Note {
        Note { record: NoteRecord { code: note_code::UNREADABLE, tid, ..zero() }, text: self.en() }
    }
}

/// A note of a dump in both languages, if a look from outside made it; any other note as it is.
pub(super) fn translated(note: &Note) -> Text {
    in_both::<OutsideNote>(&note.text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::message::{Lang, Say as _, say};

    #[test]
    fn a_note_from_outside_is_translated_and_other_notes_stay() {
        let all = [
            OutsideNote::FromOutside {},
            OutsideNote::NoMalloc {},
            say!(OutsideNote::NoStack { tid: 7, why: "No such process" }),
            say!(OutsideNote::AskedByPtrace { tid: 7 }),
        ];
        for ours in all {
            let said = translated(&ours.note(7));
            assert_eq!((said.en(), said.text(Lang::Ja)), (&*ours.en(), &*ours.text(Lang::Ja)));
        }
        let other =
            Note { text: "more DSOs than the table holds".to_owned(), ..OutsideNote::NoMalloc {}.note(0) };
        assert_eq!(translated(&other), other.text.said());
    }
}
