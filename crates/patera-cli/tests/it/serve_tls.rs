//! `patera serve` with TLS, as it is run.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver};

use rcgen::{CertifiedKey, generate_simple_self_signed};

use crate::support::{Folder, PATIENCE, patera, run};

/// The program, killed with its test. Its lines, of both outputs.
struct Serving {
    child: Child,
    lines: Receiver<String>,
}

impl Serving {
    fn start(folder: &Folder) -> Self {
        let (chain, key) = (folder.path("chain.pem"), folder.path("key.pem"));
        let mut command = patera(["serve", "--port", "0", "--tls-cert"]);
        command.arg(chain).arg("--tls-key").arg(key).env("RUST_LOG", "info");
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let errors = sender.clone();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        std::thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|l| sender.send(l))
        });
        std::thread::spawn(move || {
            BufReader::new(stderr).lines().map_while(Result::ok).try_for_each(|l| errors.send(l))
        });
        Serving { child, lines }
    }

    /// The next line with this in it.
    fn line(&self, part: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("a line with {part:?}"));
            if line.contains(part) {
                return line;
            }
        }
    }

    #[cfg(unix)]
    fn hang_up(&self) {
        use rustix::process::{Pid, Signal, kill_process};
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::HUP).unwrap();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn renew(folder: &Folder) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    folder.file("chain.pem", cert.pem());
    folder.file("key.pem", signing_key.serialize_pem());
}

#[test]
fn certificates_are_believed_only_where_it_is_told_and_renewed_on_a_signal() {
    let folder = Folder::new();
    renew(&folder);
    let serving = Serving::start(&folder);
    let line = serving.line("serves https://");
    let url =
        line.split_whitespace().find(|word| word.starts_with("https://")).unwrap().trim_end_matches('/').to_owned();
    let echo = |options: &[&str]| run(&mut patera([&["emit", &url, "echo", "1", "--ack"], options].concat()));
    assert_eq!(echo(&["-k"]), ("1\n".to_owned(), String::new(), Some(0)));
    assert_eq!(echo(&["-k", "--transports", "polling"]).0, "1\n");
    let (out, error, code) = echo(&[]);
    assert!(out.is_empty() && code != Some(0) && error.contains("certificate"), "{error}");

    #[cfg(unix)]
    {
        renew(&folder);
        serving.hang_up();
        serving.line("certificate renewed");
        assert_eq!(echo(&["-k"]).0, "1\n");
        folder.file("chain.pem", "nothing");
        serving.hang_up();
        serving.line("certificate not renewed");
        assert_eq!(echo(&["-k"]).0, "1\n");
    }
}

#[test]
fn what_is_no_certificate_is_told_before_anything_is_served() {
    let folder = Folder::new();
    let (chain, key) = (folder.file("chain.pem", "nothing"), folder.file("key.pem", "nothing"));
    let mut command = patera(["serve", "--port", "0", "--tls-cert"]);
    let (out, error, code) = run(command.arg(&chain).arg("--tls-key").arg(key));
    assert!(out.is_empty() && code == Some(1) && error.contains("no certificate"), "{code:?} {out} {error}");
    let (_, error, code) = run(patera(["serve", "--port", "0", "--tls-cert"]).arg(chain));
    assert!(code == Some(2) && error.contains("--tls-key"), "{error}");
}
