//! The database is killed in the middle of many writes: each is whole or absent, and what was
//! answered is there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::scale::{Scale, tell};
use crate::support::feed::Feed;
use crate::support::load::pause;
use crate::support::servers::Postgres;
use crate::support::{Admin, Cluster, alone, eventually, provider, version_of};

/// Writers at each replica.
const WRITERS: usize = 2;
/// How long a writer may go on without being refused; only a bug makes it go on so long.
const STORM: Duration = Duration::from_secs(120);

/// Writes until it is refused, and knows what was answered.
struct Writer {
    admin: Admin,
    number: usize,
    id: i64,
    /// Its last generation that was asked for, and the last that was answered.
    asked: u32,
    answered: u32,
    /// Credentials that must be there, those that must not, and the one that nobody knows of.
    present: BTreeSet<String>,
    absent: BTreeSet<String>,
    open: Option<String>,
    /// Versions that were answered: each has the change, and may have later ones, too. Beside them
    /// the weights that they brought.
    versions: Vec<(i64, Option<u32>)>,
}

#[test]
fn after_a_crash_each_write_is_whole_or_absent_and_answered_ones_are_there() {
    let _alone = alone();
    let (scale, mut postgres) = (Scale::chosen(), Postgres::start());
    let database = postgres.create_database();
    let cluster = Cluster::start(&postgres.url(&database), &[]);
    let writers = storm(&cluster, &mut postgres, scale.writes_before_crash);
    postgres.resume();
    let rows = |sql: &str| postgres.texts(&database, sql);

    let version: i64 = rows("SELECT version FROM config_version")[0].parse().unwrap();
    assert_history_is_whole(&rows, version);
    for writer in &writers {
        writer.assert_kept(&rows);
    }
    let answered: usize = writers.iter().map(|writer| writer.versions.len()).sum();
    tell(&format!("killed after {answered} answered writes; the database came back with version {version}"));
    assert!(answered >= scale.writes_before_crash);

    cluster.wait_for_version(version);
    let lists = |admin: &mut Admin| [admin.get("/providers"), admin.get("/credentials")];
    let all: Vec<_> = cluster.admins().iter_mut().map(lists).collect();
    assert!(all.iter().all(|lists| *lists == all[0]), "{all:?}");
    for (number, replica) in cluster.replicas.iter().enumerate() {
        let (mut admin, weight) = (replica.admin(), json!({"weight": 9_000_000 + number}));
        eventually("writes are taken", || admin.ask("PUT", "/providers/1", &weight).status == 200);
    }
    let last = rows("SELECT version FROM config_version")[0].parse().unwrap();
    cluster.wait_for_version(last);
    for address in cluster.addresses() {
        let told: Vec<i64> = Feed::open(address, 0).changes_until(last).iter().map(|change| change.version).collect();
        assert_eq!(told, (1..=last).collect::<Vec<_>>());
    }
}

/// Writes through all replicas until the database is killed among them.
fn storm(cluster: &Cluster, postgres: &mut Postgres, enough: usize) -> Vec<Writer> {
    let answered = AtomicUsize::new(0);
    thread::scope(|scope| {
        let mut writing = Vec::new();
        for (replica, server) in cluster.replicas.iter().enumerate() {
            for place in 0..WRITERS {
                let mut writer = Writer::new(server.admin(), replica * WRITERS + place);
                let answered = &answered;
                writing.push(scope.spawn(move || {
                    let start = Instant::now();
                    while writer.write() {
                        answered.fetch_add(1, Ordering::Relaxed);
                        assert!(start.elapsed() < STORM, "nobody refuses writes");
                    }
                    writer
                }));
            }
        }
        while answered.load(Ordering::Relaxed) < enough && !writing.iter().any(thread::ScopedJoinHandle::is_finished) {
            pause(Duration::from_millis(1));
        }
        postgres.kill();
        writing.into_iter().map(|writer| writer.join().unwrap()).collect()
    })
}

impl Writer {
    fn new(mut admin: Admin, number: usize) -> Self {
        let new = provider(&format!("w-{number}"), "http://127.0.0.1:1/g1", &json!({"m": "g1"}));
        let (version, made) = admin.change("POST", "/providers", &new);
        Self {
            admin,
            number,
            id: made["id"].as_i64().unwrap(),
            asked: 1,
            answered: 1,
            present: BTreeSet::new(),
            absent: BTreeSet::new(),
            open: None,
            versions: vec![(version, Some(1))],
        }
    }

    /// The next write; whether it was answered.
    fn write(&mut self) -> bool {
        match self.versions.len() % 4 {
            0 => self.create(),
            2 => self.delete(),
            _ => self.update(),
        }
    }

