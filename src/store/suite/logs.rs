use std::collections::BTreeSet;

use chrono::{DateTime, Duration, Utc};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use super::{TestDatabase, open, request_log};
use crate::store::logs::{
    Begin, Dimension, ErrorFilter, LogTable, Outcome, REQUEST_SORTS, RequestFilter, Slice, SortColumn, SummaryWindow,
    Sums,
};
use crate::store::{ErrorLog, RequestLog};

/// Where the made-up rows begin.
fn origin() -> DateTime<Utc> {
    "2026-03-01T22:10:00Z".parse().unwrap()
}

/// Rows over three days that differ in everything that sums are made by, with gaps.
fn many(count: usize, seed: u64) -> Vec<RequestLog> {
    let mut random = SmallRng::seed_from_u64(seed);
    let row = |number| {
        let outcome = ["complete", "complete", "failed", "cancelled"][random.random_range(0..4)];
        let mut pick = |some: i64| random.random_bool(0.8).then(|| random.random_range(0..some));
        RequestLog {
            timestamp: origin() + Duration::milliseconds(pick(3 * 86_400_000).unwrap_or(777)),
            provider_name: pick(3).map(|n| format!("p{n}")),
            model_requested: pick(4).map(|n| format!("m{n}")),
            credential_name: format!("c{}", pick(3).unwrap_or(0)),
            outcome: outcome.to_owned(),
            status_code: if outcome == "complete" { 200 } else { 500 },
            is_streaming: pick(2).is_some(),
            input_tokens: pick(1000),
            output_tokens: pick(100),
            total_tokens: pick(1100),
            cost_microusd: pick(50),
            total_duration_ms: pick(20_000).unwrap_or(5),
            ttft_ms: pick(900),
            ..request_log(&format!("r{number}"))
        }
    };
    (0..count).map(row).collect()
}

fn slice(sort: SortColumn, descending: bool, begin: Begin, size: i64) -> Slice {
    Slice { sort, descending, begin, size, count: true }
}

/// What the rollups must hold, and what they hold, as text.
fn rollups(database: &impl TestDatabase, table: &str, unit: &str) -> (Vec<String>, Vec<String>) {
    let is_postgres = database.url().starts_with("postgres");
    let start = match (is_postgres, unit) {
        (true, unit) => format!("date_trunc('{unit}', timestamp, 'UTC')"),
        (false, "hour") => "timestamp - timestamp % 3600000".to_owned(),
        (false, _) => "timestamp - timestamp % 86400000".to_owned(),
    };
    let shown = |columns: &str, rest: &str| {
        let fields: Vec<String> = columns.split(", ").map(|column| format!("CAST({column} AS TEXT)")).collect();
        database.texts(&format!("SELECT {} AS value {rest}", fields.join(" || '|' || ")))
    };
    let sums = "requests, input_tokens, output_tokens, total_tokens, cost_microusd, priced, duration_ms, ttft_ms, \
                ttft_requests";
    let keys = "start, provider_name, model_requested, credential_name, client, status_code, outcome";
    let kept = shown(&format!("{keys}, {sums}"), &format!("FROM {table} ORDER BY 1"));
    let counted = shown(
        &format!("{keys}, {sums}"),
        &format!(
            "FROM (SELECT {start} AS start, COALESCE(provider_name, '') AS provider_name,
                COALESCE(model_requested, '') AS model_requested, credential_name, client, status_code, outcome,
                is_streaming, estimated, COUNT(*) AS requests, COALESCE(SUM(input_tokens), 0) AS input_tokens,
                COALESCE(SUM(output_tokens), 0) AS output_tokens, COALESCE(SUM(total_tokens), 0) AS total_tokens,
                COALESCE(SUM(cost_microusd), 0) AS cost_microusd, COUNT(cost_microusd) AS priced,
                SUM(total_duration_ms) AS duration_ms, COALESCE(SUM(ttft_ms), 0) AS ttft_ms,
                COUNT(ttft_ms) AS ttft_requests
              FROM request_logs GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9) AS counted ORDER BY 1"
        ),
    );
    (kept, counted)
}

pub(in crate::store) async fn ids_that_begin_anew_are_counted_although_some_rows_before_were_not(
    database: impl TestDatabase,
) {
    let store = open(&database).await;
    for _ in 0..2 {
        store.append_request_logs(many(20, 3).into()).await.unwrap();
        store.log_stats(RequestFilter::default()).await.unwrap();
        store.append_request_logs(many(5, 4).into()).await.unwrap();
        database.execute("DELETE FROM request_logs");
        store.append_request_logs(many(10, 5).into()).await.unwrap();
        store.log_stats(RequestFilter::default()).await.unwrap();
        for (table, unit) in [("log_hours", "hour"), ("log_days", "day")] {
            let (kept, counted) = rollups(&database, table, unit);
            assert_eq!(kept, counted, "{table}");
            assert!(!kept.is_empty());
        }
    }
}

