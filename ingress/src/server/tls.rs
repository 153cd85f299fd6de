//! The encrypted listener, with certificates that can be replaced while it serves.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use domain::Millis;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};
use tokio_rustls::server::TlsStream;
use x509_cert::Certificate;
use x509_cert::der::{self, Decode as _};
use x509_cert::time::Time;

/// A certificate chain and its key, read from two PEM files.
pub struct Tls {
    chain: PathBuf,
    key: PathBuf,
    read: ArcSwap<Read>,
}

/// What was in them.
struct Read {
    config: Arc<ServerConfig>,
    valid: Option<Validity>,
}

/// Between which times a whole chain is good: clients refuse it as soon as one of its certificates is not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Validity {
    /// From then on.
    pub from: Millis,
    /// Until then.
    pub until: Millis,
}

/// Certificates that cannot be used. Nothing changed: the ones before stay in use.
#[derive(Debug, thiserror::Error)]
pub enum BadTls {
    /// A file cannot be read, or holds something else.
    #[error("{file}: {why}: give a PEM file with {wanted}")]
    File {
        /// Which one.
        file: PathBuf,
        /// What belongs there.
        wanted: &'static str,
        /// What is wrong.
        why: String,
    },
    /// The files do not belong together, or rustls does not take them.
    #[error("certificate and key cannot be used together")]
    Pair(#[source] rustls::Error),
}

impl Tls {
    /// Reads both files.
    ///
    /// # Errors
    /// [`BadTls`] says which file, and what belongs there.
    pub fn load(chain: &Path, key: &Path) -> Result<Self, BadTls> {
        let read = ArcSwap::from_pointee(read(chain, key)?);
        Ok(Self { chain: chain.to_owned(), key: key.to_owned(), read })
    }

    /// Reads both files again; connections made from now on get what is in them.
    ///
    /// # Errors
    /// [`BadTls`]; the certificates before stay in use.
    pub fn reload(&self) -> Result<(), BadTls> {
        self.read.store(Arc::new(read(&self.chain, &self.key)?));
        Ok(())
    }

    /// Between which times the chain in use is good; `None`: it is written in a way that cannot be read here.
    #[must_use]
    pub fn validity(&self) -> Option<Validity> {
        self.read.load().valid
    }

    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = Arc::clone(&self.read.load().config);
        TlsAcceptor::from(config).accept(stream).await
    }
}

fn read(chain: &Path, key: &Path) -> Result<Read, BadTls> {
    let wanted = "the certificate chain, the server's own first";
    let bad_chain = |why: String| BadTls::File { file: chain.to_owned(), wanted, why };
    let certificates = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|why| bad_chain(why.to_string()))?;
    if certificates.is_empty() {
        return Err(bad_chain("no certificate in it".to_owned()));
    }
    // Whether clients take it is theirs to say: what is odd in it keeps nobody out here.
    let valid = validity(&certificates).ok();
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|why| BadTls::File {
        file: key.to_owned(),
        wanted: "the private key",
        why: why.to_string(),
    })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, secret))
        .map_err(BadTls::Pair)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Read { config: Arc::new(config), valid })
}

/// The time in which all of them are good.
fn validity(chain: &[CertificateDer<'_>]) -> der::Result<Validity> {
    let millis = |time: Time| Millis(u64::try_from(time.to_unix_duration().as_millis()).unwrap_or(u64::MAX));
    let mut all = Validity { from: Millis(0), until: Millis(u64::MAX) };
    for certificate in chain {
        let own = *Certificate::from_der(certificate)?.tbs_certificate().validity();
        all.from = all.from.max(millis(own.not_before));
        all.until = all.until.min(millis(own.not_after));
    }
    Ok(all)
}
