//! What is measured where the client's protocol meets the provider's.

use prometheus::{HistogramVec, IntCounterVec};

use super::declare::Declare;

/// Buckets of our own share, in seconds.
const OVERHEAD: [f64; 14] =
    [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0];

/// The metric families of protocols.
#[derive(Debug, Clone)]
pub struct ProtocolMetrics {
    /// Requests that went to a provider of the client's protocol.
    pub bypass_requests: IntCounterVec,
    /// Bytes of their streams.
    pub bypass_streaming_bytes: IntCounterVec,
    /// Requests that were translated.
    pub cross_protocol_requests: IntCounterVec,
    /// Time that was not spent waiting for the provider or the client.
    pub gateway_overhead: HistogramVec,
    /// Fields of requests that a provider's protocol could not take.
    pub dropped_fields: IntCounterVec,
}

impl ProtocolMetrics {
    pub(super) fn new(declare: &Declare<'_>) -> Result<Self, prometheus::Error> {
        let overhead = "Time of a request that was not spent waiting for the provider or the client";
        Ok(Self {
            bypass_requests: declare.counter(
                "bypass_requests_total",
                "Requests that went to a provider of the client's protocol",
                &["model", "provider", "endpoint"],
            )?,
            bypass_streaming_bytes: declare.counter(
                "bypass_streaming_bytes_total",
                "Bytes of streams that were forwarded within one protocol",
                &["model", "provider"],
            )?,
            cross_protocol_requests: declare.counter(
                "cross_protocol_requests_total",
                "Requests that were translated",
                &["client_protocol", "provider_protocol", "provider"],
            )?,
            gateway_overhead: declare.histogram(
                "gateway_overhead_seconds",
                overhead,
                &OVERHEAD,
                &["endpoint", "client_protocol", "provider_protocol"],
            )?,
            dropped_fields: declare.counter(
                "dropped_fields_total",
                "Fields that a translation had to leave out",
                &["client_protocol", "provider_protocol", "field"],
            )?,
        })
    }
}
