//! Providers that refuse, fail, or cannot be reached.

use std::net::TcpListener;

use serde_json::json;

use crate::support::{Act, TestProxy, Upstream, assert_error, hello, hello_stream};

const JSON: &str = "content-type: application/json\r\n";

type Acts = fn() -> Vec<Act>;

fn openai_error(message: &str) -> String {
    // Odd spacing shows whether the bytes were touched.
    format!(
        "{{\n  \"error\" : {{\"message\":\"{message}\", \"type\":\"some_type\",\"param\":null,\"code\":\"some_code\", \"more\":1}}\n}}"
    )
}

#[test]
fn an_error_of_the_provider_is_forwarded_as_received() {
    for status in [400, 401, 402, 403, 404, 408, 409, 422, 429, 500, 503, 529] {
        let body = openai_error("no");
        let upstream = Upstream::status(status, &format!("{JSON}retry-after: 17\r\nx-request-id: up-9\r\n"), &body);
        let proxy = TestProxy::before(&upstream);
        for request in [hello("m"), hello_stream("m")] {
            let answer = proxy.chat(&request);
            assert_eq!(answer.status, status, "{answer:?}");
            assert_eq!(answer.text(), body);
            assert_eq!(answer.header("content-type"), Some("application/json"));
            assert_eq!(answer.header("retry-after"), Some("17"));
            assert_eq!(answer.header("x-upstream-request-id"), Some("up-9"));
            assert_eq!(answer.header("x-llm-proxy-error-source"), Some("upstream"));
            assert_eq!(answer.header("x-llm-proxy-error-code"), Some("some_code"));
            assert_eq!(answer.header("x-llm-proxy-provider"), Some("main"));
            assert_eq!(answer.header("www-authenticate"), None);
        }
    }
}

#[test]
fn an_error_that_is_not_in_the_protocols_shape_is_put_into_it() {
    for (status, body, message, code) in [
        (500, "<html>oops</html>".to_owned(), "<html>oops</html>".to_owned(), None),
        (503, "busy".to_owned(), "busy".to_owned(), Some("overloaded")),
        (404, r#"{"error":"no such model"}"#.to_owned(), "no such model".to_owned(), Some("upstream_not_found")),
        (401, r#"{"message":"who?"}"#.to_owned(), "who?".to_owned(), Some("upstream_unauthorized")),
        (429, "x".repeat(2000), "x".repeat(500), Some("rate_limit_exceeded")),
    ] {
        let proxy = TestProxy::before(&Upstream::status(status, "content-type: text/html\r\n", &body));
        let answer = proxy.chat(&hello("m"));
        assert_eq!(answer.status, status, "{answer:?}");
        let error = &answer.json()["error"];
        assert_eq!(error["message"], message.as_str());
        assert_eq!(error["code"].as_str(), code);
        assert_eq!(answer.header("x-llm-proxy-error-source"), Some("upstream"));
    }
}

#[test]
fn keys_in_a_forwarded_error_are_masked() {
    let said = openai_error("Incorrect API key provided: sk-secret-of-main; see sk-other-123 or Bearer abc.def");
    let proxy = TestProxy::before(&Upstream::status(401, JSON, &said));
    let answer = proxy.chat(&hello("m"));
    assert_eq!(answer.status, 401);
    assert_eq!(answer.text(), openai_error("Incorrect API key provided: ***; see *** or Bearer ***"));
    let mut proxy = TestProxy::empty();
    let upstream = Upstream::status(500, "content-type: text/plain\r\n", "we do not like p4ssw0rd-without-prefix here");
    proxy.provider_of(json!({
        "provider_key": "odd", "provider_type": "custom", "api_base": upstream.base(),
        "api_key": "p4ssw0rd-without-prefix", "model_mapping": {"m": "m"},
    }));
    proxy.credential(json!({"name": "tester"}));
    assert_eq!(proxy.chat(&hello("m")).json()["error"]["message"], "we do not like *** here");
}

#[test]
fn a_provider_that_cannot_be_reached_is_a_bad_gateway() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let refused = format!("http://{}/v1", listener.local_addr().unwrap());
    drop(listener);
    for base in [refused.as_str(), "http://no-such-host.invalid/v1", "https://127.0.0.1:1/v1"] {
        let mut proxy = TestProxy::empty();
        proxy.provider("gone", base, json!({"m": "m"}));
        proxy.credential(json!({"name": "tester"}));
        for request in [hello("m"), hello_stream("m")] {
            let answer = proxy.chat(&request);
            assert_error(&answer, 502, "upstream_connect_error");
            assert_eq!(answer.json()["error"]["type"], "server_error");
            assert_eq!(answer.header("x-llm-proxy-provider"), Some("gone"));
            assert_eq!(answer.header("x-llm-proxy-error-source"), Some("proxy"));
        }
    }
}

#[test]
fn a_provider_that_closes_before_its_answer_is_a_bad_gateway() {
    for acts in [|| vec![Act::Close], || vec![Act::send("HTTP/1.1 200 OK\r\ncontent-"), Act::Close]] {
        let proxy = TestProxy::before(&Upstream::new(move |_| acts()));
        assert_error(&proxy.chat(&hello("m")), 502, "upstream_connect_error");
    }
}

#[test]
fn a_provider_that_never_answers_is_a_timeout() {
    let hang: [Acts; 2] =
        [|| vec![Act::Hang], || vec![Act::send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"cho"), Act::Hang]];
    for acts in hang {
        let upstream = Upstream::new(move |_| acts());
        let proxy = TestProxy::before_with(&upstream, &[("REQUEST_TIMEOUT_SECS", "0.2")]);
        let answer = proxy.chat(&hello("m"));
        assert_error(&answer, 504, "upstream_timeout");
        assert_eq!(answer.json()["error"]["type"], "timeout_error");
        upstream.hangup();
    }
}

