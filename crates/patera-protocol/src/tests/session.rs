//! The session machine alone, both roles, in virtual time.

use super::*;
use crate::tests::at;
use CloseReason::{ForcedClose, ParseError, PingTimeout, TransportClose, TransportError};
use Transport::{Polling, WebSocket, WebTransport};

const OPEN: &str =
    r#"{"sid":"a","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;

#[test]
fn messages_are_handed_up() {
    let mut session = server(Polling);
    let hello = Message::Text("hello");
    assert_eq!(session.handle_packet(Polling, Packet::Message(hello), at(1)), Ok(Some(hello)));
    let bytes = Message::Binary(&[1]);
    assert_eq!(session.handle_packet(Polling, Packet::Message(bytes), at(1)), Ok(Some(bytes)));
    check(&mut session, &[], &[]);
}

#[test]
fn server_pings_and_closes_without_pong() {
    let mut session = server(WebSocket);
    assert_eq!(session.poll_timeout(), Some(at(25_000)));
    session.handle_timeout(at(25_000));
    check(&mut session, &[(WebSocket, Packet::Ping(""))], &[]);
    assert_eq!(session.handle_packet(WebSocket, Packet::Pong(""), at(26_000)), Ok(None));
    assert_eq!(session.poll_timeout(), Some(at(51_000)));
    session.handle_timeout(at(51_000));
    check(&mut session, &[(WebSocket, Packet::Ping(""))], &[]);
    session.handle_timeout(at(71_000));
    check(&mut session, &[(WebSocket, Packet::Close)], &[SessionEvent::Closed(PingTimeout)]);
    assert_eq!(session.poll_timeout(), None);
}

#[test]
fn close_packet_closes_on_every_transport() {
    for transport in [Polling, WebSocket] {
        let mut session = server(transport);
        assert_eq!(session.handle_packet(transport, Packet::Close, at(1)), Err(TransportClose));
        let noop: &[_] = if transport == Polling { &[(Polling, Packet::Noop)] } else { &[] };
        check(&mut session, noop, &[SessionEvent::Closed(TransportClose)]);
        let late = session.handle_packet(transport, Packet::Message(Message::Text("late")), at(2));
        assert_eq!(late, Ok(None), "nothing after a close packet is processed");
    }
}

#[test]
fn ping_from_a_client_is_a_transport_error() {
    for data in ["", "probe"] {
        let mut session = server(Polling);
        assert_eq!(session.handle_packet(Polling, Packet::Ping(data), at(1)), Err(TransportError));
        check(&mut session, &[(Polling, Packet::Close)], &[SessionEvent::Closed(TransportError)]);
    }
}

#[test]
fn packets_without_meaning_are_passed_over() {
    let mut session = server(Polling);
    for packet in [Packet::Open("{}"), Packet::Upgrade, Packet::Noop, Packet::Pong("")] {
        assert_eq!(session.handle_packet(Polling, packet, at(1)), Ok(None));
        assert_eq!(session.handle_packet(WebSocket, packet, at(1)), Ok(None), "no probe is open");
    }
    check(&mut session, &[], &[]);
    assert!(session.is_open());
}

#[test]
fn server_upgrades() {
    let mut session = server(Polling);
    assert_eq!(session.handle_probe(at(0)), Ok(()));
    assert_eq!(session.handle_probe(at(0)), Err(ProbeRefused::AlreadyProbing));
    check(&mut session, &[], &[]);
    probe(&mut session, Packet::Ping("probe"), 10);
    check(&mut session, &[(WebSocket, Packet::Pong("probe")), (Polling, Packet::Noop)], &[SessionEvent::Upgrading]);
    assert_eq!(session.poll_timeout(), Some(at(110)));
    session.handle_timeout(at(110));
    check(&mut session, &[(Polling, Packet::Noop)], &[]);
    assert_eq!(session.transport(), Polling);
    probe(&mut session, Packet::Upgrade, 120);
    check(&mut session, &[], &[SessionEvent::Upgraded]);
    assert_eq!((session.transport(), session.is_upgrading()), (WebSocket, false));
    assert_eq!(session.handle_probe(at(130)), Err(ProbeRefused::NotPolling));
    session.handle_transport_closed(Polling, true);
    assert!(session.is_open(), "the old transport is nothing any more");
}