    /// Three fields that only make sense together.
    fn update(&mut self) -> bool {
        self.asked += 1;
        let weight = self.asked;
        let change = json!({"weight": weight, "api_base": format!("http://127.0.0.1:1/g{weight}"),
            "model_mapping": {"m": format!("g{weight}")}});
        let is_answered = self.send("PUT", &format!("/providers/{}", self.id), &change, Some(weight)).is_some();
        if is_answered {
            self.answered = self.asked;
        }
        is_answered
    }

    fn create(&mut self) -> bool {
        let name = format!("c-{}-{}", self.number, self.versions.len());
        match self.send("POST", "/credentials", &json!({"name": name}), None) {
            Some(made) => self.present.insert(format!("{}|{name}", made["id"])),
            None => self.open.replace(name).is_some(),
        }
    }

    fn delete(&mut self) -> bool {
        let Some(credential) = self.present.pop_first() else { return self.update() };
        let id = credential.split('|').next().unwrap();
        match self.send("DELETE", &format!("/credentials/{id}"), &Value::Null, None) {
            Some(_) => self.absent.insert(credential),
            None => self.open.replace(credential).is_some(),
        }
    }

    fn send(&mut self, method: &str, path: &str, body: &Value, weight: Option<u32>) -> Option<Value> {
        let answer = self.admin.ask(method, path, body);
        if answer.status == 503 {
            return None;
        }
        assert!((200..300).contains(&answer.status), "{method} {path}: {answer:?}");
        self.versions.push((version_of(&answer), weight));
        Some(if answer.body.is_empty() { Value::Null } else { answer.json() })
    }

    fn assert_kept(&self, rows: &impl Fn(&str) -> Vec<String>) {
        let row = rows(&format!("SELECT weight, api_base, model_mapping->>'m' FROM providers WHERE id = {}", self.id));
        let weight: u32 = row[0].split('|').next().unwrap().parse().unwrap();
        assert_eq!(row, [format!("{weight}|http://127.0.0.1:1/g{weight}|g{weight}")]);
        assert!((self.answered..=self.asked).contains(&weight), "{weight}, answered {}", self.answered);
        let kept = rows(&format!("SELECT id, name FROM credentials WHERE name LIKE 'c-{}-%'", self.number));
        let kept: BTreeSet<String> = kept.into_iter().collect();
        assert!(self.present.is_subset(&kept) && self.absent.is_disjoint(&kept), "{kept:?} of {:?}", self.present);
        let more: Vec<&String> = kept.difference(&self.present).collect();
        let is_open = |found: &String| self.open.as_ref().is_some_and(|open| found.ends_with(open.as_str()));
        assert!(more.len() <= 1 && more.iter().all(|found| is_open(found)), "{more:?}, open was {:?}", self.open);
        let own = format!("entity = 'provider' AND entity_id = {}", self.id);
        let history = rows(&format!("SELECT \"after\"->>'weight', version FROM config_changes WHERE {own} ORDER BY 2"));
        let history: BTreeMap<&str, i64> =
            history.iter().filter_map(|row| row.split_once('|')).map(|(w, v)| (w, v.parse().unwrap())).collect();
        for (version, weight) in self.versions.iter().filter_map(|(version, weight)| Some((version, (*weight)?))) {
            let made = history.get(weight.to_string().as_str());
            assert!(made.is_some_and(|made| made <= version), "{weight} was answered with {version}: {history:?}");
        }
    }
}

/// Every version has its one change, and the rows are what the last change of each left.
fn assert_history_is_whole(rows: &impl Fn(&str) -> Vec<String>, version: i64) {
    let told: Vec<i64> = rows("SELECT version FROM config_changes ORDER BY version, id")
        .iter()
        .map(|version| version.parse().unwrap())
        .collect();
    assert_eq!(told, (1..=version).collect::<Vec<_>>());
    for (table, entity) in [("providers", "provider"), ("credentials", "credential")] {
        let latest = format!(
            "SELECT DISTINCT ON (entity_id) entity_id, \"after\" FROM config_changes
            WHERE entity = '{entity}' ORDER BY entity_id, version DESC"
        );
        let differing = rows(&format!(
            "SELECT entity_id, id, \"after\" FROM {table} FULL JOIN ({latest}) latest ON entity_id = id
            WHERE (id IS NULL) <> (\"after\" IS NULL OR \"after\" = 'null')"
        ));
        assert!(differing.is_empty(), "{table}: {differing:?}");
    }
    let differing = rows(
        "SELECT p.id, p.weight FROM providers p WHERE p.weight::text IS DISTINCT FROM (SELECT c.\"after\"->>'weight'
        FROM config_changes c WHERE c.entity = 'provider' AND c.entity_id = p.id ORDER BY c.version DESC LIMIT 1)",
    );
    assert!(differing.is_empty(), "{differing:?}");
}
