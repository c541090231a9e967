//! The lower bound: one thread, one `epoll`, and the bytes that the scenarios need, with no protocol library.
//!
//! A wake-up is one read and one write. A broadcast is one write for every receiver, made as soon as it is read.
//! It believes its clients: events are told apart by one byte, JSON is copied, nothing is checked or limited, no heartbeat
//! is sent. What a real server costs beyond this, it spends on its protocol.
//!
//! | file | what |
//! |---|---|
//! | `server` | the loop, the connections, rooms, what each event does |
//! | `frame` | WebSocket frames: found, unmasked, written |
//! | `packet` | which event a text is, and the bytes that answer it |
//! | `upgrade` | the HTTP answer and the two packets that open a session |
//! | `system` | the system calls |

mod frame;
mod packet;
mod server;
mod system;
mod upgrade;

use std::{io, net::TcpListener, os::fd::AsRawFd};

use crate::server::Server;

fn main() -> io::Result<()> {
    system::raise_descriptor_limit()?;
    let port = std::env::var("PORT").ok().and_then(|text| text.parse().ok()).unwrap_or(3000u16);
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    listener.set_nonblocking(true)?;
    system::listen(listener.as_raw_fd(), 4096)?;
    println!("listening on http://{}", listener.local_addr()?);
    Server::new(listener.as_raw_fd())?.run()
}
