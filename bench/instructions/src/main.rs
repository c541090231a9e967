//! Takes one hot path N times, in one thread and in memory, for a program that counts instructions: `cargo xtask instructions`
//! runs it under callgrind with N and 2N, and what differs is what N cost.
//!
//! `bench-instructions PATH COUNT`; without arguments it lists the paths.

#![forbid(unsafe_code)]

mod memory;
mod parts;
mod server;

use std::process::ExitCode;

/// A path, and how it is taken so many times.
type Path = (&'static str, fn(usize));

const PATHS: &[Path] = &[
    ("frame_16", |count| parts::frame(16, count)),
    ("frame_1024", |count| parts::frame(1024, count)),
    ("decode", parts::decode),
    ("encode", parts::encode),
    ("turn", server::empty_turn),
    ("echo_16", |count| server::echo(16, count)),
    ("echo_1024", |count| server::echo(1024, count)),
    ("echo_16_in_16", |count| server::echo_in_window(16, count)),
    ("echo_binary_1024", |count| server::echo_binary(1024, count)),
    ("ack", server::ack),
    ("broadcast", server::broadcast),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, count] = arguments.as_slice() else {
        PATHS.iter().for_each(|(name, _)| println!("{name}"));
        return ExitCode::SUCCESS;
    };
    let path = PATHS.iter().find(|(known, _)| known == name);
    match (path, count.parse()) {
        (Some((_, run)), Ok(count)) => {
            run(count);
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("no path `{name}`, or `{count}` is no number");
            ExitCode::from(2)
        }
    }
}
