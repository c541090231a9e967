//! From long-polling to WebSocket: the probe, of both roles. EIO 4 "Upgrade". What it means for the session is decided
//! in `session.rs`; here is only how far the probe has come.

use std::{
    error, fmt,
    time::{Duration, Instant},
};

use super::packet::Packet;
use crate::time::after;

/// While a client waits in a GET it cannot stop polling, so the server ends the GET again and again.
const NOOP_INTERVAL: Duration = Duration::from_millis(100);

/// How far a probe has come.
///
/// ```text
/// server   idle ─ WebSocket opens ─▶ opened ─ 2probe / 3probe ─▶ probed (6 each 100 ms) ─ 5 ─▶ complete
/// client   idle ─ WebSocket opens / 2probe ─▶ probing ─ 3probe ─▶ pausing ─ polling has stopped / 5 ─▶ complete
///          any ─ anything else, or the deadline ─▶ idle; polling goes on
/// ```
/// Most sessions never upgrade, or have long ago: what a probe needs is boxed.
#[derive(Clone, Debug, Default)]
pub(super) struct Upgrade(Option<Box<Probe>>);

#[derive(Clone, Debug)]
struct Probe {
    stage: Stage,
    /// None while we do not read: the peer may be unable to go on before we do.
    deadline: Option<Instant>,
    /// Probed: when the waiting GET is ended again.
    noop_at: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Opened,
    Probed,
    Probing,
    Pausing,
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
    /// Server: a WebSocket has opened.
    pub(super) fn opened(deadline: Instant) -> Self {
        Self::at(Stage::Opened, deadline)
    }

    /// Client: a WebSocket has opened, and our ping goes out on it.
    pub(super) fn probing(deadline: Instant) -> Self {
        Self::at(Stage::Probing, deadline)
    }

    fn at(stage: Stage, deadline: Instant) -> Self {
        Upgrade(Some(Box::new(Probe { stage, deadline: Some(deadline), noop_at: deadline })))
    }

    /// We stop reading (back-pressure): a client that waits for its POST cannot stop polling, so the deadline rests.
    pub(super) fn pause(&mut self) {
        if let Some(probe) = &mut self.0 {
            probe.deadline = None;
        }
    }

    /// We read again.
    pub(super) fn resume(&mut self, deadline: Instant) {
        if let Some(probe) = &mut self.0 {
            probe.deadline = Some(deadline);
        }
    }

    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        self.0.is_none()
    }

    /// The probe is over.
    pub(super) fn abandon(&mut self) {
        self.0 = None;
    }

    /// A packet came on the probe.
    pub(super) fn handle_packet(&mut self, packet: Packet<'_>, now: Instant) -> Step {
        let Some(probe) = &mut self.0 else { return Step::Fail };
        match (probe.stage, packet) {
            (Stage::Opened, Packet::Ping("probe")) => {
                probe.stage = Stage::Probed;
                probe.noop_at = after(now, NOOP_INTERVAL);
                Step::Answer
            }
            (Stage::Probing, Packet::Pong("probe")) => {
                probe.stage = Stage::Pausing;
                Step::Pause
            }
            (Stage::Probed, Packet::Upgrade) => {
                self.0 = None;
                Step::Complete
            }
            (Stage::Opened | Stage::Probed | Stage::Probing | Stage::Pausing, _) => {
                self.0 = None;
                Step::Fail
            }
        }
    }

    /// Client: polling has stopped. Whether that was awaited.
    pub(super) fn handle_paused(&mut self) -> bool {
        self.0.take_if(|probe| probe.stage == Stage::Pausing).is_some()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<Step> {
        let probe = self.0.as_mut()?;
        if probe.deadline.is_some_and(|deadline| deadline <= now) {
            self.0 = None;
            return Some(Step::Fail);
        }
        if probe.stage == Stage::Probed && probe.noop_at <= now {
            probe.noop_at = after(now, NOOP_INTERVAL);
            return Some(Step::Release);
        }
        None
    }

    #[inline]
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let probe = self.0.as_ref()?;
        match probe.stage {
            Stage::Probed => Some(probe.deadline.map_or(probe.noop_at, |deadline| deadline.min(probe.noop_at))),
            Stage::Opened | Stage::Probing | Stage::Pausing => probe.deadline,
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
