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
use llm_proxy::store::logs::{
    Begin, ERROR_SORTS, ErrorFilter, Outcome, REQUEST_SORTS, RequestFilter, Slice, SortColumn, SummaryWindow,
};
use llm_proxy::store::{self, Store};

use self::rows::{ERRORS, batch, postgres_day, postgres_repeat, sqlite_day};
use self::servers::Postgres;

/// Prints a line.
macro_rules! told {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        writeln!(std::io::stdout(), $($text)*).unwrap();
    }};
}

const DAYS: i64 = 30;
const RUNS: usize = 9;

/// The size of a test is no setting of the product.
#[expect(clippy::disallowed_methods, reason = "`settings` reads what the product is told")]
fn size() -> i64 {
    let value = std::env::var("LOGS_ROWS").ok().filter(|value| !value.is_empty());
    value.map_or(6000, |value| value.parse().unwrap_or_else(|error| panic!("LOGS_ROWS: {error}")))
}

fn tell(database: &str, what: &str, mut times: Vec<Duration>) {
    times.sort();
    let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
    told!("logs: {database:10} {what:44} median {:8.1} ms, worst {:8.1} ms", ms(median), ms(worst));
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Rows a second.
fn rate(rows: i64, begin: Instant) -> i64 {
    rows * 1000 / i64::try_from(begin.elapsed().as_millis()).unwrap().max(1)
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
    sorted(REQUEST_SORTS[0], begin)
}

fn sorted(sort: SortColumn, begin: Begin) -> Slice {
    Slice { sort, descending: true, begin, size: 50, count: true }
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
        ("client", RequestFilter { client: named("codex"), ..all() }),
        ("streamed", RequestFilter { is_streaming: Some(true), ..all() }),
        ("estimated", RequestFilter { estimated: Some(true), ..all() }),
        ("last hour", RequestFilter { start_time: since(1), ..all() }),
        ("last day", RequestFilter { start_time: since(24), ..all() }),
        ("last day of a model", RequestFilter { start_time: since(24), model: named("model-0"), ..all() }),
        ("one request id", RequestFilter { request_id: named("request-15-77"), ..all() }),
    ]
}

fn error_filters() -> Vec<(&'static str, ErrorFilter)> {
    let all = ErrorFilter::default;
    let named = |name: &str| Some(name.to_owned());
    vec![
        ("all", all()),
        ("provider", ErrorFilter { provider_name: named("provider-1"), ..all() }),
        ("category", ErrorFilter { error_category: named("provider_429"), ..all() }),
        ("rare credential", ErrorFilter { credential_name: named("credential-49"), ..all() }),
        ("last day", ErrorFilter { start_time: Some(Utc::now() - chrono::Duration::days(1)), ..all() }),
    ]
}

async fn measure_lists(database: &str, store: &dyn Store) {
    for (what, filter) in filters() {
        let first = async || store.request_logs(filter.clone(), page(Begin::Skip(0))).await.unwrap();
        // Rare names may be missing among few rows.
        assert!(!first().await.items.is_empty() || size() < 1_000_000, "{what}");
        timed(database, &format!("first page: {what}"), first).await;
    }
    let all = RequestFilter::default;
    // Halfway, as who has turned a hundred thousand pages.
    let middle = Utc::now() - chrono::Duration::days(DAYS / 2);
    let until = RequestFilter { end_time: Some(middle), ..all() };
    let deep = store.request_logs(until, page(Begin::Skip(0))).await.unwrap().next.unwrap();
    let after = async || store.request_logs(all(), page(Begin::After(deep.clone()))).await.unwrap();
    timed(database, "page in the middle by cursor", after).await;
    let numbered = async || store.request_logs(all(), page(Begin::Skip(5000))).await.unwrap();
    timed(database, "page 101 by number", numbered).await;
    let last_day = || RequestFilter { start_time: Some(Utc::now() - chrono::Duration::days(1)), ..all() };
    for sort in &REQUEST_SORTS[1..] {
        let first = async || store.request_logs(last_day(), sorted(*sort, Begin::Skip(0))).await.unwrap();
        timed(database, &format!("first page: last day by {}", sort.name), first).await;
    }
    for (what, filter) in error_filters() {
        let first = async || store.error_logs(filter.clone(), sorted(ERROR_SORTS[0], Begin::Skip(0))).await.unwrap();
        // Rare names may be missing among few rows.
        assert!(!first().await.items.is_empty() || size() < 1_000_000, "{what}");
        timed(database, &format!("first page of errors: {what}"), first).await;
    }
}

