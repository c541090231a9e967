//! Whom to trust: what a server must show over `https` and `wss`. RFC 8446 by rustls with ring.

use std::fmt;

/// How servers prove who they are.
#[derive(Clone, Default)]
pub struct Tls(Trust);

#[derive(Clone, Default)]
enum Trust {
    /// The roots of the Mozilla program.
    #[default]
    WebPki,
    #[cfg(feature = "tls")]
    Custom(std::sync::Arc<rustls::ClientConfig>),
    #[cfg(feature = "tls")]
    Anyone,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Trust::WebPki => "WebPki",
            #[cfg(feature = "tls")]
            Trust::Custom(_) => "Custom",
            #[cfg(feature = "tls")]
            Trust::Anyone => "Anyone",
        })
    }
}

#[cfg(feature = "tls")]
pub(crate) use with_rustls::connect;

#[cfg(feature = "tls")]
mod with_rustls {
    use std::io;
    use std::sync::Arc;

    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
    use tokio_rustls::TlsConnector;

    use super::{Tls, Trust};
    use crate::error::TransportError;
    use crate::net::Stream;

    impl Tls {
        /// As this configuration says: other roots, a certificate of the client's own. The protocol list (ALPN) must be empty or have
        /// `http/1.1`.
        #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
        pub fn custom(config: impl Into<Arc<ClientConfig>>) -> Self {
            Tls(Trust::Custom(config.into()))
        }

        /// Whoever answers is believed, whatever its certificate says: for tests. Whoever is on the way can read and change all.
        #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
        pub fn danger_accept_invalid_certs() -> Self {
            Tls(Trust::Anyone)
        }

        /// The configuration, made once for each manager.
        pub(crate) fn connector(&self) -> TlsConnector {
            let config = match &self.0 {
                Trust::Custom(config) => config.clone(),
                Trust::WebPki => {
                    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
                    Arc::new(builder().with_root_certificates(roots).with_no_client_auth())
                }
                Trust::Anyone => {
                    let verifier = Arc::new(Credulous(ring::default_provider()));
                    let builder = builder().dangerous().with_custom_certificate_verifier(verifier);
                    Arc::new(builder.with_no_client_auth())
                }
            };
            TlsConnector::from(config)
        }
    }

    fn builder() -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
        ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring speaks the default versions")
    }

    /// Does the handshake for a host.
    pub(crate) async fn connect(
        connector: TlsConnector,
        host: String,
        stream: Stream,
    ) -> Result<Stream, TransportError> {
        let invalid = |error| TransportError::Tls(io::Error::new(io::ErrorKind::InvalidInput, error));
        let name = ServerName::try_from(host).map_err(invalid)?;
        Ok(Box::new(connector.connect(name, stream).await.map_err(TransportError::Tls)?))
    }

    /// Believes any certificate, but still that who shows it has its key.
    #[derive(Debug)]
    struct Credulous(CryptoProvider);

    impl ServerCertVerifier for Credulous {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.0.signature_verification_algorithms.supported_schemes()
        }
    }
}
