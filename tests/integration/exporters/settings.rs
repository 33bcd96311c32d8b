//! Wrong settings of exporters, and what a process without them does.

use serde_json::json;
use tempfile::tempdir;

use crate::support::{ADMIN_KEY, Process, TestProxy};

#[test]
fn wrong_settings_end_with_code_2_and_no_key_is_shown() {
    let folder = tempdir().unwrap();
    let wrong = [
        ("ADMIN_KEY", ADMIN_KEY),
        ("LANGFUSE_ENABLED", "true"),
        ("LANGFUSE_SECRET_KEY", "sk hunter2"),
        ("LANGFUSE_HOST", "langfuse"),
        ("LANGFUSE_SAMPLE_RATE", "2"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
    ];
    for command in ["serve", "check"] {
        let (code, _, error) = Process::output(&folder, &[command], &wrong);
        assert_eq!(code, 2, "{error}");
        for name in [
            "LANGFUSE_PUBLIC_KEY",
            "LANGFUSE_SECRET_KEY",
            "LANGFUSE_HOST",
            "LANGFUSE_SAMPLE_RATE",
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "OTEL_EXPORTER_OTLP_HEADERS",
            "OTEL_TRACES_SAMPLER",
        ] {
            assert!(error.contains(&format!("{name}: ")), "{name} is not named in:\n{error}");
        }
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn without_exporters_health_says_so() {
    let proxy = TestProxy::before_mock();
    let bearer = format!("Bearer {ADMIN_KEY}");
    let health = proxy.ask("GET", "/health/detailed", &[("authorization", &bearer)], b"").json();
    assert_eq!(health["langfuse"], json!({"enabled": false, "queued": 0, "dropped": 0}));
}