#[test]
fn server_upgrades_to_webtransport() {
    let mut session = server(Polling);
    assert_eq!(session.handle_probe_over(WebTransport, at(0)), Ok(()));
    assert_eq!(session.handle_packet(WebTransport, Packet::Ping("probe"), at(10)), Ok(None));
    check(&mut session, &[(WebTransport, Packet::Pong("probe")), (Polling, Packet::Noop)], &[SessionEvent::Upgrading]);
    assert_eq!(session.handle_packet(WebTransport, Packet::Upgrade, at(20)), Ok(None));
    check(&mut session, &[], &[SessionEvent::Upgraded]);
    assert_eq!(session.transport(), WebTransport);
    session.handle_transport_closed(WebTransport, false);
    check(&mut session, &[], &[SessionEvent::Closed(TransportClose)]);
}

#[test]
fn anything_else_on_a_probe_fails_it_alone() {
    let wrong = [
        Packet::Ping("hello"),
        Packet::Ping(""),
        Packet::Upgrade,
        Packet::Close,
        Packet::Noop,
        Packet::Message(Message::Text("x")),
    ];
    for packet in wrong {
        let mut session = server(Polling);
        session.handle_probe(at(0)).unwrap();
        probe(&mut session, packet, 1);
        check(&mut session, &[], &[SessionEvent::UpgradeFailed]);
        assert!(session.is_open());
        assert_eq!(session.handle_probe(at(2)), Ok(()), "another may try");
    }
}

#[test]
fn lost_or_silent_probe_fails() {
    let mut session = server(Polling);
    session.handle_probe(at(0)).unwrap();
    session.handle_transport_closed(WebSocket, false);
    check(&mut session, &[], &[SessionEvent::UpgradeFailed]);

    session.handle_probe(at(100)).unwrap();
    probe(&mut session, Packet::Ping("probe"), 100);
    check(&mut session, &[(WebSocket, Packet::Pong("probe")), (Polling, Packet::Noop)], &[SessionEvent::Upgrading]);
    session.handle_timeout(at(10_099));
    check(&mut session, &[(Polling, Packet::Noop)], &[]);
    session.handle_timeout(at(10_100));
    check(&mut session, &[], &[SessionEvent::UpgradeFailed]);
    assert!(session.is_open());
}

#[test]
fn ping_on_its_way_during_an_upgrade_keeps_its_deadline() {
    let mut session = server(Polling);
    session.handle_timeout(at(25_000));
    check(&mut session, &[(Polling, Packet::Ping(""))], &[]);
    session.handle_probe(at(26_000)).unwrap();
    probe(&mut session, Packet::Ping("probe"), 26_000);
    probe(&mut session, Packet::Upgrade, 26_100);
    assert_eq!(session.poll_timeout(), Some(at(45_000)), "neither lost nor restarted");
    assert_eq!(session.handle_packet(WebSocket, Packet::Pong(""), at(30_000)), Ok(None));
    assert_eq!(session.poll_timeout(), Some(at(55_000)), "and the next ping follows");
}

#[test]
fn upgrades_can_be_forbidden() {
    let config = SessionConfig { allow_upgrades: false, ..SessionConfig::default() };
    let mut session = Session::server(Polling, &config, at(0));
    assert_eq!(session.handle_probe(at(0)), Err(ProbeRefused::NotAllowed));
}

#[test]
fn lost_main_transport_closes() {
    for (error, reason) in [(true, TransportError), (false, TransportClose)] {
        let mut session = server(Polling);
        session.handle_probe(at(0)).unwrap();
        session.handle_transport_closed(Polling, error);
        check(&mut session, &[], &[SessionEvent::Closed(reason)]);
        assert_eq!(session.handle_probe(at(1)), Err(ProbeRefused::NotOpen));
    }
}

#[test]
fn our_close_says_so_once() {
    let mut session = server(Polling);
    session.close(ForcedClose);
    session.close(PingTimeout);
    session.handle_transport_closed(Polling, true);
    check(&mut session, &[(Polling, Packet::Close)], &[SessionEvent::Closed(ForcedClose)]);
}

#[test]
fn client_opens_pongs_and_times_out() {
    let mut session = client(WebSocket);
    assert!(!session.is_open());
    assert_eq!(session.handle_packet(WebSocket, Packet::Open(OPEN), at(10)), Ok(None));
    let handshake = Box::new(Handshake::parse(OPEN).unwrap());
    check(&mut session, &[], &[SessionEvent::Opened(handshake)]);
    assert_eq!(session.handle_packet(WebSocket, Packet::Ping(""), at(20_000)), Ok(None));
    check(&mut session, &[(WebSocket, Packet::Pong(""))], &[]);
    assert_eq!(session.poll_timeout(), Some(at(65_000)));
    session.handle_timeout(at(65_000));
    check(&mut session, &[(WebSocket, Packet::Close)], &[SessionEvent::Closed(PingTimeout)]);
}

