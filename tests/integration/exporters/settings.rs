//! Wrong settings of exporters, and what a process without them does.

use serde_json::{Value, json};
use tempfile::tempdir;

use super::langfuse::{Langfuse, SECRET};
use crate::support::{ADMIN_KEY, Connection, Process, TestProxy, hello, log_rows};

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
fn requests_are_exported_also_where_none_is_logged() {
    let langfuse = Langfuse::new();
    let proxy = langfuse.before(&[("REQUEST_LOG_ENABLED", "false")], TestProxy::before_mock_with);
    assert_eq!(proxy.chat(&hello("mock")).status, 200);
    let folder = proxy.stop();
    assert_eq!((langfuse.traces().len(), log_rows(folder.path()).len()), (1, 0));
}

#[test]
fn langfuse_is_reached_over_tls_and_its_certificate_is_checked_unless_that_is_off() {
    for (verify, traces) in [("false", 1), ("true", 0)] {
        let langfuse = Langfuse::new();
        let host = langfuse.encrypted_host();
        let more = [("LANGFUSE_HOST", host.as_str()), ("VERIFY_SSL", verify)];
        let proxy = langfuse.before(&more, TestProxy::before_mock_with);
        assert_eq!(proxy.chat(&hello("mock")).status, 200);
        proxy.stop();
        assert_eq!(langfuse.traces().len(), traces, "VERIFY_SSL={verify}");
    }
}

#[test]
fn the_debug_log_tells_of_batches_but_neither_contents_nor_keys() {
    let langfuse = Langfuse::new();
    let (folder, host) = (tempdir().unwrap(), langfuse.host());
    let variables = [
        ("LANGFUSE_ENABLED", "true"),
        ("LANGFUSE_PUBLIC_KEY", "pk-lf-test"),
        ("LANGFUSE_SECRET_KEY", SECRET),
        ("LANGFUSE_HOST", host.as_str()),
        ("LANGFUSE_FLUSH_INTERVAL", "0.05"),
        ("LANGFUSE_DEBUG", "true"),
        ("ALLOW_ANONYMOUS", "true"),
        ("RUST_LOG", "debug"),
        ("SHUTDOWN_DELAY_SECS", "0"),
    ];
    let (process, address) = Process::serve(&folder, &variables);
    let body = r#"{"model": "m", "messages": [{"role": "user", "content": "Hello hunter4"}]}"#;
    let answer = Connection::open(address).ask("POST", "/v1/chat/completions", &[], body.as_bytes());
    assert_eq!(answer.status, 404);
    let line: Value = serde_json::from_str(&process.wait_for("sent a batch")).unwrap();
    assert_eq!((&line["events"], &line["status"]), (&json!(2), &json!(207)), "{line}");
    process.signal("INT");
    let (_, log) = process.wait();
    for secret in ["hunter", "pk-lf-test", "cGstbGYtdGVzd"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

#[test]
fn without_exporters_health_says_so() {
    let proxy = TestProxy::before_mock();
    let bearer = format!("Bearer {ADMIN_KEY}");
    let health = proxy.ask("GET", "/health/detailed", &[("authorization", &bearer)], b"").json();
    assert_eq!(health["langfuse"], json!({"enabled": false, "queued": 0, "dropped": 0}));
}
