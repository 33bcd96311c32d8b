//! Providers and clients that send what nobody should.

use serde_json::json;

use crate::support::{Act, TestProxy, Upstream, assert_error, hello, hello_stream, log_rows};

const SECRET: &str = "sk-upstream";
const CONTENT: &str = "data: {\"id\":\"c\",\"model\":\"real\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},\"finish_reason\":null}]}\n\n";
const END: &str = "data: {\"id\":\"c\",\"model\":\"real\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

#[test]
fn a_key_within_a_broken_stream_reaches_neither_client_nor_request_log() {
    let in_band =
        format!("data: {{\"error\":{{\"message\":\"bad key {SECRET}-1234567\",\"type\":\"t\",\"code\":null}}}}\n\n");
    let unreadable = format!("data: {{\"choices\":\"{SECRET}-1234567\"}}\n\n");
    for broken in [in_band, unreadable] {
        let upstream = Upstream::stream(&[CONTENT, &broken]);
        let proxy = TestProxy::before(&upstream);
        let chat = proxy.chat(&hello_stream("m"));
        let body =
            json!({"model": "m", "max_tokens": 5, "stream": true, "messages": [{"role": "user", "content": "Hi"}]});
        let bearer = proxy.bearer();
        let headers = [("authorization", bearer.as_str())];
        let messages = proxy.ask("POST", "/v1/messages", &headers, body.to_string().as_bytes());
        for answer in [chat, messages] {
            assert!(answer.text().contains("***") && !answer.text().contains(SECRET), "{answer:?}");
        }
        let folder = proxy.stop();
        let rows = log_rows(folder.path());
        assert_eq!(rows.len(), 2);
        for row in rows {
            let message = row.error_message.clone().unwrap();
            assert!(message.contains("***") && !message.contains(SECRET), "{row:?}");
        }
    }
}

#[test]
fn what_is_held_back_before_the_first_content_is_bounded() {
    let empty = format!(
        "data: {{\"id\":\"c\",\"model\":\"real\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"\"}},\"finish_reason\":null}}],\"pad\":\"{}\"}}\n\n",
        "p".repeat(1000)
    );
    let upstream = Upstream::new(move |_| {
        let mut acts = vec![Act::stream_head()];
        acts.extend((0..20).map(|_| Act::chunk(&empty)));
        acts.push(Act::Hang);
        acts
    });
    let proxy = TestProxy::before_with(&upstream, &[("UPSTREAM_MAX_RESPONSE_BYTES", "10000")]);
    assert_error(&proxy.chat(&hello_stream("m")), 502, "upstream_invalid_response");
    upstream.hangup();
}

#[test]
fn a_long_model_name_makes_no_long_row_and_no_nul_reaches_it() {
    let proxy = TestProxy::before_mock();
    assert_eq!(proxy.chat(&hello(&"m".repeat(1_000_000))).status, 404);
    assert_eq!(proxy.chat(&hello("a\0b")).status, 404);
    let folder = proxy.stop();
    let rows = log_rows(folder.path());
    let [long, nul] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!(long.model_requested.as_ref().unwrap().len(), 2000);
    assert_eq!(long.error_message.as_ref().unwrap().len(), 2000);
    assert_eq!(nul.model_requested.as_deref(), Some("a\u{fffd}b"));
}

#[test]
fn waiting_within_a_stream_is_not_the_gateways_time() {
    let (go, gate) = Act::gate();
    let upstream = Upstream::new(move |_| {
        vec![Act::stream_head(), Act::chunk(CONTENT), Act::Await(gate.clone()), Act::chunk(END), Act::send("0\r\n\r\n")]
    });
    let proxy = TestProxy::before(&upstream);
    let started = std::time::Instant::now();
    let mut client = proxy.begin_chat(&hello_stream("m"));
    client.head();
    client.chunks_until(|text| text.contains("Hi"));
    while started.elapsed().as_millis() < 500 {
        std::thread::yield_now();
    }
    go.send(()).unwrap();
    client.chunks_until(|text| text.contains("[DONE]"));
    let folder = proxy.stop();
    let rows = log_rows(folder.path());
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    assert!(row.total_duration_ms >= 400 && row.gateway_us.unwrap() < 400_000, "{row:?}");
}

#[test]
fn the_filters_of_model_info_are_read_after_the_key_and_never_refused() {
    let proxy = TestProxy::before_mock();
    let path = "/v1/model/info?model=mock&model=other&x=%FF";
    assert_error(&proxy.ask("GET", path, &[], b""), 401, "invalid_api_key");
    let answer = proxy.get(path);
    assert_eq!(answer.json()["data"][0]["model_name"], "mock", "{answer:?}");
}

#[test]
fn what_is_missing_below_admin_is_told_in_the_admin_shape() {
    let proxy = TestProxy::before_mock();
    for path in ["/admin/gone.png", "/admin/_app/gone.js", "/admin/ui/index.html"] {
        let answer = proxy.get(path);
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (404, &json!(404)), "{path}: {answer:?}");
        assert!(answer.header("x-request-id").is_some());
    }
}

#[test]
fn a_list_of_betas_in_several_lines_is_forwarded_whole() {
    let upstream = Upstream::status(400, "", "{}");
    let proxy = TestProxy::empty();
    proxy.provider_of(json!({
        "provider_key": "a", "provider_type": "anthropic", "api_base": upstream.base(), "api_key": "k",
        "model_mapping": {"m": "real"},
    }));
    let mut proxy = proxy;
    proxy.credential(json!({"name": "tester"}));
    let bearer = proxy.bearer();
    let headers = [("authorization", bearer.as_str()), ("anthropic-beta", "one"), ("anthropic-beta", "two,three")];
    let body = json!({"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]});
    proxy.ask("POST", "/v1/messages", &headers, body.to_string().as_bytes());
    assert_eq!(upstream.request().header("anthropic-beta"), Some("one, two,three"));
}

#[test]
fn a_count_that_waits_for_a_provider_is_ended_when_the_process_must_end() {
    let upstream = Upstream::new(|_| vec![Act::Hang]);
    let mut proxy = TestProxy::empty();
    proxy.provider_of(json!({
        "provider_key": "a", "provider_type": "anthropic", "api_base": upstream.base(), "api_key": "k",
        "model_mapping": {"m": "real"},
    }));
    proxy.credential(json!({"name": "tester"}));
    let bearer = proxy.bearer();
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}]}).to_string();
    let mut client = proxy.connect();
    client.send("POST", "/v1/messages/count_tokens", &[("authorization", &bearer)], body.as_bytes());
    upstream.request();
    let folder = proxy.stop();
    assert_eq!(client.answer("POST").status, 503);
    let rows = log_rows(folder.path());
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    assert!(row.status_code == 503 && row.gateway_us.unwrap() < 500_000, "{row:?}");
}
