//! Clients of one protocol before providers of another, and the operations beside generation.

use serde_json::{Value, json};

use crate::support::{Answer, TestProxy, mock};

/// A proxy with a mock provider of each type; the model `openai` goes to the `openai` one, and so
/// on.
fn before_all() -> TestProxy {
    let mut proxy = TestProxy::empty();
    for kind in ["openai", "anthropic", "response_api", "custom"] {
        proxy.provider_of(json!({
            "provider_key": kind, "provider_type": kind, "api_base": mock(), "api_key": "sk-upstream",
            "model_mapping": {kind: "mock", format!("{kind}-silent"): "mock-nousage", format!("{kind}-429"): "mock-status-429"},
        }));
    }
    proxy.credential(json!({"name": "tester"}));
    proxy
}

fn post(proxy: &TestProxy, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    let bearer = proxy.bearer();
    let headers: Vec<(&str, &str)> = [("authorization", bearer.as_str())].iter().chain(headers).copied().collect();
    proxy.ask("POST", path, &headers, body.to_string().as_bytes())
}

fn messages(model: &str) -> Value {
    json!({"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": "Hello"}]})
}

#[test]
fn every_protocol_reaches_every_provider() {
    let proxy = before_all();
    for kind in ["openai", "anthropic", "response_api", "custom"] {
        let chat = json!({"model": kind, "messages": [{"role": "user", "content": "Hello"}]});
        for (path, body, text) in [
            ("/v1/chat/completions", chat, "/choices/0/message/content"),
            ("/v1/messages", messages(kind), "/content/0/text"),
            ("/v1/responses", json!({"model": kind, "input": "Hello"}), "/output/0/content/0/text"),
            ("/v1/completions", json!({"model": kind, "prompt": "Hello"}), "/choices/0/text"),
        ] {
            let answer = post(&proxy, path, &[], &body);
            assert_eq!(answer.status, 200, "{path} {kind}: {answer:?}");
            let json = answer.json();
            assert!(json.pointer(text).is_some_and(|text| text.is_string()), "{path} {kind}: {json}");
            assert_eq!(json["model"], kind, "{path}");
            assert_eq!(answer.header("x-llm-proxy-provider"), Some(kind), "{path}");
            assert!(answer.header("server-timing").is_some_and(|timing| timing.contains("gateway;dur=")), "{answer:?}");
        }
    }
}

#[test]
fn errors_have_the_clients_shape_whoever_made_them() {
    let proxy = before_all();
    let ours = post(&proxy, "/v1/messages", &[], &messages("nothing"));
    assert_eq!((ours.status, ours.header("x-llm-proxy-error-code")), (404, Some("model_not_found")));
    assert_eq!(ours.json()["error"]["type"], "not_found_error");
    assert_eq!(ours.json()["request_id"].as_str(), ours.header("request-id"));
    let theirs = post(&proxy, "/v1/messages", &[], &messages("openai-429"));
    assert_eq!((theirs.status, theirs.header("retry-after")), (429, Some("1")));
    assert_eq!(theirs.json()["error"]["type"], "rate_limit_error");
    assert_eq!(theirs.header("x-llm-proxy-error-source"), Some("upstream"));
    let unknown = post(&proxy, "/v1/messages/nowhere", &[], &json!({}));
    assert_eq!((unknown.status, &unknown.json()["type"]), (404, &json!("error")));
}

#[test]
fn v2_answers_in_the_protocol_it_is_asked_in() {
    let proxy = before_all();
    let chat = json!({"model": "anthropic", "messages": [{"role": "user", "content": "Hello"}]});
    let mut with_system = messages("openai");
    with_system["system"] = json!("Be short.");
    let version = [("anthropic-version", "2023-06-01")];
    let named = [("x-protocol", "response_api")];
    for (headers, body, key) in [
        (&[][..], &chat, "choices"),
        (&[][..], &json!({"model": "openai", "input": "Hello"}), "output"),
        (&[][..], &with_system, "stop_reason"),
        (&version[..], &messages("openai"), "stop_reason"),
        (&named[..], &json!({"model": "openai", "input": "Hello"}), "output"),
    ] {
        let answer = post(&proxy, "/v2", headers, body);
        assert!(answer.status == 200 && answer.json().get(key).is_some(), "{body}: {answer:?}");
    }
    let wrong = post(&proxy, "/v2", &[("x-protocol", "gopher")], &chat);
    assert_eq!((wrong.status, &wrong.json()["error"]["param"]), (400, &json!("x-protocol")));
}

