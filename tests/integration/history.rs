//! What was changed can be seen, taken back and understood.

use std::thread;

use serde_json::{Value, json};

use crate::support::{TestProxy, Upstream, assert_error, eventually, execute, hello};

const ANSWER: &str = r#"{"id":"x","object":"chat.completion","created":1,"model":"real","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}"#;
const MESSAGE: &str = r#"{"id":"x","type":"message","role":"assistant","model":"real","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}"#;

fn essence(change: &Value) -> String {
    ["actor", "action", "entity", "entity_name"].map(|name| change[name].as_str().unwrap()).join(" ")
}

#[test]
fn the_history_names_who_changed_what_also_with_plain_sql_and_shows_no_secret() {
    let mut proxy = TestProxy::with(&[("CONFIG_POLL_SECS", "0.05")]);
    let upstream = Upstream::json(ANSWER);
    let provider = proxy.provider("main", &upstream.base(), json!({"m": "real"}));
    let credential = proxy.credential(json!({"name": "tester"}));
    execute(&proxy.database(), "UPDATE providers SET weight = 5, api_key = 'sk-written-with-sql'");
    proxy.configure("DELETE", &credential, &json!(null));
    proxy.configure("DELETE", &provider, &json!(null));
    eventually("all is in force", || proxy.configure("GET", "/config/version", &json!(null))["version"] == 5);
    let history = proxy.admin("GET", "/config/changes?since=0", &json!(null));
    for secret in ["sk-secret-of-main", "sk-written-with-sql", proxy.key()] {
        assert!(!history.text().contains(secret), "{secret}: {history:?}");
    }
    let history = history.json();
    let changes = history["changes"].as_array().unwrap();
    assert_eq!(
        changes.iter().map(essence).collect::<Vec<_>>(),
        [
            "admin create provider main",
            "admin create credential tester",
            "sql update provider main",
            "admin delete credential tester",
            "admin delete provider main",
        ]
    );
    let [before, after] = ["before", "after"].map(|side| changes[2][side].clone());
    assert_eq!([&before["weight"], &after["weight"]], [1, 5]);
    assert_eq!([&before["api_key"], &after["api_key"]], ["***", "*** (changed)"]);
    assert_eq!((&history["version"], &history["has_more"]), (&json!(5), &json!(false)));
}

#[test]
fn after_a_rollback_the_next_request_takes_the_old_route() {
    let (old, new) = (Upstream::json(ANSWER), Upstream::json(ANSWER));
    let mut proxy = TestProxy::empty();
    let provider = proxy.provider("main", &old.base(), json!({"m": "first"}));
    proxy.credential(json!({"name": "tester"}));
    let then = proxy.configure("GET", "/config/version", &json!(null))["version"].clone();
    let change = json!({"api_base": new.base(), "api_key": "sk-new", "model_mapping": {"n": "second"}});
    proxy.configure("PUT", &provider, &change);
    proxy.configure("DELETE", &provider, &json!(null));
    assert_error(&proxy.chat(&hello("m")), 404, "model_not_found");

    let dry = proxy.configure("POST", "/config/rollback", &json!({"version": then, "dry_run": true}));
    assert_eq!(dry["changes"].as_array().unwrap().len(), 1);
    assert_error(&proxy.chat(&hello("m")), 404, "model_not_found");

    let answer = proxy.admin("POST", "/config/rollback", &json!({"version": then}));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("x-config-version"), Some(answer.json()["version"].to_string().as_str()));
    assert_eq!(proxy.chat(&hello("m")).status, 200);
    let request = old.request();
    assert_eq!(request.json()["model"], "first");
    assert_eq!(request.header("authorization"), Some("Bearer sk-secret-of-main"));
    assert_eq!(new.waiting(), 0);
    let last = &proxy.configure("GET", "/config/changes?limit=1", &json!(null))["changes"][0];
    assert_eq!(essence(last), "admin rollback provider main");
}

