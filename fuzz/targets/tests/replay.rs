//! Plays the seeds and every input that fuzzing has kept: what once held goes on to hold.

use fuzz_targets::{TARGETS, Target, corpus, seeds};

macro_rules! replay {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                play(stringify!($name));
            }
        )*

        #[test]
        fn all_targets_are_played() {
            let played = [$(stringify!($name)),*];
            assert_eq!(played[..], TARGETS.each_ref().map(|target| target.name));
        }
    };
}

replay! {
    http_query websocket_handshake websocket_frames websocket_deflate engineio3_payload engineio4_payload engineio4_frames
    socketio_text socketio_msgpack cluster_message connection server
}

fn play(name: &str) {
    let target = Target::named(name).expect("it is one of them");
    let seeds = seeds::of(name).expect("the vectors are there");
    for input in seeds.iter().chain(&corpus::read(name).expect("what was kept can be read")) {
        // What failed is told in a form in which it can be kept.
        if let Err(panic) = std::panic::catch_unwind(|| (target.run)(input)) {
            eprint!("{name}: {}", corpus::text(vec![input.clone()]));
            std::panic::resume_unwind(panic);
        }
    }
}
