use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection as _};
use futures_util::future::{join, join_all};
use tokio::time::{Instant, timeout};

use super::{PostgresStore, Target, Work, in_line, transaction, within};
use crate::config::{CredentialPatch, ProviderPatch};
use crate::servers::Postgres;
use crate::store::suite::{TestDatabase, provider, replica, request_log, settings, store_test_suite};
use crate::store::{SchemaState, Store, StoreError, connect, inspect, open};

mod tls;

/// Longer than anything that a store waits for.
const BOUND: Duration = Duration::from_secs(30);

/// A database of the server that all tests share.
struct Database(String);

impl TestDatabase for Database {
    fn create() -> Self {
        Self(Postgres::shared().create_database())
    }

    fn url(&self) -> String {
        Postgres::shared().url(&self.0)
    }

    fn execute(&self, sql: &str) {
        Postgres::shared().execute(&self.0, sql);
    }

    fn drop_triggers(&self, table: &str) {
        self.execute(&format!("ALTER TABLE {table} DISABLE TRIGGER USER"));
    }

    fn texts(&self, sql: &str) -> Vec<String> {
        Postgres::shared().texts(&self.0, sql)
    }
}

store_test_suite!(Database);

const CUT_ALL: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                       WHERE datname = current_database() AND pid <> pg_backend_pid()";
const ADD_PROVIDER: &str = "INSERT INTO providers (provider_key, provider_type, api_base, api_key)
                            VALUES ('sql', 'openai', 'http://x', 'k')";

async fn soon<T>(what: &str, done: impl Future<Output = T>) -> T {
    timeout(BOUND, done).await.unwrap_or_else(|_elapsed| panic!("did not happen: {what}"))
}

fn is_pending(future: impl Future) -> bool {
    pin!(future).poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

/// Asks until the database answers; whatever else it says must be that it is unavailable.
async fn answers(store: &dyn Store) -> i64 {
    let asking = async {
        loop {
            match store.version().await {
                Ok(version) => return version,
                Err(error) => assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}"),
            }
            tokio::task::yield_now().await;
        }
    };
    soon("an answer", asking).await
}

// === changes ===

#[tokio::test]
async fn a_change_by_plain_sql_wakes_who_waits_for_changes() {
    let database = Database::create();
    let store = open(&settings(&database.url(), 2)).await.unwrap();
    soon("the first wake", store.changed()).await;
    assert!(is_pending(store.changed()), "woken without a change");
    database.execute(ADD_PROVIDER);
    soon("the wake by SQL", store.changed()).await;
    assert_eq!(store.load().await.unwrap().providers.len(), 1);
    assert!(is_pending(store.changed()), "woken twice by one change");
    let other = open(&settings(&database.url(), 2)).await.unwrap();
    other.create_provider(provider("p"), "ann").await.unwrap();
    soon("the wake by another store", store.changed()).await;
}

#[tokio::test]
async fn whoever_waits_for_changes_is_woken_when_the_connection_was_lost() {
    let database = Database::create();
    let store = open(&settings(&database.url(), 2)).await.unwrap();
    for _ in 0..2 {
        soon("a wake", store.changed()).await;
        assert!(is_pending(store.changed()));
        database.execute(CUT_ALL);
    }
    soon("a wake after the connection came back", store.changed()).await;
    answers(&*store).await;
    database.execute(ADD_PROVIDER);
    soon("a wake by SQL", store.changed()).await;
}

#[tokio::test]
async fn a_store_that_is_dropped_leaves_no_connection() {
    let database = Database::create();
    let store = open(&settings(&database.url(), 2)).await.unwrap();
    soon("the first wake", store.changed()).await;
    let ours = "SELECT pid FROM pg_stat_activity
                WHERE datname = current_database() AND application_name = 'llm-proxy'";
    assert!(!database.texts(ours).is_empty());
    drop(store);
    soon("no connection", async { while !database.texts(ours).is_empty() {} }).await;
}

