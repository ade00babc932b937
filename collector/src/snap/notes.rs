//! Notes of a look from outside. A dump has them as English text, as it has the notes of the shim; a report
//! has them in both languages.

use hangscope_protocol::record::{NoteRecord, note_code};

use super::zero::zero;
use crate::session::Note;
use crate::text::message::{Say as _, Text, messages, say};

messages! {
    OutsideNote {
        FromOutside {} => "taken from outside, without a snapshot from the process's start: a DSO that was copied over before \
            is only seen where its change time or a relocated word tells",
            "外側からの観測で、プロセス開始時の記録はない。以前に上書きされた DSO は、変更時刻か再配置済みワードからしか分からない";
        NoMalloc {} => "no DSO was found that provides malloc (a static program?); --target names it",
            "malloc を提供する DSO が見つからない (静的リンクのプログラムか)。--target で指定できる";
        NoStack { tid, why } => "the stack of tid {tid} could not be read: {why}",
            "tid {tid} のスタックを読めなかった: {why}";
        AskedByPtrace { tid } => "tid {tid} answers no signal: it was asked from outside, by ptrace",
            "tid {tid} はシグナルに応答しないため、外側から ptrace で問い合わせた";
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
    let tid = note.record.tid;
    let why = note.text.rsplit(": ").next().unwrap_or_default();
    let all = [
        OutsideNote::FromOutside {},
        OutsideNote::NoMalloc {},
        say!(OutsideNote::NoStack { tid, why }),
        say!(OutsideNote::AskedByPtrace { tid }),
    ];
    let ours = all.into_iter().find(|ours| ours.en() == note.text);
    ours.map_or_else(|| note.text.said(), |ours| ours.said())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::message::Lang;

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
