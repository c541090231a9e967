//! The loop, the connections, and what each event does.

use std::{collections::HashMap, io, os::fd::RawFd};

use crate::{
    frame::{self, BINARY, CLOSE, Frame, PING, PONG, TEXT},
    packet::{self, Packet},
    system::{self, Epoll},
    upgrade,
};

const READ_BYTES: usize = 256 * 1024;

#[derive(Clone, Copy, Default, PartialEq)]
enum State {
    #[default]
    Free,
    /// The request's head is being read.
    Http,
    /// Frames, before CONNECT.
    Open,
    /// A member of the namespace, at this place in `Server::members`.
    Member(u32),
}

/// One connection. The vectors own no memory unless a frame or a write was cut in two.
#[derive(Default)]
struct Connection {
    state: State,
    /// Bytes read that are no whole frame yet.
    input: Vec<u8>,
    /// Bytes that the kernel did not take yet.
    output: Vec<u8>,
    /// Indices into `Server::rooms`.
    rooms: Vec<u32>,
}

pub(crate) struct Server {
    listener: RawFd,
    epoll: Epoll,
    /// By descriptor.
    connections: Vec<Connection>,
    members: Vec<RawFd>,
    rooms: Vec<Vec<RawFd>>,
    room_names: HashMap<Box<[u8]>, u32>,
    /// Ids given so far.
    sids: u64,
    /// What the connection at hand is answered with, written at the end of its wake-up.
    answer: Vec<u8>,
    /// A broadcast's bytes.
    broadcast: Vec<u8>,
}

