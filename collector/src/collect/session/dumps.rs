//! The dumps of a session: what each shows, and whether it is a hang.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use hangscope_protocol::record::dump_reason;

use super::state::Session;
use crate::analysis::signature::Signature;
use crate::analysis::{Blame, Class, Finding, launcher};
use crate::capture;
use crate::collect::disk;
use crate::evidence::bundle::{Allocator, AllocatorBytes, Bundle, Contents, DumpFrames};
use crate::evidence::stall::JudgedStall;
use crate::listen::RecordedDump;
use crate::listen::request::{Answer, Problem};
use crate::report::html;
use crate::report::night::model::Hang;
use crate::session::Dump;
use crate::snap;

impl Session {
    /// Begins a bundle: the look from outside is at the moment of the look from inside.
    /// A dump that somebody wants to see is kept whatever the limit is.
    pub(super) fn begin_dump(&mut self, number: u32, wanted: bool) {
        if !wanted && self.record.dump_folders.len() as u32 >= self.desk.options.dumps {
            return;
        }
        if !self.desk.has_room() {
            self.note(format!("dump {number} is not kept: --max-size is reached"));
            return;
        }
        self.write_beats();
        let dir = self.dir.join(format!("dump_{number}"));
        let dso = self.record.allocator.iter().map(PathBuf::from).collect();
        let shim_tid = Some(self.identity.fixed.watchdog_tid);
        let options = capture::Options { name: &self.profile.name, profile: &self.profile, dso, shim_tid };
        self.begun = Some(Bundle::begin(&dir, self.peer.pid, &options));
    }

    /// The dump of a process in which nothing moved: a hang if the process is stuck, else a note.
    pub(super) fn stall(&mut self, dump: &RecordedDump) {
        let judged = JudgedStall::of(&dump.dump, &self.sources(), &self.history);
        if dump.dump.end.is_none() {
            // The process may have ended. Keep the dump, but count no hang. After a known hang it adds
            // nothing.
            if self.record.hung {
                return;
            }
            self.note(judged.note(&dump.dump).en());
            self.begin_dump(dump.dump.begin.number, false);
            self.finish_dump(dump);
            return;
        }
        if !judged.stuck {
            let note = judged.note(&dump.dump).en();
            // Print it once: an idle server is idle again and again.
            if !std::mem::replace(&mut self.idle_printed, true) {
                self.desk.say(format_args!("[IDLE] {} {note}", self.peer.pid));
            }
            self.note(note);
            return;
        }
        self.late += 1;
        self.record.hung = true;
        self.begin_dump(dump.dump.begin.number, false);
        self.finish_dump(dump);
    }

