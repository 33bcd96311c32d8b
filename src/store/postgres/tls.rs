//! How the server's certificate is judged.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::store::StoreError;

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
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let builder =
        builder.with_safe_default_protocol_versions().map_err(|error| StoreError::Internal(error.to_string()))?;
    let roots = match trust {
        Trust::Anybody => {
            let verifier = Arc::new(AcceptAny(provider));
            return Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth());
        }
        Trust::System => system_roots()?,
        Trust::File(path) => roots_of(path)?,
    };
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn system_roots() -> Result<RootCertStore, StoreError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
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

/// Accepts every certificate. Signatures are still checked.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
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
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
