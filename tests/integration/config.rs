//! A change of the configuration is in force when its call has answered.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::json;

use crate::support::{Answer, Connection, TestProxy, Upstream, assert_error, eventually, execute, hello, mock};

/// Asks on `connection`, and opens it anew where the server says that it closes it.
fn chat(connection: &mut Connection, key: &str, model: &str) -> Answer {
    let bearer = format!("Bearer {key}");
    let body = hello(model).to_string();
    let answer = connection.ask("POST", "/v1/chat/completions", &[("authorization", &bearer)], body.as_bytes());
    if answer.header("connection") == Some("close") {
        *connection = connection.again();
    }
    answer
}

#[test]
fn a_new_credential_and_a_new_provider_serve_the_next_request() {
    let mut proxy = TestProxy::empty();
    // The same connection throughout: nothing of the old configuration may stick to it.
    let mut connection = proxy.connect();
    assert_error(&chat(&mut connection, "any", "mock"), 401, "invalid_api_key");
    proxy.credential(json!({"name": "tester"}));
    assert_error(&chat(&mut connection, proxy.key(), "mock"), 404, "model_not_found");
    proxy.provider("mock", &mock(), json!({"mock": "mock"}));
    let answer = chat(&mut connection, proxy.key(), "mock");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("x-llm-proxy-provider"), Some("mock"));
    assert_eq!(answer.header("x-llm-proxy-attempts"), Some("1"));
}

#[test]
fn a_disabled_provider_gets_nothing_until_it_is_enabled_again() {
    let mut proxy = TestProxy::empty();
    let provider = proxy.provider("mock", &mock(), json!({"mock": "mock"}));
    proxy.credential(json!({"name": "tester"}));
    let mut connection = proxy.connect();
    for (enabled, status) in [(false, 404), (true, 200), (false, 404)] {
        proxy.configure("PATCH", &format!("{provider}/status"), &json!({"is_enabled": enabled}));
        assert_eq!(chat(&mut connection, proxy.key(), "mock").status, status, "enabled: {enabled}");
    }
    proxy.configure("PUT", &provider, &json!({"is_enabled": true}));
    proxy.configure("DELETE", &provider, &json!(null));
    assert_error(&chat(&mut connection, proxy.key(), "mock"), 404, "model_not_found");
}

#[test]
fn a_disabled_or_deleted_credential_is_refused_at_once() {
    let mut proxy = TestProxy::before_mock();
    let credential = proxy.credential(json!({"name": "leaver"}));
    let mut connection = proxy.connect();
    assert_eq!(chat(&mut connection, proxy.key(), "mock").status, 200);
    proxy.configure("PATCH", &format!("{credential}/status"), &json!({"is_enabled": false}));
    assert_error(&chat(&mut connection, proxy.key(), "mock"), 401, "invalid_api_key");
    proxy.configure("PATCH", &format!("{credential}/status"), &json!({"is_enabled": true}));
    assert_eq!(chat(&mut connection, proxy.key(), "mock").status, 200);
    proxy.configure("DELETE", &credential, &json!(null));
    assert_error(&chat(&mut connection, proxy.key(), "mock"), 401, "invalid_api_key");
}

#[test]
fn a_rotated_key_replaces_the_old_one_after_its_grace() {
    let mut proxy = TestProxy::before_mock();
    let credential = proxy.credential(json!({"name": "rotated"}));
    let old = proxy.key().to_owned();
    let mut connection = proxy.connect();
    let rotated = proxy.configure("POST", &format!("{credential}/rotate"), &json!({"grace_secs": 600}));
    let new = rotated["new_key"].as_str().unwrap().to_owned();
    assert_eq!(chat(&mut connection, &old, "mock").status, 200);
    assert_eq!(chat(&mut connection, &new, "mock").status, 200);
    let rotated = proxy.configure("POST", &format!("{credential}/rotate"), &json!({}));
    let newest = rotated["new_key"].as_str().unwrap().to_owned();
    for (key, status) in [(&old, 401), (&new, 401), (&newest, 200)] {
        assert_eq!(chat(&mut connection, key, "mock").status, status);
    }
}

