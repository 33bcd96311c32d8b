//! Providers get their share of the requests.

use std::thread;

use serde_json::json;

use crate::support::{TestProxy, Upstream, alone, hello};

const REQUESTS: usize = 30_000;
const CONNECTIONS: usize = 24;
const ANSWER: &str = r#"{"id":"x","object":"chat.completion","created":1,"model":"real","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}"#;

#[test]
fn thirty_thousand_requests_are_shared_three_to_one_by_weight() {
    let _alone = alone();
    let mut proxy = TestProxy::with(&[("REQUEST_LOG_ENABLED", "false"), ("WORKERS", "2")]);
    let [heavy, light] = [("heavy", 3), ("light", 1)].map(|(key, weight)| {
        let upstream = Upstream::json(ANSWER);
        proxy.provider_of(json!({
            "provider_key": key, "provider_type": "openai", "api_base": upstream.base(), "api_key": "k",
            "model_mapping": {"m": "real"}, "weight": weight,
        }));
        upstream
    });
    proxy.credential(json!({"name": "tester"}));
    thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let (bearer, body) = (proxy.bearer(), hello("m").to_string());
                let mut connection = proxy.connect();
                for _ in 0..REQUESTS / CONNECTIONS {
                    let headers = [("authorization", bearer.as_str())];
                    let answer = connection.ask("POST", "/v1/chat/completions", &headers, body.as_bytes());
                    assert_eq!(answer.status, 200, "{answer:?}");
                }
            });
        }
    });
    let (heavy, light) = (heavy.waiting(), light.waiting());
    assert_eq!(heavy + light, REQUESTS);
    assert!(
        heavy.abs_diff(REQUESTS * 3 / 4) <= REQUESTS / 100,
        "the heavy provider got {heavy}, the light one {light}"
    );
}
