//! How long the queries of the log page take on a large table. `LOGS_ROWS=10000000` fills
//! PostgreSQL with so many rows and SQLite with a tenth of them (`make bench-logs`); without it a
//! small table only shows that every query works.

#![cfg(test)]

mod rows;
#[expect(dead_code, reason = "the other tests use the rest")]
#[path = "../support/servers.rs"]
mod servers;

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use llm_proxy::settings::DatabaseSettings;
use llm_proxy::store::logs::{Begin, Outcome, REQUEST_SORTS, RequestFilter, Slice, SummaryWindow};
use llm_proxy::store::{self, Store};

use self::rows::{batch, postgres_day, sqlite_day};
use self::servers::Postgres;

const DAYS: i64 = 30;
const RUNS: usize = 9;

fn size() -> i64 {
    std::env::var("LOGS_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(6000)
}

fn tell(database: &str, what: &str, mut times: Vec<Duration>) {
    times.sort();
    let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
    println!("logs: {database:10} {what:44} median {:8.1} ms, worst {:8.1} ms", ms(median), ms(worst));
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

async fn timed<T>(database: &str, what: &str, mut call: impl AsyncFnMut() -> T) {
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let begin = Instant::now();
        call().await;
        times.push(begin.elapsed());
    }
    tell(database, what, times);
}

fn page(begin: Begin) -> Slice {
    Slice { sort: REQUEST_SORTS[0], descending: true, begin, size: 50, count: true }
}

fn filters() -> Vec<(&'static str, RequestFilter)> {
    let all = RequestFilter::default;
    let since = |hours| Some(Utc::now() - chrono::Duration::hours(hours));
    let named = |name: &str| Some(name.to_owned());
    vec![
        ("all", all()),
        ("provider", RequestFilter { provider_name: named("provider-1"), ..all() }),
        ("rare provider", RequestFilter { provider_name: named("provider-7"), ..all() }),
        ("model", RequestFilter { model: named("model-0"), ..all() }),
        ("rare model", RequestFilter { model: named("model-29"), ..all() }),
        ("credential", RequestFilter { credential_name: named("credential-0"), ..all() }),
        ("rare credential", RequestFilter { credential_name: named("credential-49"), ..all() }),
        ("status 200", RequestFilter { status_code: Some(200), ..all() }),
        ("status 503", RequestFilter { status_code: Some(503), ..all() }),
        ("errors only", RequestFilter { error_only: true, ..all() }),
        ("cancelled", RequestFilter { outcome: Some(Outcome::Cancelled), ..all() }),
        ("provider, model and errors only", {
            let model = named("model-0");
            RequestFilter { provider_name: named("provider-1"), model, error_only: true, ..all() }
        }),
        ("last hour", RequestFilter { start_time: since(1), ..all() }),
        ("last day", RequestFilter { start_time: since(24), ..all() }),
        ("last day of a model", RequestFilter { start_time: since(24), model: named("model-0"), ..all() }),
        ("one request id", RequestFilter { request_id: named("request-15-77"), ..all() }),
    ]
}

async fn measure(database: &str, store: Arc<dyn Store>) {
    for (what, filter) in filters() {
        let first = async || store.request_logs(filter.clone(), page(Begin::Skip(0))).await.unwrap();
        assert!(!first().await.items.is_empty(), "{what}");
        timed(database, &format!("first page: {what}"), first).await;
    }
    let next = store.request_logs(RequestFilter::default(), page(Begin::Skip(5000))).await.unwrap().next.unwrap();
    let after = async || store.request_logs(RequestFilter::default(), page(Begin::After(next.clone()))).await.unwrap();
    timed(database, "next page by cursor", after).await;
    for (what, hours) in [("hour", 1), ("day", 24), ("30 days", DAYS * 24)] {
        let start = Utc::now() - chrono::Duration::hours(hours);
        let filter = RequestFilter { start_time: Some(start), ..RequestFilter::default() };
        timed(database, &format!("stats: last {what}"), async || store.log_stats(filter.clone()).await.unwrap()).await;
    }
    let model = RequestFilter { model: Some("model-0".to_owned()), ..RequestFilter::default() };
    timed(database, "stats: a model, all time", async || store.log_stats(model.clone()).await.unwrap()).await;
    for (what, hours, bucket_secs) in
        [("hour", 1, 60), ("10 hours", 10, 300), ("day", 24, 3600), ("30 days", DAYS * 24, 86400)]
    {
        let end = Utc::now();
        let window = SummaryWindow { start: end - chrono::Duration::hours(hours), end, bucket_secs };
        timed(database, &format!("summary: last {what}"), async || store.log_summary(window).await.unwrap()).await;
    }
    let mut number = 0;
    let insert = async || {
        number += 1;
        store.append_request_logs(&batch(500, number)).await.unwrap();
    };
    timed(database, "insert a batch of 500 rows", insert).await;
    let begin = Instant::now();
    let before = Utc::now() - chrono::Duration::days(DAYS) + chrono::Duration::hours(2);
    let pruned = store.prune_request_logs(before).await.unwrap();
    println!("logs: {database:10} pruned {pruned} rows in {:.1} ms", ms(begin.elapsed()));
}

async fn filled(url: String) -> Arc<dyn Store> {
    store::open(&DatabaseSettings::plain(url)).await.unwrap()
}

#[tokio::test]
async fn the_log_page_on_postgresql() {
    let server = Postgres::start();
    server.execute("postgres", "ALTER SYSTEM SET max_wal_size = '512MB'");
    server.execute("postgres", "SELECT pg_reload_conf()");
    let name = server.create_database();
    let store = filled(server.url(&name)).await;
    let begin = Instant::now();
    for day in 0..DAYS {
        server.execute(&name, &postgres_day(day, DAYS, size() / DAYS));
    }
    let rate = size() as f64 / begin.elapsed().as_secs_f64();
    println!("logs: PostgreSQL {} rows, filled at {rate:.0} rows/s", size());
    server.execute(&name, "VACUUM ANALYZE");
    let sizes = "SELECT relname || ' ' || reltuples::bigint || ' rows, ' || pg_size_pretty(pg_total_relation_size(oid)) \
                 FROM pg_class WHERE relname IN ('request_logs', 'log_hours', 'log_days', 'log_histograms') ORDER BY 1";
    server.texts(&name, sizes).iter().for_each(|line| println!("logs: PostgreSQL {line}"));
    measure("PostgreSQL", store).await;
}

#[tokio::test]
async fn the_log_page_on_sqlite() {
    use diesel::connection::{Connection as _, SimpleConnection as _};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs.db");
    let store = filled(format!("sqlite://{}", path.display())).await;
    let size = if size() > 100_000 { size() / 10 } else { size() };
    let begin = Instant::now();
    let mut connection = diesel::SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    for day in 0..DAYS {
        connection.batch_execute(&sqlite_day(day, DAYS, size / DAYS)).unwrap();
    }
    let rate = size as f64 / begin.elapsed().as_secs_f64();
    println!("logs: SQLite {size} rows, filled at {rate:.0} rows/s");
    measure("SQLite", store).await;
}
