//! Spans for an OpenTelemetry collector (OTLP 1.x over HTTP, JSON encoding).

mod span;
#[cfg(test)]
mod tests;
mod value;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::sink::{Sink, Target};
use crate::actors::finished::Finished;
use crate::settings::{OtelSettings, Sampler};
use crate::telemetry::crate_version;
use crate::telemetry::trace::TraceContext;
use crate::upstream::{HeaderName, HeaderValue};

/// Far below what collectors take (20 MiB), for small collectors' sake.
const BATCH_BYTES: usize = 4 << 20;

/// A collector.
pub(super) struct Otel {
    target: Target,
    sampler: Sampler,
}

/// What a collector says of a batch that it took (`ExportTraceServiceResponse`).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    partial_success: Option<PartialSuccess>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PartialSuccess {
    /// An `int64`, which JSON of protobuf writes as text; a number is allowed, too.
    #[serde(default)]
    rejected_spans: Value,
}

// === impl Otel ===

impl Otel {
    pub(super) fn new(settings: &OtelSettings, replica_id: &str) -> Self {
        let agent = HeaderValue::from_static(concat!("llm-proxy/", env!("CARGO_PKG_VERSION")));
        let mut headers = vec![
            (HeaderName::from_static("user-agent"), agent),
            (HeaderName::from_static("content-type"), HeaderValue::from_static("application/json")),
        ];
        for (name, value) in &settings.headers {
            // Both were checked when they were read.
            if let (Ok(name), Ok(mut value)) =
                (HeaderName::try_from(name.as_str()), HeaderValue::from_str(value.expose()))
            {
                value.set_sensitive(true);
                headers.push((name, value));
            }
        }
        let target = Target {
            url: settings.endpoint.clone(),
            headers,
            frame: frame(settings, replica_id),
            queue: settings.max_queue,
            batch: settings.max_batch,
            batch_bytes: BATCH_BYTES,
            interval: settings.schedule_delay,
            timeout: settings.timeout,
            debug: false,
        };
        Self { target, sampler: settings.sampler }
    }

    /// The span of a request that begins, below that of its caller.
    pub(super) fn begin(&self, caller: Option<&TraceContext>) -> TraceContext {
        let Sampler { is_parent_based, ratio } = self.sampler;
        match caller {
            None => TraceContext::root(|trace| trace.fraction() < ratio),
            Some(caller) if is_parent_based => caller.child(),
            Some(caller) => caller.child().sampled(caller.trace_id.fraction() < ratio),
        }
    }
}

/// What stands around the spans of a batch: who sends them.
fn frame(settings: &OtelSettings, replica_id: &str) -> (Bytes, Bytes) {
    let own = [
        ("service.name", settings.service_name.as_str()),
        ("service.version", crate_version()),
        ("service.instance.id", replica_id),
    ];
    let is_told = |name: &str| settings.resource.iter().any(|(told, _)| told == name);
    let own = own.into_iter().filter(|(name, _)| !is_told(name));
    let told = settings.resource.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let attributes: Vec<Value> = own.chain(told).map(|(name, value)| value::attribute(name, value)).collect();
    let scope = serde_json::json!({"name": "llm-proxy", "version": crate_version()});
    let resource = serde_json::json!({"attributes": attributes});
    let before = format!(r#"{{"resourceSpans":[{{"resource":{resource},"scopeSpans":[{{"scope":{scope},"spans":["#);
    (Bytes::from(before), Bytes::from_static(b"]}]}]}"))
}

impl Sink for Otel {
    const NAME: &'static str = "otel";

    fn target(&self) -> &Target {
        &self.target
    }

    fn events(&self, finished: &Finished) -> usize {
        span::count(finished)
    }

    fn encode(&self, finished: &Finished) -> Vec<Bytes> {
        span::encode(finished)
    }

    fn refused(&self, answer: &[u8]) -> Option<(usize, String)> {
        let Answer { partial_success } = serde_json::from_slice(answer).ok()?;
        let rejected = match partial_success?.rejected_spans {
            Value::String(text) => text.parse().ok()?,
            Value::Number(number) => usize::try_from(number.as_u64()?).ok()?,
            _ => return None,
        };
        (rejected > 0).then(|| (rejected, "the collector rejected spans of a batch".to_owned()))
    }
}

#[cfg(test)]
mod target_tests {
    use std::time::Duration;

    use super::*;
    use crate::settings::SecretText;

    fn otel(is_parent_based: bool, ratio: f64) -> Otel {
        let settings = OtelSettings {
            endpoint: "http://h/v1/traces".to_owned(),
            headers: vec![("x-key".to_owned(), SecretText::new("hunter2".to_owned()))],
            service_name: "gate".to_owned(),
            resource: vec![("service.version".to_owned(), "9".to_owned())],
            sampler: Sampler { is_parent_based, ratio },
            schedule_delay: Duration::from_secs(1),
            max_queue: 10,
            max_batch: 5,
            timeout: Duration::from_secs(1),
        };
        Otel::new(&settings, "replica")
    }

    #[test]
    fn a_batch_says_who_sends_it() {
        let target = otel(true, 1.0).target;
        let batch = target.body([Bytes::from_static(b"1"), Bytes::from_static(b"2")].iter());
        let batch: Value = serde_json::from_slice(&batch).unwrap();
        let expected = serde_json::json!({"resourceSpans": [{
            "resource": {"attributes": [
                {"key": "service.name", "value": {"stringValue": "gate"}},
                {"key": "service.instance.id", "value": {"stringValue": "replica"}},
                {"key": "service.version", "value": {"stringValue": "9"}},
            ]},
            "scopeSpans": [{"scope": {"name": "llm-proxy", "version": crate_version()}, "spans": [1, 2]}],
        }]});
        assert_eq!(batch, expected);
        assert!(target.headers.iter().any(|(name, value)| name == "x-key" && value == "hunter2"));
        assert!(!format!("{target:?}").contains("hunter2"));
    }

    #[test]
    fn a_caller_decides_where_the_sampler_says_so() {
        let caller = |flags: &str| {
            let parent = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
            TraceContext::from_headers(&parent, "").unwrap()
        };
        for (is_parent_based, ratio, flags, is_sampled) in
            [(true, 0.0, "01", true), (true, 1.0, "00", false), (false, 0.0, "01", false), (false, 1.0, "00", true)]
        {
            let ours = otel(is_parent_based, ratio).begin(Some(&caller(flags)));
            assert_eq!(ours.is_sampled(), is_sampled, "{is_parent_based} {ratio} {flags}");
            assert_eq!(ours.parent.unwrap().to_string(), "b7ad6b7169203331");
        }
        assert!(otel(true, 1.0).begin(None).is_sampled() && !otel(true, 0.0).begin(None).is_sampled());
        let half = otel(false, 0.5);
        let sampled = (0..1000).filter(|_| half.begin(None).is_sampled()).count();
        assert!((400..600).contains(&sampled), "{sampled}");
    }

    #[test]
    fn rejected_spans_are_told() {
        let refused = |answer: &str| otel(true, 1.0).refused(answer.as_bytes()).map(|(count, _)| count);
        assert_eq!(refused(r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"full"}}"#), Some(3));
        assert_eq!(refused(r#"{"partialSuccess":{"rejectedSpans":2}}"#), Some(2));
        for fine in ["{}", "", r#"{"partialSuccess":{}}"#, r#"{"partialSuccess":{"rejectedSpans":"0"}}"#] {
            assert_eq!(refused(fine), None, "{fine}");
        }
    }
}