async fn measure_sums(database: &str, store: &dyn Store) {
    for (what, hours) in [("hour", 1), ("day", 24), ("30 days", DAYS * 24)] {
        let start = Utc::now() - chrono::Duration::hours(hours);
        let filter = RequestFilter { start_time: Some(start), ..RequestFilter::default() };
        timed(database, &format!("stats: last {what}"), async || store.log_stats(filter.clone()).await.unwrap()).await;
    }
    let model = RequestFilter { model: Some("model-0".to_owned()), ..RequestFilter::default() };
    timed(database, "stats: a model, all time", async || store.log_stats(model.clone()).await.unwrap()).await;
    for (what, minutes, bucket_secs) in [
        ("15 minutes", 15, 10),
        ("hour", 60, 60),
        ("6 hours", 360, 300),
        ("day", 1440, 3600),
        ("7 days", 7 * 1440, 86400),
        ("30 days", DAYS * 1440, 86400),
    ] {
        let end = Utc::now();
        let window = SummaryWindow { start: end - chrono::Duration::minutes(minutes), end, bucket_secs };
        timed(database, &format!("summary: last {what}"), async || store.log_summary(window).await.unwrap()).await;
    }
}

async fn measure_writes(database: &str, store: &dyn Store) {
    let mut number = 0;
    let mut insert = async || {
        number += 1;
        store.append_request_logs(batch(1000, number).into()).await.unwrap();
    };
    timed(database, "insert 1000 rows", &mut insert).await;
    let before = Utc::now() - chrono::Duration::days(DAYS) + chrono::Duration::hours(2);
    let begin = Instant::now();
    let mut prune = std::pin::pin!(store.prune_request_logs(before));
    let mut inserts = Vec::new();
    let pruned = loop {
        let began = Instant::now();
        tokio::select! {
            biased;
            pruned = &mut prune => break pruned.unwrap(),
            () = insert() => inserts.push(began.elapsed()),
        }
    };
    let each = ms(begin.elapsed()) * 1000.0 / f64::from(u32::try_from(pruned).unwrap().max(1));
    told!("logs: {database:10} deleted {pruned} old rows, {each:.1} ms per 1000");
    if !inserts.is_empty() {
        tell(database, "insert 1000 rows meanwhile", inserts);
    }
}

async fn measure(database: &str, store: Arc<dyn Store>) {
    measure_lists(database, &*store).await;
    measure_sums(database, &*store).await;
    measure_writes(database, &*store).await;
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
    server.execute(&name, &postgres_day(DAYS, size() / DAYS));
    server.execute(&name, &postgres_repeat(DAYS));
    let counts = "SELECT COUNT(DISTINCT requests) FROM (
        SELECT COUNT(*) AS requests FROM request_logs UNION ALL SELECT SUM(requests) FROM log_hours
        UNION ALL SELECT SUM(requests) FROM log_sums GROUP BY unit, dimension
        UNION ALL SELECT SUM(requests) FROM log_histograms WHERE metric = 0 GROUP BY unit, dimension) AS counted";
    assert_eq!(server.texts(&name, counts), ["1"]);
    server.execute(&name, ERRORS);
    told!("logs: PostgreSQL {} rows, filled in {} s", size(), begin.elapsed().as_secs());
    server.execute(&name, "VACUUM ANALYZE");
    let sizes = "SELECT relname || ' ' || reltuples::bigint || ' rows, ' || pg_size_pretty(pg_total_relation_size(oid)) \
                 FROM pg_class WHERE relname IN ('request_logs', 'error_logs', 'log_hours', 'log_days', 'log_sums', 'log_histograms') ORDER BY 1";
    server.texts(&name, sizes).iter().for_each(|line| told!("logs: PostgreSQL {line}"));
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
    connection.batch_execute(ERRORS).unwrap();
    let rate = rate(size, begin);
    told!("logs: SQLite {size} rows, filled at {rate} rows/s");
    measure("SQLite", store).await;
}
