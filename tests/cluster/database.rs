//! The database goes away under load: clients notice nothing, operators are told at once, and
//! what was changed meanwhile is served when it is back.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::scale::{Scale, tell};
use crate::support::feed::{Change, Feed};
use crate::support::load::{Ask, Plan, Target, pause};
use crate::support::servers::{Link, Postgres};
use crate::support::{Answer, Cluster, Mock, Replica, alone, eventually, hello, provider};

/// How long a write may take to be refused.
const REFUSED_WITHIN: Duration = Duration::from_secs(15);
/// Load before and after an outage.
const AROUND: Duration = Duration::from_secs(1);
const KEY: &str = "sk-of-the-clients";

#[test]
fn a_stopped_database_fails_no_request_and_changes_go_on_when_it_is_back() {
    ride_out("stopped", Postgres::stop, Postgres::resume);
}

#[test]
fn a_frozen_database_fails_no_request_and_changes_go_on_when_it_is_back() {
    ride_out("frozen", |postgres| postgres.signal("STOP"), |postgres| postgres.signal("CONT"));
}

fn ride_out(what: &str, begin: impl FnOnce(&mut Postgres), end: impl FnOnce(&mut Postgres)) {
    let _alone = alone();
    let (scale, mut postgres, mock) = (Scale::chosen(), Postgres::start(), Mock::start());
    let database = postgres.create_database();
    let cluster = Cluster::start(&postgres.url(&database), &[]);
    prepare(&cluster, &mock);
    let ask = |_| Ask::chat(KEY, hello("mock"));
    let rate = scale.rate / 3;
    let target = |address| Target { address, rate, connections: scale.connections };
    let plan = Plan { targets: cluster.addresses().into_iter().map(target).collect(), ask: &ask, judge: &judge };
    let (figures, report) = plan.during(|| {
        pause(AROUND);
        begin(&mut postgres);
        let down = Instant::now();
        let refused = refusal(&cluster);
        while down.elapsed() < scale.outage {
            cluster.replicas.iter().for_each(assert_ready);
            pause(Duration::from_millis(200));
        }
        let away = down.elapsed();
        end(&mut postgres);
        let (served, writable) = recovery(&cluster, &postgres, &database);
        pause(AROUND);
        format!(
            "for {away:.1?}: refused within {refused:.1?}, SQL served after {served:.1?}, writable after {writable:.1?}"
        )
    });
    tell(&format!("database {what} {figures}; {report}"));
    report.assert_all_well(rate * 3 * u32::try_from(scale.outage.as_secs()).unwrap());
}

fn prepare(cluster: &Cluster, mock: &Mock) {
    let mut admin = cluster.replicas[0].admin();
    admin.change("POST", "/providers", &mock.provider("mock"));
    let (version, _) = admin.credential(KEY, &json!({}));
    cluster.wait_for_version(version);
}

fn judge(_ask: &Ask, answer: &Answer) -> Result<(), String> {
    let content = |body: Value| body["choices"][0]["message"]["content"].as_str().map(str::len);
    let is_right = answer.status == 200 && content(answer.json()).is_some_and(|length| length > 0);
    if is_right { Ok(()) } else { Err(format!("{answer:?}")) }
}

fn assert_ready(replica: &Replica) {
    let answer = replica.get("/health/ready");
    assert_eq!((answer.status, &answer.json()["status"]), (200, &json!("ready")), "{answer:?}");
}

/// Every replica refuses writes, and goes on with all else; gives the longest time of a refusal.
fn refusal(cluster: &Cluster) -> Duration {
    let start = Instant::now();
    thread::scope(|scope| {
        for mut admin in cluster.admins() {
            scope.spawn(move || assert_refused(&admin.ask("PUT", "/providers/1", &json!({"weight": 77}))));
        }
    });
    let longest = start.elapsed();
    for replica in &cluster.replicas {
        assert_ready(replica);
        let mut admin = replica.admin();
        assert_eq!(admin.get("/providers")["providers"][0]["provider_key"], "mock");
        assert_eq!(admin.get("/credentials")["credentials"].as_array().unwrap().len(), 1);
        eventually("the metric tells of the loss", || replica.metric("llm_proxy_database_up") == Some(0.0));
    }
    assert!(longest < REFUSED_WITHIN, "refused after {longest:?}");
    longest
}

