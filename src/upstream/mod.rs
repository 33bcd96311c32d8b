//! Talking to a provider: connections, addresses, authentication. The only user of awc.

mod body;
mod client;
mod connect;
mod endpoint;
mod mask;
mod retry_after;
mod strict;
mod tls;

pub use body::{BodyError, UpstreamBody};
pub use client::{Client, Head, SendError, UpstreamRequest, UpstreamResponse};
pub use connect::time_connect;
pub use endpoint::{endpoint_url, headers, trace_headers};
pub use mask::mask;
pub use tls::tls_config;

pub use awc::http::header::{HeaderName, HeaderValue};
