//! The certificates of `patera serve`, and how they are renewed: whoever does that need not tell, but can, by SIGHUP.

use std::path::Path;
use std::time::Duration;

use patera::{Tls, TlsError};
use tracing::{info, warn};

/// How often the files are read.
const PERIOD: Duration = Duration::from_secs(60);

/// TLS where both files are given.
///
/// # Errors
/// Why they cannot be used, and what to look at, for people.
pub(crate) fn of(chain: Option<&Path>, key: Option<&Path>) -> Result<Option<Tls>, String> {
    let (Some(chain), Some(key)) = (chain, key) else { return Ok(None) };
    Tls::from_pem_files(chain, key).map(Some).map_err(|error| explain(&error, chain, key))
}

fn explain(error: &TlsError, chain: &Path, key: &Path) -> String {
    let has = |file: &Path, words: &str| std::fs::read_to_string(file).is_ok_and(|text| text.contains(words));
    let (certificate, private) = (chain.display(), key.display());
    match error {
        TlsError::Chain(_) if has(chain, "PRIVATE KEY-----") => {
            format!("--tls-cert {certificate} has no certificate, but a key: that is for --tls-key")
        }
        TlsError::Chain(error) => format!("--tls-cert {certificate}: no certificate as PEM: {error}"),
        TlsError::Key(_) if has(key, "ENCRYPTED") => {
            format!("--tls-key {private} is encrypted: `openssl pkey -in {private}` writes it in plain")
        }
        TlsError::Key(_) if has(key, "CERTIFICATE-----") => {
            format!("--tls-key {private} has no key, but a certificate: that is for --tls-cert")
        }
        TlsError::Key(error) => format!("--tls-key {private}: no private key as PEM: {error}"),
        TlsError::Invalid(error) => format!("--tls-cert {certificate} and --tls-key {private} cannot be used: {error}"),
        other => other.to_string(),
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
