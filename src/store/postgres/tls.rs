//! How the server's certificate is judged.

use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::store::StoreError;
use crate::tls::{client_config, system_roots};

/// Whose certificates are accepted.
pub(super) enum Trust<'f> {
    /// Any: what `sslmode=require` and `prefer` mean.
    Anybody,
    /// Those of the system's authorities, for the host that was named.
    System,
    /// Those of the authorities in this file, for the host that was named.
    File(&'f Path),
}

/// The TLS configuration of all connections.
pub(super) fn tls_config(trust: &Trust<'_>) -> Result<ClientConfig, StoreError> {
    let roots = match trust {
        Trust::Anybody => None,
        Trust::System => Some(roots_of_system()?),
        Trust::File(path) => Some(roots_of(path)?),
    };
    client_config(roots).map_err(|error| StoreError::Internal(error.to_string()))
}

fn roots_of_system() -> Result<RootCertStore, StoreError> {
    let roots = system_roots();
    if roots.is_empty() {
        let reason = "sslmode asks to verify, but the system has no certificates; name some by DB_SSL_ROOT_CERT";
        return Err(StoreError::Unsupported(reason.to_owned()));
    }
    Ok(roots)
}

fn roots_of(path: &Path) -> Result<RootCertStore, StoreError> {
    let wrong = |reason: &dyn std::fmt::Display| {
        StoreError::Unsupported(format!("the certificates of DB_SSL_ROOT_CERT cannot be used: {reason}"))
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| wrong(&error))? {
        let certificate = certificate.map_err(|error| wrong(&error))?;
        roots.add(certificate).map_err(|error| wrong(&error))?;
    }
    if roots.is_empty() { Err(wrong(&"the file holds none")) } else { Ok(roots) }
}
