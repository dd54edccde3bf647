//! `watch`: what the running daemon says, live in the terminal.

mod draw;
mod view;

use std::{
    path::Path,
    process::ExitCode,
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use jiff::tz::TimeZone;
use ratatui::crossterm::{
    event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
    tty::IsTty as _,
};

use super::client::Client;
use crate::report::Report;
use view::View;

/// How often the daemon is asked: it judges once a second.
const EVERY: Duration = Duration::from_secs(1);

/// How long a key may wait for the screen to follow.
const FRAME: Duration = Duration::from_millis(50);

pub(super) fn run(config: &Path) -> anyhow::Result<ExitCode> {
    let client = Client::of(config);
    ensure!(std::io::stdout().is_tty(), "`watch` needs a terminal: use `status`");
    // Without a daemon this ends before the screen is taken.
    let mut view = View::new(client.report()?, TimeZone::system());
    let (sender, answers) = mpsc::channel();
    thread::Builder::new().name("ask".to_owned()).spawn(move || ask(&client, &sender))?;
    let mut terminal = ratatui::try_init().context("taking the screen")?;
    let ended = show(&mut terminal, &mut view, &answers);
    ratatui::restore();
    ended?;
    Ok(ExitCode::SUCCESS)
}

/// Asks until nobody listens.
fn ask(client: &Client, answers: &Sender<Result<Report, String>>) {
    loop {
        thread::sleep(EVERY);
        let answer = client.report().map_err(|error| format!("{error:#}"));
        if answers.send(answer).is_err() {
            return;
        }
    }
}

fn show(
    terminal: &mut ratatui::DefaultTerminal,
    view: &mut View,
    answers: &Receiver<Result<Report, String>>,
) -> anyhow::Result<()> {
    loop {
        terminal.draw(|frame| draw::draw(frame, view))?;
        if event::poll(FRAME)?
            && let Event::Key(key) = event::read()?
            && key.kind == KeyEventKind::Press
            && !press(view, key)
        {
            return Ok(());
        }
        for answer in answers.try_iter() {
            view.take_in(answer);
        }
    }
}

/// Does what a key stands for; `false` for the end.
#[expect(clippy::wildcard_enum_match_arm, reason = "most keys stand for nothing")]
fn press(view: &mut View, key: KeyEvent) -> bool {
    match key.code {
        KeyCode::Char('q') => return false,
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return false,
        KeyCode::Esc if !view.close() => return false,
        KeyCode::Down | KeyCode::Char('j') => view.go(1),
        KeyCode::Up | KeyCode::Char('k') => view.go(-1),
        KeyCode::PageDown => view.go(10),
        KeyCode::PageUp => view.go(-10),
        KeyCode::Home => view.go(isize::MIN),
        KeyCode::End => view.go(isize::MAX),
        KeyCode::Enter => view.toggle_detail(),
        KeyCode::Char('d') => view.toggle_only_wrong(),
        _ => {}
    }
    true
}