// === plain SQL ===

#[tokio::test]
async fn truncated_rows_are_changes_and_no_id_is_used_again() {
    let database = Database::create();
    let store = open(&settings(&database.url(), 2)).await.unwrap();
    store.create_provider(provider("p"), "ann").await.unwrap();
    store.create_provider(provider("q"), "ann").await.unwrap();
    database.execute("TRUNCATE providers");
    let page = store.changes_since(2, 10).await.unwrap();
    let gone: Vec<(&str, &str)> =
        page.changes.iter().map(|change| (change.action.as_str(), change.entity_name.as_str())).collect();
    assert_eq!(gone, [("delete", "p"), ("delete", "q")]);
    assert_eq!((page.changes[0].actor.as_str(), store.version().await.unwrap()), ("sql", 4));
    database.execute(
        "INSERT INTO providers (id, provider_key, provider_type, api_base, api_key)
         VALUES (50, 'by-hand', 'openai', 'http://x', 'k'); DELETE FROM providers",
    );
    assert_eq!(store.create_provider(provider("r"), "ann").await.unwrap().record.id, 51);
}

#[tokio::test]
async fn values_that_only_postgresql_can_hold_stay_readable() {
    let database = Database::create();
    let store = open(&settings(&database.url(), 1)).await.unwrap();
    database.execute(
        "INSERT INTO providers (provider_key, provider_type, api_base, api_key, provider_params)
         VALUES ('p', 'openai', 'http://x', 'k', '{\"timeout\": 1e999}')",
    );
    database.execute(
        "INSERT INTO credentials (credential_key, name, allowed_models, expires_at) VALUES
         (lpad('1', 64, '0'), 'for ever', '{a}', 'infinity'), (lpad('2', 64, '0'), 'never', '{}', '-infinity'),
         (lpad('3', 64, '0'), 'late', '{}', '294276-12-31'), (lpad('4', 64, '0'), 'fine', '{}', '2030-01-01 00:00:00.1239+00'),
         (lpad('5', 64, '0'), 'nulls', '{a,NULL}', NULL), (lpad('6', 64, '0'), 'square', '{{a},{b}}', NULL)",
    );
    let loaded = store.load().await.unwrap();
    assert!(loaded.providers[0].provider_params.is_null());
    let ends: Vec<_> = loaded.credentials.iter().map(|credential| credential.expires_at.unwrap()).collect();
    let fine = DateTime::from_timestamp_millis(1_893_456_000_123).unwrap();
    assert_eq!(ends, [DateTime::<Utc>::MAX_UTC, DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC, fine]);
    assert_eq!(loaded.errors.iter().map(|error| error.id).collect::<Vec<_>>(), [5, 6]);
    let history = store.last_changes(10).await.unwrap().changes;
    assert_eq!(history[4].after.as_ref().unwrap()["expires_at"], 1_893_456_000_123_i64);
    // What was read may be written again.
    for credential in &loaded.credentials {
        let patch = CredentialPatch { rate_limit: Some(Some(9)), ..Default::default() };
        let written = store.update_credential(credential.id, patch, "ann").await.unwrap().record;
        assert_eq!(written.expires_at.map(|end| end.timestamp()), credential.expires_at.map(|end| end.timestamp()));
    }
}

#[tokio::test]
async fn plain_sql_and_the_program_never_wait_for_each_other_in_a_circle() {
    let database = Arc::new(Database::create());
    let store = open(&settings(&database.url(), 4)).await.unwrap();
    let id = store.create_provider(provider("p"), "ann").await.unwrap().record.id;
    let by_hand = Arc::clone(&database);
    let plain = tokio::task::spawn_blocking(move || {
        for n in 0..15 {
            by_hand.execute(&format!("UPDATE providers SET weight = {n}; UPDATE providers SET weight = weight + 1"));
        }
    });
    let ours = join_all((0..150).map(|n| {
        let patch = ProviderPatch { weight: Some(1000 + n), ..Default::default() };
        store.update_provider(id, patch, "ann")
    }));
    let (ours, plain) = join(ours, plain).await;
    plain.unwrap();
    ours.into_iter().for_each(|written| drop(written.unwrap()));
    let counts =
        database.texts("SELECT count(*) = max(version) AND count(DISTINCT version) = count(*) FROM config_changes");
    assert_eq!(counts, ["t"]);
}

