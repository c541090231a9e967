//! The certificates of `patera serve`, and how they are renewed: whoever does that need not tell, but can, by SIGHUP.

use std::path::Path;
use std::time::Duration;

use patera::{Tls, TlsError};
use tracing::{info, warn};

/// How often the files are read.
const PERIOD: Duration = Duration::from_secs(60);

/// TLS where both files are given.
pub(crate) fn of(chain: Option<&Path>, key: Option<&Path>) -> Result<Option<Tls>, TlsError> {
    match (chain, key) {
        (Some(chain), Some(key)) => Tls::from_pem_files(chain, key).map(Some),
        _ => Ok(None),
    }
}

/// Reads the files again and again, until it is dropped. What cannot be used is told, and changes nothing.
pub(crate) async fn renew(tls: Tls) {
    let mut asked = asked();
    loop {
        let _ = tokio::time::timeout(PERIOD, asked.recv()).await;
        let files = tls.clone();
        match tokio::task::spawn_blocking(move || files.reload()).await {
            Ok(Ok(true)) => info!("certificate renewed"),
            Ok(Ok(false)) => {}
            Ok(Err(error)) => warn!(%error, "certificate not renewed"),
            Err(error) => warn!(%error, "certificate not read"),
        }
    }
}

/// Tells when somebody asks for a renewal.
#[cfg(unix)]
fn asked() -> Asked {
    use tokio::signal::unix::{SignalKind, signal};
    // Without the signal the period is left.
    Asked(signal(SignalKind::hangup()).ok())
}

#[cfg(not(unix))]
fn asked() -> Asked {
    Asked
}

#[cfg(unix)]
struct Asked(Option<tokio::signal::unix::Signal>);

#[cfg(not(unix))]
struct Asked;

impl Asked {
    #[cfg(unix)]
    async fn recv(&mut self) {
        let told = match &mut self.0 {
            Some(signal) => signal.recv().await,
            None => None,
        };
        if told.is_none() {
            std::future::pending().await
        }
    }

    #[cfg(not(unix))]
    async fn recv(&mut self) {
        std::future::pending().await
    }
}
