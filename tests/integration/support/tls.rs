//! TLS in front of a provider.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::Upstream;

/// A certificate that signed itself, and its key: both for these tests alone.
const IDENTITY: &[u8] = include_bytes!("provider.pem");

/// The `api_base` of the same provider behind TLS. Its certificate is nobody's; when the provider
/// closes a connection, TLS says goodbye as it should.
pub fn behind_tls(upstream: &Upstream) -> String {
    let target = upstream.address();
    let (sender, bound) = channel();
    // Ends with the process, as the provider does.
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            sender.send(listener.local_addr().unwrap()).unwrap();
            let acceptor = acceptor();
            loop {
                let (outside, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // Errors are hang-ups, of which the provider learns when its connection is dropped.
                    let Ok(mut outside) = acceptor.accept(outside).await else {
                        return;
                    };
                    let mut inside = TcpStream::connect(target).await.unwrap();
                    inside.set_nodelay(true).unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
                });
            }
        });
    });
    format!("https://{}/v1", bound.recv().unwrap())
}

fn acceptor() -> TlsAcceptor {
    let chain = vec![CertificateDer::from_pem_slice(IDENTITY).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(IDENTITY).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    TlsAcceptor::from(Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap()))
}