impl Server {
    pub(crate) fn new(listener: RawFd) -> io::Result<Self> {
        let epoll = Epoll::new()?;
        epoll.add(listener)?;
        Ok(Self {
            listener,
            epoll,
            connections: Vec::new(),
            members: Vec::new(),
            rooms: Vec::new(),
            room_names: HashMap::new(),
            sids: 0,
            answer: Vec::new(),
            broadcast: Vec::new(),
        })
    }

    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            for index in 0..self.epoll.wait()? {
                let (descriptor, writable) = self.epoll.event(index);
                if descriptor == self.listener {
                    self.accept();
                    continue;
                }
                if writable {
                    self.flush(descriptor);
                }
                self.read(descriptor, &mut buffer);
            }
        }
    }

    /// Out of descriptors or of connections, it stops until the next wake-up.
    fn accept(&mut self) {
        while let Ok(descriptor) = system::accept(self.listener) {
            if self.epoll.add(descriptor).is_err() {
                system::close(descriptor);
                continue;
            }
            let index = descriptor as usize;
            if index >= self.connections.len() {
                self.connections.resize_with(index + 1, Connection::default);
            }
            self.connections[index].state = State::Http;
        }
    }

    fn read(&mut self, descriptor: RawFd, buffer: &mut [u8]) {
        match system::read(descriptor, buffer) {
            Ok(None) => {}
            Ok(Some(0)) | Err(_) => self.close(descriptor),
            Ok(Some(count)) => {
                let mut kept = std::mem::take(&mut self.connections[descriptor as usize].input);
                let goes_on = if kept.is_empty() {
                    self.handle_bytes(descriptor, &mut buffer[..count])
                } else {
                    kept.extend_from_slice(&buffer[..count]);
                    self.handle_bytes(descriptor, &mut kept)
                };
                self.write_answer(descriptor);
                if !goes_on {
                    self.close(descriptor);
                }
            }
        }
    }

    /// Handles what is whole and keeps the rest; false when the connection ends.
    fn handle_bytes(&mut self, descriptor: RawFd, bytes: &mut [u8]) -> bool {
        let mut at = 0;
        if self.connections[descriptor as usize].state == State::Http {
            let Some(end) = upgrade::head_end(bytes) else {
                self.connections[descriptor as usize].input = bytes.to_vec();
                return true;
            };
            self.sids += 1;
            if !upgrade::write_answer(&bytes[..end], self.sids, &mut self.answer) {
                self.answer
                    .extend_from_slice(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
                return false;
            }
            self.connections[descriptor as usize].state = State::Open;
            at = end;
        }
        while let Some(frame) = Frame::find(bytes, at) {
            let mut attachment = None;
            if frame.opcode == TEXT && packet::is_binary(frame.peek(bytes, 0), frame.peek(bytes, 1)) {
                attachment = Frame::find(bytes, frame.payload.end);
                if attachment.is_none() {
                    break;
                }
            }
            let end = attachment.as_ref().map_or(frame.payload.end, |attachment| attachment.payload.end);
            frame.unmask(bytes);
            if let Some(attachment) = &attachment {
                attachment.unmask(bytes);
            }
            let attachment = attachment.map(|attachment| &bytes[attachment.payload]);
            if !self.handle_message(descriptor, frame.opcode, &bytes[frame.payload], attachment) {
                return false;
            }
            at = end;
        }
        if at < bytes.len() {
            self.connections[descriptor as usize].input = bytes[at..].to_vec();
        }
        true
    }

    /// One frame, or one and its attachment; false when the connection ends.
    fn handle_message(&mut self, from: RawFd, opcode: u8, payload: &[u8], attachment: Option<&[u8]>) -> bool {
        match opcode {
            TEXT => {}
            PING => {
                frame::write(PONG, &[payload], &mut self.answer);
                return true;
            }
            CLOSE => {
                frame::write(CLOSE, &[payload], &mut self.answer);
                return false;
            }
            _ => return true,
        }
        match Packet::parse(payload) {
            Packet::Echo => {
                frame::write(TEXT, &[payload], &mut self.answer);
                write_attachment(attachment, &mut self.answer);
            }
            Packet::Ack { id, arguments } => {
                packet::write_ack(id, arguments, attachment.is_some(), &mut self.answer);
                write_attachment(attachment, &mut self.answer);
            }
            Packet::Publish => {
                self.broadcast.clear();
                frame::write(TEXT, &[payload], &mut self.broadcast);
                write_attachment(attachment, &mut self.broadcast);
                self.write_answer(from);
                let members = std::mem::take(&mut self.members);
                self.write_broadcast(&members);
                self.members = members;
            }
            Packet::Room { room, arguments } => {
                if let Some(&index) = self.room_names.get(room) {
                    self.broadcast.clear();
                    packet::write_room_event(arguments, attachment.is_some(), &mut self.broadcast);
                    write_attachment(attachment, &mut self.broadcast);
                    self.write_answer(from);
                    let members = std::mem::take(&mut self.rooms[index as usize]);
                    self.write_broadcast(&members);
                    self.rooms[index as usize] = members;
                }
            }
            Packet::Join { room, id } => {
                self.join(from, room);
                if !id.is_empty() {
                    packet::write_ack(id, b"]", false, &mut self.answer);
                }
            }
            Packet::Connect => self.connect(from),
            Packet::Close => return false,
            Packet::Other => {}
        }
        true
    }

    fn connect(&mut self, descriptor: RawFd) {
        let connection = &mut self.connections[descriptor as usize];
        if connection.state == State::Open {
            connection.state = State::Member(self.members.len() as u32);
            self.members.push(descriptor);
            self.sids += 1;
            upgrade::write_connected(self.sids, &mut self.answer);
        }
    }

    fn join(&mut self, descriptor: RawFd, name: &[u8]) {
        let index = match self.room_names.get(name) {
            Some(&index) => index,
            None => {
                let index = self.rooms.len() as u32;
                self.rooms.push(Vec::new());
                self.room_names.insert(name.into(), index);
                index
            }
        };
        let rooms = &mut self.connections[descriptor as usize].rooms;
        if !rooms.contains(&index) {
            rooms.push(index);
            self.rooms[index as usize].push(descriptor);
        }
    }

    fn close(&mut self, descriptor: RawFd) {
        let connection = std::mem::take(&mut self.connections[descriptor as usize]);
        if let State::Member(place) = connection.state {
            self.members.swap_remove(place as usize);
            if let Some(&moved) = self.members.get(place as usize) {
                self.connections[moved as usize].state = State::Member(place);
            }
        }
        for room in connection.rooms {
            self.rooms[room as usize].retain(|member| *member != descriptor);
        }
        if connection.state != State::Free {
            system::close(descriptor);
        }
    }

    fn write_answer(&mut self, descriptor: RawFd) {
        if !self.answer.is_empty() {
            let mut answer = std::mem::take(&mut self.answer);
            self.write(descriptor, &answer);
            answer.clear();
            self.answer = answer;
        }
    }

    fn write_broadcast(&mut self, to: &[RawFd]) {
        let broadcast = std::mem::take(&mut self.broadcast);
        for &member in to {
            self.write(member, &broadcast);
        }
        self.broadcast = broadcast;
    }

    /// Writes now, or keeps what the kernel does not take. A peer that left is closed when its end is read.
    fn write(&mut self, descriptor: RawFd, bytes: &[u8]) {
        let output = &mut self.connections[descriptor as usize].output;
        if !output.is_empty() {
            output.extend_from_slice(bytes);
            return;
        }
        match system::write(descriptor, bytes) {
            Ok(Some(count)) if count == bytes.len() => {}
            Ok(count) => {
                output.extend_from_slice(&bytes[count.unwrap_or(0)..]);
                // It fails only for a descriptor that is not watched, and all are.
                drop(self.epoll.watch_writable(descriptor, true));
            }
            Err(_) => {}
        }
    }

    fn flush(&mut self, descriptor: RawFd) {
        let output = &mut self.connections[descriptor as usize].output;
        match system::write(descriptor, output) {
            Ok(count) => drop(output.drain(..count.unwrap_or(0))),
            Err(_) => output.clear(),
        }
        if output.is_empty() {
            *output = Vec::new();
            drop(self.epoll.watch_writable(descriptor, false));
        }
    }
}

fn write_attachment(attachment: Option<&[u8]>, out: &mut Vec<u8>) {
    if let Some(attachment) = attachment {
        frame::write(BINARY, &[attachment], out);
    }
}
