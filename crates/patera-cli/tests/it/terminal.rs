//! `patera connect` by hand: a pseudo-terminal, keys in, a screen out.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use patera::Config;
use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};

use crate::support::{Folder, PATIENCE, Server, events, patera};

const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";
const CTRL_U: &str = "\x15";
const UP: &str = "\x1b[A";
const ENTER: &str = "\r";

#[test]
fn lines_are_typed_and_what_happens_is_printed_above() {
    let (server, home) = (Server::start(), Folder::new());
    let mut terminal = Terminal::welcomed(&home, &[&server.url()]);
    terminal.line("call add 1 2", " 3  (");
    // The line before, changed and not typed anew.
    terminal.types(UP);
    terminal.line("0", " 21  (");
    terminal.line("emit 'ask me' why", "(ack 1)");
    terminal.line("ack 1 because", "← thanks");
    terminal.line("/private", "who are you");
    terminal.line("dance", "no such command");
    terminal.line("status", "* /private not connected");
    terminal.types("/private");
    terminal.types(CTRL_U);
    terminal.types(CTRL_D);
    terminal.see("disconnected:");
    terminal.ends_with(0);
}

#[test]
fn what_comes_does_not_spoil_what_is_being_typed() {
    let (server, home) = (Server::start(), Folder::new());
    let mut terminal = Terminal::welcomed(&home, &[&server.url()]);
    terminal.types("call add 4");
    terminal.see("call add 4");
    for number in 0..50 {
        server.io.emit("tock", number);
        terminal.see(&format!("← tock {number}\r\n"));
        // What is typed is there again, below.
        terminal.see("> call add 4");
    }
    terminal.line("0 2", " 42  (");
    terminal.types(CTRL_D);
    terminal.ends_with(0);
}

#[test]
fn ctrl_c_leaves_whatever_is_typed() {
    let (server, home) = (Server::start(), Folder::new());
    let mut terminal = Terminal::welcomed(&home, &[&server.url()]);
    terminal.types("emit half a li");
    terminal.see("half a li");
    terminal.types(CTRL_C);
    terminal.see("disconnected:");
    terminal.ends_with(0);
}

#[test]
fn server_that_is_not_there_is_waited_for() {
    let (server, home) = (Server::start(), Folder::new());
    let mut terminal = Terminal::welcomed(&home, &[&server.url()]);
    let address = server.kill();
    terminal.see("disconnected:");
    terminal.see("reconnecting:");
    let _server = Server::start_at(address, Config::default(), events);
    terminal.see("reconnected:");
    terminal.see("← welcome");
    terminal.types("quit\r");
    terminal.ends_with(0);
}

#[test]
fn history_is_kept_without_secrets() {
    let (server, home) = (Server::start(), Folder::new());
    let file = home.path("patera/history");
    let mut terminal = Terminal::welcomed(&home, &[&server.url(), "--no-history"]);
    terminal.line("call add 1 1", " 2  (");
    terminal.types(CTRL_D);
    terminal.ends_with(0);
    assert!(!file.exists());

    let mut terminal = Terminal::welcomed(&home, &[&server.url()]);
    terminal.line("call add 20 3", " 23  (");
    // Typed ahead of the prompt.
    terminal.line("auth {\"token\":\"secret\"}\r call add 3 4", " 7  (");
    terminal.types(CTRL_D);
    terminal.ends_with(0);
    let kept = std::fs::read_to_string(&file).unwrap();
    assert!(kept.contains("call add 20 3") && !kept.contains("secret") && !kept.contains("add 3 4"), "{kept}");

    let mut terminal = Terminal::welcomed(&home, &[&server.url()]);
    terminal.line(UP, " 23  (");
    terminal.types(CTRL_D);
    terminal.ends_with(0);
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let (server, home) = (Server::start(), Folder::new());
    for (variables, expected) in
        [(&[][..], "\x1b[32mconnected\x1b[0m as "), (&[("NO_COLOR", "1")][..], "  connected as ")]
    {
        let mut terminal = Terminal::start(&home, &[&server.url()], variables);
        terminal.see(expected);
        terminal.see("> ");
        terminal.types(CTRL_D);
        terminal.ends_with(0);
    }
}

#[test]
fn terminal_is_as_before_whatever_ends_the_program() {
    let (server, home) = (Server::start(), Folder::new());
    let mut terminal = Terminal::welcomed(&home, &[&server.url()]);
    terminal.types("half a li");
    terminal.see("half a li");
    kill_process(Pid::from_child(&terminal.child), Signal::TERM).unwrap();
    terminal.ends_with(0);
}

