//! A start while the database is away: from the file of the last run, or not at all yet.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Instant;

use serde_json::json;

use crate::scale::tell;
use crate::support::servers::Postgres;
use crate::support::{Answer, Mock, Replica, alone, eventually};

const KEY: &str = "sk-of-the-clients";

/// A database with a provider and a credential, left by a replica with these variables.
fn configured(mock: &Mock, variables: &[(&str, &str)], until: impl Fn() -> bool) -> (Postgres, String) {
    let postgres = Postgres::start();
    let database = postgres.create_database();
    let replica = Replica::start("first", &postgres.url(&database), variables);
    replica.wait_until_ready();
    let mut admin = replica.admin();
    admin.change("POST", "/providers", &mock.provider("kept-provider"));
    admin.credential(KEY, &json!({"name": "kept-credential"}));
    eventually("the configuration is kept", until);
    (postgres, database)
}

fn assert_refuses_writes(replica: &Replica) {
    let answer = replica.admin().ask("PUT", "/providers/1", &json!({"weight": 5}));
    assert_eq!((answer.status, &answer.json()["error"]["type"]), (503, &json!("database_unavailable")), "{answer:?}");
}

/// The database comes back with a change in it; the replica serves that, and takes writes.
fn assert_becomes_current(replica: &Replica, postgres: &mut Postgres, database: &str) {
    postgres.resume();
    let edit = "UPDATE providers SET weight = 42 WHERE id = 1; SELECT version FROM config_version";
    let version = postgres.texts(database, edit)[0].parse().unwrap();
    let start = Instant::now();
    replica.wait_until_ready();
    let mut admin = replica.admin();
    admin.wait_for_version(version);
    tell(&format!("started without a database, current {:.1?} after it came", start.elapsed()));
    assert_eq!(admin.get("/providers/1")["weight"], 42);
    eventually("writes are taken", || admin.ask("PUT", "/providers/1", &json!({"weight": 43})).status == 200);
    assert_eq!(replica.chat(KEY, "mock").status, 200);
}

#[test]
fn without_a_database_a_replica_starts_from_the_file_of_the_last_run() {
    let _alone = alone();
    let (mock, folder) = (Mock::start(), tempfile::tempdir().unwrap());
    let path = folder.path().join("snapshot");
    let variables = [("SNAPSHOT_PATH", path.to_str().unwrap())];
    let (mut postgres, database) = configured(&mock, &variables, || holds(&path, "kept-credential"));
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{mode:o}");
    postgres.stop();

    let replica = Replica::start("second", &postgres.url(&database), &variables);
    replica.wait_until_ready();
    let answer = replica.chat(KEY, "mock");
    assert_eq!((answer.status, answer.header("x-llm-proxy-provider")), (200, Some("kept-provider")), "{answer:?}");
    assert_eq!(replica.chat("sk-unknown", "mock").status, 401);
    assert_refuses_writes(&replica);
    assert_eq!(replica.admin().get("/providers")["providers"][0]["provider_key"], "kept-provider");
    assert_becomes_current(&replica, &mut postgres, &database);
}

#[test]
fn without_a_database_and_a_file_a_replica_is_alive_and_not_ready() {
    let _alone = alone();
    let mock = Mock::start();
    let (mut postgres, database) = configured(&mock, &[], || true);
    postgres.stop();

    let replica = Replica::start("second", &postgres.url(&database), &[]);
    let status = |path: &str| {
        let answer = replica.get(path);
        (answer.status, answer.json()["status"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(status("/health/live"), (200, "ok".to_owned()));
    assert_eq!(status("/health/ready"), (503, "starting".to_owned()));
    let answer = replica.chat(KEY, "mock");
    assert_not_ready(&answer);
    // Before the key is looked at: nobody can tell whether it is right.
    assert_not_ready(&replica.chat("sk-unknown", "mock"));
    assert_refuses_writes(&replica);
    assert_becomes_current(&replica, &mut postgres, &database);
}

fn assert_not_ready(answer: &Answer) {
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (503, &json!("not_ready")), "{answer:?}");
    assert_eq!(answer.header("retry-after"), Some("1"), "{answer:?}");
}

fn holds(path: &Path, text: &str) -> bool {
    // It is not there at first.
    fs::read(path).is_ok_and(|bytes| bytes.windows(text.len()).any(|part| part == text.as_bytes()))
}
