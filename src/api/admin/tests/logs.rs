use actix_web::http::Method;
use actix_web::test::TestRequest;
use diesel::connection::{Connection as _, SimpleConnection as _};
use serde_json::{Value, json};

use super::{Answer, Api};

/// `rows` requests, one a minute back from `2026-03-05T12:00:00Z`, written with plain SQL.
fn fill(api: &Api, rows: usize) {
    let path = api.url.strip_prefix("sqlite://").unwrap();
    let sql = format!(
        "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {rows})
         INSERT INTO request_logs (timestamp, request_id, endpoint, credential_name, client, model_requested,
             provider_name, client_protocol, is_streaming, status_code, outcome, attempts, input_tokens, output_tokens,
             total_tokens, estimated, cost_microusd, total_duration_ms, ttft_ms, replica_id, config_version,
             request_body)
         SELECT 1772712000000 - i * 60000, 'r' || i, '/v1/messages', 'c' || (i % 3), 'curl',
             CASE i % 5 WHEN 0 THEN NULL WHEN 1 THEN '=HYPERLINK(\"x\")' ELSE 'm' END, 'p' || (i % 2), 'anthropic',
             i % 2, CASE WHEN i % 4 = 0 THEN 503 ELSE 200 END, CASE WHEN i % 4 = 0 THEN 'failed' ELSE 'complete' END,
             1, i, 2, i + 2, 0, CASE WHEN i % 2 = 0 THEN i END, 100 + i, CASE WHEN i % 3 > 0 THEN i END, 'x', 1, 'sent'
         FROM n;
         INSERT INTO error_logs (request_id, timestamp, attempt, error_category, endpoint, client_protocol,
             credential_name, client, is_streaming, response_body)
         SELECT request_id, timestamp, 1, CASE id % 3 WHEN 0 THEN 'timeout' ELSE 'provider_5xx' END, endpoint,
             client_protocol, credential_name, client, is_streaming, 'busy' FROM request_logs WHERE outcome = 'failed'"
    );
    diesel::SqliteConnection::establish(path)
        .unwrap()
        .batch_execute(&format!("PRAGMA busy_timeout = 5000; {sql}"))
        .unwrap();
}

fn items(answer: &Answer) -> &Vec<Value> {
    answer.json["items"].as_array().unwrap_or_else(|| panic!("{}", answer.text))
}

#[actix_web::test]
async fn logs_are_listed_by_page_and_by_cursor() {
    let api = Api::start().await;
    fill(&api, 120);
    let first = api.get("/admin/v1/logs?page_size=50").await;
    let names: Vec<&String> = first.json.as_object().unwrap().keys().collect();
    assert_eq!(names, ["items", "total", "page", "page_size", "total_pages", "next_cursor"]);
    assert_eq!(
        (&first.json["total"], &first.json["page"], &first.json["total_pages"]),
        (&json!(120), &json!(1), &json!(3))
    );
    assert_eq!((items(&first)[0]["request_id"].clone(), items(&first).len()), (json!("r0"), 50));
    assert!(items(&first)[0].get("request_body").is_none() && items(&first)[0]["cost_microusd"] == 0);
    let cursor = first.json["next_cursor"].as_str().unwrap();
    let second = api.get(&format!("/admin/v1/logs?page_size=50&cursor={cursor}")).await;
    assert_eq!((&second.json["page"], &second.json["total"]), (&Value::Null, &json!(120)));
    assert_eq!(items(&second), items(&api.get("/admin/v1/logs?page=2&page_size=50").await));
    let last = api.get("/admin/v1/logs?page=3&page_size=50").await;
    assert_eq!((items(&last).len(), &last.json["next_cursor"]), (20, &Value::Null));
    let slow = api.get("/admin/v1/logs?sort_by=total_duration_ms&sort_order=asc&page_size=1").await;
    assert_eq!(items(&slow)[0]["total_duration_ms"], 100);
}

