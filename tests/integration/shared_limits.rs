//! The quota of a credential that several replicas serve.

use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use serde_json::json;
use tempfile::TempDir;

use crate::support::servers::Redis;
use crate::support::{Answer, Process, TestProxy, alone, assert_error, eventually, hello};

/// Replicas on one database and one Redis, with a credential of this quota.
fn replicas(redis: &Redis, timeout_ms: &str, credential: serde_json::Value) -> Vec<TestProxy> {
    let url = redis.url();
    let variables = [("REDIS_URL", url.as_str()), ("REDIS_TIMEOUT_MS", timeout_ms), ("CONFIG_POLL_SECS", "0.05")];
    let mut first = TestProxy::before_mock_with(&variables);
    first.credential(credential);
    let (second, third) = (first.beside(&variables), first.beside(&variables));
    vec![first, second, third]
}

/// Far longer than Redis takes, also on a machine that is busy with other tests.
const PATIENT: &str = "10000";

/// This many requests at once through all replicas in turn.
fn crowd(replicas: &[TestProxy], many: usize) -> Vec<Answer> {
    let barrier = Barrier::new(many);
    thread::scope(|scope| {
        let ask = |proxy: &TestProxy| {
            let mut connection = proxy.connect();
            let (bearer, body) = (proxy.bearer(), hello("mock").to_string());
            barrier.wait();
            connection.ask("POST", "/v1/chat/completions", &[("authorization", &bearer)], body.as_bytes())
        };
        let asking: Vec<_> = replicas.iter().cycle().take(many).map(|proxy| scope.spawn(move || ask(proxy))).collect();
        asking.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn passed(answers: &[Answer]) -> usize {
    for answer in answers {
        assert!(matches!(answer.status, 200 | 429), "{answer:?}");
    }
    answers.iter().filter(|answer| answer.status == 200).count()
}

fn most(burst: usize, rate: u128, start: Instant) -> usize {
    burst + usize::try_from(start.elapsed().as_millis() * rate / 1000).unwrap()
}

fn fallbacks(proxy: &TestProxy) -> f64 {
    proxy.metric("llm_proxy_rate_limit_fallback_total", &[])
}

fn is_up(proxy: &TestProxy) -> bool {
    proxy.metric("llm_proxy_redis_up", &[]) > 0.5
}

#[test]
fn three_replicas_let_one_burst_pass() {
    let _alone = alone();
    let redis = Redis::start();
    let replicas = replicas(&redis, PATIENT, json!({"name": "limited", "rate_limit": 2, "burst": 20}));
    let start = Instant::now();
    let answers = crowd(&replicas, 90);
    let (passed, most) = (passed(&answers), most(20, 2, start));
    assert!((20..=most).contains(&passed), "{passed} passed, at most {most} may");
    for answer in &answers {
        assert_eq!(answer.header("x-ratelimit-limit-requests"), Some("20"));
        let left: u32 = answer.header("x-ratelimit-remaining-requests").unwrap().parse().unwrap();
        assert!(left < 20, "{answer:?}");
        assert!(answer.header("x-ratelimit-reset-requests").is_some(), "{answer:?}");
        if answer.status == 429 {
            assert_error(answer, 429, "rate_limit_exceeded");
            assert_eq!(left, 0);
            assert_eq!(answer.header("retry-after"), Some("1"));
            let wait: u64 = answer.header("retry-after-ms").unwrap().parse().unwrap();
            assert!((1..=500).contains(&wait), "{answer:?}");
        }
    }
    for proxy in &replicas {
        assert!(is_up(proxy));
        assert!(fallbacks(proxy).abs() < 0.5);
    }
}

#[test]
fn a_change_elsewhere_refills_no_shared_bucket_and_a_change_of_the_quota_does() {
    let redis = Redis::start();
    let url = redis.url();
    let mut proxy = TestProxy::before_mock_with(&[("REDIS_URL", &url), ("REDIS_TIMEOUT_MS", PATIENT)]);
    let credential = proxy.credential(json!({"name": "limited", "rate_limit": 1, "burst": 2}));
    let start = Instant::now();
    let mut passed = 0;
    for round in 0..8 {
        passed += usize::from(proxy.chat(&hello("mock")).status == 200);
        proxy.configure("PUT", &credential, &json!({"name": format!("renamed-{round}")}));
    }
    let most = most(2, 1, start);
    assert!((2..=most).contains(&passed), "{passed} passed, at most {most} may");
    proxy.configure("PUT", &credential, &json!({"burst": 7}));
    let answer = proxy.chat(&hello("mock"));
    assert_eq!((answer.status, answer.header("x-ratelimit-remaining-requests")), (200, Some("6")));
}

#[test]
fn while_redis_is_down_each_replica_limits_on_its_own_and_nothing_fails() {
    let _alone = alone();
    let mut redis = Redis::start();
    let replicas = replicas(&redis, PATIENT, json!({"name": "limited", "rate_limit": 1, "burst": 10}));
    let start = Instant::now();
    assert_eq!(passed(&crowd(&replicas, 6)), 6);
    redis.kill();
    let passed_alone = passed(&crowd(&replicas, 90));
    let most_alone = 3 * most(10, 1, start);
    assert!((30..=most_alone).contains(&passed_alone), "{passed_alone} passed, at most {most_alone} may");
    for proxy in &replicas {
        assert!(!is_up(proxy));
        assert!(fallbacks(proxy) >= 30.0 - 0.5, "{}", fallbacks(proxy));
        assert_eq!(proxy.get("/health/ready").status, 200);
    }
    redis.resume();
    eventually("Redis is found again", || replicas.iter().all(is_up));
    let before: Vec<f64> = replicas.iter().map(fallbacks).collect();
    let start = Instant::now();
    // The new Redis knows nothing: its bucket is full.
    let (passed, most) = (passed(&crowd(&replicas, 60)), most(10, 1, start));
    assert!((10..=most).contains(&passed), "{passed} passed, at most {most} may");
    assert_eq!(before, replicas.iter().map(fallbacks).collect::<Vec<f64>>());
}

#[test]
fn a_server_starts_without_redis_and_shares_its_limits_when_redis_comes() {
    let mut redis = Redis::start();
    redis.kill();
    let replicas = replicas(&redis, PATIENT, json!({"name": "limited", "rate_limit": 1, "burst": 5}));
    assert!(replicas.iter().all(|proxy| !is_up(proxy)));
    assert_eq!(passed(&crowd(&replicas, 15)), 15);
    redis.resume();
    eventually("Redis is found", || replicas.iter().all(is_up));
    let start = Instant::now();
    let (passed, most) = (passed(&crowd(&replicas, 30)), most(5, 1, start));
    assert!((5..=most).contains(&passed), "{passed} passed, at most {most} may");
}

#[test]
fn a_frozen_redis_keeps_no_request_from_its_answer() {
    let _alone = alone();
    let redis = Redis::start();
    let replicas = replicas(&redis, "100", json!({"name": "limited", "rate_limit": 1, "burst": 500}));
    redis.signal("STOP");
    assert_eq!(passed(&crowd(&replicas, 30)), 30);
    for proxy in &replicas {
        eventually("Redis is missed", || !is_up(proxy));
        // None of these waits any more; all would take four seconds.
        let start = Instant::now();
        for _ in 0..40 {
            assert_eq!(proxy.chat(&hello("mock")).status, 200);
        }
        assert!(start.elapsed().as_secs() < 4, "{:?}", start.elapsed());
        assert!(fallbacks(proxy) > 49.5);
    }
    redis.signal("CONT");
    eventually("Redis is found again", || replicas.iter().all(is_up));
}

#[test]
fn no_limit_and_a_limit_of_zero_need_no_redis() {
    let mut redis = Redis::start();
    let url = redis.url();
    let mut proxy = TestProxy::before_mock_with(&[("REDIS_URL", &url)]);
    redis.kill();
    for _ in 0..20 {
        let answer = proxy.chat(&hello("mock"));
        assert_eq!(answer.status, 200);
        assert!(answer.headers.iter().all(|(name, _)| !name.starts_with("x-ratelimit-")), "{answer:?}");
    }
    proxy.credential(json!({"name": "blocked", "rate_limit": 0, "burst": 10}));
    let answer = proxy.chat(&hello("mock"));
    assert_error(&answer, 429, "rate_limit_exceeded");
    assert_eq!(answer.header("retry-after"), Some("3600"));
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    assert!(fallbacks(&proxy).abs() < 0.5);
}

#[test]
fn redis_may_speak_tls_and_its_certificate_is_verified() {
    let redis = Redis::start_with_tls();
    let (folder, url, certificate) = (TempDir::new().unwrap(), redis.tls_url(), redis.certificate());
    let trust = ("SSL_CERT_FILE", certificate.to_str().unwrap());
    let (process, _) = Process::serve(&folder, &[("REDIS_URL", &url), ("REDIS_TIMEOUT_MS", PATIENT), trust]);
    assert!(process.text().contains("Redis answers"), "{}", process.text());
    let (stranger, _) = Process::serve(&folder, &[("REDIS_URL", &url), ("REDIS_TIMEOUT_MS", PATIENT)]);
    let line = stranger.text();
    assert!(line.contains("Redis does not answer") && line.contains("invalid peer certificate"), "{line}");
}

#[test]
fn the_password_of_redis_is_never_logged() {
    let redis = Redis::start();
    let (folder, url) = (TempDir::new().unwrap(), redis.url().replace("://", "://user:hunter2@"));
    let (process, _) = Process::serve(&folder, &[("REDIS_URL", &url), ("LOG_LEVEL", "trace")]);
    let text = process.text();
    assert!(text.contains("Redis does not answer") && !text.contains("hunter2"), "{text}");
}
