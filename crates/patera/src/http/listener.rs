//! Where connections come from: TCP, or TLS on it.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

#[cfg(feature = "tls")]
use crate::tls::Tls;

/// What [`Io::serve`](crate::Io::serve) listens on: a `TcpListener`, or one with TLS.
#[derive(Debug)]
pub struct Listener {
    pub(crate) tcp: TcpListener,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Tls>,
}

impl Listener {
    /// TLS on every connection.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub fn tls(tcp: TcpListener, tls: Tls) -> Self {
        Listener { tcp, tls: Some(tls) }
    }

    /// The address that is listened on.
    ///
    /// # Errors
    /// Those of the system.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

impl From<TcpListener> for Listener {
    fn from(tcp: TcpListener) -> Self {
        Listener {
            tcp,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}