pub(in crate::store) async fn rollups_equal_a_plain_count_whatever_was_done_to_the_rows(database: impl TestDatabase) {
    let store = open(&database).await;
    store.append_request_logs(many(1500, 1).into()).await.unwrap();
    // SQLite counts some thousand rows together, unless somebody asks.
    store.log_stats(RequestFilter::default()).await.unwrap();
    let check = |rows: usize| {
        for (table, unit) in [("log_hours", "hour"), ("log_days", "day")] {
            let (kept, counted) = rollups(&database, table, unit);
            assert_eq!(kept, counted, "{table}");
            assert_eq!(kept.is_empty(), rows == 0, "{table}");
        }
        let sum = "SELECT CAST(unit AS TEXT) || ' ' || CAST(dimension AS TEXT) || ' ' || \
                   CAST(SUM(requests) AS TEXT) || ' ' || CAST(SUM(failed) AS TEXT) || ' ' || \
                   CAST(SUM(ttft_requests) AS TEXT) || ' ' || CAST(SUM(cost_microusd) AS TEXT) AS value \
                   FROM log_sums GROUP BY unit, dimension ORDER BY unit, dimension";
        let plain = "SELECT CAST(COUNT(*) AS TEXT) || ' ' || \
                     CAST(SUM(CASE WHEN outcome = 'failed' THEN 1 ELSE 0 END) AS TEXT) || ' ' || \
                     CAST(COUNT(ttft_ms) AS TEXT) || ' ' || CAST(SUM(cost_microusd) AS TEXT) AS value FROM request_logs";
        let all = || if rows == 0 { None } else { Some(database.texts(plain).remove(0)) };
        let units = |names: i32| [(300, 1), (3600, names), (86400, names)].into_iter();
        let keys = |names: i32| units(names).flat_map(|(unit, names)| (0..names).map(move |n| format!("{unit} {n}")));
        let expected: Vec<String> =
            all().iter().flat_map(|all| keys(5).map(move |key| format!("{key} {all}"))).collect();
        assert_eq!(database.texts(sum), expected);
        let sum = "SELECT CAST(unit AS TEXT) || ' ' || CAST(dimension AS TEXT) || ' ' || CAST(metric AS TEXT) || ' ' || \
                   CAST(SUM(requests) AS TEXT) AS value FROM log_histograms GROUP BY unit, dimension, metric \
                   ORDER BY unit, dimension, metric";
        let timed = database.texts("SELECT CAST(COUNT(ttft_ms) AS TEXT) AS value FROM request_logs").remove(0);
        let expected = keys(4).flat_map(|key| [format!("{key} 0 {rows}"), format!("{key} 1 {timed}")]);
        let expected: Vec<String> = if rows == 0 { Vec::new() } else { expected.collect() };
        assert_eq!(database.texts(sum), expected);
    };
    check(1500);
    database.execute("DELETE FROM request_logs WHERE id % 7 = 0");
    check(1500 - 214);
    database.execute(
        "UPDATE request_logs SET provider_name = NULL, total_duration_ms = 33, cost_microusd = NULL WHERE id % 5 = 0",
    );
    database.execute("UPDATE request_logs SET ttft_ms = NULL, model_requested = 'new' WHERE id % 3 = 0");
    check(1500 - 214);
    let long = "é".repeat(5000);
    database.execute(&format!("UPDATE request_logs SET model_requested = '{long}' WHERE id = 1"));
    let filter = RequestFilter { model: Some(long), ..RequestFilter::default() };
    let page = store.request_logs(filter, slice(REQUEST_SORTS[0], true, Begin::Skip(0), 10)).await.unwrap();
    assert_eq!((page.items.len(), page.total), (1, Some(1)));
    database.execute("DELETE FROM request_logs");
    check(0);
    // Ids may begin anew, and rows may be written with plain SQL: these count when somebody asks.
    store.append_request_logs(many(50, 8).into()).await.unwrap();
    store.log_stats(RequestFilter::default()).await.unwrap();
    check(50);
    let columns = "timestamp, request_id, endpoint, credential_name, client, model_requested, client_protocol, \
                   is_streaming, status_code, outcome, attempts, estimated, total_duration_ms, ttft_ms, replica_id, \
                   config_version, cost_microusd";
    database.execute(&format!("INSERT INTO request_logs ({columns}) SELECT {columns} FROM request_logs"));
    // Whoever asks second finds nothing left to count.
    let many_ask = std::iter::repeat_with(|| store.log_stats(RequestFilter::default())).take(8);
    for sums in futures_util::future::join_all(many_ask).await {
        assert_eq!(sums.unwrap()[&(Dimension::All, String::new())].requests, 100);
    }
    check(100);
}

