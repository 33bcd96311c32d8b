//! `demo`: everything works by pasting what it prints.

use std::fs;
use std::process::Command;

use serde_json::Value;
use tempfile::tempdir;

use crate::support::Process;

/// Runs a printed line in a shell, as a reader would.
fn paste(line: &str) -> String {
    let output = Command::new("sh").args(["-c", line]).output().unwrap();
    assert!(output.status.success(), "{line}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_printed_curl_line_works_and_nothing_is_left_behind() {
    let folder = tempdir().unwrap();
    let temporary = tempdir().unwrap();
    // Variables of a real installation must not matter.
    let variables = [
        ("TMPDIR", temporary.path().to_str().unwrap()),
        ("DB_URL", "sqlite:///must/not/be/touched.db"),
        ("PORT", "nonsense"),
    ];
    let process = Process::start(&folder, &["demo", "--port", "0"], &variables);
    process.wait_for("/metrics");
    let printed = process.text();
    let lines: Vec<&str> = printed.lines().filter(|line| line.starts_with("curl ")).collect();
    assert!(lines.len() >= 5, "{printed}");
    assert!(lines.iter().all(|line| line.contains("http://127.0.0.1:")), "{printed}");
    assert!(fs::read_dir(temporary.path()).unwrap().count() > 0, "the database is not where TMPDIR says");
    let mut messages = 0;
    let (mut whole, mut streamed, mut models, mut providers, mut metrics) = (0, 0, 0, 0, 0);
    for line in lines {
        let said = paste(line);
        let json: Value = serde_json::from_str(&said).unwrap_or_default();
        if line.contains("/chat/completions") && line.contains("\"stream\":true") {
            assert!(said.starts_with("data: {") && said.ends_with("data: [DONE]\n\n"), "{line}: {said}");
            assert!(said.contains("\"model\":\"gpt-demo\""), "{said}");
            streamed += 1;
        } else if line.contains("/chat/completions") {
            assert!(json["choices"][0]["message"]["content"].is_string(), "{line}: {said}");
            whole += 1;
        } else if line.contains("/v1/messages") {
            assert!(said.starts_with("event: message_start\n") && said.contains("event: message_stop\n"), "{said}");
            assert!(said.contains("\"model\":\"responses-demo\""), "{said}");
            messages += 1;
        } else if line.contains("/v1/models") {
            assert_eq!(json["object"], "list", "{line}: {said}");
            models += 1;
        } else if line.contains("/admin/v1/providers") {
            assert!(json["providers"][0]["provider_key"].is_string(), "{line}: {said}");
            providers += 1;
        } else if line.contains("/metrics") {
            assert!(said.contains("llm_proxy_requests_total{"), "{line}: {said}");
            metrics += 1;
        } else {
            panic!("what does this line do? {line}");
        }
    }
    assert!([whole, streamed, messages, models, providers, metrics].iter().all(|count| *count > 0), "{printed}");
    process.signal("INT");
    let (status, text) = process.wait();
    assert!(status.success(), "{text}");
    for folder in [&folder, &temporary] {
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "files are left in {}", folder.path().display());
    }
}
