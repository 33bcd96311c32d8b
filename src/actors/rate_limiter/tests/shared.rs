//! Buckets in a real Redis.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Context, Handler, Message};
use futures_util::FutureExt as _;
use futures_util::future::join_all;

use super::super::{Decision, LimitTable, Limiter, RateLimiterActor, RedisStatus, Sharing};
use super::quota;
use crate::actors::published::{Published, publish};
use crate::actors::supervise::{Supervised, supervise};
use crate::config::Snapshot;
use crate::servers::{Link, Redis};
use crate::settings::{RedisSettings, SecretUrl};
use crate::telemetry::Telemetry;

/// Far longer than Redis takes, also on a machine that is busy with other tests.
const PATIENT: Duration = Duration::from_secs(10);

/// A replica as far as limits are concerned.
struct Replica {
    sharing: Arc<Sharing>,
    actor: Supervised<RateLimiterActor>,
    status: Published<RedisStatus>,
    telemetry: Telemetry,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Break;

impl Handler<Break> for RateLimiterActor {
    type Result = ();
    fn handle(&mut self, _: Break, _: &mut Context<Self>) {
        panic!("a handler that panics");
    }
}

impl Replica {
    async fn start(url: String, timeout: Duration) -> Self {
        let settings = RedisSettings { url: SecretUrl::new(url), key_prefix: "test:".to_owned(), timeout };
        let telemetry = Telemetry::new().unwrap();
        let (statuses, status) = publish(RedisStatus::default());
        let ((tables, _), (_, visible)) = (publish(LimitTable::new()), publish(Snapshot::unloaded()));
        let sharing = Arc::new(Sharing::new(&settings, statuses, telemetry.clone()).unwrap());
        sharing.check().await;
        let kept = Arc::clone(&sharing);
        let actor = supervise("RateLimiterActor", move || {
            RateLimiterActor::new(tables.clone(), Some(kept.clone()), visible.clone())
        });
        // Its address is known when it has started.
        tokio::task::yield_now().await;
        Self { sharing, actor, status, telemetry }
    }

    fn limiter(&self, per_second: u32, burst: u32) -> Limiter {
        Limiter::new(7, quota(per_second, burst), Some(&self.sharing))
    }