pub(in crate::store) async fn pages_by_cursor_and_by_number_show_every_row_once(database: impl TestDatabase) {
    let store = open(&database).await;
    store.append_request_logs(many(300, 2).into()).await.unwrap();
    let filter = RequestFilter { is_streaming: Some(true), ..RequestFilter::default() };
    for (sort, descending) in REQUEST_SORTS.iter().flat_map(|sort| [(*sort, true), (*sort, false)]) {
        let (mut begin, mut by_cursor, mut by_number) = (Begin::Skip(0), Vec::new(), Vec::new());
        loop {
            let page = store.request_logs(filter.clone(), slice(sort, descending, begin, 17)).await.unwrap();
            assert!(page.items.len() == 17 || page.next.is_none());
            by_cursor.extend(page.items.iter().map(|row| row.id));
            let numbered = slice(sort, descending, Begin::Skip(i64::try_from(by_number.len()).unwrap()), 17);
            let numbered = store.request_logs(filter.clone(), numbered).await.unwrap();
            assert_eq!((numbered.items, &numbered.next), (page.items.clone(), &page.next));
            by_number.extend(page.items.iter().map(|row| row.id));
            let Some(next) = page.next else {
                assert_eq!(page.total, Some(i64::try_from(by_cursor.len()).unwrap()));
                break;
            };
            begin = Begin::After(next);
        }
        let unique: BTreeSet<i64> = by_cursor.iter().copied().collect();
        assert_eq!(unique.len(), by_cursor.len(), "{}", sort.name);
        let all = database.texts("SELECT CAST(id AS TEXT) AS value FROM request_logs WHERE is_streaming = (1 = 1)");
        assert_eq!(by_cursor.len(), all.len(), "{}", sort.name);
    }
    // Rows without a value come last in both directions.
    for descending in [true, false] {
        let all = slice(REQUEST_SORTS[3], descending, Begin::Skip(0), 1000);
        let rows = store.request_logs(RequestFilter::default(), all).await.unwrap().items;
        let values: Vec<Option<i64>> = rows.iter().map(|row| row.ttft_ms).collect();
        let known = values.iter().position(Option::is_none).unwrap();
        assert!(values[known..].iter().all(Option::is_none));
        assert!(values[..known].is_sorted_by(|a, b| if descending { a >= b } else { a <= b }));
    }
}

pub(in crate::store) fn error_log(request_id: &str) -> ErrorLog {
    ErrorLog {
        request_id: request_id.to_owned(),
        timestamp: origin(),
        attempt: 1,
        error_category: "timeout".to_owned(),
        error_code: None,
        error_message: None,
        endpoint: "/v1/messages".to_owned(),
        client_protocol: "anthropic".to_owned(),
        request_headers: Some("{}".to_owned()),
        request_body: None,
        provider_name: Some("p".to_owned()),
        provider_api_base: None,
        provider_protocol: None,
        model_requested: None,
        mapped_model: None,
        response_status_code: Some(504),
        response_body: Some("late".to_owned()),
        total_duration_ms: None,
        credential_name: "c".to_owned(),
        client: "curl".to_owned(),
        is_streaming: false,
        provider_request_headers: None,
        provider_request_body: Some("sent".to_owned()),
    }
}