// === limits ===

#[tokio::test]
async fn a_change_that_cannot_get_its_turn_is_refused_and_holds_nobody_else_up() {
    let database = Database::create();
    let store = open(&settings(&database.url(), 2)).await.unwrap();
    let mut operator = Target::new(&settings(&database.url(), 1)).unwrap().connect().await.unwrap();
    operator.batch_execute("SET idle_in_transaction_session_timeout = 0").await.unwrap();
    operator.batch_execute("BEGIN; UPDATE config_version SET version = version").await.unwrap();
    let others = async {
        assert_eq!(store.load().await.unwrap().version, 0);
        store.append_request_logs(vec![request_log("r")].into()).await.unwrap();
        store.heartbeat(replica("a", 0, chrono::Duration::zero())).await.unwrap();
        store.prune_request_logs(Utc::now()).await.unwrap();
    };
    let (refused, ()) = soon("a refusal", join(store.create_provider(provider("p"), "ann"), others)).await;
    assert!(matches!(refused, Err(StoreError::Busy(_))), "{refused:?}");
    operator.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(store.create_provider(provider("p"), "ann").await.unwrap().version, 1);
}

#[tokio::test]
async fn old_logs_are_left_to_the_replica_that_deletes_them_now() {
    let database = Database::create();
    let store = open(&settings(&database.url(), 2)).await.unwrap();
    let old = crate::store::RequestLog { timestamp: Utc::now() - chrono::Duration::days(2), ..request_log("old") };
    store.append_request_logs(vec![old].into()).await.unwrap();
    let mut other = Target::new(&settings(&database.url(), 1)).unwrap().connect().await.unwrap();
    other.batch_execute("SET idle_in_transaction_session_timeout = 0").await.unwrap();
    other.batch_execute("BEGIN; SELECT pg_advisory_xact_lock(5495821037143)").await.unwrap();
    let before = Utc::now() - chrono::Duration::days(1);
    assert_eq!(store.prune_request_logs(before).await.unwrap(), 0);
    other.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(store.prune_request_logs(before).await.unwrap(), 1);
}

/// Work that has written and does not end.
fn never(c: &mut AsyncPgConnection) -> Work<'_, ()> {
    Box::pin(async move {
        c.batch_execute("UPDATE config_version SET version = 99").await?;
        std::future::pending().await
    })
}

#[tokio::test]
async fn work_that_is_given_up_is_rolled_back_at_once() {
    let database = Database::create();
    let url = settings(&database.url(), 1);
    let other = open(&url).await.unwrap();
    let store = PostgresStore::new(&url, Arc::default()).unwrap();
    let pool = store.pool.clone();
    let stuck = async move {
        let end = Instant::now() + Duration::from_millis(500);
        within(end, &pool, |c| Box::pin(transaction(c, |c| Box::pin(in_line(c, never))))).await
    };
    let given_up = store.io.run(stuck).await;
    assert!(matches!(given_up, Err(StoreError::Unavailable(_))), "{given_up:?}");
    // Another process gets its turn, far sooner than the server itself ends idle transactions.
    let next = soon("the next write", other.create_provider(provider("p"), "ann")).await;
    assert_eq!(next.unwrap().version, 1);
}