    fn fallbacks(&self) -> u64 {
        self.telemetry.rate_limit_fallback.get()
    }
}

async fn take_all(limiter: &Limiter, times: usize) -> usize {
    let decisions: Vec<Decision> = join_all((0..times).map(|_| limiter.take())).await;
    decisions.iter().filter(|decision| decision.retry_after.is_none()).count()
}

fn most(burst: u64, per_second: u128, start: Instant) -> usize {
    usize::try_from(u128::from(burst) + start.elapsed().as_millis() * per_second / 1000).unwrap()
}

fn raw(redis: &Redis) -> redis::Connection {
    redis::Client::open(redis.url()).unwrap().get_connection().unwrap()
}

#[actix::test]
async fn replicas_draw_from_one_bucket_and_the_client_is_told_its_state() {
    let redis = Redis::start();
    let (first, second) = (Replica::start(redis.url(), PATIENT).await, Replica::start(redis.url(), PATIENT).await);
    let limiters = [first.limiter(1, 5), second.limiter(1, 5)];
    let start = Instant::now();
    assert_eq!(limiters[0].remaining(), 5);
    let one = limiters[0].take().await;
    assert_eq!((one.limit, one.remaining, one.retry_after, one.can_recover), (5, 4, None, true));
    assert_eq!(one.full_in, Duration::from_secs(1));
    assert_eq!(limiters[0].remaining(), 4);
    let mut passed = 1;
    for limiter in limiters.iter().cycle().take(20) {
        let decision = limiter.take().await;
        passed += usize::from(decision.retry_after.is_none());
        if let Some(wait) = decision.retry_after {
            assert!(wait <= Duration::from_secs(1) && !wait.is_zero(), "{decision:?}");
            assert_eq!((decision.remaining, decision.limit), (0, 5));
        }
    }
    assert!((5..=most(5, 1, start)).contains(&passed), "{passed} passed");
    assert_eq!((first.fallbacks(), second.fallbacks()), (0, 0));
    assert_eq!(first.telemetry.redis_up.get(), 1);
    assert!(first.status.load().is_up);
}

#[actix::test]
async fn a_crowd_that_asks_for_more_than_slices_waits_for_few_answers() {
    let redis = Redis::start();
    let replica = Replica::start(redis.url(), PATIENT).await;
    let limiter = replica.limiter(1, 2000);
    let start = Instant::now();
    let passed = take_all(&limiter, 3000).await;
    assert!((2000..=most(2000, 1, start)).contains(&passed), "{passed} passed");
    assert_eq!(replica.fallbacks(), 0);
    let calls: String = redis::cmd("INFO").arg("commandstats").query(&mut raw(&redis)).unwrap();
    let calls = calls.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls=")).unwrap();
    let calls: u64 = calls.split(',').next().unwrap().parse().unwrap();
    assert!(calls < 50, "{calls} calls");
}

#[actix::test]
async fn an_empty_bucket_fills_at_its_rate_and_is_asked_no_more_often() {
    let redis = Redis::start();
    let replica = Replica::start(redis.url(), PATIENT).await;
    let limiter = replica.limiter(20, 20);
    let (start, mut passed, mut refused) = (Instant::now(), 0, 0);
    while passed < 40 {
        match limiter.take().await.retry_after {
            None => passed += 1,
            Some(_) => refused += 1,
        }
        assert!(passed <= most(20, 20, start), "{passed} passed in {:?}", start.elapsed());
    }
    let calls: String = redis::cmd("INFO").arg("commandstats").query(&mut raw(&redis)).unwrap();
    let calls = calls.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls=")).unwrap();
    let calls: u64 = calls.split(',').next().unwrap().parse().unwrap();
    assert!(refused > 1000 && calls < 100, "{calls} calls for {refused} refusals");
}

#[actix::test]
async fn a_bucket_survives_mistakes_in_its_key_and_a_clock_that_was_set_back() {
    let redis = Redis::start();
    let replica = Replica::start(redis.url(), PATIENT).await;
    let mut raw = raw(&redis);
    let key = "test:limit:7:1:5";
    let _: () = redis::cmd("RPUSH").arg(key).arg("not").arg("ours").query(&mut raw).unwrap();
    assert_eq!(replica.limiter(1, 5).take().await.remaining, 4);
    let _: () = redis::cmd("SET").arg(key).arg("nonsense").query(&mut raw).unwrap();
    assert_eq!(replica.limiter(1, 5).take().await.remaining, 4);
    let (seconds, _): (u64, u64) = redis::cmd("TIME").query(&mut raw).unwrap();
    let ahead = format!("3000000 {}", (seconds + 3600) * 1_000_000);
    let _: () = redis::cmd("SET").arg(key).arg(ahead).query(&mut raw).unwrap();
    assert_eq!(replica.limiter(1, 5).take().await.remaining, 2);
    let stored: String = redis::cmd("GET").arg(key).query(&mut raw).unwrap();
    let at: u64 = stored.split(' ').nth(1).unwrap().parse().unwrap();
    assert!(at < (seconds + 60) * 1_000_000, "{stored}");
    let keep: i64 = redis::cmd("PTTL").arg(key).query(&mut raw).unwrap();
    assert!((1_000..=4_000).contains(&keep), "three tokens are missing: {keep} ms");
    let large = replica.limiter(i32::MAX.unsigned_abs(), i32::MAX.unsigned_abs());
    assert!(large.take().await.remaining > i32::MAX.unsigned_abs() - 1000);
    let slow = replica.limiter(1, i32::MAX.unsigned_abs());
    assert_eq!(slow.take().await.remaining, i32::MAX.unsigned_abs() - 1);
}

#[actix::test]
async fn a_redis_that_is_gone_is_missed_once_and_found_again() {
    let mut redis = Redis::start();
    let replica = Replica::start(redis.url(), PATIENT).await;
    let limiter = replica.limiter(1, 3);
    assert_eq!(limiter.take().await.remaining, 2);
    redis.kill();
    // The bucket of this replica is another one, and full.
    assert_eq!(limiter.take().await.remaining, 2);
    assert!(!replica.status.load().is_up);
    assert_eq!((replica.fallbacks(), replica.telemetry.redis_up.get()), (1, 0));
    // From now on nothing is waited for.
    for remaining in [1, 0] {
        assert_eq!(limiter.remaining(), remaining + 1);
        assert_eq!(limiter.take().now_or_never().unwrap().remaining, remaining);
    }
    assert!(limiter.take().now_or_never().unwrap().retry_after.is_some());
    assert_eq!(replica.fallbacks(), 4);
    let error = replica.status.load().last_error.clone().unwrap();
    replica.sharing.check().await;
    assert!(!replica.status.load().is_up, "{error}");
    redis.resume();
    replica.sharing.check().await;
    assert!(replica.status.load().is_up);
    assert_eq!(replica.telemetry.redis_up.get(), 1);
    assert!(limiter.take().await.retry_after.is_none());
    assert_eq!(replica.fallbacks(), 4);
}

#[actix::test]
async fn a_connection_that_broke_is_replaced_without_a_decision_taken_alone() {
    let redis = Redis::start();
    let port = url::Url::parse(&redis.url()).unwrap().port().unwrap();
    let link = Link::to(port);
    let replica = Replica::start(format!("redis://127.0.0.1:{}/0", link.port()), PATIENT).await;
    let limiter = replica.limiter(1, 3);
    for remaining in [2, 1, 0] {
        assert_eq!(limiter.take().await.remaining, remaining);
        link.cut();
        link.mend();
    }
    assert_eq!((replica.fallbacks(), replica.status.load().is_up), (0, true));
}

#[actix::test]
async fn a_frozen_redis_holds_a_request_up_for_its_time_and_no_more() {
    let redis = Redis::start();
    let limit = Duration::from_millis(200);
    let replica = Replica::start(redis.url(), limit).await;
    let limiter = replica.limiter(1, 50);
    redis.signal("STOP");
    let start = Instant::now();
    assert_eq!(take_all(&limiter, 20).await, 20);
    let took = start.elapsed();
    assert!(took >= limit && took < PATIENT, "{took:?}");
    let status = replica.status.clone();
    super::until("Redis is missed", || !status.load().is_up).await;
    assert!(limiter.take().now_or_never().is_some(), "nobody waits any more");
    assert_eq!(replica.fallbacks(), 21);
    redis.signal("CONT");
    replica.sharing.check().await;
    assert!(replica.status.load().is_up);
}

#[actix::test]
async fn a_client_that_leaves_while_it_waits_takes_nothing_from_those_who_stay() {
    let redis = Redis::start();
    let replica = Replica::start(redis.url(), PATIENT).await;
    let limiter = replica.limiter(1, 2);
    redis.signal("STOP");
    let mut left = Box::pin(limiter.take());
    assert!(left.as_mut().now_or_never().is_none());
    let mut stays = Box::pin(limiter.take());
    assert!(stays.as_mut().now_or_never().is_none());
    drop(left);
    redis.signal("CONT");
    assert!(stays.await.retry_after.is_none());
    // The first question was for one token; whoever left did not take it.
    assert_eq!(limiter.take().await.retry_after, None);
    assert!(limiter.take().await.retry_after.is_some());
    assert_eq!(replica.fallbacks(), 0);
}

#[actix::test]
async fn an_actor_that_panics_takes_no_answer_along_and_is_followed_by_another() {
    let redis = Redis::start();
    let replica = Replica::start(redis.url(), PATIENT).await;
    let limiter = replica.limiter(1, 3);
    redis.signal("STOP");
    let mut waiting = Box::pin(limiter.take());
    assert!(waiting.as_mut().now_or_never().is_none());
    let mut restarts = replica.actor.clone();
    assert!(replica.actor.load().send(Break).await.is_err());
    let other = replica.limiter(1, 9);
    assert!(other.take().await.retry_after.is_none(), "nobody is there to ask, nor waits");
    assert_eq!((replica.fallbacks(), replica.status.load().is_up), (1, true));
    redis.signal("CONT");
    assert_eq!(waiting.await.remaining, 2);
    restarts.changed().await;
    // The new one is known when it has started.
    let start = Instant::now();
    while other.take().await.remaining != 8 {
        assert!(start.elapsed() < PATIENT, "nobody asks");
        tokio::task::yield_now().await;
    }
    assert!(replica.status.load().is_up);
}

#[actix::test]
async fn a_redis_that_answers_but_does_not_write_counts_as_down() {
    let redis = Redis::start();
    let replica = Replica::start(redis.url(), PATIENT).await;
    let _: () = redis::cmd("REPLICAOF").arg("127.0.0.1").arg(1).query(&mut raw(&redis)).unwrap();
    assert!(replica.limiter(1, 3).take().await.retry_after.is_none());
    assert!(!replica.status.load().is_up);
    replica.sharing.check().await;
    let status = replica.status.load();
    assert!(!status.is_up && status.last_error.as_ref().is_some_and(|error| error.contains("read only")), "{status:?}");
    let _: () = redis::cmd("REPLICAOF").arg("NO").arg("ONE").query(&mut raw(&redis)).unwrap();
    replica.sharing.check().await;
    assert!(replica.status.load().is_up);
}
