//! One limit for all replicas, and what becomes of it when Redis dies.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::scale::{Scale, tell};
use crate::support::load::{Ask, Plan, Report, Sample, Target, pause};
use crate::support::servers::{Postgres, Redis};
use crate::support::{Answer, Cluster, Mock, alone, eventually, hello};

/// Requests a second that the credential may make, and the size of its bucket.
const RATE: u32 = 100;
const BURST: u32 = 100;
/// What a replica takes from the shared bucket at once.
const SLICE: u32 = 10;
const REPLICAS: u32 = 3;
/// Of a hundred requests, how many each replica gets.
const SHARES: [u32; 3] = [70, 20, 10];
const KEY: &str = "sk-of-the-limited";

struct Limited {
    cluster: Cluster,
    redis: Redis,
    _mock: Mock,
}

impl Limited {
    fn start() -> Self {
        let (postgres, redis, mock) = (Postgres::shared(), Redis::start(), Mock::start());
        // On a busy machine Redis may take its time; that is not what is tested.
        let shared = [("REDIS_URL", redis.url()), ("REDIS_TIMEOUT_MS", "2000".to_owned())];
        let variables = shared.each_ref().map(|(name, value)| (*name, value.as_str()));
        let cluster = Cluster::start(&postgres.url(&postgres.create_database()), &variables);
        let mut admin = cluster.replicas[0].admin();
        admin.change("POST", "/providers", &mock.provider("mock"));
        let (version, _) = admin.credential(KEY, &json!({"rate_limit": RATE, "burst": BURST}));
        cluster.wait_for_version(version);
        for replica in &cluster.replicas {
            eventually("Redis is used", || replica.metric("llm_proxy_redis_up") == Some(1.0));
        }
        Self { cluster, redis, _mock: mock }
    }

    fn targets(&self, scale: &Scale) -> Vec<Target> {
        let addresses = self.cluster.addresses().into_iter().zip(SHARES);
        let target = |(address, share)| Target {
            address,
            rate: scale.limited_rate * share / 100,
            connections: scale.connections,
        };
        addresses.map(target).collect()
    }
}

fn ask(_number: u32) -> Ask {
    Ask::chat(KEY, hello("mock"))
}

/// Whole answers, and refusals that say when to come again.
fn judge(_ask: &Ask, answer: &Answer) -> Result<(), String> {
    let is_right = match answer.status {
        200 => answer.json()["choices"][0]["message"]["content"].is_string(),
        429 => answer.json()["error"]["code"] == "rate_limit_exceeded" && answer.header("retry-after").is_some(),
        _ => false,
    };
    if is_right { Ok(()) } else { Err(format!("{answer:?}")) }
}

fn planned(scale: &Scale) -> u32 {
    scale.limited_rate * u32::try_from(scale.limited.as_secs()).unwrap()
}

/// What a bucket gives in so much time.
fn bucket(time: Duration) -> f64 {
    f64::from(BURST) + f64::from(RATE) * time.as_secs_f64()
}

fn admitted(samples: &[&Sample]) -> f64 {
    let count = samples.iter().filter(|sample| sample.outcome == Ok(200)).count();
    f64::from(u32::try_from(count).unwrap())
}

/// From the first request to the last.
fn time_of(report: &Report) -> Duration {
    let first = report.samples.iter().map(|sample| sample.sent).min().unwrap();
    report.samples.iter().map(|sample| sample.sent.duration_since(first)).max().unwrap()
}

#[test]
fn three_replicas_admit_together_what_one_bucket_gives() {
    let _alone = alone();
    let (scale, limited) = (Scale::chosen(), Limited::start());
    let plan = Plan { targets: limited.targets(&scale), ask: &ask, judge: &judge };
    let report = plan.run(scale.limited);
    let (expected, passed) = (bucket(time_of(&report)), admitted(&report.samples.iter().collect::<Vec<_>>()));
    tell(&format!("limit: {passed} admitted, {expected:.0} expected; {report}"));
    report.assert_all_well(planned(&scale));
    assert!((passed - expected).abs() <= expected * 0.05, "{passed} admitted, {expected:.0} expected");
    let most = expected + f64::from(REPLICAS * SLICE);
    assert!(passed <= most, "{passed} admitted, at most {most:.0} may be");
    // Each replica gets its part: the small ones wait for nobody.
    for (target, share) in SHARES.iter().enumerate() {
        let passed = admitted(&report.samples.iter().filter(|sample| sample.target == target).collect::<Vec<_>>());
        tell(&format!("limit: {passed} of them by the replica with {share} %"));
        assert!(passed > 0.0, "none at {target}");
    }
}

#[test]
fn when_redis_dies_no_request_fails_and_each_replica_keeps_the_limit_by_itself() {
    let _alone = alone();
    let (scale, mut limited) = (Scale::chosen(), Limited::start());
    let plan = Plan { targets: limited.targets(&scale), ask: &ask, judge: &judge };
    let half = scale.limited / 2;
    let (killed, report) = plan.during(|| {
        pause(half);
        let killed = Instant::now();
        limited.redis.kill();
        for replica in &limited.cluster.replicas {
            eventually("the metric tells of the loss", || replica.metric("llm_proxy_redis_up") == Some(0.0));
            assert_eq!(replica.get("/health/ready").status, 200);
        }
        pause(half.saturating_sub(killed.elapsed()));
        killed
    });
    tell(&format!("Redis killed: {report}"));
    report.assert_all_well(planned(&scale));
    assert_bounds(&scale, &report, killed);
    for replica in &limited.cluster.replicas {
        let decided = replica.metric("llm_proxy_rate_limit_fallback_total");
        assert!(decided.is_some_and(|decided| decided > 0.0), "{decided:?}");
    }
    limited.redis.resume();
    for replica in &limited.cluster.replicas {
        eventually("Redis is used again", || replica.metric("llm_proxy_redis_up") == Some(1.0));
    }
}

/// Before the death one bucket for all, after it one for each.
fn assert_bounds(scale: &Scale, report: &Report, killed: Instant) {
    let end = report.start + report.lasted;
    let (before, after): (Vec<&Sample>, Vec<&Sample>) = report.samples.iter().partition(|sample| sample.sent < killed);
    let most = bucket(killed.duration_since(report.start)) + f64::from(REPLICAS * SLICE);
    // What was sent just before may have been decided after, by another bucket.
    let under_way = f64::from(scale.connections * REPLICAS);
    let passed = admitted(&before);
    assert!(passed <= most + under_way, "{passed} admitted before, at most {most:.0} may be");
    for (target, share) in SHARES.iter().enumerate() {
        let own: Vec<&Sample> = after.iter().copied().filter(|sample| sample.target == target).collect();
        let (passed, sent) = (admitted(&own), f64::from(u32::try_from(own.len()).unwrap()));
        let most = bucket(end.duration_since(killed)) + f64::from(SLICE);
        tell(&format!(
            "after Redis died the replica with {share} % admitted {passed} of {sent}, at most {most:.0} may be"
        ));
        assert!(passed <= most, "{passed} admitted by {target}, at most {most:.0} may be");
        // The limit is kept, and nothing below it is refused.
        let least = sent.min(most) * 0.8;
        assert!(passed >= least, "{passed} admitted by {target}, at least {least:.0} should be");
    }
}
