//! A terminal of 24 rows, by `tmux`.

use crate::{
    DEADLINE, Namespace,
    command::{output, program, run, text},
    until,
};

/// A terminal that runs a program inside a namespace. It goes with the value.
#[derive(Debug)]
pub struct Screen {
    server: String,
}

impl Screen {
    /// Starts one of so many columns.
    pub fn start(namespace: &Namespace, command: &str, columns: u16) -> Self {
        let screen = Self { server: namespace.name().to_owned() };
        let net = format!("nsenter --net={} -- {command}", namespace.path().display());
        let columns = columns.to_string();
        run("tmux", &["-L", &screen.server, "new-session", "-d", "-x", &columns, "-y", "24", &net]);
        screen
    }

    /// Waits until the screen shows a text, and gives all of it.
    pub fn shows(&self, expected: &str) -> String {
        until(&format!("{expected:?} on the screen"), DEADLINE, || {
            let shown = self.shown();
            if shown.contains(expected) { Ok(shown) } else { Err(shown) }
        })
    }

    /// Waits until the screen shows a text no longer, and gives all of it.
    pub fn hides(&self, gone: &str) -> String {
        until(&format!("no {gone:?} on the screen"), DEADLINE, || {
            let shown = self.shown();
            if shown.contains(gone) { Err(shown) } else { Ok(shown) }
        })
    }

    fn shown(&self) -> String {
        run("tmux", &["-L", &self.server, "capture-pane", "-p"])
    }

    /// Presses a key.
    pub fn press(&self, key: &str) {
        run("tmux", &["-L", &self.server, "send-keys", key]);
    }

    /// Waits until the program has ended.
    pub fn ends(&self) {
        until("the end of the program", DEADLINE, || {
            let asked = output(program("tmux").args(["-L", &self.server, "has-session"]));
            if asked.status.success() { Err(text(&asked)) } else { Ok(()) }
        });
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // It may have ended already.
        drop(output(program("tmux").args(["-L", &self.server, "kill-server"])));
    }
}