#[actix_web::test]
async fn filters_are_all_met_and_sums_are_those_of_the_list() {
    let api = Api::start().await;
    fill(&api, 120);
    for (query, rows) in [
        ("", 120),
        ("request_id=r7", 1),
        ("provider_name=p1", 60),
        ("model=m", 72),
        ("credential_name=c2&client=curl", 40),
        ("status_code=503", 30),
        ("outcome=failed", 30),
        ("outcome=cancelled", 0),
        ("error_only=true&provider_name=p1", 0),
        ("is_streaming=true&estimated=false", 60),
        ("start_time=2026-03-05T11:30:00Z", 31),
        ("start_time=2026-03-05T13:30:00%2B02:00&end_time=2026-03-05T12:00:00Z", 30),
        ("colour=red", 120),
    ] {
        let list = api.get(&format!("/admin/v1/logs?page_size=200&{query}")).await;
        assert_eq!((items(&list).len(), &list.json["total"]), (rows, &json!(rows)), "{query}");
        let stats = api.get(&format!("/admin/v1/logs/stats?{query}")).await.json;
        let sum = |name: &str| items(&list).iter().filter_map(|row| row[name].as_i64()).sum::<i64>();
        assert_eq!(stats["total_requests"], rows, "{query}");
        assert_eq!(
            (&stats["total_input_tokens"], &stats["total_output_tokens"]),
            (&json!(sum("input_tokens")), &json!(sum("output_tokens")))
        );
        let failed = items(&list).iter().filter(|row| row["outcome"] == "failed").count();
        assert_eq!(stats["total_errors"], failed, "{query}");
        let by: i64 = stats["requests_by_provider"].as_object().unwrap().values().filter_map(Value::as_i64).sum();
        assert_eq!(by, i64::try_from(rows).unwrap(), "{query}");
        let costs: i64 = stats["cost_by_credential"].as_object().unwrap().values().filter_map(Value::as_i64).sum();
        assert_eq!(costs, sum("cost_microusd"), "{query}");
        if rows == 0 {
            assert_eq!((&stats["avg_duration_ms"], &stats["total_cost_microusd"]), (&Value::Null, &Value::Null));
        }
    }
    let stats = api.get("/admin/v1/logs/stats").await.json;
    assert_eq!((&stats["error_rate"], &stats["avg_duration_ms"]), (&json!(0.25), &json!(159.5)));
    assert_eq!(stats["requests_by_status"], json!({"200": 90, "503": 30}));
    assert_eq!(stats["requests_by_model"], json!({"": 24, "=HYPERLINK(\"x\")": 24, "m": 72}));
    let errors = api.get("/admin/v1/error-logs?error_category=timeout&sort_by=attempt&sort_order=asc").await;
    assert_eq!((items(&errors).len(), &errors.json["total"]), (10, &json!(10)));
    assert!(items(&errors)[0].get("response_body").is_none());
}

#[actix_web::test]
async fn a_wrong_parameter_is_named() {
    let api = Api::start().await;
    fill(&api, 60);
    let cursor = api.get("/admin/v1/logs?page_size=1").await.json["next_cursor"].as_str().unwrap().to_owned();
    for (query, field) in [
        ("page=0", "page"),
        ("page_size=201", "page_size"),
        ("status_code=ok", "status_code"),
        ("outcome=good", "outcome"),
        ("is_streaming=1", "is_streaming"),
        ("error_only=yes", "error_only"),
        ("start_time=yesterday", "start_time"),
        ("start_time=2026-03-05T11:30:00Z&end_time=2026-03-04T11:30:00Z", "end_time"),
        ("sort_by=request_body", "sort_by"),
        ("sort_order=up", "sort_order"),
        ("cursor=x", "cursor"),
        (&format!("cursor={cursor}&page=2"), "cursor"),
        (&format!("cursor={cursor}&sort_by=ttft_ms"), "cursor"),
        ("model=%00", "model"),
    ] {
        let answer = api.get(&format!("/admin/v1/logs?{query}")).await;
        assert_eq!(answer.refused(400, "validation_error").unwrap(), field, "{query}");
    }
    let answer = api.get("/admin/v1/error-logs?sort_by=ttft_ms").await;
    assert_eq!(answer.refused(400, "validation_error").unwrap(), "sort_by");
    let answer = api.get("/admin/v1/metrics/summary?bucket_secs=11").await;
    assert_eq!(answer.refused(400, "validation_error").unwrap(), "bucket_secs");
    for body in [json!({}), json!({"ids": 1}), json!({"ids": ["1"]}), json!({"ids": vec![1; 1001]})] {
        let answer = api.post("/admin/v1/logs/batch-delete", body).await;
        assert_eq!(answer.refused(400, "validation_error").unwrap(), "ids");
    }
}

#[actix_web::test]
async fn a_row_is_shown_whole_and_deleted_alone_or_with_others() {
    let api = Api::start().await;
    fill(&api, 60);
    let shown = api.get("/admin/v1/logs/1").await;
    assert_eq!(
        (&shown.json["id"], &shown.json["request_body"], &shown.json["response_body"]),
        (&json!(1), &json!("sent"), &Value::Null)
    );
    assert_eq!(shown.json.as_object().unwrap().len(), 36);
    let shown = api.get("/admin/v1/error-logs/1").await;
    assert_eq!((&shown.json["response_body"], shown.json.as_object().unwrap().len()), (&json!("busy"), 24));
    for (path, name) in [("/admin/v1/logs", "Request log"), ("/admin/v1/error-logs", "Error log")] {
        let gone = api.delete(&format!("{path}/1")).await;
        assert_eq!((gone.status, gone.text.as_str()), (204, ""));
        for answer in [api.delete(&format!("{path}/1")).await, api.get(&format!("{path}/1")).await] {
            answer.refused(404, "not_found");
            assert_eq!(answer.json["error"]["message"], json!(format!("{name} with ID 1 not found")));
        }
        api.get(&format!("{path}/x")).await.refused(404, "not_found");
        let many = api.post(&format!("{path}/batch-delete"), json!({"ids": [1, 2, 3, 3, 999]})).await;
        assert_eq!((many.status, many.json), (200, json!({"deleted": 2})));
    }
    assert_eq!(api.get("/admin/v1/logs").await.json["total"], 57);
    assert_eq!(api.get("/admin/v1/logs/stats").await.json["total_requests"], 57);
}

