//! TLS for [`Io::listen_tls`](crate::Io::listen_tls) and its kin: certificates that are renewed while the server runs. RFC 8446 and
//! RFC 5246 by rustls with ring.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// How the server proves who it is. Cheap to clone; clones share their certificates, so that one can renew what another serves with.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ArcSwap<ServerConfig>>,
    files: Option<Arc<Files>>,
}

struct Files {
    chain: PathBuf,
    key: PathBuf,
    /// What was in them when they were last read.
    contents: ArcSwap<(Vec<u8>, Vec<u8>)>,
}

/// Why certificates cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum TlsError {
    /// The file cannot be read.
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The chain is no PEM, or has no certificate in it.
    Chain(pem::Error),
    /// The private key is no PEM, or there is none in it. PKCS #8, PKCS #1 and SEC 1 are known.
    Key(pem::Error),
    /// Certificate and key are of no use, or do not belong together.
    Invalid(rustls::Error),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsError::Read { path, source } => write!(f, "cannot read {}: {source}", path.display()),
            TlsError::Chain(error) => write!(f, "no certificate in the PEM of the chain: {error}"),
            TlsError::Key(error) => write!(f, "no private key in the PEM of the key: {error}"),
            TlsError::Invalid(error) => write!(f, "certificate and key cannot be used: {error}"),
        }
    }
}

impl std::error::Error for TlsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            TlsError::Read { source, .. } => Some(source),
            TlsError::Chain(error) | TlsError::Key(error) => Some(error),
            TlsError::Invalid(error) => Some(error),
        }
    }
}

impl Tls {
    /// By a chain of certificates, the server's own first, and its private key, both as PEM in files: what ACME clients leave behind.
    /// [`reload`](Self::reload) reads them again.
    ///
    /// # Errors
    /// [`TlsError`]
    pub fn from_pem_files(chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Result<Self, TlsError> {
        let (chain, key) = (chain.into(), key.into());
        let contents = (read(&chain)?, read(&key)?);
        let config = config(&contents.0, &contents.1)?;
        let files = Files { chain, key, contents: ArcSwap::from_pointee(contents) };
        Ok(Tls { files: Some(Arc::new(files)), ..Tls::custom(config) })
    }

    /// By a chain of certificates, the server's own first, and its private key, both as PEM.
    ///
    /// # Errors
    /// [`TlsError`]
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        config(chain, key).map(Tls::custom)
    }

    /// As this configuration says: client certificates, several names. Its protocol list (ALPN) must be empty or have `http/1.1`.
    pub fn custom(config: impl Into<Arc<ServerConfig>>) -> Self {
        Tls { config: Arc::new(ArcSwap::new(config.into())), files: None }
    }

    /// Serves new connections as this configuration says; those that are open stay as they are.
    pub fn replace(&self, config: impl Into<Arc<ServerConfig>>) {
        self.config.store(config.into());
    }

    /// Reads the files of [`from_pem_files`](Self::from_pem_files) again, for new connections. False if there are none, or nothing
    /// in them has changed. It blocks for as long as that takes.
    ///
    /// # Errors
    /// [`TlsError`]: everything stays as it was, and the next call tries again.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let Some(files) = &self.files else { return Ok(false) };
        let contents = (read(&files.chain)?, read(&files.key)?);
        if contents == **files.contents.load() {
            return Ok(false);
        }
        self.replace(config(&contents.0, &contents.1)?);
        files.contents.store(Arc::new(contents));
        Ok(true)
    }

    /// What new connections are served with; the same allocation for as long as it stays.
    #[cfg(feature = "webtransport")]
    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }

    pub(crate) fn acceptor(&self) -> tokio_rustls::TlsAcceptor {
        self.config.load_full().into()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = self.files.as_ref().map(|files| (&files.chain, &files.key));
        f.debug_struct("Tls").field("files", &files).finish_non_exhaustive()
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

fn config(chain: &[u8], key: &[u8]) -> Result<ServerConfig, TlsError> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(chain).collect::<Result<_, _>>().map_err(TlsError::Chain)?;
    if chain.is_empty() {
        return Err(TlsError::Chain(pem::Error::NoItemsFound));
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(TlsError::Key)?;
    // By name: another crate in the program may have chosen another one for all.
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let mut config = builder
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(TlsError::Invalid)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
