//! The quota of a credential.

use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use serde_json::json;

use crate::support::{Answer, TestProxy, alone, assert_error, hello};

/// Whole tokens that a bucket of `burst` had to give when `rate` a second came in since `start`.
fn most(burst: usize, rate: f64, start: Instant) -> usize {
    let refilled = (start.elapsed().as_secs_f64() * rate).floor();
    burst + format!("{refilled}").parse::<usize>().unwrap()
}

fn number(answer: &Answer, header: &str) -> u64 {
    let value = answer.header(header).unwrap_or_else(|| panic!("no {header}: {answer:?}"));
    value.parse().unwrap_or_else(|_| panic!("{header}: {value:?}"))
}

#[test]
fn of_fifty_requests_at_once_a_limit_of_five_lets_five_pass() {
    let _alone = alone();
    let mut proxy = TestProxy::before_mock();
    proxy.credential(json!({"name": "limited", "rate_limit": 5}));
    let barrier = Barrier::new(50);
    let start = Instant::now();
    let answers: Vec<Answer> = thread::scope(|scope| {
        let ask = || {
            let mut connection = proxy.connect();
            let (bearer, body) = (proxy.bearer(), hello("mock").to_string());
            barrier.wait();
            connection.ask("POST", "/v1/chat/completions", &[("authorization", &bearer)], body.as_bytes())
        };
        let asking: Vec<_> = (0..50).map(|_| scope.spawn(ask)).collect();
        asking.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let most = most(5, 5.0, start);
    let (passed, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert!((5..=most).contains(&passed.len()), "{} passed, at most {most} may", passed.len());
    for answer in &passed {
        assert_eq!(number(answer, "x-ratelimit-limit-requests"), 5);
        assert!(number(answer, "x-ratelimit-remaining-requests") < 5);
        assert!(answer.header("x-ratelimit-reset-requests").is_some_and(|reset| reset.ends_with('s')), "{answer:?}");
    }
    for answer in &refused {
        assert_error(answer, 429, "rate_limit_exceeded");
        assert_eq!(answer.json()["error"]["type"], "requests");
        assert_eq!(number(answer, "retry-after"), 1);
        assert!((1..=1000).contains(&number(answer, "retry-after-ms")), "{answer:?}");
        assert_eq!(number(answer, "x-ratelimit-limit-requests"), 5);
        assert_eq!(number(answer, "x-ratelimit-remaining-requests"), 0);
        assert_eq!(answer.header("x-llm-proxy-error-source"), Some("proxy"));
    }
}

#[test]
fn a_change_elsewhere_refills_no_bucket_and_a_change_of_the_quota_does() {
    let mut proxy = TestProxy::before_mock();
    let credential = proxy.credential(json!({"name": "limited", "rate_limit": 1, "burst": 2}));
    let start = Instant::now();
    let mut passed = 0;
    for round in 0..8 {
        passed += usize::from(proxy.chat(&hello("mock")).status == 200);
        proxy.configure("PUT", "/providers/1", &json!({"weight": round + 2}));
        proxy.configure("PUT", &credential, &json!({"name": format!("renamed-{round}")}));
    }
    let most = most(2, 1.0, start);
    assert!((2..=most).contains(&passed), "{passed} passed, at most {most} may");
    proxy.configure("PUT", &credential, &json!({"burst": 7}));
    let answer = proxy.chat(&hello("mock"));
    assert_eq!((answer.status, number(&answer, "x-ratelimit-remaining-requests")), (200, 6));
}

#[test]
fn a_limit_of_zero_refuses_everything_and_says_that_waiting_is_in_vain() {
    let mut proxy = TestProxy::before_mock();
    proxy.credential(json!({"name": "blocked", "rate_limit": 0, "burst": 10}));
    let answer = proxy.chat(&hello("mock"));
    assert_error(&answer, 429, "rate_limit_exceeded");
    assert_eq!(answer.header("retry-after"), Some("3600"));
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    assert_eq!(proxy.get("/v1/models").status, 200);
}

#[test]
fn without_a_limit_nothing_is_refused_and_no_bucket_is_shown() {
    let mut proxy = TestProxy::before_mock();
    let credential = proxy.credential(json!({"name": "free", "rate_limit": 1, "burst": 1}));
    proxy.configure("PUT", &credential, &json!({"rate_limit": null}));
    for _ in 0..20 {
        let answer = proxy.chat(&hello("mock"));
        assert_eq!(answer.status, 200);
        assert!(answer.headers.iter().all(|(name, _)| !name.starts_with("x-ratelimit-")), "{answer:?}");
    }
}

#[test]
fn a_request_that_fails_costs_a_token_and_a_model_list_does_not() {
    let mut proxy = TestProxy::before_mock();
    proxy.credential(json!({"name": "limited", "rate_limit": 1, "burst": 100}));
    let start = Instant::now();
    assert_error(&proxy.chat_bytes(b"{"), 400, "invalid_json");
    assert_error(&proxy.chat(&hello("unknown")), 404, "model_not_found");
    for _ in 0..10 {
        assert_eq!(proxy.get("/v1/models").status, 200);
    }
    let left = number(&proxy.chat(&hello("mock")), "x-ratelimit-remaining-requests");
    let most = u64::try_from(most(97, 1.0, start)).unwrap();
    assert!((97..=most).contains(&left), "{left} are left, at most {most} may");
}

#[test]
fn each_credential_has_a_bucket_of_its_own() {
    let mut proxy = TestProxy::before_mock();
    proxy.credential(json!({"name": "poor", "rate_limit": 0}));
    assert_eq!(proxy.chat(&hello("mock")).status, 429);
    proxy.credential(json!({"name": "other", "rate_limit": 3}));
    assert_eq!(proxy.chat(&hello("mock")).status, 200);
}
