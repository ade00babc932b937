//! Dumps that somebody asks for while a run goes on: by USR1, or by `hangscope dump`.

use std::time::Duration;

use super::bundle;
use super::running::Running;
use super::watch::request;
use crate::analysis::launcher::waits_for_children;
use crate::analysis::{Finding, History};
use crate::console::cancel::Cancel;
use crate::evidence::bundle::{Allocator, Contents, DumpFrames};
use crate::listen::request::{Answer, Problem};
use crate::listen::{ConnId, RecordedDump};
use crate::report::html;
use crate::text::message::{Say as _, Text, say};
use crate::text::note::Note;
use crate::text::progress::JobLine;

impl Running<'_> {
    /// Asks the process with this id for a dump; all processes of the run if it is that of the hunt.
    pub(super) fn want(&mut self, pid: u32, asker: Option<ConnId>) {
        let all = pid == std::process::id();
        let live = self.watch.live().into_iter();
        let conns: Vec<ConnId> =
            live.filter(|conn| all || self.watch.process(*conn).is_some_and(|p| p.pid == pid)).collect();
        for conn in &conns {
            self.send_ask(*conn, request::WANTED, Duration::ZERO);
        }
        match asker {
            Some(asker) if conns.is_empty() => self.answer(asker, Answer::problem(pid, Problem::NoShim)),
            Some(asker) => self.wanted.askers.push((asker, conns)),
            None => {}
        }
    }

    /// Writes the wanted dumps that have come.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub(super) fn keep_wanted(&mut self) -> anyhow::Result<()> {
        while let Some((conn, dump)) = self.watch.take_wanted() {
            let named = |(_, conns): &(ConnId, Vec<ConnId>)| conns[..] == [conn];
            let is_wrapper = waits_for_children(&dump.dump) && self.watch.live().len() > 1;
            if is_wrapper && !self.wanted.askers.iter().any(named) {
                self.answer_all(conn, None);
                continue;
            }
            let answer = self.keep_one(conn, &dump)?;
            self.answer_all(conn, Some(&answer));
        }
        Ok(())
    }

    fn keep_one(&mut self, conn: ConnId, recorded: &RecordedDump) -> anyhow::Result<Answer> {
        let Some(process) = self.watch.process(conn) else { return Ok(Answer::default()) };
        let (config, lane, number) = (self.job.config, self.job.lane, self.job.number);
        let pid = process.pid;
        let name = lane.wanted_snapshot(number, self.wanted.kept + 1);
        let bundle = bundle::begin(config, lane, &name, pid, Some(process));
        let bytes = bundle::allocator_bytes(lane, Some(process));
        let history: &History = &process.history;
        let contents = Contents {
            dump: Ok(DumpFrames { frames: (&recorded.raw).into(), dump: &recorded.dump }),
            other_dumps: vec![],
            history,
            allocator: Allocator::new(process.allocator().map(|a| a.path.as_str()), &bytes),
            copies: lane.files(),
            kept: self.job.config.kept.clone(),
            alive: true,
            // Both take a second or more, and the run must be watched.
            supplement: None,
            full: self.job.config.full,
            perf: Err("not for a dump that was asked for: the run goes on"),
        };
        let file = bundle.finish(&contents, &Cancel::never());
        html::add_to(&bundle, file.as_ref());
        self.rows.dumped(pid, file.as_ref(), &config.out.join(&name), false);
        let finding = file.map(|file| file.finding);
        self.wanted.kept += 1;
        self.notes.extend(self.job.lacks(&bundle));
        let seconds = format!("{:.1}", self.bench.started().elapsed().as_secs_f64());
        let folder = config.out.join(&name);
        let found = found(finding.as_ref());
        let line = say!(JobLine::Dumped {
            run: lane.run_name(number),
            seconds: &seconds,
            found: &found,
            snapshot: folder.display()
        });
        self.job.screen.say(&Text::of(|lang| format!("[DUMP] {}", line.text(lang))));
        self.notes.push(say!(Note::WantedDump { seconds, finding: found, snapshot: &name }).said());
        Ok(answer(pid, &folder, finding.as_ref()))
    }

    /// Tells everybody who waits that the run hung, and where its evidence is.
    pub(super) fn answer_with_hang(&mut self, pid: u32, name: &str, finding: Option<&Finding>) {
        let answer = Answer { left: 0, ..answer(pid, &self.job.config.out.join(name), finding) };
        for (asker, _) in std::mem::take(&mut self.wanted.askers) {
            self.answer(asker, answer.clone());
        }
    }

    /// Answers those who wait for the dump of this connection; without an answer, they wait for the others.
    fn answer_all(&mut self, conn: ConnId, answer: Option<&Answer>) {
        let mut askers = std::mem::take(&mut self.wanted.askers);
        for (asker, waits_for) in &mut askers {
            let before = waits_for.len();
            waits_for.retain(|other| *other != conn);
            if let Some(answer) = answer.filter(|_| waits_for.len() < before) {
                self.answer(*asker, Answer { left: waits_for.len() as u32, ..answer.clone() });
            }
        }
        askers.retain(|(_, waits_for)| !waits_for.is_empty());
        self.wanted.askers = askers;
    }

    fn answer(&self, asker: ConnId, answer: Answer) {
        self.listener.asker().answer(asker, &answer);
    }
}

fn answer(pid: u32, folder: &std::path::Path, finding: Option<&Finding>) -> Answer {
    Answer {
        pid,
        folder: Some(folder.display().to_string()),
        class: finding.map(|f| f.class.to_string()),
        confidence: finding.map(|f| f.confidence.to_string()),
        ..Answer::default()
    }
}

/// `deadlock (proven)`.
fn found(finding: Option<&Finding>) -> Text {
    finding.map_or_else(
        || Note::NoDump {}.said(),
        |f| say!(Note::Found { class: f.class, confidence: f.confidence.said() }).said(),
    )
}
