//! How provider certificates are judged.

use std::sync::Arc;

use rustls::{ClientConfig, Error, RootCertStore};

use crate::tls::{client_config, system_roots};

/// One TLS configuration for all workers. Trusts the system's certificates, and Mozilla's where
/// the system has none, as in a minimal image. Offers HTTP/1.1 only: measured against HTTP/2 it
/// costs nothing with a pooled connection for each running request.
///
/// # Errors
/// When the TLS library refuses its own defaults; a bug, told at start.
pub fn tls_config(verify: bool) -> Result<Arc<ClientConfig>, Error> {
    let mut config = client_config(verify.then(roots))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn roots() -> RootCertStore {
    let mut roots = system_roots();
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}
