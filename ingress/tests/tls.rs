//! The encrypted listener. The keys under `data/` are for these tests only and worth nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::World;
use domain::Millis;
use ingress::{BadTls, Settings, Tls, Validity};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// A connection of a client that trusts this certificate and no other.
async fn connect(world: &World, trusted: &str) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(data(trusted)).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(world.public).await.unwrap();
    let name = ServerName::try_from("test.example").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

async fn ask(stream: &mut TlsStream<TcpStream>) -> String {
    let request = b"POST /v1/visitors HTTP/1.1\r\nhost: test.example\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut text = String::new();
    // A server need not say goodbye twice.
    let _ = stream.read_to_string(&mut text).await;
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_replaced_while_it_serves_and_cookies_are_secure() {
    let files = tempfile::tempdir().unwrap();
    let (chain, key) = (files.path().join("chain.pem"), files.path().join("key.pem"));
    let put = |name: &str| {
        std::fs::copy(data(&format!("{name}.crt")), &chain).unwrap();
        std::fs::copy(data(&format!("{name}.key")), &key).unwrap();
    };
    put("one");
    let tls = Arc::new(Tls::load(&chain, &key).unwrap());
    let world = World::secured(Settings::default(), Arc::clone(&tls)).await;

    let mut before = connect(&world, "one.crt").await.unwrap();
    assert!(connect(&world, "two.crt").await.is_err());
    put("two");
    tls.reload().unwrap();
    assert!(connect(&world, "one.crt").await.is_err());
    let mut after = connect(&world, "two.crt").await.unwrap();
    for stream in [&mut before, &mut after] {
        let answer = ask(stream).await;
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
        assert!(answer.contains("SameSite=Lax; Secure"), "{answer}");
    }

    std::fs::write(&chain, "nothing").unwrap();
    assert!(matches!(tls.reload(), Err(BadTls::File { .. })));
    std::fs::copy(data("one.crt"), &chain).unwrap();
    assert!(matches!(tls.reload(), Err(BadTls::Pair(_))), "a key of another certificate");
    assert!(connect(&world, "two.crt").await.is_ok(), "what was good stays in use");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_speak_tls_is_closed() {
    let tls = Arc::new(Tls::load(&data("one.crt"), &data("one.key")).unwrap());
    let world = World::secured(Settings::default(), tls).await;
    let mut plain = TcpStream::connect(world.public).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"));
    assert!(ask(&mut connect(&world, "one.crt").await.unwrap()).await.starts_with("HTTP/1.1 201"));
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let missing = Tls::load(Path::new("/nowhere/chain.pem"), &data("one.key")).err().unwrap();
    assert!(missing.to_string().contains("/nowhere/chain.pem") && missing.to_string().contains("certificate chain"));
    let no_key = Tls::load(&data("one.crt"), &data("one.crt")).err().unwrap();
    assert!(no_key.to_string().contains("the private key"), "{no_key}");
}

#[test]
fn the_time_in_which_a_certificate_is_good_is_known() {
    let read = |name: &str| Tls::load(&data(&format!("{name}.crt")), &data(&format!("{name}.key"))).unwrap().validity();
    let at = |text: &str| Millis::parse_rfc3339(text).unwrap();
    // It has expired: clients refuse it, and operators are told.
    let old = Validity { from: at("2020-01-01T00:00:00Z"), until: at("2020-02-01T00:00:00Z") };
    assert_eq!(read("old"), Some(old));
    assert_eq!(read("one").unwrap().until, at("2126-10-28T14:48:47Z"), "a year beyond 2050 is written in another way");
    // Of a chain the certificate that ends first counts.
    let files = tempfile::tempdir().unwrap();
    let chain = files.path().join("chain.pem");
    let text = |name: &str| std::fs::read_to_string(data(name)).unwrap();
    std::fs::write(&chain, text("one.crt") + &text("old.crt")).unwrap();
    let both = Tls::load(&chain, &data("one.key")).unwrap().validity().unwrap();
    assert_eq!((both.from, both.until), (read("one").unwrap().from, old.until));
}
