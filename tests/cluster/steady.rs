//! Traffic while the configuration changes all the time: no request fails because of it, and none
//! sees half of a change.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::scale::{Scale, tell};
use crate::support::load::{Ask, Clock, Ending, Plan, Target, pause};
use crate::support::servers::Postgres;
use crate::support::upstream::{Act, Received, Upstream};
use crate::support::{Admin, Answer, Cluster, alone, eventually, hello, provider};

const CHANGES_A_SECOND: u32 = 20;

/// The key of a credential that is rotated all the time, as its users know it.
struct Rotating {
    path: String,
    key: Mutex<Arc<str>>,
}

/// Answers with the generations that it was asked with, one for each of the fields that change
/// together: path, model and key.
fn generations() -> Upstream {
    Upstream::new(|request: &Received| {
        let path = request.target().split('/').nth(1).unwrap_or_default().to_owned();
        let model = request.json()["model"].as_str().unwrap_or_default().to_owned();
        let key = request.header("authorization").unwrap_or_default().to_owned();
        let seen = format!("{path} {} {}", model.trim_start_matches("real-"), key.trim_start_matches("Bearer sk-of-"));
        let body = json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model,
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": seen}}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        });
        let body = body.to_string();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}", body.len());
        vec![Act::send(format!("{head}\r\n\r\n{body}"))]
    })
}

/// What belongs together in a provider of this generation.
fn generation(upstream: &Upstream, model: &str, number: u32) -> Value {
    let address = upstream.base();
    let address = address.trim_end_matches("/v1");
    json!({
        "api_base": format!("{address}/g{number}/v1"),
        "api_key": format!("sk-of-g{number}"),
        "model_mapping": {model: format!("real-g{number}")},
    })
}

#[test]
fn no_request_fails_or_sees_half_a_change_while_everything_changes() {
    let _alone = alone();
    let (scale, postgres) = (Scale::chosen(), Postgres::shared());
    let cluster = Cluster::start(&postgres.url(&postgres.create_database()), &[]);
    let upstreams = [generations(), generations()];
    let rotating = prepare(&cluster, &upstreams);
    let stays: Arc<str> = Arc::from("sk-that-stays");
    let seen = Mutex::new(BTreeSet::new());
    let ask = |number: u32| {
        let key = if number % 4 == 3 { Arc::clone(&rotating.key.lock().unwrap()) } else { Arc::clone(&stays) };
        Ask::chat(key, hello(["even", "odd"][usize::from(number % 2 == 1)]))
    };
    let judge = |ask: &Ask, answer: &Answer| judge(ask, answer, &seen);
    let rate = scale.rate / 3;
    let target = |address| Target { address, rate, connections: scale.connections };
    let plan = Plan { targets: cluster.addresses().into_iter().map(target).collect(), ask: &ask, judge: &judge };
    let (clock, rotations) = (Clock::default(), AtomicU32::new(0));
    let (changes, report) = plan.during(|| {
        thread::scope(|scope| {
            let _ending = Ending(&clock);
            let admins = cluster.admins();
            scope.spawn(|| rotate(admins, &rotating, &clock, &rotations));
            change(&cluster, &upstreams, scale.load)
        })
    });
    let (seen, rotations) = (seen.into_inner().unwrap().len(), rotations.into_inner());
    tell(&format!("steady, {changes} changes and {rotations} rotations: {report}; {seen} generations seen"));
    report.assert_all_well(rate * 3 * u32::try_from(scale.load.as_secs()).unwrap());
    let planned = CHANGES_A_SECOND * u32::try_from(scale.load.as_secs()).unwrap();
    assert!(changes * 2 >= planned && rotations >= 2, "{changes} changes, {rotations} rotations");
    // Half of the changes are generations; some are too short for anybody to see.
    assert!(seen * 8 >= usize::try_from(changes).unwrap(), "{seen} generations seen of {changes} changes");
}