pub(in crate::store) async fn a_row_is_read_with_all_its_columns_and_deleted_by_id(database: impl TestDatabase) {
    let store = open(&database).await;
    let row = RequestLog { response_body: Some("answer".to_owned()), ..request_log("one") };
    store.append_request_logs(vec![row.clone(), request_log("two")].into()).await.unwrap();
    store.append_error_logs(vec![error_log("one"), error_log("two")].into()).await.unwrap();
    let found = store.request_log(1).await.unwrap().unwrap();
    assert_eq!((found.item.request_id.as_str(), found.response_body.as_deref()), ("one", Some("answer")));
    assert_eq!(found.item.timestamp.timestamp_millis(), row.timestamp.timestamp_millis());
    let found = store.error_log(2).await.unwrap().unwrap();
    assert_eq!((found.item.request_id.as_str(), found.provider_request_body.as_deref()), ("two", Some("sent")));
    let filter = ErrorFilter { request_id: Some("two".to_owned()), ..ErrorFilter::default() };
    let slice = slice(REQUEST_SORTS[0], true, Begin::Skip(0), 5);
    let page = store.error_logs(filter, slice).await.unwrap();
    assert_eq!((page.items, page.total, page.next), (vec![found.item], Some(1), None));
    assert!(store.request_log(3).await.unwrap().is_none() && store.error_log(i64::MAX).await.unwrap().is_none());
    let ids: Vec<i64> = (2..1002).collect();
    assert_eq!(store.delete_logs(LogTable::Requests, ids.clone()).await.unwrap(), 1);
    assert_eq!(store.delete_logs(LogTable::Errors, ids).await.unwrap(), 1);
    assert_eq!(store.delete_logs(LogTable::Errors, Vec::new()).await.unwrap(), 0);
    assert!(store.request_log(2).await.unwrap().is_none() && store.request_log(1).await.unwrap().is_some());
}

/// Tells rows that are meant.
type Wanted<'a> = &'a dyn Fn(&RequestLog) -> bool;

fn plain(rows: &[RequestLog], wanted: impl Fn(&RequestLog) -> bool) -> Sums {
    let mut sums = Sums::default();
    for row in rows.iter().filter(|row| wanted(row)) {
        sums.requests += 1;
        sums.failed += i64::from(row.outcome == "failed");
        sums.cancelled += i64::from(row.outcome == "cancelled");
        sums.input_tokens += row.input_tokens.unwrap_or(0);
        sums.output_tokens += row.output_tokens.unwrap_or(0);
        sums.total_tokens += row.total_tokens.unwrap_or(0);
        sums.cost_microusd =
            row.cost_microusd.map_or(sums.cost_microusd, |c| Some(sums.cost_microusd.unwrap_or(0) + c));
        sums.duration_ms += row.total_duration_ms;
        sums.ttft_ms += row.ttft_ms.unwrap_or(0);
        sums.ttft_requests += i64::from(row.ttft_ms.is_some());
    }
    sums
}

pub(in crate::store) async fn sums_over_any_window_are_those_of_its_rows(database: impl TestDatabase) {
    let store = open(&database).await;
    let rows = many(800, 3);
    store.append_request_logs(rows.clone().into()).await.unwrap();
    let mut random = SmallRng::seed_from_u64(4);
    for round in 0..60 {
        let mut time = || origin() + Duration::milliseconds(random.random_range(-3_600_000..4 * 86_400_000));
        let (start, end) = (time(), time());
        let filter = RequestFilter {
            start_time: (round % 4 != 0).then_some(start.min(end)),
            end_time: (round % 4 != 1).then_some(start.max(end)),
            provider_name: (round % 5 == 0).then(|| "p1".to_owned()),
            model: (round % 7 == 0).then(|| "m2".to_owned()),
            outcome: (round % 6 == 0).then_some(Outcome::Cancelled),
            status_code: (round % 8 == 0).then_some(200),
            error_only: round % 9 == 0,
            ..RequestFilter::default()
        };
        let wanted = |row: &RequestLog| {
            filter.start_time.is_none_or(|start| row.timestamp >= start)
                && filter.end_time.is_none_or(|end| row.timestamp < end)
                && filter.provider_name.as_ref().is_none_or(|name| row.provider_name.as_ref() == Some(name))
                && filter.model.as_ref().is_none_or(|name| row.model_requested.as_ref() == Some(name))
                && filter.outcome.is_none_or(|outcome| row.outcome == outcome.name())
                && filter.status_code.is_none_or(|status| row.status_code == status)
                && (!filter.error_only || row.outcome == "failed")
        };
        let sums = store.log_stats(filter.clone()).await.unwrap();
        assert_eq!(sums[&(Dimension::All, String::new())], plain(&rows, wanted), "{filter:?}");
        for name in ["", "p0", "p2"] {
            let of = |row: &RequestLog| wanted(row) && row.provider_name.as_deref().unwrap_or("") == name;
            let found = sums.get(&(Dimension::Provider, name.to_owned())).cloned().unwrap_or_default();
            assert_eq!(found, plain(&rows, of), "{filter:?}");
        }
        let page = store.request_logs(filter.clone(), slice(REQUEST_SORTS[0], true, Begin::Skip(0), 1)).await.unwrap();
        assert_eq!(page.total, Some(plain(&rows, wanted).requests), "{filter:?}");
    }
}

