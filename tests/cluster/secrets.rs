//! With an encryption key nothing that opens a door is in the database.

use serde_json::json;

use crate::support::servers::Postgres;
use crate::support::upstream::Upstream;
use crate::support::{Answer, Cluster, alone, eventually, provider};

const KEYS: [&str; 2] = [
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
    "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff000102030405060708090a0b0c0d0e0f",
];

#[test]
fn a_dump_holds_no_key_of_a_client_and_none_of_a_provider() {
    let _alone = alone();
    let postgres = Postgres::shared();
    let database = postgres.create_database();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapshot");
    let variables =
        [("ENCRYPTION_KEY", KEYS[0]), ("SNAPSHOT_PATH", path.to_str().unwrap()), ("REQUEST_LOG_BODY_ENABLED", "true")];
    let cluster = Cluster::start(&postgres.url(&database), &variables);
    let (secrets, requests) = use_keys(&cluster);
    let logged = format!("SELECT 1 FROM request_logs HAVING count(*) >= {requests}");
    eventually("all requests are logged", || postgres.texts(&database, &logged) == ["1"]);

    let dump = postgres.dump(&database);
    // It is the right dump, and all of it.
    for part in ["enc:v1:", "guarded", "careless", "credential_key", "config_changes", "generated"] {
        assert!(dump.contains(part), "no {part} in the dump");
    }
    let versions = postgres.texts(&database, "SELECT count(*) FROM config_changes");
    assert_ne!(versions, ["0"]);
    let logs: String = cluster.replicas.iter().map(|replica| replica.log()).collect();
    let snapshot = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
    for secret in &secrets {
        for (place, text) in [("dump", &dump), ("logs", &logs), ("snapshot", &snapshot)] {
            assert!(!text.contains(secret.as_str()), "{secret} is in the {place}");
        }
    }
    assert_other_keys_are_useless(&postgres.url(&database));
}

/// Makes, changes, rotates and uses keys, also with a provider that repeats the key it was given;
/// gives every key there was, and how many requests are logged.
fn use_keys(cluster: &Cluster) -> (Vec<String>, usize) {
    let careless = "Incorrect API key provided: sk-careless-second. Bearer sk-careless-second is wrong.";
    let refusal = json!({"error": {"message": careless, "type": "invalid_request_error", "param": null, "code": null}});
    let careless = Upstream::status(401, "content-type: application/json\r\n", &refusal.to_string());
    let body = json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "real",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello"}}]});
    let well = Upstream::json(&body.to_string());
    let mut admin = cluster.replicas[0].admin();
    let mut secrets = Vec::new();
    for (key, base) in [("guarded", well.base()), ("careless", careless.base())] {
        let mut new = provider(key, &base, &json!({key: "real"}));
        new["api_key"] = json!(format!("sk-{key}-first"));
        let made = admin.change("POST", "/providers", &new).1;
        let second = json!({"api_key": format!("sk-{key}-second")});
        let updated = admin.change("PUT", &format!("/providers/{}", made["id"]), &second).1;
        assert_eq!(updated["api_key_state"], "encrypted", "{updated}");
        secrets.extend(["first", "second"].map(|which| format!("sk-{key}-{which}")));
    }
    let made = admin.credential("sk-client-made", &json!({})).1;
    let path = format!("/credentials/{}", made["id"]);
    admin.change("PUT", &path, &json!({"key": "sk-client-changed"}));
    let (version, rotated) = admin.change("POST", &format!("{path}/rotate"), &json!({"grace_secs": 600}));
    let other = admin.change("POST", "/credentials", &json!({"name": "generated"})).1;
    let generated = [&rotated["new_key"], &other["key"]].map(|key| key.as_str().unwrap().to_owned());
    secrets.extend(["sk-client-made".to_owned(), "sk-client-changed".to_owned()]);
    secrets.extend(generated.iter().cloned());
    cluster.wait_for_version(version + 1);

    let mut asked = 0;
    for replica in &cluster.replicas {
        for key in ["sk-client-changed", &generated[0], &generated[1]] {
            let statuses = ["guarded", "careless"].map(|model| {
                let answer: Answer = replica.chat(key, model);
                assert!(!answer.text().contains("sk-careless"), "{answer:?}");
                answer.status
            });
            assert_eq!(statuses, [200, 401]);
            asked += 2;
        }
        assert_eq!(replica.chat("sk-client-made", "guarded").status, 401);
    }
    (secrets, asked)
}

/// A replica with another encryption key has no provider to use.
fn assert_other_keys_are_useless(url: &str) {
    let cluster = Cluster::of(&[url], &[("ENCRYPTION_KEY", KEYS[1])]);
    let providers = cluster.replicas[0].admin().get("/providers");
    for provider in providers["providers"].as_array().unwrap() {
        assert_eq!(provider["api_key_state"], "undecryptable", "{provider}");
    }
}