fn prepare(cluster: &Cluster, upstreams: &[Upstream; 2]) -> Rotating {
    let mut admin = cluster.replicas[0].admin();
    for (upstream, model) in upstreams.iter().zip(["even", "odd"]) {
        let mut new = provider(model, "", &Value::Null);
        new.as_object_mut().unwrap().extend(generation(upstream, model, 0).as_object().unwrap().clone());
        admin.change("POST", "/providers", &new);
    }
    admin.credential("sk-that-stays", &json!({"name": "stays"}));
    let (version, made) = admin.credential("sk-that-rotates", &json!({"allowed_models": ["even", "odd"]}));
    cluster.wait_for_version(version);
    Rotating { path: format!("/credentials/{}", made["id"]), key: Mutex::new(Arc::from("sk-that-rotates")) }
}

/// Only a whole answer of one generation is right.
fn judge(ask: &Ask, answer: &Answer, seen: &Mutex<BTreeSet<String>>) -> Result<(), String> {
    let wrong = || Err(format!("with {}: {answer:?}", ask.key));
    if answer.status != 200 {
        return wrong();
    }
    let body = answer.json();
    let text = body["choices"][0]["message"]["content"].as_str().unwrap_or_default();
    let parts: Vec<&str> = text.split(' ').collect();
    let model = body["model"].as_str().unwrap_or_default();
    let is_whole = parts.len() == 3 && parts[0].starts_with('g') && parts.iter().all(|part| *part == parts[0]);
    if !is_whole || !ask.body.contains(&format!("\"{model}\"")) {
        return wrong();
    }
    seen.lock().unwrap().insert(format!("{model} {}", parts[0]));
    Ok(())
}

/// Changes something twenty times a second, through one replica after the other.
fn change(cluster: &Cluster, upstreams: &[Upstream; 2], length: Duration) -> u32 {
    let (start, mut admins, mut made) = (Instant::now(), cluster.admins(), 0);
    let stays = id_of(&mut admins[0], "stays");
    while start.elapsed() < length {
        made += 1;
        let admin = &mut admins[usize::try_from(made % 3).unwrap()];
        let (place, model) = if made % 4 < 2 { (0, "even") } else { (1, "odd") };
        match made % 4 {
            0 | 2 => {
                admin.change("PUT", &format!("/providers/{}", place + 1), &generation(&upstreams[place], model, made))
            }
            1 => admin.change("PUT", &format!("/credentials/{stays}"), &json!({"rate_limit": 1_000_000 + made})),
            _ => {
                let other = provider(&format!("other-{made}"), "http://127.0.0.1:1/v1", &json!({"other": "m"}));
                let (_, other) = admin.change("POST", "/providers", &other);
                admin.change("DELETE", &format!("/providers/{}", other["id"]), &Value::Null)
            }
        };
        pause((start + Duration::from_secs(1) * made / CHANGES_A_SECOND).saturating_duration_since(Instant::now()));
    }
    made
}

fn id_of(admin: &mut Admin, name: &str) -> Value {
    let all = admin.get("/credentials");
    let found = all["credentials"].as_array().unwrap().iter().find(|credential| credential["name"] == name);
    found.unwrap_or_else(|| panic!("no {name}: {all}"))["id"].clone()
}

/// Rotates as an operator should: users get a new key when every replica knows it, and the next
/// rotation, which ends the grace of the old key, waits until nobody uses that.
fn rotate(mut admins: Vec<Admin>, rotating: &Rotating, clock: &Clock, rotations: &AtomicU32) {
    // Between two rotations there is a time with nothing but users of the new key.
    while !clock.is_over_at(Instant::now() + Duration::from_millis(200)) {
        let count = rotations.fetch_add(1, Ordering::Relaxed);
        let admin = &mut admins[usize::try_from(count % 3).unwrap()];
        let (version, rotated) =
            admin.change("POST", &format!("{}/rotate", rotating.path), &json!({"grace_secs": 600}));
        admins.iter_mut().for_each(|admin| admin.wait_for_version(version));
        let new: Arc<str> = Arc::from(rotated["new_key"].as_str().unwrap());
        let old = std::mem::replace(&mut *rotating.key.lock().unwrap(), new);
        eventually("nobody uses the old key", || Arc::strong_count(&old) == 1);
    }
}
