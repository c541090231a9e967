//! Sessions that are being opened, against others of their id and against the server's end.

use super::stage::{self, Task, join, shared_with_id, spawn};
use super::{check, check_sessions};
use crate::config::Config;
use crate::core::{EngineDialect, LinkState};
use crate::error::DisconnectReason;
use crate::opening::Opening;
use crate::outbox::Command;
use crate::session::Link;
use crate::sid::Id;
use crate::transport::PollingLink;

fn id(name: &str) -> Id {
    Id::given(name.to_owned()).expect("letters may be an id")
}

/// Two sessions open with one id, and who comes first gives up at once.
#[test]
fn an_id_is_one_sessions_at_a_time() {
    check("registry: two sessions of one id", || {
        let io = stage::io(Config::default());
        let openers = [false, true].map(|stays| {
            let shared = shared_with_id(&io, id("given"), EngineDialect::default(), LinkState::Polling);
            spawn(move || {
                let opening = Opening::new(shared.clone()).ok();
                if stays {
                    return opening;
                }
                drop(opening);
                // A session's task takes it out twice: when it has hung up, and when it is dropped.
                shared.core.registry.remove(&shared);
                None
            })
        });
        let registry = &io.io.core.registry;
        if let Some(found) = registry.find("given") {
            assert_eq!(found.sid.as_str(), "given");
        }
        let [_, stays] = openers.map(join);
        assert_eq!(registry.find("given").is_some(), stays.is_some());
        if let Some(stays) = &stays {
            assert!(registry.find("given").is_some_and(|found| std::sync::Arc::ptr_eq(&found, stays)));
        }
        drop(stays);
        assert_eq!(registry.all().len(), 0);
    });
}

/// Sessions that open while the server closes are told, or were never there.
#[test]
fn a_closing_server_leaves_no_session_behind() {
    check_sessions("registry: shutdown against two sessions that open", || {
        let io = stage::io(Config::default());
        let openers = ["one", "two"].map(|name| {
            let io = io.clone();
            spawn(move || {
                let shared = shared_with_id(&io, id(name), EngineDialect::default(), LinkState::Polling);
                let opening = Opening::new(shared).expect("the id is new");
                let mut task = Task::new(&io, opening, Link::Polling(PollingLink::default()));
                task.run();
                task
            })
        });
        let mut sessions = io.io.core.begin_closing();
        // The registry's order is another in every run, which loom must not see.
        sessions.sort_unstable_by(|one, other| one.sid.as_str().cmp(other.sid.as_str()));
        for session in sessions {
            session.outbox.command(Command::Close { reason: DisconnectReason::ServerShuttingDown, flush: true });
        }
        for mut task in openers.map(join) {
            task.run();
            assert!(task.refuses_packets());
            let mut goodbye = stage::poll(&task.shared);
            task.run();
            assert_eq!(stage::answer(&mut goodbye).as_deref(), Some("1"));
        }
        assert_eq!(io.io.core.registry.all().len(), 0);
    });
}