#[test]
fn client_that_is_not_opened_gives_up() {
    let mut session = client(Polling);
    session.handle_timeout(at(19_999));
    check(&mut session, &[], &[]);
    session.handle_timeout(at(20_000));
    check(&mut session, &[(Polling, Packet::Close)], &[SessionEvent::Closed(PingTimeout)]);
    for packet in [Packet::Message(Message::Text("x")), Packet::Open("{}"), Packet::Ping("")] {
        assert_eq!(client(Polling).handle_packet(Polling, packet, at(1)), Err(ParseError));
    }
}

#[test]
fn client_upgrades() {
    let mut session = open_client();
    session.handle_probe(at(1)).unwrap();
    check(&mut session, &[(WebSocket, Packet::Ping("probe"))], &[]);
    probe(&mut session, Packet::Pong("probe"), 2);
    check(&mut session, &[], &[SessionEvent::Upgrading]);
    assert_eq!(session.handle_packet(Polling, Packet::Ping(""), at(3)), Ok(None));
    session.handle_polling_paused();
    let transmits = [(WebSocket, Packet::Upgrade), (WebSocket, Packet::Pong(""))];
    check(&mut session, &transmits, &[SessionEvent::Upgraded]);
    let hello = Message::Text("hello");
    assert_eq!(session.handle_packet(WebSocket, Packet::Message(hello), at(4)), Ok(Some(hello)));
}

#[test]
fn client_probe_can_fail() {
    let mut session = open_client();
    for packet in [Packet::Pong(""), Packet::Noop, Packet::Open("{}"), Packet::Message(Message::Text("x"))] {
        session.handle_probe(at(1)).unwrap();
        probe(&mut session, packet, 2);
        check(&mut session, &[], &[SessionEvent::UpgradeFailed]);
        session.handle_polling_paused();
        check(&mut session, &[], &[]);
        assert_eq!(session.transport(), Polling);
    }
}

#[test]
fn server_of_revision_3_pongs_and_closes_without_ping() {
    for transport in [Polling, WebSocket] {
        let mut session = server_v3(transport);
        assert_eq!(session.poll_timeout(), Some(at(45_000)));
        session.handle_timeout(at(44_999));
        check(&mut session, &[], &[]);
        assert_eq!(session.handle_packet(transport, Packet::Ping(""), at(44_999)), Ok(None));
        check(&mut session, &[(transport, Packet::Pong(""))], &[]);
        assert_eq!(session.poll_timeout(), Some(at(89_999)));
        session.handle_timeout(at(89_998));
        check(&mut session, &[], &[]);
        session.handle_timeout(at(89_999));
        check(&mut session, &[(transport, Packet::Close)], &[SessionEvent::Closed(PingTimeout)]);
        assert_eq!(session.poll_timeout(), None);
    }
}

#[test]
fn anything_is_a_sign_of_life_in_revision_3() {
    let mut session = server_v3(WebSocket);
    for (index, packet) in [Packet::Message(Message::Text("x")), Packet::Noop, Packet::Upgrade].into_iter().enumerate()
    {
        let now = 40_000 * (index as u64 + 1);
        session.handle_packet(WebSocket, packet, at(now)).unwrap();
        assert_eq!(session.poll_timeout(), Some(at(now + 45_000)), "{packet:?}");
    }
}

#[test]
fn pong_from_a_client_is_a_transport_error_in_revision_3() {
    let mut session = server_v3(Polling);
    assert_eq!(session.handle_packet(Polling, Packet::Pong(""), at(1)), Err(TransportError));
    check(&mut session, &[(Polling, Packet::Close)], &[SessionEvent::Closed(TransportError)]);
}

#[test]
fn session_of_revision_3_that_upgraded_times_out_too() {
    let mut session = server_v3(Polling);
    session.handle_packet(Polling, Packet::Ping(""), at(1000)).unwrap();
    session.handle_probe(at(2000)).unwrap();
    check(&mut session, &[(Polling, Packet::Pong(""))], &[]);
    probe(&mut session, Packet::Ping("probe"), 2000);
    check(&mut session, &[(WebSocket, Packet::Pong("probe")), (Polling, Packet::Noop)], &[SessionEvent::Upgrading]);
    probe(&mut session, Packet::Upgrade, 2100);
    check(&mut session, &[], &[SessionEvent::Upgraded]);
    assert_eq!(session.poll_timeout(), Some(at(46_000)));
    session.handle_packet(WebSocket, Packet::Ping(""), at(45_999)).unwrap();
    check(&mut session, &[(WebSocket, Packet::Pong(""))], &[]);
    session.handle_timeout(at(90_999));
    check(&mut session, &[(WebSocket, Packet::Close)], &[SessionEvent::Closed(PingTimeout)]);
}

