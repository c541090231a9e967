//! The system calls, each a safe function over descriptors.

use std::{io, os::fd::RawFd};

/// An `epoll` of level-triggered descriptors.
pub(crate) struct Epoll {
    descriptor: RawFd,
    events: Vec<libc::epoll_event>,
}

impl Epoll {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no memory is passed.
        let descriptor = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        Ok(Self { descriptor, events: vec![libc::epoll_event { events: 0, u64: 0 }; 1024] })
    }

    pub(crate) fn add(&self, descriptor: RawFd) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, descriptor, libc::EPOLLIN)
    }

    /// Whether to wake up when the descriptor can be written, too.
    pub(crate) fn watch_writable(&self, descriptor: RawFd, writable: bool) -> io::Result<()> {
        let out = if writable { libc::EPOLLOUT } else { 0 };
        self.control(libc::EPOLL_CTL_MOD, descriptor, libc::EPOLLIN | out)
    }

    fn control(&self, operation: i32, descriptor: RawFd, events: i32) -> io::Result<()> {
        let mut event = libc::epoll_event { events: events as u32, u64: descriptor as u64 };
        // SAFETY: `event` outlives the call, which copies it.
        check(unsafe { libc::epoll_ctl(self.descriptor, operation, descriptor, &mut event) }).map(drop)
    }

    /// Waits; returns how many [`event`](Self::event)s there are.
    pub(crate) fn wait(&mut self) -> io::Result<usize> {
        loop {
            let max = self.events.len() as i32;
            // SAFETY: the kernel writes at most `max` events, for which there is room.
            match check(unsafe { libc::epoll_wait(self.descriptor, self.events.as_mut_ptr(), max, -1) }) {
                Ok(count) => return Ok(count as usize),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The descriptor of an event, and whether it can be written.
    pub(crate) fn event(&self, index: usize) -> (RawFd, bool) {
        let event = self.events[index];
        (event.u64 as RawFd, event.events & libc::EPOLLOUT as u32 != 0)
    }
}

pub(crate) fn listen(descriptor: RawFd, backlog: i32) -> io::Result<()> {
    // SAFETY: no memory is passed.
    check(unsafe { libc::listen(descriptor, backlog) }).map(drop)
}

/// The next connection, not blocking and without Nagle's delay.
pub(crate) fn accept(listener: RawFd) -> io::Result<RawFd> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: null pointers say that the address is not wanted.
    let descriptor = check(unsafe { libc::accept4(listener, std::ptr::null_mut(), std::ptr::null_mut(), flags) })?;
    let on: i32 = 1;
    let size = size_of::<i32>() as libc::socklen_t;
    // SAFETY: the pointer is to `size` bytes that outlive the call.
    check(unsafe { libc::setsockopt(descriptor, libc::IPPROTO_TCP, libc::TCP_NODELAY, (&raw const on).cast(), size) })?;
    Ok(descriptor)
}

/// Reads; `None` when there is nothing now, 0 at the end.
pub(crate) fn read(descriptor: RawFd, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    // SAFETY: the kernel writes at most `buffer.len()` bytes into `buffer`.
    would_block(unsafe { libc::read(descriptor, buffer.as_mut_ptr().cast(), buffer.len()) })
}

/// Writes; `None` when the peer takes nothing now.
pub(crate) fn write(descriptor: RawFd, bytes: &[u8]) -> io::Result<Option<usize>> {
    // SAFETY: the kernel reads `bytes.len()` bytes of `bytes`. MSG_NOSIGNAL: a peer that left is an error, not a signal.
    would_block(unsafe { libc::send(descriptor, bytes.as_ptr().cast(), bytes.len(), libc::MSG_NOSIGNAL) })
}

pub(crate) fn close(descriptor: RawFd) {
    // SAFETY: the server owns its descriptors and forgets this one.
    unsafe { libc::close(descriptor) };
}

/// As many open descriptors as the machine allows.
pub(crate) fn raise_descriptor_limit() -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes one `rlimit`.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) })?;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the kernel reads one `rlimit`.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }).map(drop)
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn would_block(result: isize) -> io::Result<Option<usize>> {
    if result >= 0 {
        return Ok(Some(result as usize));
    }
    match io::Error::last_os_error() {
        error if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        error => Err(error),
    }
}
