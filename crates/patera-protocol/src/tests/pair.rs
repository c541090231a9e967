//! A client and a server over a simulated link, in virtual time: polling requests that overtake each other and get
//! lost, a WebSocket that is ordered but may be cut anywhere, with or without either side noticing. Whatever happens,
//! nothing is lost, doubled or reordered while the session lives, and both sides end alike.
//!
//! Each run follows from its seed, which is printed when it fails.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::{
    peer::Peer,
    world::{Link, World},
};
use crate::engineio::{Transport::WebSocket, Version};

#[test]
fn nothing_is_lost_over_a_good_link() {
    for seed in 0..1000 {
        run(
            seed,
            Link { loss: 0, cut: 0, delay: 150, upgrade_timeout: 10_000, may_close: false, version: Version::V4 },
            |world| {
                assert_eq!(world.client.closed, None, "nothing gives a reason to close");
                assert_eq!(world.client.session.transport(), WebSocket, "the upgrade succeeds");
            },
        );
    }
}

#[test]
fn bad_link_ends_both_sides_or_neither() {
    let mut survived = 0;
    for seed in 0..2000 {
        let link =
            Link { loss: 4, cut: 30, delay: 400, upgrade_timeout: 10_000, may_close: false, version: Version::V4 };
        run(seed, link, |world| survived += u32::from(!world.is_closed()));
    }
    assert!((400..3600).contains(&survived), "{survived} of 4000: the link is neither too good nor too bad to tell");
}

#[test]
fn upgrade_that_comes_too_late_harms_nobody() {
    let (mut upgraded, mut failures) = (0, 0);
    for seed in 0..2000 {
        let link = Link { loss: 0, cut: 5, delay: 200, upgrade_timeout: 500, may_close: false, version: Version::V4 };
        run(seed, link, |world| {
            upgraded += u32::from(world.client.session.transport() == WebSocket);
            failures += world.failures;
        });
    }
    assert!(upgraded > 1000 && failures > 1000, "{upgraded} of 4000 upgraded, {failures} times not: both are tried");
}

#[test]
fn close_by_either_side_reaches_the_other() {
    for seed in 0..1000 {
        let link = Link { loss: 1, cut: 5, delay: 200, upgrade_timeout: 2000, may_close: true, version: Version::V4 };
        run(seed, link, |world| assert!(world.is_closed()));
    }
}

/// Runs it in both revisions.
fn run(seed: u64, link: Link, mut check: impl FnMut(&World)) {
    for version in [Version::V3, Version::V4] {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let mut world = World::new(seed, Link { version, ..link });
            world.run();
            check_end(&world);
            check(&world);
        }));
        if let Err(panic) = outcome {
            eprintln!("seed {seed}, {version:?}");
            resume_unwind(panic);
        }
    }
}

/// What holds at the end of every run.
fn check_end(world: &World) {
    let closed = |server: &Peer| server.closed.is_some();
    assert_eq!(world.is_closed(), world.server.as_ref().is_none_or(closed), "both sides end alike");
    if let (Some(server), false) = (&world.server, world.is_closed()) {
        let ((sent, came, awaited), (server_sent, server_came, server_awaited)) =
            (world.client.counts(), server.counts());
        assert_eq!((sent, server_sent), (server_came, came), "everything has come");
        assert_eq!((awaited, server_awaited), (0, 0), "everything is acknowledged");
        assert!(sent + server_sent > 0, "something was sent at all");
        assert_eq!(world.client.session.transport(), server.session.transport());
        assert!(!world.client.session.is_upgrading() && !server.session.is_upgrading());
    }
}
