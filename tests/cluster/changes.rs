//! Changes from everywhere at once: every replica ends with the same, within a second, and tells
//! of each change once and in order.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::scale::{Scale, tell};
use crate::support::feed::{Change, Feed};
use crate::support::load::Spread;
use crate::support::servers::Postgres;
use crate::support::{Admin, Cluster, alone, provider};

/// Writers at each replica.
const WRITERS: u32 = 2;

/// A change that somebody knows to be made.
struct Mark {
    version: i64,
    /// The replica that answered; none for plain SQL.
    by: Option<usize>,
    at: Instant,
}

/// Makes changes through one replica, and knows what its own entities must be in the end.
struct Writer {
    number: u32,
    replica: usize,
    admin: Admin,
    marks: Vec<Mark>,
    providers: BTreeMap<i64, Value>,
    credentials: BTreeMap<i64, Value>,
    turn: u32,
}

/// Edits by plain SQL, as an operator would.
struct Editor<'e> {
    postgres: &'e Postgres,
    database: &'e str,
    marks: Vec<Mark>,
    /// From the edit until a replica served it.
    served: Vec<Duration>,
}

#[test]
fn changes_through_all_replicas_and_by_sql_reach_every_replica_once_and_in_order() {
    let _alone = alone();
    let (scale, postgres) = (Scale::chosen(), Postgres::shared());
    let database = postgres.create_database();
    // Nobody asks by himself: what arrives was told.
    let cluster = Cluster::start(&postgres.url(&database), &[("CONFIG_POLL_SECS", "3600")]);
    let feeds: Vec<Feed> = cluster.addresses().into_iter().map(|address| Feed::open(address, 0)).collect();
    for (feed, replica) in feeds.iter().zip(&cluster.replicas) {
        assert_eq!(feed.hello["replica_id"], replica.name.as_str());
    }
    prepare(&cluster);
    let (writers, editor) = make_changes(&scale, &cluster, postgres, &database);

    let last = postgres.texts(&database, "SELECT version FROM config_version")[0].parse().unwrap();
    cluster.wait_for_version(last);
    assert_same_everywhere(&cluster, last, &writers);
    let changes: Vec<Vec<Change>> = feeds.iter().map(|feed| feed.changes_until(last)).collect();
    assert_whole_and_the_same(&changes, last);
    let by_sql = changes[0].iter().filter(|change| change.message["actor"] == "sql").count();
    assert!(by_sql >= editor.marks.len(), "{by_sql} changes by SQL after {} edits", editor.marks.len());
    assert_eq!(told_by_pages(&mut cluster.replicas[0].admin()), messages(&changes[0]));
    assert_on_time(&scale, &writers, &editor, &changes);
}

/// What all writers and the editor change.
fn prepare(cluster: &Cluster) {
    let mut admin = cluster.replicas[0].admin();
    let mut version = 0;
    for key in ["shared", "by-sql-a", "by-sql-b"] {
        version = admin.change("POST", "/providers", &provider(key, "http://127.0.0.1:1/v1", &json!({"m": "m"}))).0;
    }
    cluster.wait_for_version(version);
}