#[tokio::test]
async fn a_database_that_is_read_only_is_unavailable_for_changes_alone() {
    let database = Database::create();
    open(&settings(&database.url(), 1)).await.unwrap();
    database.execute(&format!("ALTER DATABASE {} SET default_transaction_read_only = on", database.0));
    let store = open(&settings(&database.url(), 1)).await.unwrap();
    let refused = store.create_provider(provider("p"), "ann").await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert_eq!(store.load().await.unwrap().version, 0);
}

#[test]
fn a_store_outlives_the_runtime_that_opened_it() {
    let database = Database::create();
    let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
    let store = runtime().block_on(open(&settings(&database.url(), 2))).unwrap();
    assert_eq!(runtime().block_on(store.version()).unwrap(), 0);
    runtime().block_on(async move { drop(store) });
}

// === servers that fail ===

#[tokio::test]
async fn whatever_ends_a_connection_is_unavailable() {
    let database = Arc::new(Database::create());
    let store = open(&settings(&database.url(), 4)).await.unwrap();
    let cutter = Arc::clone(&database);
    let mut cutting = tokio::task::spawn_blocking(move || (0..10).for_each(|_| cutter.execute(CUT_ALL)));
    let (mut number, mut failures) = (0, BTreeSet::new());
    while is_pending(&mut cutting) {
        number += 1;
        let logs = vec![request_log("r")].into();
        let (key, beat) = (format!("p{number}"), replica("a", 0, chrono::Duration::zero()));
        let written = store.create_provider(provider(&key), "ann");
        let others = join_all((0..3).map(|_| store.load()));
        let (written, (loaded, (logged, beaten))) =
            join(written, join(others, join(store.append_request_logs(logs), store.heartbeat(beat)))).await;
        let loaded = loaded.into_iter().map(|loaded| loaded.map(drop));
        let all = [written.map(drop), logged, beaten.map(drop)];
        failures.extend(all.into_iter().chain(loaded).filter_map(Result::err).map(|error| format!("{error:?}")));
    }
    assert!(!failures.is_empty(), "nothing was cut");
    assert!(failures.iter().all(|failure| failure.starts_with("Unavailable(")), "{failures:#?}");
    answers(&*store).await;
}

#[tokio::test]
async fn a_stopped_server_is_unavailable_until_it_is_back() {
    let mut server = Postgres::start();
    let name = server.create_database();
    let store = open(&settings(&server.url(&name), 4)).await.unwrap();
    soon("the first wake", store.changed()).await;
    let made = store.create_provider(provider("p"), "ann").await.unwrap();
    soon("the wake by the provider", store.changed()).await;
    server.stop();
    for _ in 0..3 {
        let refused = soon("a refusal", store.create_provider(provider("q"), "ann")).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    }
    let another = connect(&settings(&server.url(&name), 1)).unwrap();
    let refused = soon("a refusal to prepare", another.prepare()).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    server.resume();
    assert_eq!(answers(&*store).await, made.version);
    soon("a wake", store.changed()).await;
    assert_eq!(another.prepare().await.unwrap(), 0);
    assert_eq!(another.load().await.unwrap().providers, [made.record]);
}

