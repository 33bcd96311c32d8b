use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Answer, Api};
use crate::actors::ask;
use crate::actors::provider_pool::{AttemptFacts, Outcome, ReportOutcome};
use crate::config::ProviderId;

const EXPLAIN: &str = "/admin/v1/explain";

fn provider(key: &str, kind: &str, weight: i32) -> Value {
    json!({
        "provider_key": key, "provider_type": kind, "api_base": "https://api.example.com/v1", "api_key": "sk-secret",
        "model_mapping": {"m": format!("{key}-m")}, "weight": weight,
    })
}

fn question() -> Value {
    json!({"model": "m", "protocol": "openai"})
}

fn candidates(answer: &Answer) -> &Vec<Value> {
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json["candidates"].as_array().unwrap()
}

fn field(answer: &Answer, name: &str) -> Vec<Value> {
    candidates(answer).iter().map(|candidate| candidate[name].clone()).collect()
}

#[actix_web::test]
async fn every_provider_is_explained_with_all_that_decides() {
    let api = Api::start().await;
    let mut limited = provider("a", "openai", 3);
    limited["provider_params"] = json!({"max_concurrency": 4});
    api.provider(limited).await;
    api.provider(provider("b", "claude", 1)).await;
    let off = api.provider(provider("off", "openai", 5)).await;
    api.patch(&format!("{off}/status"), json!({"is_enabled": false})).await.version();
    let answer = api.post(EXPLAIN, question()).await;
    let names: Vec<&String> = answer.json.as_object().unwrap().keys().collect();
    assert_eq!(names, ["version", "model", "resolved_model", "credential", "outcome", "candidates"]);
    assert_eq!((&answer.json["version"], &answer.json["outcome"]), (&json!(4), &json!("ok")));
    assert_eq!((&answer.json["resolved_model"], &answer.json["credential"]), (&json!("m"), &Value::Null));
    assert_eq!(
        candidates(&answer)[0],
        json!({
            "provider_id": 1, "provider_key": "a", "provider_type": "openai", "weight": 3, "effective_weight": 3.0,
            "probability": 0.75, "mapping_key": "m", "match": "exact", "mapped_model": "a-m", "same_protocol": true,
            "admission": "closed", "retry_at": null, "in_flight": 0, "max_concurrency": 4, "eligible": true,
            "excluded_because": null,
        })
    );
    assert_eq!(field(&answer, "probability"), [json!(0.75), json!(0.25), json!(0.0)]);
    assert_eq!(field(&answer, "same_protocol"), [json!(true), json!(false), json!(true)]);
    assert_eq!(field(&answer, "eligible"), [json!(true), json!(true), json!(false)]);
    assert_eq!(field(&answer, "excluded_because"), [Value::Null, Value::Null, json!("disabled")]);
    assert_eq!(field(&answer, "mapped_model"), [json!("a-m"), json!("b-m"), json!("off-m")]);
    assert!(!answer.text.contains("sk-secret") && answer.headers.get("x-config-version").is_none());
    let described = serde_json::to_value(crate::api::openapi()).unwrap();
    let shape = &described["components"]["schemas"]["RoutingCandidate"]["properties"];
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(shape), names(&candidates(&answer)[0]));
}

#[actix_web::test]
async fn a_benched_provider_tells_when_it_returns_and_the_last_one_is_used_anyway() {
    let api = Api::start().await;
    api.provider(provider("a", "openai", 3)).await;
    api.provider(provider("b", "openai", 1)).await;
    let bench = async |id: i32| {
        let outcome = Outcome::RateLimited { retry_after: Some(Duration::from_secs(60)) };
        let report = ReportOutcome {
            provider: ProviderId(id),
            outcome,
            started: Instant::now(),
            facts: AttemptFacts::default(),
        };
        ask(&api.shared.handles.provider_pool.load(), report).await.unwrap();
    };
    bench(1).await;
    let answer = api.post(EXPLAIN, question()).await;
    assert_eq!(field(&answer, "admission"), [json!("cooldown"), json!("closed")]);
    assert_eq!(field(&answer, "excluded_because"), [json!("cooldown"), Value::Null]);
    assert_eq!(field(&answer, "probability"), [json!(0.0), json!(1.0)]);
    assert_eq!(field(&answer, "effective_weight"), [json!(0.0), json!(1.0)]);
    let retry_at = candidates(&answer)[0]["retry_at"].as_str().unwrap();
    let wait = chrono::DateTime::parse_from_rfc3339(retry_at).unwrap().to_utc() - chrono::Utc::now();
    assert!(wait <= chrono::Duration::seconds(60) && wait > chrono::Duration::seconds(30), "{wait}");
    bench(2).await;
    let answer = api.post(EXPLAIN, question()).await;
    assert_eq!(field(&answer, "probability"), [json!(1.0), json!(0.0)]);
    assert_eq!(field(&answer, "eligible"), [json!(true), json!(false)]);
    assert_eq!(answer.json["outcome"], "ok");
}

