//! The bar on standard error, where that is a terminal.

use std::cell::RefCell;
use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};

const BAR: &str = "{msg:>12} [{bar:40}] {percent}% {elapsed}";
const SPINNER: &str = "{msg:>12} {elapsed}";

pub(crate) struct Progress {
    is_shown: bool,
    bar: RefCell<ProgressBar>,
}

impl Progress {
    pub(crate) fn new() -> Progress {
        Progress { is_shown: std::io::stderr().is_terminal(), bar: RefCell::new(ProgressBar::hidden()) }
    }

    /// Begins a phase of `len` steps, 0 if that is not known.
    pub(crate) fn begin(&self, phase: &'static str, len: u64) {
        if !self.is_shown {
            return;
        }
        self.end();
        let bar = ProgressBar::new(len);
        let style = ProgressStyle::with_template(if len == 0 { SPINNER } else { BAR });
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(phase);
        self.bar.replace(bar);
    }

    pub(crate) fn set(&self, at: u64) {
        if self.is_shown {
            self.bar.borrow().set_position(at);
        }
    }

    pub(crate) fn end(&self) {
        self.bar.borrow().finish_and_clear();
    }
}
