//! Rows as a busy installation has them: 8 providers, 30 models, 50 credentials, a few of which
//! make most requests; each credential mostly uses four models.

use chrono::Utc;
use llm_proxy::store::RequestLog;

/// Random numbers `a` to `h` between 0 and 1 become a row. Both databases know these words.
const ROW: &str = "
    INSERT INTO request_logs (timestamp, request_id, endpoint, credential_name, client, model_requested, model_mapped,
        provider_name, provider_type, client_protocol, provider_protocol, is_streaming, status_code, outcome, attempts,
        input_tokens, output_tokens, total_tokens, estimated, cost_microusd, total_duration_ms, ttft_ms, replica_id,
        config_version)
    SELECT at, 'request-{day}-' || n, '/v1/chat/completions', 'credential-' || credential,
        CASE credential % 5 WHEN 0 THEN 'curl' WHEN 1 THEN 'codex' ELSE 'openai-python' END,
        'model-' || model, 'model-' || model,
        'provider-' || CASE WHEN d < 0.1 THEN (model + 1) % 8 ELSE model % 8 END, 'openai', 'openai', 'openai',
        CASE WHEN e < 0.05 THEN credential % 3 = 0 ELSE credential % 3 <> 0 END,
        CASE WHEN f < 0.95 THEN 200 WHEN f < 0.96 THEN 499 WHEN f < 0.975 THEN 429 WHEN f < 0.985 THEN 500
            WHEN f < 0.99 THEN 400 ELSE 503 END,
        CASE WHEN f < 0.95 THEN 'complete' WHEN f < 0.96 THEN 'cancelled' ELSE 'failed' END, 1,
        input, output, input + output, e > 0.98, CASE WHEN model < 25 THEN input / 2 + output END,
        200 + CAST(40000 * g * g * g * g AS INTEGER), 100 + CAST(2000 * h * h * h AS INTEGER), 'replica-1', 1
    FROM (
        SELECT n, at, d, e, f, g, h, credential,
            CASE WHEN b < 0.85 THEN (credential * 7 + CAST(c * c * 4 AS INTEGER)) % 30
                ELSE CAST(c * c * 29.999 - 0.499 AS INTEGER) END AS model,
            CAST(5000 * g * h AS INTEGER) AS input, CAST(1000 * g * h AS INTEGER) AS output
        FROM ({numbers}) AS numbers
    ) AS row_values";

/// An error log of every request that failed.
pub const ERRORS: &str = "
    INSERT INTO error_logs (request_id, timestamp, attempt, error_category, endpoint, client_protocol, provider_name,
        model_requested, response_status_code, total_duration_ms, credential_name, client, is_streaming)
    SELECT request_id, timestamp, 1,
        CASE status_code WHEN 429 THEN 'provider_429' WHEN 503 THEN 'no_provider' ELSE 'provider_5xx' END, endpoint,
        client_protocol, provider_name, model_requested, status_code, total_duration_ms, credential_name, client,
        is_streaming
    FROM request_logs WHERE outcome = 'failed' ORDER BY timestamp";

fn day_sql(day: i64, numbers: &str) -> String {
    ROW.replace("{day}", &day.to_string()).replace("{numbers}", numbers)
}

/// So many rows over the day that began `days` days ago.
pub fn postgres_day(days: i64, rows: i64) -> String {
    let numbers = format!(
        "SELECT n, now() - interval '1 day' * {days} + interval '1 day' * n / {rows} AS at,
            CAST(a * a * 49.999 - 0.499 AS INTEGER) AS credential, b, c, d, e, f, g, h
        FROM (SELECT n, random() AS a, random() AS b, random() AS c, random() AS d, random() AS e, random() AS f,
            random() AS g, random() AS h FROM generate_series(1, {rows}) AS n OFFSET 0) AS random_values"
    );
    // Sums over so many rows at once need more memory than those of a batch.
    format!("SET work_mem = '64MB'; {}", day_sql(0, &numbers))
}