#[test]
fn what_is_lost_is_listed_counted_and_in_strict_mode_refused() {
    let proxy = before_all();
    let body = json!({"model": "anthropic", "frequency_penalty": 0.5, "x_own": 1,
        "messages": [{"role": "user", "content": "Hello"}]});
    let answer = post(&proxy, "/v1/chat/completions", &[], &body);
    assert_eq!((answer.status, answer.header("x-llm-proxy-dropped")), (200, Some("frequency_penalty,x_own")));
    let labels = |field| ["client_protocol=\"openai\"", "provider_protocol=\"anthropic\"", field];
    for field in ["field=\"frequency_penalty\"", "field=\"other\""] {
        assert!((proxy.metric("llm_proxy_dropped_fields_total", &labels(field)) - 1.0).abs() < 0.1, "{field}");
    }
    let strict = post(&proxy, "/v1/chat/completions", &[("x-llm-proxy-strict", "true")], &body);
    let error = &strict.json()["error"];
    assert_eq!(
        (strict.status, &error["code"], &error["param"]),
        (400, &json!("translation_loss"), &json!("frequency_penalty"))
    );
    // A provider of the same protocol takes all of it.
    let same = json!({"model": "openai", "frequency_penalty": 0.5, "messages": [{"role": "user", "content": "Hello"}]});
    assert_eq!(post(&proxy, "/v1/chat/completions", &[("x-llm-proxy-strict", "true")], &same).status, 200);
}

#[test]
fn usage_that_nobody_sent_is_counted_here_and_marked() {
    let proxy = before_all();
    for (path, model) in [("/v1/messages", "openai-silent"), ("/v1/messages", "response_api-silent")] {
        let answer = post(&proxy, path, &[], &messages(model));
        assert_eq!(answer.header("x-llm-proxy-usage"), Some("estimated"), "{answer:?}");
        let usage = answer.json()["usage"].clone();
        assert!(usage["input_tokens"].as_u64() > Some(0) && usage["output_tokens"].as_u64() > Some(5), "{usage}");
    }
    let silent = json!({"model": "custom-silent", "messages": [{"role": "user", "content": "Hello"}]});
    let answer = post(&proxy, "/v1/chat/completions", &[], &silent);
    assert_eq!(answer.header("x-llm-proxy-usage"), Some("estimated"));
    assert_eq!(answer.json().get("usage"), None, "a forwarded body is not changed");
    let counted = || proxy.metric("llm_proxy_tokens_total", &["provider=\"custom\"", "token_type=\"completion\""]);
    let whole = counted();
    assert!(whole > 5.0);
    let mut streamed = silent;
    streamed["stream"] = json!(true);
    assert_eq!(post(&proxy, "/v1/chat/completions", &[], &streamed).status, 200);
    assert!((counted() - 2.0 * whole).abs() < 0.1, "{} after {whole}", counted());
}

#[test]
fn tokens_are_counted_by_the_provider_or_here() {
    let proxy = before_all();
    let body = |model: &str| json!({"model": model, "messages": [{"role": "user", "content": "Hello there"}]});
    let theirs = post(&proxy, "/v1/messages/count_tokens", &[], &body("anthropic"));
    assert_eq!((theirs.status, theirs.header("x-llm-proxy-usage")), (200, None));
    assert_eq!(theirs.json(), json!({"input_tokens": 2}));
    let ours = post(&proxy, "/v1/messages/count_tokens", &[], &body("openai"));
    assert_eq!((ours.status, ours.header("x-llm-proxy-usage")), (200, Some("estimated")));
    assert_eq!(ours.json(), json!({"input_tokens": 2}));
}

#[test]
fn embeddings_are_forwarded_and_never_translated() {
    let proxy = before_all();
    let body = |model: &str| json!({"model": model, "input": "Hello"});
    let answer = post(&proxy, "/v1/embeddings", &[], &body("custom"));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["model"], "custom");
    assert!(answer.json()["data"][0]["embedding"].is_array());
    let refused = post(&proxy, "/v1/embeddings", &[], &body("anthropic"));
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (400, &json!("unsupported_operation")));
}

#[test]
fn models_are_described_without_the_providers_address() {
    let proxy = before_all();
    let answer = proxy.get("/v1/model/info?model=anthropic");
    let data = answer.json()["data"].clone();
    assert_eq!(data.as_array().map(Vec::len), Some(1), "{data}");
    assert_eq!(data[0]["litellm_params"], json!({"model": "mock", "custom_llm_provider": "anthropic"}));
    assert!(!data.to_string().contains("127.0.0.1"));
    let bearer = proxy.bearer();
    let headers = [("authorization", bearer.as_str()), ("anthropic-version", "2023-06-01")];
    let list = proxy.ask("GET", "/v1/models", &headers, b"").json();
    assert_eq!((&list["data"][0]["type"], &list["has_more"]), (&json!("model"), &json!(false)));
    assert_eq!(list["first_id"], "anthropic");
}
