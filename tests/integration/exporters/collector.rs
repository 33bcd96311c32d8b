//! A stand-in for an OpenTelemetry collector that keeps what it is sent.

use std::collections::BTreeMap;

use super::langfuse::answer;
use super::shapes::{AnyValue, ExportTraces, KeyValue, Span};
use crate::support::{Act, Received, TestProxy, Upstream};

/// A service that takes spans.
pub struct Collector {
    upstream: Upstream,
}

impl Collector {
    /// One that takes everything.
    pub fn new() -> Self {
        Self::acting(|_| vec![taken()])
    }

    /// One that acts on a batch as a test says.
    pub fn acting(script: impl Fn(&Received) -> Vec<Act> + Send + Sync + 'static) -> Self {
        Self { upstream: Upstream::new(script) }
    }

    /// A server that exports here, made by `start` with the environment for it and `more`.
    pub fn before(&self, more: &[(&str, &str)], start: impl FnOnce(&[(&str, &str)]) -> TestProxy) -> TestProxy {
        let endpoint = format!("http://{}", self.upstream.address());
        let own = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=hunter2"),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ];
        start(&own.iter().chain(more).copied().collect::<Vec<_>>())
    }

    /// The next batch.
    pub fn batch(&self) -> Received {
        self.upstream.request()
    }

    /// All spans that have come and were not asked for yet.
    #[track_caller]
    pub fn spans(&self) -> Vec<Span> {
        self.upstream.all_waiting().flat_map(|batch| spans(&batch)).collect()
    }
}

/// The spans of a batch, whose form and address must be right.
#[track_caller]
pub fn spans(batch: &Received) -> Vec<Span> {
    assert_eq!(batch.target(), "POST /v1/traces");
    assert_eq!(batch.header("content-type"), Some("application/json"));
    assert_eq!(batch.header("x-key"), Some("hunter2"));
    let [resource] =
        <[_; 1]>::try_from(serde_json::from_slice::<ExportTraces>(&batch.body).unwrap().resource_spans).ok().unwrap();
    let told = attributes(&resource.resource.attributes);
    assert_eq!(told["service.name"], "llm-proxy");
    assert!(told.contains_key("service.version") && told.contains_key("service.instance.id"), "{told:?}");
    let [scope] = <[_; 1]>::try_from(resource.scope_spans).ok().unwrap();
    for span in &scope.spans {
        let is_id = |id: &str, length| id.len() == length && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        assert!(is_id(&span.trace_id, 32) && is_id(&span.span_id, 16), "{span:?}");
        assert!(span.parent_span_id.is_empty() || is_id(&span.parent_span_id, 16), "{span:?}");
        let time = |text: &str| text.parse::<u64>().unwrap();
        assert!(time(&span.start_time_unix_nano) <= time(&span.end_time_unix_nano), "{span:?}");
    }
    scope.spans
}

/// Attributes by name, as texts.
pub fn attributes(all: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &AnyValue| match value {
        AnyValue::Text(text) | AnyValue::Whole(text) => text.clone(),
        AnyValue::Flag(flag) => flag.to_string(),
        AnyValue::Number(number) => number.to_string(),
    };
    all.iter().map(|KeyValue { key, value }| (key.clone(), text(value))).collect()
}

/// The answer of a collector that takes a batch.
pub fn taken() -> Act {
    answer(200, "content-type: application/json\r\n", r#"{"partialSuccess":{}}"#)
}
