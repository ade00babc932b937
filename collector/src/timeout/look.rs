//! What the process does that captures: it asks a collector for dumps of what the command has started, else
//! it looks from outside at the program at the end of the chain. Its answers are lines of JSON on stdout.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hangscope_protocol::variable;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::lines::TimeoutLine;
use crate::analysis::facts::SNAP;
use crate::analysis::verdict::hang_sentence;
use crate::analysis::{HangFacts, RunFacts};
use crate::console::cancel::Cancel;
use crate::console::out;
use crate::evidence::threads_file::ThreadsFile;
use crate::files::folder;
use crate::launch::census::{Census, Seen};
use crate::listen::request::{Answer, Request, socket_of};
use crate::snap::{self, Options};
use crate::text::message::{Say as _, Text, say};

/// Name by which this program is called for it.
pub(crate) const NAME: &str = "hangscope-capture";
/// Folder for bundles of all that a runner starts.
const OUT_VARIABLE: &str = "HANGSCOPE_OUT";
/// Between the two looks at a process, if the budget allows.
const BETWEEN_LOOKS: Duration = Duration::from_millis(1500);

/// A line of answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Message {
    /// Where the evidence will be.
    Folder(String),
    Done {
        line: String,
        captured: Value,
    },
    Nothing {
        why: Text,
    },
}

/// What the process is asked for: the words that it is called with.
struct Asked {
    pid: u32,
    budget: Duration,
    /// DURATION, for the sentence.
    time: String,
    /// None: a new folder.
    out: Option<PathBuf>,
}

/// Captures; always in this order: words of [`Asked`].
pub(crate) fn main(words: &[OsString]) -> i32 {
    let [pid, budget, time, out] = words else { return 2 };
    let number = |word: &OsString| word.to_str().and_then(|word| word.parse::<u64>().ok());
    let (Some(pid), Some(budget)) = (number(pid).and_then(|pid| u32::try_from(pid).ok()), number(budget))
    else {
        return 2;
    };
    let asked = Asked {
        pid,
        budget: Duration::from_millis(budget),
        time: self::time(&time.to_string_lossy()),
        out: Some(PathBuf::from(out)).filter(|out| !out.as_os_str().is_empty()),
    };
    answer(&asked.capture());
    0
}

/// DURATION with its unit.
pub(super) fn time(text: &str) -> String {
    if text.ends_with(|c: char| c.is_ascii_digit() || c == '.') {
        format!("{text} s")
    } else {
        text.to_owned()
    }
}

fn answer(message: &Message) {
    if let Ok(mut line) = serde_json::to_vec(message) {
        line.push(b'\n');
        let mut stdout = std::io::stdout().lock();
        let _ = stdout.write_all(&line).and_then(|()| stdout.flush());
    }
}

impl Asked {
    /// What is read must be analysed and written within the budget, too.
    fn between_looks(&self) -> Duration {
        BETWEEN_LOOKS.min(self.budget * 2 / 5).max(Duration::from_millis(1))
    }

    fn capture(&self) -> Message {
        let mut census = Census::new(self.pid, Path::new(""), Instant::now());
        census.look();
        let leaf = census.leaf();
        let mut programs: Vec<Seen> = census.alive().cloned().collect();
        // The end of the chain first, and then what is nearest to it.
        programs
            .sort_by_key(|seen| (seen.pid != leaf, std::cmp::Reverse((seen.threads, seen.ticks, seen.pid))));
        if let Some(done) = self.ask(&programs) {
            return done;
        }
        let mut why = TimeoutLine::Ended {}.said();
        for (at, program) in programs.iter().enumerate() {
            match self.snap(program) {
                Ok(done) => return done,
                Err(error) if at == 0 => why = error.said(),
                Err(_) => {}
            }
        }
        Message::Nothing { why }
    }