/// Repeats the only day that is there on the days after it, with its rollups in the order of
/// time, as they come about: triggers would take half an hour for ten million rows.
pub fn postgres_repeat(days: i64) -> String {
    let columns = "endpoint, credential_name, client, model_requested, model_mapped, provider_name, provider_type,
        client_protocol, provider_protocol, is_streaming, status_code, outcome, attempts, input_tokens, output_tokens,
        total_tokens, estimated, cost_microusd, total_duration_ms, ttft_ms, replica_id, config_version";
    let last = days - 1;
    let mut sql = format!(
        "SET work_mem = '256MB'; ALTER TABLE request_logs DISABLE TRIGGER USER;
        INSERT INTO request_logs (timestamp, request_id, {columns})
        SELECT timestamp + day * interval '1 day', 'request-' || day || substr(request_id, 10), {columns}
        FROM generate_series(1, {last}) AS day CROSS JOIN LATERAL (SELECT * FROM request_logs ORDER BY id) AS first;
        ALTER TABLE request_logs ENABLE TRIGGER USER;"
    );
    let keys = "provider_name, model_requested, credential_name, client, status_code, outcome, is_streaming, estimated";
    let sums = ["requests", "input_tokens", "output_tokens", "total_tokens", "cost_microusd", "priced", "duration_ms"];
    let sums = [&sums[..], &["ttft_ms", "ttft_requests"]].concat();
    let named = [&["failed", "cancelled"], &sums[..]].concat();
    for (table, keys, sums) in [
        ("log_hours", keys, &sums[..]),
        ("log_days", keys, &sums[..]),
        ("log_sums", "unit, dimension, name", &named[..]),
        ("log_histograms", "unit, dimension, name, metric, bin", &["requests"][..]),
    ] {
        let added: Vec<String> = sums.iter().map(|column| format!("SUM({column})")).collect();
        sql.push_str(&format!(
            "CREATE TEMPORARY TABLE first AS SELECT * FROM {table}; TRUNCATE {table};
            INSERT INTO {table} (start, {keys}, {})
            SELECT start + day * interval '1 day' AS start, {keys}, {}
            FROM first CROSS JOIN generate_series(0, {last}) AS day
            GROUP BY start + day * interval '1 day', {keys} ORDER BY 1; DROP TABLE first;",
            sums.join(", "),
            added.join(", ")
        ));
    }
    sql
}

/// So many rows over the day that began `days - day` days ago, for SQLite.
pub fn sqlite_day(day: i64, days: i64, rows: i64) -> String {
    let random = |name: char| format!("abs(random() / 2) / 4611686018427387904.0 AS {name}");
    let randoms: Vec<String> = ('a'..='h').map(random).collect();
    let now = Utc::now().timestamp_millis();
    let numbers = format!(
        "SELECT n, {now} - 86400000 * ({days} - {day}) + 86400000 * n / {rows} AS at,
            CAST(a * a * 49.999 AS INTEGER) AS credential, b, c, d, e, f, g, h
        FROM (WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {rows}),
            random_values AS MATERIALIZED (SELECT n, {} FROM numbers) SELECT * FROM random_values) AS random_values",
        randoms.join(", ")
    );
    day_sql(day, &numbers).replace("- 0.499 AS INTEGER", "AS INTEGER")
}

/// Rows as the program writes them.
pub fn batch(rows: usize, seed: usize) -> Vec<RequestLog> {
    let row = |n: usize| {
        let mixed = (n + seed * 7919).wrapping_mul(2_654_435_761) >> 7;
        let (credential, milliseconds) = (mixed % 50, i64::try_from(mixed % 9000).unwrap());
        RequestLog {
            timestamp: Utc::now(),
            request_id: format!("batch-{seed}-{n}"),
            endpoint: "/v1/chat/completions".to_owned(),
            credential_name: format!("credential-{credential}"),
            client: "curl".to_owned(),
            model_requested: Some(format!("model-{}", (credential * 7 + mixed % 4) % 30)),
            model_mapped: None,
            provider_name: Some(format!("provider-{}", mixed % 8)),
            provider_type: Some("openai".to_owned()),
            client_protocol: "openai".to_owned(),
            provider_protocol: Some("openai".to_owned()),
            is_streaming: n.is_multiple_of(2),
            status_code: if n.is_multiple_of(20) { 503 } else { 200 },
            outcome: if n.is_multiple_of(20) { "failed" } else { "complete" }.to_owned(),
            attempts: 1,
            input_tokens: Some(milliseconds),
            output_tokens: Some(100),
            total_tokens: Some(milliseconds + 100),
            cached_tokens: None,
            cache_write_tokens: None,
            reasoning_tokens: None,
            estimated: false,
            cost_microusd: Some(7),
            total_duration_ms: milliseconds,
            ttft_ms: Some(milliseconds / 3),
            gateway_us: Some(500),
            dropped_fields: None,
            error_category: None,
            error_message: None,
            upstream_request_id: None,
            replica_id: "replica-1".to_owned(),
            config_version: 1,
            request_headers: None,
            request_body: None,
            response_body: None,
        }
    };
    (0..rows).map(row).collect()
}
