//! Limits of `patera connect`.

use std::time::Duration;

/// What of one event a terminal shows, in bytes. 4 KiB. Past it the rest is left out and the whole size is told; `--json` shows all.
pub(super) const SHOWN_BYTES_MAX: usize = 4096;

/// Bytes that a terminal shows of binary data. 16. Past it only their number is told.
pub(super) const HEX_BYTES_MAX: usize = 16;

/// Lines that wait for the terminal while it is slow, or a line is being read. 1,024. Past it lines are left out, and their
/// number is told.
pub(super) const WAITING_LINES_MAX: usize = 1024;

/// Commands that are read ahead. 64. Past it reading waits.
pub(super) const WAITING_COMMANDS_MAX: usize = 64;

/// One line of commands, in bytes. 16 MiB. Past it the line is refused, and reading ends.
pub(super) const LINE_BYTES_MAX: u64 = 16 << 20;

/// A script, in bytes. 16 MiB. Past it it is refused.
pub(super) const SCRIPT_BYTES_MAX: u64 = 16 << 20;

/// Events of the server that ask for an acknowledgement and have none yet. 1,024. Past it the oldest can not be answered any more.
pub(super) const ASKED_MAX: usize = 1024;

/// What comes and no expectation of a script has looked at, for each namespace. 100,000. Past it the script fails.
pub(super) const UNEXPECTED_MAX: usize = 100_000;

/// What comes from the server and is not printed yet, for each namespace. 16,384. Past it events are left out, and their number
/// is told.
pub(super) const EVENTS_MAX: usize = 16_384;

/// What may wait to be sent on a plain WebSocket, in bytes. 16 MiB. Past it sending is refused until some of it is gone.
pub(super) const UNSENT_BYTES_MAX: usize = 16 << 20;

/// How long the end may take of a connection that a user leaves: what waits is sent, and the server is told. 2 s. Past it the
/// connection is cut.
pub(super) const CLOSING_MAX: Duration = Duration::from_secs(2);

/// Lines of the history, in memory and in the file. 1,000. Past it the oldest go.
pub(super) const HISTORY_LINES_MAX: usize = 1000;
