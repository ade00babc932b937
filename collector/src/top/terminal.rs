//! Keys and screen: the only part that touches the terminal. However the view ends, the terminal is as
//! before.

use std::io::{self, Write as _, stdout};
use std::path::Path;
use std::thread::Builder;

use anyhow::{Context as _, bail};
use crossbeam_channel::{Receiver, bounded, select};
use ratatui::DefaultTerminal;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::crossterm::execute;

use super::app::{Act, App, Key};
use super::look::Look;
use super::poll::{News, Poll};
use super::screen;
use crate::console::cancel::{self, Cancel};
use crate::live::model::Status;

/// Shows the job that answers at `socket` until a key or a signal ends the view.
///
/// # Errors
/// The terminal cannot be used, or the job refuses to answer.
pub(crate) fn show(socket: &Path, look: Look) -> anyhow::Result<()> {
    let cancel = end_by_signals().context("top: cannot take Ctrl-C")?;
    let poll = Poll::start(socket).context("top: cannot start a thread")?;
    let keys = keys().context("top: cannot start a thread")?;
    let restored = Restored;
    let mut terminal = ratatui::try_init().context("top: the terminal cannot be used; try --once")?;
    let ended = run(&mut terminal, &mut App::new(look), &poll, &keys, &cancel);
    drop(terminal);
    drop(restored);
    ended
}

fn run(
    terminal: &mut DefaultTerminal,
    app: &mut App,
    poll: &Poll,
    keys: &Receiver<Event>,
    cancel: &Cancel,
) -> anyhow::Result<()> {
    loop {
        // A terminal that is gone needs no screen, and SIGHUP follows.
        if terminal.draw(|frame| screen::draw(app, frame)).is_err() {
            return Ok(());
        }
        select! {
            recv(cancel.channel()) -> _ => return Ok(()),
            recv(keys) -> event => match event {
                Ok(Event::Key(key)) => if let Some(act) = key_of(key).and_then(|key| app.press(key)) {
                    match act {
                        Act::Quit => return Ok(()),
                        Act::Dump(key) => poll.dump(key, app.pid_of(key)),
                        Act::Mark(key, text) => poll.mark(key, &text),
                        Act::Watch(key) => poll.watch(key),
                    }
                },
                // A new size is drawn at once.
                Ok(_) => {}
                Err(_) => return Ok(()),
            },
            recv(poll.news()) -> news => match news {
                Ok(News::Status(status)) => app.tell(*status),
                Ok(News::One(one)) => app.tell_of(*one),
                Ok(News::Silent(seconds)) => app.is_silent(seconds),
                Ok(News::Line(line)) => app.show(line),
                Ok(News::Ended(end)) => app.ended(end),
                Ok(News::Refused(why)) => bail!("top: {why}"),
                Err(_) => return Ok(()),
            },
        }
    }
}

/// One screen as text, with all processes, for a pipe.
pub(crate) fn plain(status: Status, look: Look, width: usize) -> String {
    let mut app = App::new(look);
    app.tell(status);
    let lines = screen::whole(&mut app, width);
    let text = |line: &ratatui::text::Line<'_>| line.to_string().trim_end().to_owned() + "\n";
    lines.iter().map(text).collect()
}

/// The keys that a person presses, and new sizes of the terminal.
fn keys() -> io::Result<Receiver<Event>> {
    let (sender, keys) = bounded(64);
    let read = move || {
        while let Ok(event) = event::read() {
            if sender.send(event).is_err() {
                break;
            }
        }
    };
    Builder::new().name("hs-keys".into()).spawn(read)?;
    Ok(keys)
}

fn key_of(key: KeyEvent) -> Option<Key> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    Some(match key.code {
        KeyCode::Char('c') if control => Key::Interrupt,
        KeyCode::Char('f') if control => Key::PageDown,
        KeyCode::Char('b') if control => Key::PageUp,
        KeyCode::Char(_) if control => return None,
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Escape,
        KeyCode::Backspace => Key::Backspace,
        _ => return None,
    })
}

/// Is set by the first INT, TERM or HUP. A second one ends the command at once.
fn end_by_signals() -> Result<Cancel, ctrlc::Error> {
    let (canceller, cancel) = cancel::pair();
    let mut canceller = Some(canceller);
    ctrlc::set_handler(move || match canceller.take() {
        Some(canceller) => drop(canceller),
        None => {
            restore();
            std::process::exit(130)
        }
    })?;
    Ok(cancel)
}

/// Restores the terminal when it is dropped. [`ratatui::try_init`] does it for a panic.
struct Restored;

impl Drop for Restored {
    fn drop(&mut self) {
        restore();
    }
}

fn restore() {
    let _ = ratatui::try_restore();
    let _ = execute!(stdout(), Show).and_then(|()| stdout().flush());
}