#[tokio::test]
async fn a_frozen_server_is_unavailable_until_it_thaws() {
    let server = Postgres::start();
    let name = server.create_database();
    let store = open(&settings(&server.url(&name), 2)).await.unwrap();
    store.version().await.unwrap();
    server.signal("STOP");
    // One of these has a connection from before, one must make its own.
    let (one, two) = (store.version(), store.create_provider(provider("p"), "ann"));
    let (one, two) = soon("refusals", join(one, two)).await;
    assert!(matches!(one, Err(StoreError::Unavailable(_))), "{one:?}");
    assert!(matches!(two, Err(StoreError::Unavailable(_))), "{two:?}");
    server.signal("CONT");
    answers(&*store).await;
    store.create_provider(provider("q"), "ann").await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_killed_keeps_each_change_whole_or_not_at_all() {
    let mut server = Postgres::start();
    let name = server.create_database();
    let stores = join_all((0..2).map(|_| async { open(&settings(&server.url(&name), 4)).await.unwrap() })).await;
    let writing = stores.iter().enumerate().map(|(n, store)| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            let mut confirmed = BTreeSet::new();
            for round in 0.. {
                let key = format!("p{n}-{round}");
                match store.create_provider(provider(&key), "ann").await {
                    Ok(_) => drop(confirmed.insert(key)),
                    Err(StoreError::Unavailable(_)) => break,
                    Err(other) => panic!("{other:?}"),
                }
            }
            confirmed
        })
    });
    let writing: Vec<_> = writing.collect();
    soon("some changes", async { while stores[0].version().await.unwrap() < 20 {} }).await;
    server.kill();
    let confirmed = soon("the end of writing", join_all(writing)).await;
    let confirmed: BTreeSet<String> = confirmed.into_iter().flat_map(Result::unwrap).collect();
    server.resume();
    let version = answers(&*stores[0]).await;
    let loaded = stores[0].load().await.unwrap();
    let stored: BTreeSet<String> = loaded.providers.into_iter().map(|provider| provider.provider_key).collect();
    assert!(confirmed.is_subset(&stored), "{:?} are lost", confirmed.difference(&stored));
    let history = stores[0].changes_since(0, 1_000_000).await.unwrap().changes;
    let versions: Vec<i64> = history.iter().map(|change| change.version).collect();
    assert_eq!(versions, (1..=version).collect::<Vec<_>>());
    assert!(history.iter().all(|change| change.actor == "ann"));
    let told: BTreeSet<String> = history.into_iter().map(|change| change.entity_name).collect();
    assert_eq!(told, stored);
}

// === schema ===

#[tokio::test]
async fn inspecting_changes_nothing_and_tells_how_the_schema_stands() {
    let database = Database::create();
    let settings = settings(&database.url(), 1);
    assert_eq!(inspect(&settings).await.unwrap().schema, SchemaState::Missing);
    assert_eq!(database.texts("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"), [""; 0]);
    open(&settings).await.unwrap();
    let current = inspect(&settings).await.unwrap();
    assert_eq!((current.schema, current.loaded.unwrap().version), (SchemaState::Current, 0));
    database.execute("DELETE FROM __diesel_schema_migrations");
    assert_eq!(inspect(&settings).await.unwrap().schema, SchemaState::Pending(3));
    // Tables of that name, but none of ours.
    assert!(matches!(open(&settings).await.err().unwrap(), StoreError::Schema(_)));
    database.execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('20261123000000'), ('99990101000000')");
    assert_eq!(inspect(&settings).await.unwrap().schema, SchemaState::Newer("99990101000000".to_owned()));
    assert!(matches!(open(&settings).await.err().unwrap(), StoreError::Schema(_)));
}

#[tokio::test]
async fn the_migration_can_be_reverted() {
    let database = Database::create();
    let settings = settings(&database.url(), 1);
    open(&settings).await.unwrap();
    database.execute(include_str!("../../../migrations/postgres/2026-11-24-000001_log_rollups/down.sql"));
    database.execute(include_str!("../../../migrations/postgres/2026-11-24-000000_log_costs/down.sql"));
    database.execute(include_str!("../../../migrations/postgres/2026-11-23-000000_initial/down.sql"));
    database.execute("DROP TABLE __diesel_schema_migrations");
    assert_eq!(connect(&settings).unwrap().prepare().await.unwrap(), 3);
}

#[tokio::test]
async fn a_database_that_does_not_exist_is_named_without_the_password() {
    let url = format!("postgres://postgres:hunter2@127.0.0.1:{}/nowhere", Postgres::shared().port());
    let error = open(&settings(&url, 1)).await.err().unwrap();
    assert!(matches!(&error, StoreError::Unavailable(reason) if reason.contains("nowhere")), "{error}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
}
