//! One HTTP client per worker.

use std::cell::RefCell;
use std::collections::HashMap;
use std::error::Error as _;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use awc::Connector;
use awc::error::{ConnectError, SendRequestError};
use awc::http::header::{HeaderMap, HeaderName, HeaderValue};
use awc::http::uri::{Authority, Scheme};
use awc::http::{StatusCode, Uri, Version};
use bytes::Bytes;
use rustls::ClientConfig;

use super::body::{Framing, UpstreamBody};
use super::connect::StrictConnector;
use super::retry_after::retry_after;
use crate::config::AddressRule;
use crate::settings::UpstreamSettings;

/// Longer than any connection lives; awc has no way to say "never".
const FOREVER: Duration = Duration::from_secs(365 * 86_400);

/// A pool of connections to providers, for one worker thread.
pub struct Client {
    tls: Arc<ClientConfig>,
    settings: UpstreamSettings,
    clients: RefCell<HashMap<Kind, awc::Client>>,
}

/// What awc knows per client only. There are as many as providers have different ones, usually one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Kind {
    encrypted: bool,
    connect_timeout: Option<Duration>,
}

/// A request to a provider.
#[derive(Debug)]
pub struct UpstreamRequest<'r> {
    /// Absolute address.
    pub url: &'r str,
    /// All headers but those of the connection and of framing.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The JSON body.
    pub body: Bytes,
    /// Longest time for TCP and TLS; `None` is no limit.
    pub connect_timeout: Option<Duration>,
}

/// What a provider answered, up to its body.
#[derive(Debug)]
pub struct UpstreamResponse {
    /// Status and headers.
    pub head: Head,
    /// The body, unread.
    pub body: UpstreamBody,
}

/// Status and headers of an answer.
#[derive(Debug)]
pub struct Head {
    /// The status code, 200 to 599.
    pub status: u16,
    headers: HeaderMap,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No connection: address, TCP or TLS.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// No connection in time.
    #[error("cannot connect in time")]
    ConnectTimeout,
    /// The connection broke before the answer's head.
    #[error("the connection broke before an answer came: {0}")]
    Broken(String),
    /// The answer's head is not HTTP as we can use it.
    #[error("the answer cannot be used: {0}")]
    Invalid(String),
}

impl Client {
    /// A client without connections.
    #[must_use]
    pub fn new(tls: Arc<ClientConfig>, settings: UpstreamSettings) -> Self {
        Self { tls, settings, clients: RefCell::new(HashMap::new()) }
    }

    /// Sends a request and waits for the head of the answer, however long that takes. Dropping
    /// the future closes the connection.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn send(&self, request: UpstreamRequest<'_>) -> Result<UpstreamResponse, SendError> {
        let (encrypted, uri) = address(request.url)?;
        let client = self.client(Kind { encrypted, connect_timeout: request.connect_timeout });
        let mut builder = client.post(uri).no_decompress();
        let headers = builder.headers_mut();
        for (name, value) in request.headers {
            headers.insert(name, value);
        }
        let response = builder.send_body(request.body).await.map_err(SendError::from)?;
        let status = response.status();
        if status < StatusCode::OK {
            // awc takes a 1xx for the answer itself; what follows cannot be told apart from it.
            return Err(SendError::Invalid(format!("status {}", status.as_u16())));
        }
        let framing = Framing::of(response.version() == Version::HTTP_10, response.headers());
        if framing == Framing::Unreadable && status != StatusCode::NO_CONTENT {
            return Err(SendError::Invalid("it has neither a length nor chunks".to_owned()));
        }
        let head = Head { status: status.as_u16(), headers: response.headers().clone() };
        Ok(UpstreamResponse { head, body: UpstreamBody::new(response, framing) })
    }

    fn client(&self, kind: Kind) -> awc::Client {
        let mut clients = self.clients.borrow_mut();
        clients.entry(kind).or_insert_with(|| self.build(kind)).clone()
    }

    fn build(&self, kind: Kind) -> awc::Client {
        let UpstreamSettings { idle, tcp_keepalive, allow_link_local, .. } = self.settings;
        let tls = kind.encrypted.then(|| Arc::clone(&self.tls));
        let connector = Connector::new()
            .connector(StrictConnector::new(tls, AddressRule::new(allow_link_local), tcp_keepalive))
            // awc's limit counts all hosts of a worker together: one slow provider would block
            // every other.
            .limit(0)
            .timeout(kind.connect_timeout.unwrap_or(FOREVER))
            .conn_keep_alive(idle)
            .conn_lifetime(FOREVER);
        awc::Client::builder().connector(connector).disable_redirects().disable_timeout().no_default_headers().finish()
    }
}

