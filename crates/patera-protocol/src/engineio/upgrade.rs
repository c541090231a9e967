//! From long-polling to WebSocket: the probe, of both roles. EIO 4 "Upgrade". What it means for the session is decided
//! in `session.rs`; here is only how far the probe has come.

use std::{
    error, fmt,
    time::{Duration, Instant},
};

use super::packet::Packet;

/// While a client waits in a GET it cannot stop polling, so the server ends the GET again and again.
const NOOP_INTERVAL: Duration = Duration::from_millis(100);

/// How far a probe has come.
///
/// ```text
/// server   idle ─ WebSocket opens ─▶ opened ─ 2probe / 3probe ─▶ probed (6 each 100 ms) ─ 5 ─▶ complete
/// client   idle ─ WebSocket opens / 2probe ─▶ probing ─ 3probe ─▶ pausing ─ polling has stopped / 5 ─▶ complete
///          any ─ anything else, or the deadline ─▶ idle; polling goes on
/// ```
#[derive(Clone, Debug)]
pub(super) enum Upgrade {
    Idle,
    Opened { deadline: Instant },
    Probed { deadline: Instant, noop_at: Instant },
    Probing { deadline: Instant },
    Pausing { deadline: Instant },
}

/// What follows from a packet on the probe, or from time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Server: send `3probe`, and release the waiting GET.
    Answer,
    /// Server: release the waiting GET, if there is one.
    Release,
    /// Client: stop polling.
    Pause,
    /// The session has moved.
    Complete,
    /// The probe is over, and polling goes on.
    Fail,
}

impl Upgrade {
    pub(super) fn is_idle(&self) -> bool {
        matches!(self, Upgrade::Idle)
    }

    /// A packet came on the probe.
    pub(super) fn handle_packet(&mut self, packet: Packet<'_>, now: Instant) -> Step {
        let (next, step) = match (&*self, packet) {
            (&Upgrade::Opened { deadline }, Packet::Ping("probe")) => {
                (Upgrade::Probed { deadline, noop_at: now + NOOP_INTERVAL }, Step::Answer)
            }
            (Upgrade::Probed { .. }, Packet::Upgrade) => (Upgrade::Idle, Step::Complete),
            (&Upgrade::Probing { deadline }, Packet::Pong("probe")) => (Upgrade::Pausing { deadline }, Step::Pause),
            _ => (Upgrade::Idle, Step::Fail),
        };
        *self = next;
        step
    }

    /// Client: polling has stopped. Whether that was awaited.
    pub(super) fn handle_paused(&mut self) -> bool {
        let awaited = matches!(self, Upgrade::Pausing { .. });
        if awaited {
            *self = Upgrade::Idle;
        }
        awaited
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<Step> {
        match self {
            Upgrade::Idle => None,
            Upgrade::Opened { deadline }
            | Upgrade::Probed { deadline, .. }
            | Upgrade::Probing { deadline }
            | Upgrade::Pausing { deadline }
                if *deadline <= now =>
            {
                *self = Upgrade::Idle;
                Some(Step::Fail)
            }
            Upgrade::Probed { noop_at, .. } if *noop_at <= now => {
                *noop_at = now + NOOP_INTERVAL;
                Some(Step::Release)
            }
            Upgrade::Opened { .. } | Upgrade::Probed { .. } | Upgrade::Probing { .. } | Upgrade::Pausing { .. } => None,
        }
    }

    #[inline]
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match *self {
            Upgrade::Idle => None,
            Upgrade::Probed { deadline, noop_at } => Some(deadline.min(noop_at)),
            Upgrade::Opened { deadline } | Upgrade::Probing { deadline } | Upgrade::Pausing { deadline } => {
                Some(deadline)
            }
        }
    }
}

/// Why a second transport cannot take over a session. Refuse the WebSocket before its handshake is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProbeRefused {
    /// `allow_upgrades` is off.
    NotAllowed,
    /// The session is not on long-polling (any more).
    NotPolling,
    /// Another WebSocket is probing.
    AlreadyProbing,
    /// The session is not open (yet, or any more).
    NotOpen,
}

impl fmt::Display for ProbeRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProbeRefused::NotAllowed => "upgrades are not allowed",
            ProbeRefused::NotPolling => "session is not on long-polling",
            ProbeRefused::AlreadyProbing => "another websocket is probing this session",
            ProbeRefused::NotOpen => "session is not open",
        })
    }
}

impl error::Error for ProbeRefused {}