#[test]
fn plain_websocket_is_typed_at_too() {
    let (server, home) = (Server::start(), Folder::new());
    let mut terminal = Terminal::welcomed(&home, &[&server.websocket_url(), "--subprotocol", "patera.json"]);
    terminal.line("{\"event\":\"add\",\"args\":[1,2],\"ack\":1}", "← {\"args\":[3],\"ack\":1}");
    terminal.line("disconnect", "disconnected:");
    terminal.line("connect", "speaking patera.json");
    terminal.types(CTRL_D);
    terminal.ends_with(0);
}

/// A terminal of 100 columns with the program in it.
struct Terminal {
    child: Child,
    keys: File,
    screen: Arc<Screen>,
    reader: Option<JoinHandle<()>>,
    /// So much of what was printed has been seen.
    seen: usize,
    /// How the terminal was before.
    before: Termios,
}

#[derive(Default)]
struct Screen {
    printed: Mutex<Printed>,
    more: Condvar,
}

#[derive(Default)]
struct Printed {
    bytes: Vec<u8>,
    has_ended: bool,
}

impl Terminal {
    /// Where the server has said something.
    #[track_caller]
    fn welcomed(home: &Folder, arguments: &[&str]) -> Self {
        let mut terminal = Terminal::start(home, arguments, &[("NO_COLOR", "1")]);
        terminal.see("welcome");
        terminal.see("> ");
        terminal
    }

    fn start(home: &Folder, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let name = ptsname(&controller, Vec::new()).unwrap();
        let line = File::from(open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap());
        tcsetwinsize(&line, Winsize { ws_row: 30, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let before = tcgetattr(&controller).unwrap();
        let mut command = patera([&["connect"], arguments].concat());
        command.env("TERM", "xterm-256color").env("XDG_STATE_HOME", home.path("")).envs(variables.iter().copied());
        command.stdin(line.try_clone().unwrap()).stdout(line).stderr(Stdio::inherit());
        let child = command.spawn().unwrap();
        // The program has the only handles of the line now: when it ends, so does what is read from the other side.
        drop(command);
        let keys = File::from(controller);
        let screen = Arc::new(Screen::default());
        let reader = std::thread::spawn({
            let (mut keys, screen) = (keys.try_clone().unwrap(), screen.clone());
            move || screen.read(&mut keys)
        });
        Terminal { child, keys, screen, reader: Some(reader), seen: 0, before }
    }

    fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Types a line, and waits for what comes of it and for the next prompt: a key that comes before it may be lost.
    #[track_caller]
    fn line(&mut self, line: &str, expected: &str) {
        self.types(line);
        self.types(ENTER);
        self.see(expected);
        self.see("> ");
    }

    /// Waits until this is printed, behind what was seen before.
    #[track_caller]
    fn see(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        let mut printed = self.screen.printed.lock().unwrap();
        loop {
            let unseen = &printed.bytes[self.seen..];
            if let Some(at) = unseen.windows(text.len()).position(|window| window == text.as_bytes()) {
                self.seen += at + text.len();
                return;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || printed.has_ended {
                let unseen = String::from_utf8_lossy(unseen).into_owned();
                drop(printed);
                panic!("{text:?} is not seen in {unseen:?}");
            }
            printed = self.screen.more.wait_timeout(printed, left).unwrap().0;
        }
    }

    /// Waits for the end of the program, and looks whether the terminal is as it was before.
    #[track_caller]
    fn ends_with(mut self, code: i32) {
        let printed = self.screen.printed.lock().unwrap();
        let (printed, _) =
            self.screen.more.wait_timeout_while(printed, PATIENCE, |printed| !printed.has_ended).unwrap();
        assert!(printed.has_ended, "the program goes on: {:?}", String::from_utf8_lossy(&printed.bytes[self.seen..]));
        drop(printed);
        assert_eq!(self.child.wait().unwrap().code(), Some(code));
        let after = tcgetattr(&self.keys).unwrap();
        assert_eq!(after.local_modes, self.before.local_modes);
        assert_eq!(after.input_modes, self.before.input_modes);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has ended already, unless a test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Screen {
    /// Takes all that is printed, until no program has the terminal any more.
    fn read(&self, terminal: &mut File) {
        let mut chunk = [0; 4096];
        loop {
            let count = terminal.read(&mut chunk).unwrap_or(0);
            let mut printed = self.printed.lock().unwrap();
            printed.bytes.extend_from_slice(&chunk[..count]);
            printed.has_ended = count == 0;
            self.more.notify_all();
            if count == 0 {
                return;
            }
        }
    }
}
