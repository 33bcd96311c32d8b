//! The published shapes of what exporters send, each member by its type and none beside them.
#![expect(dead_code, reason = "reading them is the check")]

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

/// Langfuse's public API, `POST /api/public/ingestion`: `IngestionRequest`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ingestion {
    pub batch: Vec<Event>,
}

/// `IngestionEvent`; its body is one of those below, by its type.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    pub id: String,
    pub timestamp: DateTime<Utc>,
    pub r#type: String,
    pub body: Value,
}

/// `TraceBody`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TraceBody {
    pub id: String,
    pub timestamp: Option<DateTime<Utc>>,
    pub name: Option<String>,
    pub user_id: Option<String>,
    pub input: Option<Value>,
    pub output: Option<Value>,
    pub session_id: Option<String>,
    pub release: Option<String>,
    pub version: Option<String>,
    pub metadata: Option<Value>,
    pub tags: Option<Vec<String>>,
    pub environment: Option<String>,
    pub public: Option<bool>,
}

/// `CreateGenerationBody`, with all that it extends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct GenerationBody {
    pub id: String,
    pub trace_id: Option<String>,
    pub name: Option<String>,
    pub start_time: Option<DateTime<Utc>>,
    pub end_time: Option<DateTime<Utc>>,
    pub completion_start_time: Option<DateTime<Utc>>,
    pub metadata: Option<Value>,
    pub input: Option<Value>,
    pub output: Option<Value>,
    pub level: Option<Level>,
    pub status_message: Option<String>,
    pub parent_observation_id: Option<String>,
    pub version: Option<String>,
    pub environment: Option<String>,
    pub model: Option<String>,
    pub model_parameters: Option<BTreeMap<String, MapValue>>,
    pub usage: Option<OpenAiUsage>,
    pub usage_details: Option<BTreeMap<String, i64>>,
    pub cost_details: Option<BTreeMap<String, f64>>,
    pub prompt_name: Option<String>,
    pub prompt_version: Option<i64>,
}

/// `ObservationLevel`.
#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    Debug,
    Default,
    Warning,
    Error,
}

/// `MapValue`.
#[derive(Deserialize)]
#[serde(untagged)]
pub enum MapValue {
    Text(String),
    Number(f64),
    Flag(bool),
    Texts(Vec<String>),
}

/// `OpenAIUsage`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct OpenAiUsage {
    pub prompt_tokens: Option<i64>,
    pub completion_tokens: Option<i64>,
    pub total_tokens: Option<i64>,
}

/// `opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest` in OTLP's JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ExportTraces {
    pub resource_spans: Vec<ResourceSpans>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ResourceSpans {
    pub resource: Resource,
    pub scope_spans: Vec<ScopeSpans>,
    pub schema_url: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Resource {
    pub attributes: Vec<KeyValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ScopeSpans {
    pub scope: Scope,
    pub spans: Vec<Span>,
    pub schema_url: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    pub name: String,
    pub version: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Span {
    pub trace_id: String,
    pub span_id: String,
    #[serde(default)]
    pub parent_span_id: String,
    #[serde(default)]
    pub trace_state: String,
    #[serde(default)]
    pub flags: u32,
    pub name: String,
    pub kind: u8,
    /// A `fixed64`, which JSON has as a text.
    pub start_time_unix_nano: String,
    pub end_time_unix_nano: String,
    pub attributes: Vec<KeyValue>,
    pub status: Option<Status>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    pub code: u8,
    pub message: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyValue {
    pub key: String,
    pub value: AnyValue,
}

/// One of these, and only that one.
#[derive(Debug, Clone, Deserialize)]
pub enum AnyValue {
    #[serde(rename = "stringValue")]
    Text(String),
    #[serde(rename = "boolValue")]
    Flag(bool),
    /// An `int64`, which JSON has as a text.
    #[serde(rename = "intValue")]
    Whole(String),
    #[serde(rename = "doubleValue")]
    Number(f64),
}