    /// Asks the collectors of these processes. None: there is no dump.
    fn ask(&self, programs: &[Seen]) -> Option<Message> {
        let own = std::env::var_os(variable::SOCKET).filter(|path| !path.is_empty()).map(PathBuf::from);
        let send = |program: &Seen| {
            let socket = socket_of(program.pid).ok().flatten().or_else(|| own.clone())?;
            Request::send(&socket, program.pid, self.between_looks(), self.budget).ok()
        };
        let asked = Instant::now();
        // All are asked before the first answer is waited for.
        let requests: Vec<(&Seen, Request)> = programs.iter().filter_map(|p| Some((p, send(p)?))).collect();
        let mut dumps: Vec<(&Seen, Answer, Option<ThreadsFile>)> = vec![];
        for (program, request) in &requests {
            while let Ok(Some(answer)) = request.answer() {
                let left = answer.left;
                if let Some(dir) = &answer.folder {
                    let file = std::fs::read(Path::new(dir).join("threads.json")).ok();
                    let file = file.and_then(|bytes| serde_json::from_slice(&bytes).ok());
                    dumps.push((*program, answer, file));
                }
                if left == 0 {
                    break;
                }
            }
        }
        // The signal is out by now: nothing is left to be looked at from outside.
        if dumps.is_empty() && asked.elapsed() >= self.budget.mul_f64(0.9) {
            return Some(Message::Nothing { why: TimeoutLine::NoAnswer {}.said() });
        }
        // A shell that waits for its child is not what hangs.
        let is_hang = |(_, _, file): &&(_, _, Option<ThreadsFile>)| {
            file.as_ref().is_some_and(|file| !file.finding.is_no_hang())
        };
        let (program, answer, file) = dumps.iter().find(is_hang).or(dumps.first())?;
        let folder = answer.folder.as_deref().unwrap_or_default();
        let sentence = file.as_ref().map_or_else(|| TimeoutLine::NotAnalysed {}.said(), sentence_of);
        let others: Vec<_> = dumps.iter().filter_map(|(_, answer, _)| answer.folder.as_deref()).collect();
        let found = json!({ "from": "inside", "class": answer.class, "confidence": answer.confidence, "folders": others });
        Some(self.done(program, &sentence, folder, found))
    }

    /// Looks at one process from outside.
    ///
    /// # Errors
    /// Why that is not possible.
    fn snap(&self, program: &Seen) -> Result<Message, String> {
        let out = self.folder();
        folder::claim(&out);
        answer(&Message::Folder(out.display().to_string()));
        let options = Options { second_look_after: self.between_looks(), ..Options::default() };
        let request = snap::Request {
            of: snap::Of::Process { pid: program.pid, options: &options, perf: None, core: None },
            out: &out,
            name: None,
            profile: None,
            full: false,
        };
        let snapped = snap::snap(request, &Cancel::never()).map_err(|error| error.to_string())?;
        let sentence = Text::of(|lang| snapped.conclusion.headline(lang));
        let finding = snapped.threads.as_ref().map(|file| &file.finding);
        let found = json!({
            "from": "outside",
            "class": finding.map(|finding| finding.class),
            "confidence": finding.map(|finding| finding.confidence),
            "verdict": snapped.conclusion.verdict,
            "folders": [out.display().to_string()],
        });
        Ok(self.done(program, &sentence, &out.display().to_string(), found))
    }

    fn done(&self, program: &Seen, sentence: &Text, folder: &str, mut found: Value) -> Message {
        let name =
            Path::new(&program.exe).file_name().map_or(program.exe.as_str().into(), |n| n.to_string_lossy());
        let (pid, time) = (program.pid, &self.time);
        let sentence = sentence.clone();
        if let Some(found) = found.as_object_mut() {
            found.insert("pid".into(), pid.into());
            found.insert("program".into(), program.exe.clone().into());
            found.insert("headline".into(), sentence.en().into());
        }
        let line = say!(TimeoutLine::Captured { program: name, pid, time, sentence, out: folder });
        Message::Done { line: line.text(out::lang()), captured: found }
    }

    /// `--out`; else a new folder, in HANGSCOPE_OUT or here. Where this folder may not be written to, in that
    /// for temporary files.
    fn folder(&self) -> PathBuf {
        if let Some(out) = &self.out {
            return out.clone();
        }
        let name = format!("hangscope-timeout_{}", self.pid);
        let set = std::env::var_os(OUT_VARIABLE).filter(|dir| !dir.is_empty()).map(PathBuf::from);
        let parent = set.unwrap_or_else(|| {
            let here = std::env::current_dir().unwrap_or_default();
            let may = rustix::fs::access(&here, rustix::fs::Access::WRITE_OK).is_ok();
            if may { here } else { std::env::temp_dir() }
        });
        let numbered = (2..).map(|n| format!("{name}_{n}"));
        let mut names = std::iter::once(name.clone()).chain(numbered).map(|name| parent.join(name));
        names.find(|path| !path.exists()).unwrap_or_else(|| parent.join(&name))
    }
}

/// What a dump from inside shows, in one sentence.
fn sentence_of(file: &ThreadsFile) -> Text {
    let finding = &file.finding;
    let hang = HangFacts { snapshot: String::new(), finding: Some(finding.clone()), dump_ms: None };
    let run = RunFacts { hang: Some(hang), ..RunFacts::new(1, SNAP) };
    let sentence = Text::of(|lang| hang_sentence(&run, lang));
    match finding.is_no_hang() {
        true => say!(TimeoutLine::NotHung { sentence }).said(),
        false => {
            let (class, confidence) = (word(finding.class), word(finding.confidence));
            say!(TimeoutLine::Class { class, confidence, sentence }).said()
        }
    }
}

/// A word of the files, as they have it.
pub(super) fn word(value: impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}