pub(in crate::store) async fn percentiles_are_exact_in_a_narrow_window_and_near_in_a_wide_one(
    database: impl TestDatabase,
) {
    let store = open(&database).await;
    let rows = many(900, 5);
    store.append_request_logs(rows.clone().into()).await.unwrap();
    let (start, end) = (origin() + Duration::minutes(3), origin() + Duration::minutes(3 * 1440 - 7));
    for (bucket_secs, tolerance) in [(10, 0), (60, 0), (300, 16), (3600, 16), (86400, 16)] {
        let (sums, percentiles) = store.log_summary(SummaryWindow { start, end, bucket_secs }).await.unwrap();
        let number = |row: &RequestLog| (row.timestamp.timestamp() / bucket_secs).to_string();
        let some = number(&rows[0]);
        let groups: [(_, Wanted<'_>); 5] = [
            ((Dimension::All, String::new()), &|_| true),
            ((Dimension::Provider, "p1".to_owned()), &|row| row.provider_name.as_deref() == Some("p1")),
            ((Dimension::Model, String::new()), &|row| row.model_requested.is_none()),
            ((Dimension::Credential, "c2".to_owned()), &|row| row.credential_name == "c2"),
            ((Dimension::Bucket, some.clone()), &|row| number(row) == some),
        ];
        for (key, wanted) in groups {
            let wanted = |row: &&RequestLog| wanted(row) && row.timestamp >= start && row.timestamp < end;
            assert_eq!(sums[&key], plain(&rows, |row| wanted(&row)), "{key:?}");
            let mut times: Vec<i64> = rows.iter().filter(wanted).map(|row| row.total_duration_ms).collect();
            times.sort_unstable();
            for (percent, found) in [(50, percentiles[&key].p50_ms), (95, percentiles[&key].p95_ms)] {
                let exact = times[(times.len() * percent).div_ceil(100) - 1];
                let error = (found.unwrap() - exact).abs();
                assert!(error * tolerance <= exact && (tolerance > 0 || error == 0), "{key:?} {found:?} {exact}");
            }
        }
    }
}

pub(in crate::store) async fn old_rows_are_pruned_a_part_at_a_time_by_one_of_many(database: impl TestDatabase) {
    let (store, other) = (open(&database).await, open(&database).await);
    store.append_request_logs(many(12_000, 6).into()).await.unwrap();
    store
        .append_error_logs(vec![error_log("old"), ErrorLog { timestamp: Utc::now(), ..error_log("new") }].into())
        .await
        .unwrap();
    let before = origin() + Duration::hours(20);
    let (first, second) = tokio::join!(store.prune_request_logs(before), other.prune_request_logs(before));
    let rows = many(12_000, 6).iter().filter(|row| row.timestamp < before).count();
    assert!(rows > 5000, "{rows}");
    assert_eq!(first.unwrap() + second.unwrap(), rows);
    assert_eq!(store.prune_error_logs(before).await.unwrap(), 1);
    let left = RequestFilter { end_time: Some(before), ..RequestFilter::default() };
    let page = store.request_logs(left, slice(REQUEST_SORTS[0], false, Begin::Skip(0), 1)).await.unwrap();
    assert_eq!((page.items.len(), page.total), (0, Some(0)));
    let (kept, counted) = rollups(&database, "log_hours", "hour");
    assert_eq!(kept, counted);
}

pub(in crate::store) async fn a_row_is_appended_while_many_old_ones_are_pruned(database: impl TestDatabase) {
    let store = open(&database).await;
    let old = RequestLog { timestamp: origin(), ..request_log("old") };
    store.append_request_logs(vec![old; 12_000].into()).await.unwrap();
    let prune = store.prune_request_logs(Utc::now() - Duration::days(1));
    // It is under way once the first of its transactions has ended.
    let left = || database.texts("SELECT CAST(COUNT(*) AS TEXT) AS value FROM request_logs").remove(0);
    let append = async {
        while left() == "12000" {
            tokio::task::yield_now().await;
        }
        store
            .append_request_logs(vec![RequestLog { timestamp: Utc::now(), ..request_log("new") }].into())
            .await
            .unwrap();
        left().parse::<i64>().unwrap()
    };
    let (pruned, left_then) = tokio::join!(prune, append);
    assert_eq!(pruned.unwrap(), 12_000);
    assert!(left_then > 1000, "{left_then}");
    assert_eq!(left(), "1");
}
