//! The feed of configuration changes.

use std::time::Duration;

use llm_proxy::api::FeedTimings;
use llm_proxy::server::Stop;
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::support::websocket::{BINARY, UPGRADE, WebSocket};
use crate::support::{ADMIN_KEY, Process, TestProxy, eventually, execute, lock};

const FEED: &str = "/admin/v1/config/feed";

/// A server that soon sees what others write.
fn attentive() -> TestProxy {
    TestProxy::with(&[("CONFIG_POLL_SECS", "0.05")])
}

fn provider(proxy: &TestProxy, key: &str) -> String {
    proxy.provider(key, "http://127.0.0.1:1/v1", json!({}))
}

fn version(proxy: &TestProxy) -> i64 {
    proxy.configure("GET", "/config/version", &Value::Null)["version"].as_i64().unwrap()
}

/// Changes a provider so many times with plain SQL, all at once.
fn change_often(proxy: &TestProxy, times: usize) {
    let update = "UPDATE providers SET weight = weight + 1;".repeat(times);
    execute(&proxy.database(), &format!("BEGIN IMMEDIATE; {update} COMMIT;"));
}

#[test]
fn the_greeting_tells_where_the_follower_stands() {
    let proxy = TestProxy::with(&[("REPLICA_ID", "one")]);
    provider(&proxy, "p");
    let mut feed = WebSocket::feed(proxy.address(), "");
    let hello = feed.message();
    let names: Vec<&String> = hello.as_object().unwrap().keys().collect();
    assert_eq!(names, ["type", "version", "replica_id", "replicas"]);
    assert_eq!((&hello["type"], &hello["version"], &hello["replica_id"]), (&json!("hello"), &json!(1), &json!("one")));
    let replicas = hello["replicas"].as_array().unwrap();
    assert_eq!((replicas.len(), &replicas[0]["id"], &replicas[0]["version"]), (1, &json!("one"), &json!(1)));
    assert!(replicas[0]["seen_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(feed.close(), 1000);
}

#[test]
fn every_change_is_told_in_order_with_who_made_it_and_without_secrets() {
    let proxy = attentive();
    let mut feed = WebSocket::feed(proxy.address(), "");
    let mut other = WebSocket::feed(proxy.address(), "");
    let path = provider(&proxy, "p");
    let bearer = format!("Bearer {ADMIN_KEY}");
    let headers = [("authorization", bearer.as_str()), ("x-admin-actor", "ann")];
    let rotated = proxy.ask("PUT", &format!("/admin/v1{path}"), &headers, br#"{"api_key":"sk-another-secret"}"#);
    assert_eq!(rotated.status, 200);
    execute(&proxy.database(), "UPDATE providers SET weight = 7");
    eventually("the change is in force", || version(&proxy) == 3);
    proxy.configure("DELETE", &path, &Value::Null);

    assert_eq!(feed.message()["type"], "hello");
    let told: Vec<Value> = (0..4).map(|_| feed.next("change")).collect();
    let names: Vec<&String> = told[0].as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        ["type", "version", "at", "actor", "action", "entity", "entity_id", "entity_name", "before", "after"]
    );
    let who_did_what: Vec<[&str; 2]> =
        told.iter().map(|change| ["actor", "action"].map(|name| change[name].as_str().unwrap())).collect();
    assert_eq!(who_did_what, [["admin", "create"], ["ann", "update"], ["sql", "update"], ["admin", "delete"]]);
    assert_eq!(told.iter().map(|change| change["version"].as_i64().unwrap()).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(told[0]["before"].is_null() && told[3]["after"].is_null());
    assert_eq!((&told[1]["before"]["api_key"], &told[1]["after"]["api_key"]), (&json!("***"), &json!("*** (changed)")));
    assert_eq!((&told[2]["before"]["weight"], &told[2]["after"]["weight"]), (&json!(1), &json!(7)));
    assert!(!told.iter().any(|change| change.to_string().contains("secret")), "{told:?}");
    let same: Vec<Value> = (0..4).map(|_| other.next("change")).collect();
    assert_eq!(same, told);
}

#[test]
fn a_follower_that_comes_back_misses_nothing_and_gets_nothing_twice() {
    let proxy = attentive();
    provider(&proxy, "p");
    let mut feed = WebSocket::feed(proxy.address(), "?since=0");
    let mut seen = feed.versions(1);
    // More than the feed remembers, and more than it reads at once.
    change_often(&proxy, 1800);
    seen.extend(feed.versions(700));
    drop(feed);
    let mut feed = WebSocket::feed(proxy.address(), &format!("?since={}", seen.last().unwrap()));
    eventually("the changes are in force", || version(&proxy) == 1801);
    seen.extend(feed.versions(600));
    drop(feed);
    let mut feed = WebSocket::feed(proxy.address(), &format!("?since={}", seen.last().unwrap()));
    seen.extend(feed.versions(500));
    change_often(&proxy, 100);
    seen.extend(feed.versions(100));
    assert_eq!(seen, (1..=1901).collect::<Vec<i64>>());
    // Whether it is remembered or has to be read, it is the same.
    for (times, since) in (0..).zip([0, 1, 400, 900, 1500, 1900]) {
        let mut feed = WebSocket::feed(proxy.address(), &format!("?since={since}"));
        assert_eq!(feed.message()["type"], "hello");
        change_often(&proxy, 1);
        let last = 1902 + times;
        let count = usize::try_from(last - since).unwrap();
        assert_eq!(feed.versions(count), (since + 1..=last).collect::<Vec<_>>());
    }
}

#[test]
fn who_wants_no_history_gets_none() {
    let proxy = attentive();
    let path = provider(&proxy, "p");
    let mut feed = WebSocket::feed(proxy.address(), "");
    let hello = feed.message();
    proxy.configure("PUT", &path, &json!({"weight": 3}));
    assert_eq!((&hello["version"], feed.versions(1)), (&json!(1), vec![2]));
}

#[test]
fn only_the_admin_key_opens_the_feed() {
    let proxy = TestProxy::start(&[], FeedTimings { auth_within: Duration::from_millis(50), ..FeedTimings::default() });
    let (answer, socket) = WebSocket::request(proxy.address(), FEED, &[("authorization", "Bearer wrong")]);
    assert!(socket.is_none());
    assert_eq!((answer.status, &answer.json()["error"]["type"]), (401, &json!("unauthorized")));
    let open = || WebSocket::request(proxy.address(), FEED, &[]).1.unwrap();
    for wrong in [json!({"type": "auth", "key": "wrong"}), json!({"type": "pong"})] {
        let mut feed = open();
        feed.say(&wrong);
        assert_eq!(feed.closed(|message| panic!("{message}")), 4401, "{wrong}");
    }
    assert_eq!(open().closed(|message| panic!("{message}")), 4401);
}

#[test]
fn a_browser_presents_the_key_in_its_first_message() {
    let proxy = TestProxy::empty();
    let (_, feed) = WebSocket::request(proxy.address(), &format!("{FEED}?since=0"), &[]);
    let mut feed = feed.unwrap();
    provider(&proxy, "p");
    feed.say(&json!({"type": "auth", "key": ADMIN_KEY}));
    assert_eq!(feed.message()["type"], "hello");
    assert_eq!(feed.versions(1), [1]);
    feed.say(&json!({"type": "auth", "key": "another"}));
    assert_eq!(feed.closed(drop), 4401);
}

#[test]
fn what_is_no_websocket_is_told_to_become_one() {
    let proxy = TestProxy::empty();
    let bearer = format!("Bearer {ADMIN_KEY}");
    for missing in 0..UPGRADE.len() {
        let mut headers = UPGRADE.to_vec();
        headers.remove(missing);
        headers.push(("authorization", &bearer));
        let answer = proxy.ask("GET", FEED, &headers, b"");
        assert_eq!((answer.status, &answer.json()["error"]["type"]), (426, &json!("upgrade_required")), "{answer:?}");
        assert_eq!(answer.header("upgrade"), Some("websocket"));
    }
    assert_eq!(proxy.ask("GET", FEED, &[], b"").status, 426);
    assert_eq!(proxy.admin("POST", "/config/feed", &json!({})).status, 405);
}

#[test]
fn since_is_a_version_that_exists() {
    let proxy = TestProxy::empty();
    for wrong in ["-1", "x", ""] {
        let (answer, _) = WebSocket::request(proxy.address(), &format!("{FEED}?since={wrong}"), &[]);
        assert_eq!((answer.status, &answer.json()["error"]["field"]), (400, &json!("since")), "{answer:?}");
    }
    provider(&proxy, "p");
    assert_eq!(WebSocket::feed(proxy.address(), "?since=2").closed(|message| panic!("{message}")), 4409);
    assert_eq!(WebSocket::feed(proxy.address(), "?since=1").message()["version"], 1);
}

#[test]
fn a_follower_may_be_ahead_of_this_replica_but_not_of_the_database() {
    // This replica sees by itself nothing of what is written elsewhere.
    let proxy = TestProxy::with(&[("CONFIG_POLL_SECS", "3600")]);
    provider(&proxy, "p");
    change_often(&proxy, 4);
    let mut feed = WebSocket::feed(proxy.address(), "?since=3");
    assert_eq!(feed.message()["type"], "hello");
    assert_eq!(feed.versions(2), [4, 5]);
}

#[test]
fn pages_of_other_origins_must_be_listed() {
    let proxy = TestProxy::with(&[("CORS_ORIGINS", "*, https://admin.example.com")]);
    let ours = format!("https://{}", proxy.address());
    let bearer = format!("Bearer {ADMIN_KEY}");
    let ask = |origin: &str| {
        WebSocket::request(proxy.address(), FEED, &[("authorization", bearer.as_str()), ("origin", origin)]).0
    };
    for allowed in [ours.as_str(), "https://admin.example.com"] {
        assert_eq!(ask(allowed).status, 101, "{allowed}");
    }
    for refused in ["https://evil.example", "null", "https://localhost"] {
        assert_eq!(ask(refused).status, 403, "{refused}");
    }
}

#[test]
fn a_message_that_cannot_be_understood_ends_the_connection() {
    let proxy = TestProxy::empty();
    let feed = || {
        let mut feed = WebSocket::feed(proxy.address(), "");
        assert_eq!(feed.message()["type"], "hello");
        feed
    };
    let long = format!(r#"{{"type":"pong","x":"{}"}}"#, "x".repeat(65_536));
    for wrong in ["{}", "pong", r#"{"type":"subscribe"}"#, r#"{"type":"auth"}"#, "", &long] {
        let mut feed = feed();
        feed.send(1, wrong.as_bytes());
        assert_eq!(feed.closed(drop), 4400, "{:.40}", wrong);
    }
    let pong = br#"{"type":"pong"}"#;
    let mut feed_of_bytes = feed();
    feed_of_bytes.send(BINARY, pong);
    assert_eq!(feed_of_bytes.closed(drop), 4400);
    for frame in [
        // Without a mask, of an unknown kind, only the first part of a message, of eight exabytes.
        &[0x81, 2, b'{', b'}'][..],
        &[0x83, 0x80, 0, 0, 0, 0],
        &[0x01, 0x81, 0, 0, 0, 0, b'{'],
        &[0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0],
    ] {
        let mut feed = feed();
        feed.bytes(frame);
        assert_eq!(feed.closed(drop), 4400, "{frame:?}");
    }
}

#[test]
fn a_follower_is_asked_whether_it_is_there() {
    let timings = FeedTimings {
        ping_every: Duration::from_millis(20),
        pong_within: Duration::from_millis(500),
        ..FeedTimings::default()
    };
    let proxy = TestProxy::start(&[], timings);
    let mut polite = WebSocket::feed(proxy.address(), "");
    // Far longer than a silent one may stay.
    for _ in 0..60 {
        let ping = polite.next("ping");
        assert!(ping["at"].as_str().unwrap().ends_with('Z'), "{ping}");
        polite.say(&json!({"type": "pong"}));
    }
    assert_eq!(polite.close(), 1000);
    let mut pings = 0;
    let mut silent = WebSocket::feed(proxy.address(), "");
    assert_eq!(silent.closed(|message| pings += usize::from(message["type"] == "ping")), 4408);
    assert!(pings > 1, "{pings}");
}

#[test]
fn a_ping_of_the_protocol_is_answered() {
    let proxy = TestProxy::empty();
    let mut feed = WebSocket::feed(proxy.address(), "");
    feed.message();
    assert_eq!(feed.ping(b"mark"), b"mark");
}

#[test]
fn a_follower_that_does_not_read_is_cut_off_and_comes_back_for_the_rest() {
    let proxy = attentive();
    let padding = "x".repeat(60_000);
    let path = provider(&proxy, "p");
    proxy.configure("PUT", &path, &json!({"model_mapping": {"m": padding}}));
    let mut slow = WebSocket::feed(proxy.address(), "?since=0");
    assert_eq!(slow.versions(2), [1, 2]);
    let mut quick = WebSocket::feed(proxy.address(), "?since=2");
    let mut made = 2;
    let dropped = || proxy.metric("llm_proxy_mailbox_dropped_total", &["mailbox=\"feed\""]);
    while dropped() < 1.0 {
        assert!(made < 5000, "the follower takes everything");
        proxy.configure("PATCH", &format!("{path}/status"), &json!({"is_enabled": made % 2 == 1}));
        made += 1;
        assert_eq!(quick.versions(1), [made]);
    }
    let mut seen = vec![1, 2];
    let code =
        slow.closed(|message| seen.extend((message["type"] == "change").then(|| message["version"].as_i64().unwrap())));
    assert_eq!(code, 4429);
    let mut again = WebSocket::feed(proxy.address(), &format!("?since={}", seen.last().unwrap()));
    seen.extend(again.versions(usize::try_from(made).unwrap() - seen.len()));
    assert_eq!(seen, (1..=made).collect::<Vec<_>>());
}

#[test]
fn without_the_database_nobody_is_kept_waiting_and_afterwards_nothing_is_missing() {
    // Only the life signs need the database here.
    let proxy = TestProxy::with(&[("CONFIG_POLL_SECS", "3600")]);
    let path = provider(&proxy, "p");
    let mut feed = WebSocket::feed(proxy.address(), "?since=0");
    assert_eq!(feed.versions(1), [1]);
    let away = lock(&proxy.database());
    assert_eq!(feed.closed(drop), 4503);
    let bearer = format!("Bearer {ADMIN_KEY}");
    let follow = || WebSocket::request(proxy.address(), &format!("{FEED}?since=1"), &[("authorization", &bearer)]);
    let (answer, _) = follow();
    assert_eq!((answer.status, &answer.json()["error"]["type"]), (503, &json!("database_unavailable")));
    drop(away);
    proxy.configure("PUT", &path, &json!({"weight": 2}));
    let mut feed = follow().1.unwrap();
    assert_eq!(feed.versions(1), [2]);
}

#[test]
fn followers_are_counted() {
    let proxy = TestProxy::empty();
    let count = || proxy.metric("llm_proxy_feed_subscribers", &[]);
    let mut feeds: Vec<WebSocket> = (0..3).map(|_| WebSocket::feed(proxy.address(), "")).collect();
    feeds.iter_mut().for_each(|feed| drop(feed.message()));
    assert_eq!(count(), 3.0);
    feeds.pop();
    eventually("the one that left is not counted", || count() == 2.0);
    feeds.into_iter().for_each(|feed| assert_eq!(feed.close(), 1000));
    eventually("nobody is left", || count() == 0.0);
}

#[test]
fn at_the_end_followers_are_sent_away_at_once() {
    let mut proxy = TestProxy::with(&[("SHUTDOWN_DRAIN_SECS", "3600")]);
    let mut feed = WebSocket::feed(proxy.address(), "");
    let mut nobody = WebSocket::request(proxy.address(), FEED, &[]).1.unwrap();
    feed.message();
    proxy.begin_stop(Stop::Soon);
    assert_eq!((feed.closed(drop), nobody.closed(drop)), (1001, 1001));
    proxy.stop();
}

#[test]
fn a_closed_feed_leaves_no_complaint_in_the_log() {
    let folder = tempdir().unwrap();
    let (process, address) = Process::serve(&folder, &[("SHUTDOWN_DELAY_SECS", "0")]);
    let mut first = WebSocket::feed(address, "");
    first.message();
    assert_eq!(first.close(), 1000);
    let mut second = WebSocket::feed(address, "");
    second.message();
    process.signal("TERM");
    assert_eq!(second.closed(drop), 1001);
    let (status, log) = process.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains("\"level\":\"error\"") && log.contains("\"message\":\"stopped\""), "{log}");
}

#[test]
fn replicas_of_one_database_see_each_other() {
    let one = TestProxy::with(&[("REPLICA_ID", "one"), ("CONFIG_POLL_SECS", "0.05")]);
    let database = format!("sqlite://{}", one.database().display());
    let mut feed = WebSocket::feed(one.address(), "");
    assert_eq!(feed.message()["type"], "hello");
    let two = TestProxy::with(&[("REPLICA_ID", "two"), ("CONFIG_POLL_SECS", "0.05"), ("DB_URL", &database)]);
    let mut other_feed = WebSocket::feed(two.address(), "");
    other_feed.message();
    let appeared = loop {
        let news = feed.next("replica");
        if news["id"] == "two" {
            break news;
        }
    };
    assert_eq!((&appeared["version"], &appeared["state"]), (&json!(0), &json!("up")));
    let names: Vec<&String> = appeared.as_object().unwrap().keys().collect();
    assert_eq!(names, ["type", "id", "version", "seen_at", "state"]);
    provider(&one, "p");
    provider(&two, "q");
    assert_eq!((feed.versions(2), other_feed.versions(2)), (vec![1, 2], vec![1, 2]));
    let followed = |news: &Value| news["id"] == "two" && news["version"] == 2 && news["state"] == "up";
    while !followed(&feed.next("replica")) {}
    for proxy in [&one, &two] {
        eventually("both are listed with their versions", || {
            let listed = proxy.configure("GET", "/config/version", &Value::Null);
            let listed = listed["replicas"].as_array().unwrap().iter();
            let listed: Vec<(&Value, &Value)> = listed.map(|replica| (&replica["id"], &replica["version"])).collect();
            listed == [(&json!("one"), &json!(2)), (&json!("two"), &json!(2))]
        });
    }
}
