//! WebTransport beside HTTP, with a certificate of its own that a page takes by its hash: P-256, valid for less than two weeks. W3C
//! WebTransport, "serverCertificateHashes".

use std::net::UdpSocket;

use patera::{Io, Result, Tls};
use rcgen::{CertificateParams, KeyPair};
use ring::digest::{SHA256, digest};
use time::{Duration, OffsetDateTime};

/// Listens on any port and says which, with the certificate's hash in hexadecimals.
pub(crate) fn listen(io: &Io) -> Result {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(["127.0.0.1".to_owned()])?;
    params.not_before = OffsetDateTime::now_utc() - Duration::days(1);
    params.not_after = OffsetDateTime::now_utc() + Duration::days(10);
    let certificate = params.self_signed(&key)?;
    let hash = digest(&SHA256, certificate.der());
    let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let tls = Tls::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes())?;
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    println!("webtransport on https://{} with {hash}", socket.local_addr()?);
    let io = io.clone();
    tokio::spawn(async move { io.serve_webtransport(socket, tls).await });
    Ok(())
}
