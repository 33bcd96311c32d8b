//! What is known of a request before its body is read.

use std::sync::Arc;

use crate::chat::{Failure, FailureKind, Operation, Protocol};
use crate::codec::{self, ClientCodec, Verbatim};
use crate::config::{Credential, Snapshot};
use crate::upstream::{HeaderName, HeaderValue};

/// A generation endpoint, whatever alias was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// The canonical path, as in logs and metrics.
    pub path: &'static str,
    /// The client's protocol.
    pub protocol: Protocol,
    /// What is asked for.
    pub operation: Operation,
}

/// The authenticated credential of a request, and the configuration that it saw first.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The one version that this request sees.
    pub snapshot: Arc<Snapshot>,
    /// `None`: anonymous.
    pub credential: Option<Arc<Credential>>,
}

/// A request without its body.
#[derive(Debug)]
pub struct Call {
    /// Where it came in.
    pub endpoint: Endpoint,
    /// Our id of it.
    pub request_id: String,
    /// Who asks.
    pub caller: Caller,
    /// Headers of the client that a provider of the same protocol gets.
    pub forwarded: Vec<(HeaderName, HeaderValue)>,
    /// The client's query string, where a provider of the same protocol gets it.
    pub query: Option<String>,
    /// Whether a request that would lose a field in translation is refused.
    pub strict: bool,
}

impl Endpoint {
    /// How requests are read and answers written for another protocol.
    ///
    /// # Errors
    /// `UnsupportedOperation` for operations that no other protocol has.
    pub(super) fn client(&self) -> Result<&'static dyn ClientCodec, Failure> {
        codec::client(self.protocol, self.operation).ok_or_else(|| {
            Failure::new(FailureKind::UnsupportedOperation, "no provider can answer this kind of request")
        })
    }

    /// How bytes are forwarded to a provider of the same protocol.
    pub(super) fn verbatim(&self) -> &'static dyn Verbatim {
        codec::verbatim(self.protocol, self.operation)
    }
}

impl Caller {
    /// The name for logs and metrics.
    #[must_use]
    pub fn name(&self) -> &str {
        self.credential.as_ref().map_or("anonymous", |credential| credential.record.name.as_str())
    }
}
