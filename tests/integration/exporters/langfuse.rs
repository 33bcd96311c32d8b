//! A stand-in for Langfuse that keeps what it is sent.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::shapes::{GenerationBody, Ingestion, TraceBody};
use crate::support::{Act, Received, TestProxy, Upstream, behind_tls};

pub const SECRET: &str = "sk-lf-hunter2";

/// A service that takes batches.
pub struct Langfuse {
    upstream: Upstream,
}

/// What Langfuse has of one request.
#[derive(Debug, Default, Clone)]
pub struct Trace {
    /// The trace as it was made, and whether it was added to.
    pub trace: Value,
    pub was_updated: bool,
    pub generation: Value,
}

impl Langfuse {
    /// One that takes everything.
    pub fn new() -> Self {
        Self::acting(|batch| vec![taken(batch)])
    }

    /// One that acts on a batch as a test says.
    pub fn acting(script: impl Fn(&Received) -> Vec<Act> + Send + Sync + 'static) -> Self {
        Self { upstream: Upstream::new(script) }
    }

    /// The service behind TLS, with a certificate that is nobody's.
    pub fn encrypted_host(&self) -> String {
        behind_tls(&self.upstream).trim_end_matches("/v1").to_owned()
    }

    /// The address of the service.
    pub fn host(&self) -> String {
        format!("http://{}", self.upstream.address())
    }

    /// A server that exports here, made by `start` with the environment for it and `more`.
    pub fn before(&self, more: &[(&str, &str)], start: impl FnOnce(&[(&str, &str)]) -> TestProxy) -> TestProxy {
        let host = self.host();
        let own = [
            ("LANGFUSE_ENABLED", "true"),
            ("LANGFUSE_PUBLIC_KEY", "pk-lf-test"),
            ("LANGFUSE_SECRET_KEY", SECRET),
            ("LANGFUSE_HOST", host.as_str()),
            ("LANGFUSE_FLUSH_INTERVAL", "0.05"),
        ];
        start(&own.iter().chain(more).copied().collect::<Vec<_>>())
    }

    /// The next batch.
    pub fn batch(&self) -> Received {
        self.upstream.request()
    }

    /// How many events the next batch has.
    #[track_caller]
    pub fn batch_events(&self) -> usize {
        events(&self.batch()).len()
    }

    /// How many batches have come and were not asked for yet.
    pub fn waiting(&self) -> usize {
        self.upstream.waiting()
    }

    /// All batches that have come and were not asked for yet.
    pub fn all_waiting(&self) -> impl Iterator<Item = Received> {
        self.upstream.all_waiting()
    }

    /// All that has come and was not asked for yet, request by request, by the ids of the requests.
    pub fn traces(&self) -> BTreeMap<String, Trace> {
        traces(self.upstream.all_waiting())
    }
}

/// The events of a batch, whose form and address must be right.
#[track_caller]
pub fn events(batch: &Received) -> Vec<Value> {
    assert_eq!(batch.target(), "POST /api/public/ingestion");
    assert_eq!(batch.header("content-type"), Some("application/json"));
    // pk-lf-test:sk-lf-hunter2
    assert_eq!(batch.header("authorization"), Some("Basic cGstbGYtdGVzdDpzay1sZi1odW50ZXIy"));
    let read: Ingestion = serde_json::from_slice(&batch.body).unwrap();
    for event in read.batch {
        assert!(uuid::Uuid::try_parse(&event.id).is_ok(), "{}", event.id);
        let body = event.body.clone();
        match event.r#type.as_str() {
            "trace-create" => drop(serde_json::from_value::<TraceBody>(body).unwrap()),
            "generation-create" => drop(serde_json::from_value::<GenerationBody>(body).unwrap()),
            other => panic!("an event of type {other}"),
        }
    }
    assert!(batch.body.len() <= 3_500_000, "{} bytes", batch.body.len());
    let body = batch.json();
    body["batch"].as_array().unwrap().clone()
}

/// What batches say of each request, by its id. A batch that came again says the same, and counts
/// once, as it does for Langfuse.
#[track_caller]
pub fn traces(batches: impl Iterator<Item = Received>) -> BTreeMap<String, Trace> {
    let mut seen: BTreeMap<String, Value> = BTreeMap::new();
    let mut traces: BTreeMap<String, Trace> = BTreeMap::new();
    for event in batches.flat_map(|batch| events(&batch)) {
        let text = |path: &str| event.pointer(path).and_then(Value::as_str).unwrap().to_owned();
        if let Some(before) = seen.insert(text("/id"), event.clone()) {
            assert_eq!(before, event, "two events of one id");
            continue;
        }
        if event["type"] == "generation-create" {
            let trace = traces.entry(text("/body/traceId")).or_default();
            assert_eq!(trace.generation, Value::Null, "a second generation of {event}");
            trace.generation = event["body"].clone();
        } else {
            let trace = traces.entry(text("/body/id")).or_default();
            trace.was_updated = trace.trace != Value::Null;
            trace.trace = event["body"].clone();
        }
    }
    let mut by_request = BTreeMap::new();
    for (id, trace) in traces {
        assert_ne!(trace.trace, Value::Null, "a generation without its trace: {id}");
        assert_ne!(trace.generation, Value::Null, "a trace without its generation: {id}");
        let request = trace.trace["metadata"]["request_id"].as_str().unwrap().to_owned();
        assert_eq!(trace.generation["metadata"]["request_id"], request);
        assert!(by_request.insert(request, trace).is_none(), "a request has two traces");
    }
    by_request
}

/// The answer of a service that takes a batch.
pub fn taken(batch: &Received) -> Act {
    let events = batch.json()["batch"].as_array().unwrap().clone();
    let successes: Vec<Value> = events.iter().map(|event| json!({"id": event["id"], "status": 201})).collect();
    answer(207, "", &json!({"successes": successes, "errors": []}).to_string())
}

/// Any answer; each header with its line end.
pub fn answer(status: u16, headers: &str, body: &str) -> Act {
    let length = body.len();
    Act::send(format!("HTTP/1.1 {status} Any\r\n{headers}content-length: {length}\r\n\r\n{body}"))
}