#[test]
fn a_providers_own_timeout_wins() {
    let upstream = Upstream::new(|_| vec![Act::Hang]);
    let mut proxy = TestProxy::empty();
    proxy.provider_of(json!({
        "provider_key": "slow", "provider_type": "openai", "api_base": upstream.base(), "api_key": "k",
        "model_mapping": {"m": "m"}, "provider_params": {"timeouts": {"request_secs": 0.1, "ttft_secs": 0.1}},
    }));
    proxy.credential(json!({"name": "tester"}));
    assert_error(&proxy.chat(&hello("m")), 504, "upstream_timeout");
    assert_error(&proxy.chat(&hello_stream("m")), 504, "ttft_timeout");
}

#[test]
fn an_answer_that_cannot_be_used_is_a_bad_gateway() {
    let length = |body: &str| format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let answers = [
        ("a redirect", "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/x\r\ncontent-length: 0\r\n\r\n".to_owned()),
        ("no JSON", length("hello")),
        ("no answer", length("{\"object\":\"list\"}")),
        ("no UTF-8", length("\u{1}")),
        ("an empty body", length("")),
        ("no HTTP", "SSH-2.0-OpenSSH_9.2\r\n".to_owned()),
    ];
    for (what, answer) in answers {
        let upstream = Upstream::new(move |_| vec![Act::send(answer.clone()), Act::Close]);
        let proxy = TestProxy::before(&upstream);
        let answer = proxy.chat(&hello("m"));
        assert_error(&answer, 502, "upstream_invalid_response");
        assert_eq!(answer.json()["error"]["type"], "server_error", "{what}");
    }
}

#[test]
fn an_answer_that_ends_with_its_connection_is_taken() {
    for version in ["1.0", "1.1"] {
        let head = format!("HTTP/{version} 200 OK\r\ncontent-type: application/json\r\n\r\n");
        let upstream = Upstream::new(move |_| {
            vec![Act::send(head.clone()), Act::send("{\"choi"), Act::send("ces\":[]}"), Act::Close]
        });
        let proxy = TestProxy::before(&upstream);
        let answer = proxy.chat(&hello("m"));
        assert_eq!((answer.status, answer.text()), (200, "{\"choices\":[]}"), "HTTP/{version}");
    }
}

#[test]
fn a_cut_answer_never_looks_whole() {
    let cuts: [(&str, Acts); 2] = [
        ("by length", || vec![Act::send("HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"choices\":[]}"), Act::Close]),
        ("by chunks", || vec![Act::stream_head(), Act::chunk("{\"choices\":[]}"), Act::Close]),
    ];
    for (how, acts) in cuts {
        let proxy = TestProxy::before(&Upstream::new(move |_| acts()));
        let answer = proxy.chat(&hello("m"));
        assert_eq!(answer.status, 502, "{how}: {answer:?}");
    }
}

#[test]
fn an_answer_over_the_limit_is_refused() {
    let body = format!(r#"{{"choices":[],"x":"{}"}}"#, "y".repeat(5000));
    for (limit, status) in [("1000", 502), ("6000", 200)] {
        let proxy = TestProxy::before_with(&Upstream::json(&body), &[("UPSTREAM_MAX_RESPONSE_BYTES", limit)]);
        assert_eq!(proxy.chat(&hello("m")).status, status, "limit {limit}");
    }
}

#[test]
fn a_failure_of_one_provider_is_made_good_by_another() {
    for status in [401, 403, 408, 429, 500, 503] {
        let failing = Upstream::status(status, JSON, &openai_error("no"));
        let good = Upstream::json(r#"{"model":"x","choices":[]}"#);
        let mut proxy = TestProxy::empty();
        // With such weights the failing one is asked first, practically always.
        for (key, upstream, weight) in [("failing", &failing, 2_000_000_000), ("good", &good, 1)] {
            let provider = proxy.provider(key, &upstream.base(), json!({"m": "m"}));
            proxy.configure("PUT", &provider, &json!({"weight": weight}));
        }
        proxy.credential(json!({"name": "tester"}));
        let answer = proxy.chat(&hello("m"));
        assert_eq!(answer.status, 200, "{status}: {answer:?}");
        assert_eq!(answer.header("x-llm-proxy-provider"), Some("good"));
        assert_eq!(answer.header("x-llm-proxy-attempts"), Some("2"));
    }
}

#[test]
fn a_fault_of_the_client_is_not_tried_elsewhere() {
    let failing = Upstream::status(422, JSON, &openai_error("your fault"));
    let good = Upstream::json(r#"{"model":"x","choices":[]}"#);
    let mut proxy = TestProxy::empty();
    for (key, upstream, weight) in [("failing", &failing, 2_000_000_000), ("good", &good, 1)] {
        let provider = proxy.provider(key, &upstream.base(), json!({"m": "m"}));
        proxy.configure("PUT", &provider, &json!({"weight": weight}));
    }
    proxy.credential(json!({"name": "tester"}));
    let answer = proxy.chat(&hello("m"));
    assert_eq!((answer.status, answer.header("x-llm-proxy-attempts")), (422, Some("1")));
    assert_eq!(good.waiting(), 0);
}