#[actix_web::test]
async fn an_export_has_every_row_and_no_formula() {
    let api = Api::start().await;
    fill(&api, 2500);
    let answer = api.get("/admin/v1/logs/export?end_time=2030-01-01T00:00:00Z").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/csv; charset=utf-8; header=present"));
    assert_eq!(answer.header("content-disposition"), "attachment; filename=\"request-logs.csv\"");
    let mut reader = csv::Reader::from_reader(answer.text.as_bytes());
    let head = reader.headers().unwrap().clone();
    assert_eq!((head.len(), &head[0], &head[1], &head[2]), (33, "id", "timestamp", "request_id"));
    let model = head.iter().position(|name| name == "model_requested").unwrap();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 2500);
    for (place, row) in rows.iter().enumerate() {
        assert_eq!(&row[2], format!("r{place}"));
        assert_eq!(&row[model], ["", "'=HYPERLINK(\"x\")", "m", "m", "m"][place % 5]);
    }
    let errors = api.get("/admin/v1/error-logs/export?error_category=timeout&sort_order=asc").await.text;
    assert!(errors.starts_with("id,timestamp,request_id,attempt,") && errors.lines().count() > 100);
    let none = api.get("/admin/v1/logs/export?outcome=cancelled").await.text;
    assert_eq!(none.lines().count(), 1);
    api.get("/admin/v1/logs/export?sort_by=x").await.refused(400, "validation_error");
}

#[actix_web::test]
async fn a_summary_has_every_bucket_and_the_sums_of_all() {
    let api = Api::start().await;
    fill(&api, 120);
    let window = "start_time=2026-03-05T10:00:30Z&end_time=2026-03-05T12:00:01Z";
    for (bucket, buckets) in [(60, 121), (300, 25), (3600, 3), (86400, 1)] {
        let summary = api.get(&format!("/admin/v1/metrics/summary?{window}&bucket_secs={bucket}")).await.json;
        let names: Vec<&String> = summary.as_object().unwrap().keys().collect();
        let expected = [
            "enabled",
            "start_time",
            "end_time",
            "bucket_secs",
            "totals",
            "buckets",
            "providers",
            "models",
            "credentials",
        ];
        assert_eq!(names, expected);
        assert_eq!((&summary["enabled"], &summary["totals"]["requests"]), (&json!(true), &json!(120)));
        assert_eq!((&summary["totals"]["errors"], &summary["totals"]["cost_microusd"]), (&json!(30), &json!(3540)));
        let all = summary["buckets"].as_array().unwrap();
        assert_eq!(all.len(), buckets, "{bucket}");
        assert_eq!(all.iter().filter_map(|bucket| bucket["requests"].as_i64()).sum::<i64>(), 120);
        let p95 = summary["totals"]["p95_ms"].as_i64().unwrap();
        assert!((p95 - 213).abs() <= if bucket < 300 { 0 } else { 213 / 16 }, "{bucket}: {p95}");
        for (by, names) in [("providers", 2), ("models", 3), ("credentials", 3)] {
            let by = summary[by].as_array().unwrap();
            assert_eq!((by.len(), by.iter().filter_map(|one| one["requests"].as_i64()).sum::<i64>()), (names, 120));
        }
    }
    let empty = api.get("/admin/v1/metrics/summary").await.json;
    assert_eq!((&empty["totals"]["requests"], &empty["totals"]["p50_ms"]), (&json!(0), &Value::Null));
    assert_eq!((&empty["bucket_secs"], empty["providers"].as_array().unwrap().len()), (&json!(60), 0));
}

#[actix_web::test]
async fn logs_need_the_key_and_a_database() {
    let api = Api::start().await;
    for path in ["/admin/v1/logs", "/admin/v1/logs/export", "/admin/v1/metrics/summary"] {
        api.call(TestRequest::get().uri(path)).await.refused(401, "unauthorized");
    }
    api.send(Method::PUT, "/admin/v1/logs", None).await.refused(405, "validation_error");
    let path = api.url.strip_prefix("sqlite://").unwrap();
    diesel::SqliteConnection::establish(path)
        .unwrap()
        .batch_execute(
            "PRAGMA busy_timeout = 5000; ALTER TABLE request_logs RENAME TO elsewhere; DROP TABLE error_logs",
        )
        .unwrap();
    api.get("/admin/v1/logs").await.refused(500, "internal_error");
    api.get("/admin/v1/error-logs/export").await.refused(500, "internal_error");
}
