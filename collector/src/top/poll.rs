//! Asks the job, in threads of its own: a job that is slow to answer does not delay a key.

use std::path::{Path, PathBuf};
use std::thread::Builder;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};

use super::app::End;
use super::words::TopWord;
use crate::live::client::{Client, NoAnswer};
use crate::live::model::{Dumped, Marked, OneProcess, Status};
use crate::text::message::{Say as _, Text, say};

/// Between two questions.
const EVERY: Duration = Duration::from_secs(1);
/// How long an answer may take.
const WITHIN: Duration = Duration::from_secs(5);
/// A dump takes longer: the job itself waits a minute for one.
const DUMP_WITHIN: Duration = Duration::from_secs(70);

/// What the job told.
pub(super) enum News {
    Status(Box<Status>),
    One(Box<OneProcess>),
    /// It has not answered for so many seconds.
    Silent(f64),
    /// A line for the person.
    Line(Text),
    Ended(End),
    /// It refuses to answer, for this reason.
    Refused(String),
}

/// The threads that ask. They end after this is dropped.
pub(super) struct Poll {
    socket: PathBuf,
    watch: Sender<Option<u64>>,
    news: Receiver<News>,
    tell: Sender<News>,
}

impl Poll {
    /// # Errors
    /// A thread cannot be started.
    pub(super) fn start(socket: &Path) -> std::io::Result<Poll> {
        let (tell, news) = unbounded();
        let (watch, watched) = unbounded();
        let asker = Asker { socket: socket.to_owned(), tell: tell.clone(), watched };
        Builder::new().name("hs-ask".into()).spawn(move || asker.run())?;
        Ok(Poll { socket: socket.to_owned(), watch, news, tell })
    }

    pub(super) fn news(&self) -> &Receiver<News> {
        &self.news
    }

    /// From now on asks for this process, too.
    pub(super) fn watch(&self, key: Option<u64>) {
        let _ = self.watch.send(key);
    }

    /// Asks for a dump. A line tells what became of it.
    pub(super) fn dump(&self, key: u64, pid: u32) {
        self.once(move |client| match client.ask::<Dumped>(&format!("dump #{key}"), DUMP_WITHIN) {
            Ok(dumped) => match dumped.dumps.into_iter().find(|dump| dump.folder.is_some()) {
                Some(dump) => {
                    let (class, folder) = (dump.class.unwrap_or_default(), dump.folder.unwrap_or_default());
                    say!(TopWord::GotDump { pid, class, folder })
                }
                None => say!(TopWord::NoDump { pid, why: "it ended, or its shim takes no request" }),
            },
            Err(error) => say!(TopWord::NoDump { pid, why: error }),
        });
    }

    /// Writes a remark. A line tells what became of it.
    pub(super) fn mark(&self, key: u64, text: &str) {
        let request = format!("mark #{key} {text}");
        self.once(move |client| match client.ask::<Marked>(&request, WITHIN) {
            Ok(marked) => say!(TopWord::Marked { pid: marked.mark.pid }),
            Err(error) => say!(TopWord::NotMarked { why: error }),
        });
    }

    fn once(&self, ask: impl FnOnce(&mut Client) -> TopWord + Send + 'static) {
        let (socket, tell) = (self.socket.clone(), self.tell.clone());
        let body = move || {
            let line = match Client::connect(&socket) {
                Ok(mut client) => ask(&mut client),
                Err(error) => say!(TopWord::NotMarked { why: error }),
            };
            let _ = tell.send(News::Line(line.said()));
        };
        if let Err(error) = Builder::new().name("hs-ask-once".into()).spawn(body) {
            let _ = self.tell.send(News::Line(say!(TopWord::NotMarked { why: error }).said()));
        }
    }
}

struct Asker {
    socket: PathBuf,
    tell: Sender<News>,
    watched: Receiver<Option<u64>>,
}

impl Asker {
    fn run(self) {
        let (mut client, mut key) = (None, None);
        let mut answered = Instant::now();
        loop {
            let news = self.ask(&mut client, key);
            let is_last = matches!(news.last(), Some(News::Ended(_) | News::Refused(_)));
            if news.is_empty() {
                client = None;
                let _ = self.tell.send(News::Silent(answered.elapsed().as_secs_f64()));
            } else {
                answered = Instant::now();
            }
            for one in news {
                if self.tell.send(one).is_err() {
                    return;
                }
            }
            if is_last {
                return;
            }
            match self.watched.recv_timeout(EVERY) {
                Ok(watched) => key = watched,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// One round of questions. Nothing: the job does not answer.
    fn ask(&self, client: &mut Option<Client>, key: Option<u64>) -> Vec<News> {
        let mut news = vec![];
        let mut round = || -> Result<(), NoAnswer> {
            let client = match client {
                Some(client) => client,
                None => client.insert(Client::connect(&self.socket).map_err(|_| NoAnswer::Ended)?),
            };
            if let Some(key) = key {
                news.push(News::One(Box::new(client.ask(&format!("process #{key}"), WITHIN)?)));
            }
            news.push(News::Status(Box::new(client.ask("status", WITHIN)?)));
            Ok(())
        };
        match round() {
            Ok(()) | Err(NoAnswer::Slow) => {}
            // A job that ends removes its socket.
            Err(NoAnswer::Ended) => {
                news.push(News::Ended(if self.socket.exists() { End::Killed } else { End::Ended }));
            }
            Err(NoAnswer::Refused(why) | NoAnswer::Unreadable(why)) => news.push(News::Refused(why)),
        }
        news
    }
}
