//! A request for the tests of exporters.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::json;

use crate::actors::finished::{AttemptMade, Captured, Finished};
use crate::chat::{Operation, Protocol};
use crate::config::{Provider, ProviderRecord, Sealer, Secret};
use crate::store::RequestLog;
use crate::telemetry::trace::TraceContext;

pub(super) const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

pub(super) fn provider(key: &str, kind: &str) -> Arc<Provider> {
    let now = Utc::now();
    let record = ProviderRecord {
        id: 1,
        provider_key: key.to_owned(),
        provider_type: kind.to_owned(),
        api_base: format!("https://{key}.example/v1"),
        api_key: Secret::new("sk-hunter2".to_owned()),
        model_mapping: json!({}),
        weight: 1,
        provider_params: json!({}),
        is_enabled: true,
        created_at: now,
        updated_at: now,
    };
    Arc::new(Provider::compile(&record, &Sealer::default()).0.unwrap())
}

/// A streamed Chat request that a second provider answered after a first had failed.
pub(super) fn finished() -> Finished {
    let trace = TraceContext::from_headers(CALLER, "vendor=1").unwrap().child();
    let attempt = |key: &str, kind: &str, after, outcome, status, error: Option<&str>| AttemptMade {
        provider: provider(key, kind),
        mapped_model: "real".into(),
        after: Duration::from_millis(after),
        took: Duration::from_millis(400),
        outcome,
        status,
        error: error.map(str::to_owned),
        trace: Some(trace.child()),
    };
    Finished {
        row: row(),
        attempts: vec![
            attempt("near", "openai", 5, "5xx", Some(503), Some("it is on fire")),
            attempt("far", "anthropic", 500, "success", Some(200), None),
        ],
        captured: captured(),
        trace: Some(trace),
    }
}

fn captured() -> Captured {
    let headers = [("user-agent", "x".repeat(60)), ("x-forwarded-for", "192.0.2.7".to_owned())];
    let stream = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi!\"}}]}\n\n\
                  data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
                  data: [DONE]\n\n";
    Captured {
        protocol: Protocol::OpenAiChat,
        operation: Operation::Generate,
        headers: headers.map(|(name, value)| (name.to_owned(), value)).to_vec(),
        request: Bytes::from_static(
            br#"{"model":"m","temperature":0.2,"stream":true,"messages":[{"role":"user","content":"Hello"}]}"#,
        ),
        response: Bytes::from_static(stream.as_bytes()),
    }
}

fn row() -> RequestLog {
    let timestamp: DateTime<Utc> = "2026-03-04T05:06:07.089Z".parse().unwrap();
    RequestLog {
        timestamp,
        request_id: "r-1".to_owned(),
        endpoint: "/v1/chat/completions".to_owned(),
        credential_name: "ann".to_owned(),
        client: "other".to_owned(),
        model_requested: Some("m".to_owned()),
        model_mapped: Some("real".to_owned()),
        provider_name: Some("far".to_owned()),
        provider_type: Some("anthropic".to_owned()),
        client_protocol: "openai".to_owned(),
        provider_protocol: Some("anthropic".to_owned()),
        is_streaming: true,
        status_code: 200,
        outcome: "complete".to_owned(),
        attempts: 2,
        input_tokens: Some(11),
        output_tokens: Some(2),
        total_tokens: Some(13),
        cached_tokens: Some(4),
        cache_write_tokens: None,
        cost_microusd: None,
        reasoning_tokens: Some(0),
        estimated: false,
        total_duration_ms: 1000,
        ttft_ms: Some(600),
        gateway_us: Some(700),
        dropped_fields: None,
        error_category: None,
        error_message: None,
        upstream_request_id: None,
        replica_id: "replica".to_owned(),
        config_version: 1,
        request_headers: None,
        request_body: None,
        response_body: None,
    }
}