fn make_changes<'e>(
    scale: &Scale,
    cluster: &Cluster,
    postgres: &'e Postgres,
    database: &'e str,
) -> (Vec<Writer>, Editor<'e>) {
    let each = scale.changes / (WRITERS * 3);
    let mut editor = Editor { postgres, database, marks: Vec::new(), served: Vec::new() };
    let writers = thread::scope(|scope| {
        let mut writing = Vec::new();
        for (replica, server) in cluster.replicas.iter().enumerate() {
            for place in 0..WRITERS {
                let number = u32::try_from(replica).unwrap() * WRITERS + place;
                let mut writer = Writer::new(number, replica, server.admin());
                writing.push(scope.spawn(move || {
                    (0..each).for_each(|_| writer.change());
                    writer
                }));
            }
        }
        for edit in 0..scale.edits {
            editor.edit(edit, cluster);
        }
        writing.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    (writers, editor)
}

// === impl Writer ===

impl Writer {
    fn new(number: u32, replica: usize, admin: Admin) -> Self {
        let (providers, credentials) = (BTreeMap::new(), BTreeMap::new());
        Self { number, replica, admin, marks: Vec::new(), providers, credentials, turn: 0 }
    }

    /// The next change. The order is fixed, and differs between writers.
    fn change(&mut self) {
        self.turn += 1;
        match (self.turn * 7 + self.number * 3) % 10 {
            0 | 1 => self.create_provider(),
            2 | 3 => self.update_provider(),
            4 => self.update_shared(),
            5 | 6 => self.create_credential(),
            7 => self.update_credential(),
            8 => self.rotate_credential(),
            _ if self.turn % 20 < 10 => self.delete_provider(),
            _ => self.delete_credential(),
        }
    }

    fn create_provider(&mut self) {
        let key = format!("p-{}-{}", self.number, self.turn);
        let mut new = provider(&key, "http://127.0.0.1:1/v1", &json!({"m-*": "m-*", "x": {"mapped_model": "y"}}));
        new["provider_params"] = json!({"headers": {"x-turn": self.turn.to_string()}, "max_concurrency": 7});
        let made = self.made("POST", "/providers", &new);
        self.providers.insert(id(&made), made);
    }

    fn update_provider(&mut self) {
        let Some(id) = self.providers.keys().last().copied() else { return self.create_provider() };
        let turn = self.turn;
        let change = match turn % 3 {
            0 => json!({"weight": turn + 2, "is_enabled": turn.is_multiple_of(2)}),
            1 => json!({"model_mapping": {format!("m-{turn}"): "m"}, "api_base": format!("http://127.0.0.1:1/{turn}")}),
            _ => json!({"api_key": format!("sk-secret-{turn}"), "provider_params": {"max_concurrency": turn}}),
        };
        let made = self.made("PUT", &format!("/providers/{id}"), &change);
        self.providers.insert(id, made);
    }

    /// Whose update wins is open; that all replicas agree is not.
    fn update_shared(&mut self) {
        let weight = self.number * 10_000 + self.turn;
        self.made("PUT", "/providers/1", &json!({"weight": weight, "model_mapping": {format!("m-{weight}"): "m"}}));
    }

    fn create_credential(&mut self) {
        let name = format!("c-{}-{}", self.number, self.turn);
        let made = self.made("POST", "/credentials", &json!({"name": name, "rate_limit": self.turn, "burst": 5}));
        self.credentials.insert(id(&made), made);
    }

    fn update_credential(&mut self) {
        let Some(id) = self.credentials.keys().last().copied() else { return self.create_credential() };
        let turn = self.turn;
        let change = json!({"name": format!("renamed-{turn}"), "allowed_models": [format!("m-{turn}"), "x*"],
            "rate_limit": null, "expires_at": "2099-01-02T03:04:05.678Z"});
        let made = self.made("PUT", &format!("/credentials/{id}"), &change);
        self.credentials.insert(id, made);
    }

    fn rotate_credential(&mut self) {
        let Some(id) = self.credentials.keys().next().copied() else { return self.create_credential() };
        let rotated = self.made("POST", &format!("/credentials/{id}/rotate"), &json!({"grace_secs": 600}));
        self.credentials.insert(id, rotated["credential"].clone());
    }

    fn delete_provider(&mut self) {
        let Some((id, _)) = self.providers.pop_first() else { return self.create_provider() };
        self.made("DELETE", &format!("/providers/{id}"), &Value::Null);
    }

    fn delete_credential(&mut self) {
        let Some((id, _)) = self.credentials.pop_first() else { return self.create_credential() };
        self.made("DELETE", &format!("/credentials/{id}"), &Value::Null);
    }

    fn made(&mut self, method: &str, path: &str, body: &Value) -> Value {
        let (version, made) = self.admin.change(method, path, body);
        self.marks.push(Mark { version, by: Some(self.replica), at: Instant::now() });
        made
    }
}

// === impl Editor ===

impl Editor<'_> {
    /// One edit, of one row or two, and when each replica serves it.
    fn edit(&mut self, number: u32, cluster: &Cluster) {
        let statement = match number % 4 {
            0 => "UPDATE providers SET weight = weight + 1 WHERE provider_key LIKE 'by-sql-%'".to_owned(),
            1 => format!(
                "INSERT INTO credentials (credential_key, name, created_at, updated_at)
                VALUES (encode(sha256('{number}'), 'hex'), 'sql-{number}', now(), now())"
            ),
            2 => format!("DELETE FROM credentials WHERE name = 'sql-{}'", number - 1),
            _ => format!("UPDATE providers SET model_mapping = '{{\"sql-{number}\": \"m\"}}' WHERE id = 2"),
        };
        let mut admins = cluster.admins();
        // Both statements are one transaction, so this is the version of the edit.
        let edit = format!("{statement}; SELECT version FROM config_version");
        let version = self.postgres.texts(self.database, &edit)[0].parse().unwrap();
        let at = Instant::now();
        self.marks.push(Mark { version, by: None, at });
        for admin in &mut admins {
            admin.wait_for_version(version);
            self.served.push(at.elapsed());
        }
    }
}

// === What must hold ===

/// Every replica lists the same, to the last field, and what its writers were told.
fn assert_same_everywhere(cluster: &Cluster, version: i64, writers: &[Writer]) {
    let lists = ["/providers", "/credentials"].map(|path| {
        let mut all = cluster.admins().into_iter().map(|mut admin| admin.get(path));
        let first = all.next().unwrap();
        assert_eq!(first["version"], version);
        all.for_each(|other| assert_eq!(first, other));
        first
    });
    let [providers, credentials] = lists.each_ref().map(|list| {
        let entries = list.get("providers").or_else(|| list.get("credentials")).unwrap().as_array().unwrap();
        entries.iter().map(|entry| (id(entry), without_key(entry))).collect::<BTreeMap<_, _>>()
    });
    let (mut own_providers, mut own_credentials) = (0, 0);
    for writer in writers {
        own_providers += writer.providers.len();
        own_credentials += writer.credentials.len();
        for (listed, known) in [(&providers, &writer.providers), (&credentials, &writer.credentials)] {
            for (id, known) in known {
                assert_eq!(listed.get(id), Some(&without_key(known)));
            }
        }
    }
    // Nothing that was deleted is left.
    let by_sql = credentials.values().filter(|entry| entry["name"].as_str().unwrap().starts_with("sql-")).count();
    assert_eq!((providers.len(), credentials.len()), (own_providers + 3, own_credentials + by_sql));
}

fn assert_whole_and_the_same(feeds: &[Vec<Change>], last: i64) {
    let all: Vec<i64> = (1..=last).collect();
    for changes in feeds {
        let told: Vec<i64> = changes.iter().map(|change| change.version).collect();
        assert_eq!(told, all);
        assert_eq!(messages(changes), messages(&feeds[0]));
    }
}

fn assert_on_time(scale: &Scale, writers: &[Writer], editor: &Editor<'_>, feeds: &[Vec<Change>]) {
    let mut delays = Vec::new();
    for mark in writers.iter().flat_map(|writer| &writer.marks).chain(&editor.marks) {
        for (replica, changes) in feeds.iter().enumerate().filter(|(replica, _)| mark.by != Some(*replica)) {
            let told = &changes[usize::try_from(mark.version).unwrap() - 1];
            assert_eq!(told.version, mark.version);
            delays.push(told.at.saturating_duration_since(mark.at));
            assert!(delays.last() < Some(&scale.told_within), "{replica} was late with {told:?}");
        }
    }
    let served = Spread::of(editor.served.iter().copied());
    tell(&format!("{} changes told to other replicas after: {}", delays.len(), Spread::of(delays.into_iter())));
    tell(&format!("{} edits by SQL served after: {served}", editor.marks.len()));
    assert!(served.worst() < scale.told_within, "{served}");
}

fn messages(changes: &[Change]) -> Vec<Value> {
    changes.iter().map(|change| change.message.clone()).collect()
}

/// The same history from `/config/changes`, in the form of the feed.
fn told_by_pages(admin: &mut Admin) -> Vec<Value> {
    let (mut all, mut since): (Vec<Value>, i64) = (Vec::new(), 0);
    loop {
        let page = admin.get(&format!("/config/changes?since={since}&limit=200"));
        for change in page["changes"].as_array().unwrap() {
            let mut message = change.clone();
            message["type"] = json!("change");
            since = message["version"].as_i64().unwrap();
            all.push(message);
        }
        if page["has_more"] == false {
            return all;
        }
    }
}

fn id(entry: &Value) -> i64 {
    entry["id"].as_i64().unwrap_or_else(|| panic!("no id: {entry}"))
}

/// What is shown of a generated key differs between its one showing and later.
fn without_key(entry: &Value) -> Value {
    let mut entry = entry.clone();
    for member in ["key", "key_preview"] {
        entry.as_object_mut().unwrap().remove(member);
    }
    entry
}