    pub(super) fn finish_dump(&mut self, dump: &RecordedDump) {
        let begin = &dump.dump.begin;
        let asked = begin.reason == dump_reason::ASKED
            || begin.reason == dump_reason::STALL && dump.dump.end.is_none();
        let Some(bundle) = self.begun.take() else {
            // No more dumps are kept, but this one may still show that the process is only slow.
            if !asked {
                let dump = snap::supplemented(self.peer.pid, &dump.dump);
                let finding = JudgedStall::of(&dump, &self.sources(), &self.history).finding;
                self.count(&finding, asked, self.is_launcher(&dump));
                self.save();
            }
            return;
        };
        let no_copy = || match self.unsaved_copy {
            Some(_) => "the disk had no room for the allocator's bytes".to_owned(),
            None => "the process sent no copy of the allocator".to_owned(),
        };
        // Somebody may have removed OUT.
        let copy = self.copy.as_deref().filter(|copy| copy.exists());
        let hurry = self.wanted.iter().any(|asked| asked.asker.is_some() && !asked.second_look.is_zero());
        let perf = self.desk.options.perf.as_ref().ok_or("not wanted (--no-perf)");
        let contents = Contents {
            dump: Ok(DumpFrames { frames: Cow::Borrowed(&dump.raw), dump: &dump.dump }),
            other_dumps: vec![],
            history: &self.history,
            allocator: Allocator {
                path: self.record.allocator.as_deref().map(PathBuf::from),
                bytes: copy.map(AllocatorBytes::InFile).ok_or_else(no_copy),
            },
            copies: vec![],
            kept: self.desk.names.clone(),
            alive: true,
            supplement: (!self.desk.cancel.is_set()).then_some(snap::supplement),
            full: self.desk.options.full,
            perf: if hurry { Err("a `timeout` waits for the capture") } else { perf },
        };
        let bundle_dir = bundle.dir().to_owned();
        let mut answer = Answer { folder: absolute(&bundle_dir), ..Answer::default() };
        let file = bundle.finish(&contents, &self.desk.cancel);
        html::add_to(&bundle, file.as_ref());
        if let Some(file) = &file {
            self.row.dumped(file, bundle.dir());
        }
        let lacks = bundle.not_written();
        if let Some(finding) = file.map(|file| file.finding) {
            self.looked_at = true;
            let word = self.count(&finding, asked, self.is_launcher(&dump.dump));
            let (pid, dir) = (self.peer.pid, bundle.dir().display());
            let line = format!("[{word}] {pid} {} -> {dir}", summary(&dump.dump, &finding));
            match word {
                "WAITS" => self.desk.say_of_course(line),
                _ => self.desk.say(line),
            }
            answer.class = Some(finding.class.to_string());
            answer.confidence = Some(finding.confidence.to_string());
            if word == "HANG" {
                self.captured = Some(answer.clone());
            }
        }
        if lacks.files.iter().any(|file| file == "threads.json") {
            answer = Answer::problem(0, Problem::NotWritten);
        }
        let name = format!("dump_{}", begin.number);
        self.lacks(&name, &lacks);
        if bundle_dir.is_dir() {
            self.record.dump_folders.push(name);
        }
        let bytes = disk::size(&bundle_dir);
        self.on_disk += bytes;
        self.desk.disk.add(bytes);
        self.save();
        self.answer(&answer);
    }

    /// Counts a dump that was analysed. Gives the word for its line.
    fn count(&mut self, finding: &Finding, asked: bool, launcher: bool) -> &'static str {
        // A quick dump at the end of the collector tells less than that of the hang.
        if !(asked && self.record.hung) {
            self.record.class = Some(finding.class);
        }
        match finding.class {
            _ if asked => "DUMP",
            Class::Slow => {
                self.record.slow = Some(true);
                self.not_hung();
                "SLOW"
            }
            _ if launcher => {
                self.not_hung();
                self.note("it only waits for what it has started".to_owned());
                "WAITS"
            }
            // What it waits for will come, as in a hunt.
            _ if finding.blame == Some(Blame::Nobody) => {
                self.not_hung();
                self.note("it waits for what will come".to_owned());
                "WAITS"
            }
            _ => {
                let hang = Hang::of(Some(finding));
                self.record.signature = hang.signature.as_ref().map(Signature::id);
                (self.record.signature_of, self.record.headline) = (hang.signature, Some(hang.sentence));
                self.row.hung(true);
                if !std::mem::replace(&mut self.hang_counted, true) {
                    self.row.count_hang(finding.class.as_str());
                }
                "HANG"
            }
        }
    }

    /// Takes back that a dump which came unasked shows a hang.
    fn not_hung(&mut self) {
        self.slow += 1;
        self.record.hung = self.late > self.slow;
        self.row.hung(self.record.hung);
    }

    /// Whether a dump is of a shell, of `timeout` or the like: what it has started may hang.
    fn is_launcher(&self, dump: &Dump) -> bool {
        launcher::waits_for_children(dump) || launcher::only_waits(dump) && self.has_children
    }
}

/// Nobody knows the collector's folder where a relative path is shown.
fn absolute(path: &Path) -> Option<String> {
    std::path::absolute(path).ok().map(|path| path.display().to_string())
}

/// What a dump shows, for a line on the terminal.
fn summary(dump: &Dump, finding: &Finding) -> String {
    let (class, confidence, threads) = (finding.class, finding.confidence, dump.threads.len());
    let end = dump.end.map(|end| format!("first look {:.1} ms", end.first_look_ns as f64 / 1e6));
    format!("{class} ({confidence}), {threads} threads, {}", end.as_deref().unwrap_or("cut off"))
}