#[test]
fn a_changed_mapping_and_a_changed_key_reach_the_provider_with_the_next_request() {
    let upstream = Upstream::json(r#"{"model":"x","choices":[]}"#);
    let mut proxy = TestProxy::empty();
    let provider = proxy.provider("main", &upstream.base(), json!({"m": "first"}));
    proxy.credential(json!({"name": "tester"}));
    proxy.chat(&hello("m"));
    let request = upstream.request();
    assert_eq!(request.json()["model"], "first");
    assert_eq!(request.header("authorization"), Some("Bearer sk-secret-of-main"));
    proxy.configure("PUT", &provider, &json!({"model_mapping": {"n": "second"}, "api_key": "sk-new"}));
    assert_error(&proxy.chat(&hello("m")), 404, "model_not_found");
    assert_eq!(proxy.chat(&hello("n")).status, 200);
    let request = upstream.request();
    assert_eq!(request.json()["model"], "second");
    assert_eq!(request.header("authorization"), Some("Bearer sk-new"));
}

#[test]
fn without_providers_every_model_is_unknown() {
    let mut proxy = TestProxy::empty();
    proxy.credential(json!({"name": "tester"}));
    let answer = proxy.chat(&hello("gpt-4o"));
    assert_error(&answer, 404, "model_not_found");
    assert_eq!(answer.json()["error"]["param"], "model");
    assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
    assert!(answer.header("x-llm-proxy-provider").is_none() && answer.header("x-llm-proxy-attempts").is_none());
    assert_eq!(answer.header("x-llm-proxy-error-source"), Some("proxy"));
    assert_eq!(proxy.get("/v1/models").json()["data"], json!([]));
}

#[test]
fn when_all_weights_are_zero_no_provider_is_available() {
    let mut proxy = TestProxy::empty();
    let providers = ["a", "b"].map(|key| proxy.provider(key, &mock(), json!({"mock": "mock"})));
    proxy.credential(json!({"name": "tester"}));
    for provider in &providers {
        proxy.configure("PUT", provider, &json!({"weight": 0}));
    }
    let answer = proxy.chat(&hello("mock"));
    assert_error(&answer, 503, "no_provider_available");
    assert_eq!(answer.json()["error"]["type"], "server_error");
    proxy.configure("PUT", &providers[1], &json!({"weight": 1}));
    assert_eq!(proxy.chat(&hello("mock")).header("x-llm-proxy-provider"), Some("b"));
}

#[test]
fn a_drained_provider_gets_nothing() {
    let upstream = Upstream::json(r#"{"model":"x","choices":[]}"#);
    let mut proxy = TestProxy::empty();
    let drained = proxy.provider("drained", &upstream.base(), json!({"mock": "mock"}));
    proxy.configure("PUT", &drained, &json!({"weight": 0}));
    proxy.provider("mock", &mock(), json!({"mock": "mock", "mock-status-500": "mock-status-500"}));
    proxy.credential(json!({"name": "tester"}));
    for _ in 0..50 {
        assert_eq!(proxy.chat(&hello("mock")).status, 200);
    }
    assert_eq!(proxy.chat(&hello("mock-status-500")).header("x-llm-proxy-attempts"), Some("1"));
    assert_eq!(upstream.waiting(), 0);
}

#[test]
fn no_request_fails_while_the_configuration_changes() {
    let mut proxy = TestProxy::empty();
    let provider = proxy.provider("mock", &mock(), json!({"mock": "mock"}));
    proxy.credential(json!({"name": "tester"}));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut connection = proxy.connect();
            let mut asked = 0;
            while !done.load(Ordering::Relaxed) {
                let answer = chat(&mut connection, proxy.key(), "mock");
                assert_eq!(answer.status, 200, "{answer:?}");
                asked += 1;
            }
            asked
        });
        for weight in 1..=30 {
            proxy.configure("PUT", &provider, &json!({"weight": weight}));
            proxy.configure("POST", "/credentials", &json!({"name": format!("other-{weight}")}));
        }
        done.store(true, Ordering::Relaxed);
        assert!(asking.join().unwrap() > 0);
    });
}

#[test]
fn a_change_made_with_plain_sql_is_in_force_after_a_poll() {
    let proxy = TestProxy::before_mock_with(&[("CONFIG_POLL_SECS", "0.05")]);
    assert_eq!(proxy.chat(&hello("mock")).status, 200);
    execute(&proxy.database(), "UPDATE providers SET model_mapping = '{\"renamed\":\"mock\"}'");
    eventually("the new name is served", || proxy.chat(&hello("renamed")).status == 200);
    assert_error(&proxy.chat(&hello("mock")), 404, "model_not_found");
}

#[test]
fn a_row_that_sql_made_invalid_disables_only_itself() {
    let mut proxy = TestProxy::with(&[("CONFIG_POLL_SECS", "0.05")]);
    proxy.provider("good", &mock(), json!({"mock": "mock"}));
    proxy.provider("bad", &mock(), json!({"mock": "mock"}));
    proxy.credential(json!({"name": "tester"}));
    execute(&proxy.database(), "UPDATE providers SET api_base = 'no address', weight = 9 WHERE provider_key = 'bad'");
    eventually("the change is seen", || proxy.admin("GET", "/providers", &json!(null)).text().contains("no address"));
    for _ in 0..20 {
        assert_eq!(proxy.chat(&hello("mock")).header("x-llm-proxy-provider"), Some("good"));
    }
}

#[test]
fn the_configuration_outlives_the_process() {
    let proxy = TestProxy::before_mock();
    let bearer = proxy.bearer();
    let folder = proxy.stop();
    let database = format!("sqlite://{}", folder.path().join("test.db").display());
    let proxy = TestProxy::with(&[("DB_URL", &database)]);
    assert_eq!(proxy.chat_with(&[("authorization", &bearer)], &hello("mock")).status, 200);
}