/// Whether TLS is wanted, and the address as awc gets it: to awc, which would add TLS above our
/// connections, they are all plain.
fn address(url: &str) -> Result<(bool, Uri), SendError> {
    let unusable = |error: &dyn std::error::Error| SendError::Connect(error.to_string());
    let uri = Uri::try_from(url).map_err(|error| unusable(&error))?;
    if uri.scheme() != Some(&Scheme::HTTPS) {
        return Ok((false, uri));
    }
    let mut parts = uri.into_parts();
    parts.scheme = Some(Scheme::HTTP);
    if let Some(authority) = parts.authority.take_if(|authority| authority.port().is_none()) {
        let authority = Authority::try_from(format!("{}:443", authority.host()));
        parts.authority = Some(authority.map_err(|error| unusable(&error))?);
    }
    Ok((true, Uri::from_parts(parts).map_err(|error| unusable(&error))?))
}

impl Head {
    /// A head for tests.
    #[cfg(test)]
    pub(crate) fn new(status: u16, headers: &[(&'static str, &str)]) -> Self {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        Self { status, headers: headers.iter().map(pair).collect() }
    }

    /// A header's value, when it is visible ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// How long the other side wants to be left alone.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        retry_after(self)
    }

    /// All headers whose names begin with one of `prefixes`.
    pub fn with_prefix<'h>(&'h self, prefixes: &'h [&str]) -> impl Iterator<Item = (&'h str, &'h str)> {
        let wanted = |name: &str| prefixes.iter().any(|prefix| name.starts_with(prefix));
        self.headers.iter().filter_map(move |(name, value)| {
            let name = name.as_str();
            wanted(name).then(|| value.to_str().ok()).flatten().map(|value| (name, value))
        })
    }
}

impl From<SendRequestError> for SendError {
    fn from(error: SendRequestError) -> Self {
        match error {
            SendRequestError::Connect(ConnectError::Timeout) => Self::ConnectTimeout,
            // awc's word for a connection that ended before the head of the answer.
            SendRequestError::Connect(ConnectError::Disconnected) => Self::Broken("it was closed".to_owned()),
            SendRequestError::Connect(ConnectError::Io(error)) if is_eof(&error) => {
                Self::Broken("it was closed".to_owned())
            }
            SendRequestError::Connect(error) => Self::Connect(error.to_string()),
            SendRequestError::Url(error) => Self::Connect(error.to_string()),
            // The reason is an I/O error where the connection broke before the head was whole.
            SendRequestError::Response(error) if error.source().is_some_and(|source| source.is::<io::Error>()) => {
                Self::Broken(error.to_string())
            }
            SendRequestError::Response(error) => Self::Invalid(error.to_string()),
            other => Self::Broken(other.to_string()),
        }
    }
}

fn is_eof(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encrypted_address_keeps_its_port() {
        for (url, encrypted, plain) in [
            ("http://h/v1/x?y=1", false, "http://h/v1/x?y=1"),
            ("https://h/v1/x?y=1", true, "http://h:443/v1/x?y=1"),
            ("HTTPS://h:8443/v1", true, "http://h:8443/v1"),
            ("https://[::1]/v1", true, "http://[::1]:443/v1"),
        ] {
            assert_eq!(address(url).unwrap(), (encrypted, plain.parse().unwrap()), "{url}");
        }
        assert!(address("http:///v1").is_err());
    }
}