fn assert_refused(answer: &Answer) {
    assert_eq!((answer.status, &answer.json()["error"]["type"]), (503, &json!("database_unavailable")), "{answer:?}");
}

/// A change by SQL is served, and each replica takes writes again; gives when.
fn recovery(cluster: &Cluster, postgres: &Postgres, database: &str) -> (Duration, Duration) {
    let start = Instant::now();
    let edit = "UPDATE providers SET weight = 42 WHERE id = 1; SELECT version FROM config_version";
    let version = postgres.texts(database, edit)[0].parse().unwrap();
    cluster.wait_for_version(version);
    let served = start.elapsed();
    for replica in &cluster.replicas {
        assert_eq!(replica.admin().get("/providers/1")["weight"], 42);
    }
    for (number, replica) in cluster.replicas.iter().enumerate() {
        let new = provider(&format!("after-{number}"), "http://127.0.0.1:1/v1", &json!({"m": "m"}));
        let mut admin = replica.admin();
        eventually("writes are taken", || admin.ask("POST", "/providers", &new).status == 201);
        eventually("the metric tells of the return", || replica.metric("llm_proxy_database_up") == Some(1.0));
    }
    (served, start.elapsed())
}

#[test]
fn a_replica_that_is_cut_off_goes_on_and_catches_up_without_a_gap_in_its_feed() {
    let _alone = alone();
    let (postgres, mock) = (Postgres::shared(), Mock::start());
    let database = postgres.create_database();
    let (url, link) = (postgres.url(&database), Link::to(postgres.port()));
    let through_link = url.replace(&format!(":{}/", postgres.port()), &format!(":{}/", link.port()));
    let cluster = Cluster::of(&[&url, &through_link], &[]);
    prepare(&cluster, &mock);
    let [near, far] = &cluster.replicas[..] else { panic!("not two") };
    let (whole, cut) = (Feed::open(near.address(), 0), Feed::open(far.address(), 0));

    link.cut();
    let (mut told, code) = cut.closed();
    assert_eq!(code, Some(4503));
    let mut version = told.last().map_or(0, |change| change.version);
    assert_eq!(Feed::try_open(far.address(), version).err(), Some(503));
    assert_eq!(far.chat(KEY, "mock").status, 200);
    assert_ready(far);
    assert_refused(&far.admin().ask("PUT", "/providers/1", &json!({"weight": 77})));
    let mut admin = near.admin();
    for weight in 2..12 {
        version = admin.change("PUT", "/providers/1", &json!({"weight": weight})).0;
    }
    assert!(far.admin().version() < version);

    link.mend();
    let start = Instant::now();
    far.admin().wait_for_version(version);
    assert_eq!(far.admin().get("/providers"), near.admin().get("/providers"));
    tell(&format!("a replica that was cut off was current after {:.1?}", start.elapsed()));
    let resumed = resume(far, told.last().map_or(0, |change| change.version));
    // The feed goes on with what comes next.
    let version = far.admin().change("PUT", "/providers/1", &json!({"weight": 12})).0;
    told.extend(resumed.changes_until(version));
    let messages = |changes: &[Change]| changes.iter().map(|c| c.message.clone()).collect::<Vec<_>>();
    assert_eq!(messages(&told), messages(&whole.changes_until(version)));
    assert_eq!(told.iter().map(|change| change.version).collect::<Vec<_>>(), (1..=version).collect::<Vec<_>>());
}

/// Subscribes again as soon as the replica lets.
fn resume(replica: &Replica, since: i64) -> Feed {
    let mut feed = None;
    eventually("the feed is back", || {
        feed = Feed::try_open(replica.address(), since).ok();
        feed.is_some()
    });
    feed.unwrap()
}