#[test]
fn back_pressure_stops_the_clock_in_revision_3() {
    let mut session = server_v3(WebSocket);
    session.pause_heartbeat();
    session.handle_timeout(at(1_000_000));
    check(&mut session, &[], &[]);
    session.resume_heartbeat(at(1_000_000));
    assert_eq!(session.poll_timeout(), Some(at(1_045_000)));
}

#[test]
fn upgrade_waits_while_we_do_not_read() {
    for paused_first in [true, false] {
        let mut session = server(Polling);
        if paused_first {
            session.pause_heartbeat();
        }
        session.handle_probe(at(1000)).unwrap();
        session.pause_heartbeat();
        probe(&mut session, Packet::Ping("probe"), 1100);
        let pong = (WebSocket, Packet::Pong("probe"));
        check(&mut session, &[pong, (Polling, Packet::Noop)], &[SessionEvent::Upgrading]);
        // The waiting GET is released all the same.
        session.handle_timeout(at(20_000));
        check(&mut session, &[(Polling, Packet::Noop)], &[]);
        session.resume_heartbeat(at(20_000));
        // Once.
        session.resume_heartbeat(at(25_000));
        session.handle_timeout(at(29_999));
        assert!(session.is_upgrading());
        session.handle_timeout(at(30_000));
        assert!(!session.is_upgrading());
    }
}

#[test]
fn client_of_revision_3_pings() {
    let mut session = Session::client_with_version(Version::V3, WebSocket, &SessionConfig::default(), at(0));
    session.handle_packet(WebSocket, Packet::Open(OPEN), at(0)).unwrap();
    assert!(matches!(session.poll_event(), Some(SessionEvent::Opened(_))));
    session.handle_timeout(at(25_000));
    check(&mut session, &[(WebSocket, Packet::Ping(""))], &[]);
    session.handle_packet(WebSocket, Packet::Pong(""), at(26_000)).unwrap();
    assert_eq!(session.poll_timeout(), Some(at(51_000)));
    session.handle_timeout(at(51_000));
    check(&mut session, &[(WebSocket, Packet::Ping(""))], &[]);
    session.handle_timeout(at(71_000));
    check(&mut session, &[(WebSocket, Packet::Close)], &[SessionEvent::Closed(PingTimeout)]);

    let mut session = Session::client_with_version(Version::V3, WebSocket, &SessionConfig::default(), at(0));
    session.handle_packet(WebSocket, Packet::Open(OPEN), at(0)).unwrap();
    assert_eq!(session.handle_packet(WebSocket, Packet::Ping(""), at(1)), Err(TransportError));
}

#[test]
fn session_is_small() {
    assert!(size_of::<Session>() <= 160, "{}", size_of::<Session>());
}

#[test]
fn reasons_have_the_strings_of_the_reference() {
    assert_eq!(serde_json::to_string(&TransportError).unwrap(), r#""transport error""#);
    assert_eq!(CloseReason::ForcedServerClose.to_string(), "forced server close");
}

fn server(transport: Transport) -> Session {
    Session::server(transport, &SessionConfig::default(), at(0))
}

fn server_v3(transport: Transport) -> Session {
    Session::server_with_version(Version::V3, transport, &SessionConfig::default(), at(0))
}

fn client(transport: Transport) -> Session {
    Session::client(transport, &SessionConfig::default(), at(0))
}

fn open_client() -> Session {
    let mut session = client(Polling);
    session.handle_packet(Polling, Packet::Open(OPEN), at(0)).unwrap();
    assert!(matches!(session.poll_event(), Some(SessionEvent::Opened(_))));
    session
}

fn probe(session: &mut Session, packet: Packet<'_>, now: u64) {
    assert_eq!(session.handle_packet(WebSocket, packet, at(now)), Ok(None));
}

fn check(session: &mut Session, transmits: &[(Transport, Packet<'static>)], events: &[SessionEvent]) {
    let sent: Vec<_> = std::iter::from_fn(|| session.poll_transmit()).map(|t| (t.transport, t.packet)).collect();
    assert_eq!(sent, transmits);
    let said: Vec<_> = std::iter::from_fn(|| session.poll_event()).collect();
    assert_eq!(said, events);
}