#[test]
fn a_rollback_opens_no_door_to_a_key_that_was_shut_out() {
    let upstream = Upstream::json(ANSWER);
    let mut proxy = TestProxy::before(&upstream);
    let leaver = proxy.key().to_owned();
    let rotated = proxy.credential(json!({"name": "rotated"}));
    let leaked = proxy.key().to_owned();
    let then = proxy.configure("GET", "/config/version", &json!(null))["version"].clone();
    proxy.configure("DELETE", "/credentials/1", &json!(null));
    let fresh = proxy.configure("POST", &format!("{rotated}/rotate"), &json!({}));
    proxy.configure("POST", "/config/rollback", &json!({"version": then}));
    let status = |key: &str| proxy.chat_with(&[("authorization", &format!("Bearer {key}"))], &hello("m")).status;
    assert_eq!([status(&leaver), status(&leaked), status(fresh["new_key"].as_str().unwrap())], [401, 401, 200]);
    assert_eq!(proxy.configure("GET", "/credentials/1", &json!(null))["is_enabled"], false);
}

#[test]
fn requests_go_where_explain_says() {
    const REQUESTS: usize = 2000;
    const CONNECTIONS: usize = 8;
    let mut proxy = TestProxy::with(&[("REQUEST_LOG_ENABLED", "false"), ("PROVIDER_SUFFIX", "acme")]);
    let providers = [
        ("heavy", "openai", 5, json!({"m": "real"}), ANSWER),
        ("light", "openai", 1, json!({"m*": "real"}), ANSWER),
        ("translated", "anthropic", 2, json!({"m": "real"}), MESSAGE),
        ("drained", "openai", 0, json!({"m": "real"}), ANSWER),
        ("elsewhere", "openai", 9, json!({"other": "real"}), ANSWER),
        ("off", "openai", 9, json!({"m": "real"}), ANSWER),
    ];
    let upstreams: Vec<Upstream> = providers
        .iter()
        .map(|(key, kind, weight, mapping, answer)| {
            let upstream = Upstream::json(answer);
            proxy.provider_of(json!({
                "provider_key": key, "provider_type": kind, "api_base": upstream.base(), "api_key": "k",
                "model_mapping": mapping, "weight": weight, "is_enabled": *key != "off",
            }));
            upstream
        })
        .collect();
    proxy.credential(json!({"name": "tester", "rate_limit": 1_000_000}));
    let question = json!({"model": "acme/m", "protocol": "openai", "credential_id": 1});
    let told = proxy.configure("POST", "/explain", &question);
    assert_eq!((&told["outcome"], &told["resolved_model"]), (&json!("ok"), &json!("m")));
    assert_eq!(told["credential"]["remaining"], 1_000_000);
    thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let (bearer, body) = (proxy.bearer(), hello("acme/m").to_string());
                let mut connection = proxy.connect();
                for _ in 0..REQUESTS / CONNECTIONS {
                    let headers = [("authorization", bearer.as_str())];
                    let answer = connection.ask("POST", "/v1/chat/completions", &headers, body.as_bytes());
                    assert_eq!(answer.status, 200, "{answer:?}");
                }
            });
        }
    });
    let candidates = told["candidates"].as_array().unwrap();
    assert_eq!(candidates.len(), upstreams.len());
    let total: f64 = candidates.iter().map(|candidate| candidate["probability"].as_f64().unwrap()).sum();
    assert!((total - 1.0).abs() < 1e-9, "{total}");
    for (candidate, upstream) in candidates.iter().zip(&upstreams) {
        let (key, probability) = (&candidate["provider_key"], candidate["probability"].as_f64().unwrap());
        let share = f64::from(u32::try_from(upstream.waiting()).unwrap()) / 2000.0;
        assert!((share - probability).abs() < 0.05, "{key} got {share}, explained was {probability}");
        assert_eq!(candidate["eligible"] == json!(true), share > 0.0, "{key}");
    }
}
