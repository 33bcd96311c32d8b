//! Text completions and embeddings: the endpoints of the OpenAI family without messages.

use serde_json::{Value, json};

use crate::support::{Answer, TestProxy, Upstream, assert_error, eventually, mock};

/// A server before the mock in all three protocols: the models `openai`, `anthropic` and
/// `response_api`.
fn before_all() -> TestProxy {
    let mut proxy = TestProxy::empty();
    for kind in ["openai", "anthropic", "response_api"] {
        proxy.provider_of(json!({"provider_key": kind, "provider_type": kind, "api_base": mock(), "api_key": "k",
            "model_mapping": {kind: "mock"}}));
    }
    proxy.credential(json!({"name": "tester"}));
    proxy
}

fn ask(proxy: &TestProxy, path: &str, body: &Value) -> Answer {
    proxy.ask("POST", path, &[("authorization", &proxy.bearer())], body.to_string().as_bytes())
}

fn text_of(chunks: &[Value]) -> String {
    chunks.iter().filter_map(|chunk| chunk["choices"][0]["text"].as_str()).collect()
}

#[test]
fn a_prompt_is_continued_by_providers_of_every_protocol() {
    let proxy = before_all();
    for model in ["openai", "anthropic", "response_api"] {
        let answer = ask(&proxy, "/v1/completions", &json!({"model": model, "prompt": "Hello", "max_tokens": 50}));
        assert_eq!(answer.status, 200, "{model}: {answer:?}");
        let body = answer.json();
        assert_eq!((&body["object"], &body["model"]), (&json!("text_completion"), &json!(model)));
        assert!(body["id"].as_str().unwrap().starts_with("cmpl-"), "{body}");
        let choice = &body["choices"][0];
        assert!(!choice["text"].as_str().unwrap().is_empty(), "{body}");
        assert_eq!((&choice["finish_reason"], choice.get("logprobs")), (&json!("stop"), Some(&Value::Null)));
        assert!(body["usage"]["total_tokens"].as_u64().unwrap() > 0, "{body}");
    }
}

#[test]
fn a_streamed_continuation_has_chunks_and_a_done_and_usage_only_when_asked_for() {
    let proxy = before_all();
    for model in ["openai", "anthropic", "response_api"] {
        for asked in [false, true] {
            let options = json!({"include_usage": asked});
            let body = json!({"model": model, "prompt": "Hello", "stream": true, "stream_options": options});
            let answer = ask(&proxy, "/v2/completions", &body);
            assert_eq!(answer.status, 200, "{model}: {answer:?}");
            assert!(answer.text().ends_with("data: [DONE]\n\n"), "{model}: {}", answer.text());
            let chunks = answer.events();
            assert!(!text_of(&chunks).is_empty(), "{chunks:?}");
            let all = |key: &str, value: &str| {
                chunks.iter().filter(|chunk| chunk.is_object()).all(|chunk| chunk[key] == value)
            };
            assert!(all("object", "text_completion") && all("model", model), "{chunks:?}");
            let ends = chunks.iter().filter(|chunk| chunk["choices"][0]["finish_reason"] == "stop").count();
            assert_eq!(ends, 1, "{chunks:?}");
            assert_eq!(chunks.iter().any(|chunk| chunk["usage"].is_object()), asked, "{chunks:?}");
        }
    }
}

#[test]
fn what_only_text_completions_have_goes_to_their_own_providers_and_no_other() {
    let proxy = before_all();
    for (field, value) in [
        ("suffix", json!("end")),
        ("echo", json!(true)),
        ("best_of", json!(2)),
        ("n", json!(2)),
        ("prompt", json!(["a", "b"])),
        ("prompt", json!([1, 2])),
    ] {
        let mut body = json!({"model": "openai", "prompt": "Hello"});
        body[field] = value;
        assert_eq!(ask(&proxy, "/v1/completions", &body).status, 200, "{body}");
        body["model"] = json!("anthropic");
        let refused = ask(&proxy, "/v1/completions", &body);
        assert_error(&refused, 400, "unsupported_across_protocols");
        assert_eq!(refused.json()["error"]["param"], field);
    }
    let lossy = json!({"model": "anthropic", "prompt": "Hello", "seed": 1, "logprobs": 2, "presence_penalty": 0});
    let answer = ask(&proxy, "/v1/completions", &lossy);
    assert_eq!((answer.status, answer.header("x-llm-proxy-dropped")), (200, Some("logprobs,seed")), "{answer:?}");
}

#[test]
fn a_prompt_is_required() {
    let proxy = before_all();
    let refused = ask(&proxy, "/v1/completions", &json!({"model": "openai"}));
    assert_error(&refused, 400, "missing_required_parameter");
    assert_eq!(refused.json()["error"]["param"], "prompt");
}

#[test]
fn embeddings_cross_unchanged_but_for_the_model() {
    let vectors = r#"{"object":"list","data":[{"embedding":[0.10,-1e-3],"index":0}],"model":"real","usage":{"prompt_tokens":8,"total_tokens":8}}"#;
    let upstream = Upstream::json(vectors);
    let proxy = TestProxy::before(&upstream);
    let answer = ask(&proxy, "/v1/embeddings", &json!({"model": "m", "input": ["a", "b"], "dimensions": 2}));
    assert_eq!((answer.status, answer.text()), (200, &*vectors.replace("\"real\"", "\"m\"")), "{answer:?}");
    let received = upstream.request();
    assert!(received.target().ends_with("/embeddings"), "{}", received.target());
    assert_eq!(received.json(), json!({"model": "real", "input": ["a", "b"], "dimensions": 2}));
    // The end of a request is counted behind its answer.
    eventually("the tokens are counted", || {
        (proxy.metric("llm_proxy_tokens_total", &["token_type=\"prompt\""]) - 8.0).abs() < 0.5
    });
}

#[test]
fn embeddings_of_a_model_that_no_openai_provider_has_are_an_unsupported_operation() {
    let proxy = before_all();
    for model in ["anthropic", "response_api"] {
        let refused = ask(&proxy, "/v1/embeddings", &json!({"model": model, "input": "a"}));
        assert_error(&refused, 400, "unsupported_operation");
    }
    let refused = ask(&proxy, "/v1/embeddings", &json!({"model": "openai"}));
    assert_error(&refused, 400, "missing_required_parameter");
}