#[actix_web::test]
async fn a_credential_is_explained_and_loses_nothing() {
    let api = Api::start().await;
    api.provider(provider("a", "openai", 1)).await;
    let limited = json!({"name": "limited", "rate_limit": 5, "burst": 9, "allowed_models": ["x*"]});
    api.credential(limited).await;
    api.credential(json!({"name": "free"})).await;
    for _ in 0..3 {
        let mut asked = question();
        asked["credential_id"] = json!(1);
        let answer = api.post(EXPLAIN, asked).await;
        assert_eq!(answer.json["outcome"], "model_not_allowed");
        assert_eq!(
            answer.json["credential"],
            json!({"id": 1, "name": "limited", "allowed": false, "rate_limit": 5, "burst": 9, "remaining": 9})
        );
    }
    let mut asked = question();
    asked["credential_id"] = json!(2);
    let free = json!({"id": 2, "name": "free", "allowed": true, "rate_limit": null, "burst": null, "remaining": null});
    assert_eq!(api.post(EXPLAIN, asked.clone()).await.json["credential"], free);
    asked["credential_id"] = json!(7);
    let missing = api.post(EXPLAIN, asked).await;
    missing.refused(404, "not_found");
    assert_eq!(missing.json["error"]["message"], "Credential with ID 7 not found");
}

#[actix_web::test]
async fn an_unknown_model_is_an_outcome_and_a_wrong_question_is_400() {
    let api = Api::start().await;
    api.provider(provider("a", "claude", 1)).await;
    for (asked, outcome, reason) in [
        (json!({"model": "n", "protocol": "response_api"}), "model_not_found", json!("no_mapping")),
        (
            json!({"model": "m", "protocol": "openai", "operation": "embeddings"}),
            "unsupported_operation",
            json!("unsupported_operation"),
        ),
        (
            json!({"model": "m", "protocol": "openai", "operation": "completions", "credential_id": null}),
            "ok",
            Value::Null,
        ),
        (json!({"model": "m", "protocol": "anthropic", "operation": "count_tokens"}), "ok", Value::Null),
    ] {
        let answer = api.post(EXPLAIN, asked.clone()).await;
        assert_eq!(
            (&answer.json["outcome"], field(&answer, "excluded_because")),
            (&json!(outcome), vec![reason]),
            "{asked}"
        );
    }
    for (wrong, name) in [
        (json!({"protocol": "openai"}), "model"),
        (json!({"model": "", "protocol": "openai"}), "model"),
        (json!({"model": "m"}), "protocol"),
        (json!({"model": "m", "protocol": "Openai"}), "protocol"),
        (json!({"model": "m", "protocol": "openai", "operation": "paint"}), "operation"),
        (json!({"model": "m", "protocol": "openai", "operation": "count_tokens"}), "operation"),
        (json!({"model": "m", "protocol": "anthropic", "operation": "embeddings"}), "operation"),
        (json!({"model": "m", "protocol": "response_api", "operation": "completions"}), "operation"),
        (json!({"model": "m", "protocol": "openai", "credential_id": "1"}), "credential_id"),
        (json!({"model": "m", "protocol": "openai", "stream": true}), "stream"),
    ] {
        assert_eq!(api.post(EXPLAIN, wrong).await.refused(400, "validation_error").unwrap(), name);
    }
}
