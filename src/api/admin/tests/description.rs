use std::collections::BTreeSet;

use actix_web::http::Method;
use actix_web::test::TestRequest;
use serde_json::{Value, json};

use super::{Api, provider};
use crate::api::openapi;

fn document() -> Value {
    serde_json::to_value(openapi()).unwrap()
}

fn collect_references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get("$ref").and_then(Value::as_str).map(str::to_owned));
            object.values().for_each(|value| collect_references(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| collect_references(value, found)),
        _ => {}
    }
}

#[actix_web::test]
async fn the_document_is_served_without_a_key_and_is_the_same_each_time() {
    let api = Api::start().await;
    let served = api.call(TestRequest::get().uri("/admin/v1/openapi.json")).await;
    assert_eq!((served.status, &served.json), (200, &document()));
    assert_eq!(served.text, serde_json::to_string(&openapi()).unwrap());
    assert_eq!(served.header("content-type"), "application/json");
    assert_eq!(served.json["openapi"], "3.1.0");
    assert_eq!(served.json["info"]["title"], "llm-proxy");
    assert_eq!(served.json["info"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(
        (
            &served.json["components"]["securitySchemes"]["admin_key"]["type"],
            &served.json["components"]["securitySchemes"]["admin_key"]["scheme"]
        ),
        (&json!("http"), &json!("bearer"))
    );
}

#[actix_web::test]
async fn every_described_call_exists_and_asks_for_the_key_unless_it_says_otherwise() {
    let api = Api::start().await;
    let document = document();
    let mut calls = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let request = TestRequest::with_uri(&path.replace("{id}", "1")).method(method.clone());
            let status = api.call(request).await.status;
            let open = operation["security"].as_array().unwrap().contains(&json!({}));
            let expected = match operation["operationId"].as_str() {
                // Where the key may come later.
                Some("follow_config") => 426,
                _ if open => 200,
                _ => 401,
            };
            assert_eq!(status, expected, "{method} {path}");
            calls += 1;
        }
    }
    assert_eq!(calls, 37);
}

#[test]
fn every_reference_leads_somewhere_and_every_error_has_its_shape() {
    let document = document();
    let mut references = BTreeSet::new();
    collect_references(&document, &mut references);
    assert!(references.len() > 10, "{references:?}");
    for reference in references {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            assert!(!operation["summary"].as_str().unwrap().is_empty());
            for (status, response) in operation["responses"].as_object().unwrap() {
                let schema = &response["content"]["application/json"]["schema"]["$ref"];
                if status.starts_with(['4', '5']) && operation["operationId"] != "validate_admin_key" {
                    assert_eq!(schema, "#/components/schemas/AdminError");
                }
            }
        }
    }
}

#[test]
fn a_change_is_described_with_its_actor_and_its_version() {
    let document = document();
    let update = &document["paths"]["/admin/v1/providers/{id}"]["put"];
    let names: Vec<&Value> = update["parameters"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["id", "X-Admin-Actor"]);
    assert!(update["responses"]["200"]["headers"]["x-config-version"].is_object());
    let list = &document["paths"]["/admin/v1/providers"]["get"];
    let names: Vec<&Value> = list["parameters"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["search", "is_enabled", "page", "page_size"]);
    let feed = &document["paths"]["/admin/v1/config/feed"]["get"];
    assert_eq!((&feed["parameters"][0]["name"], &feed["parameters"][0]["required"]), (&json!("since"), &json!(false)));
    let answers: Vec<&String> = feed["responses"].as_object().unwrap().keys().collect();
    assert_eq!(answers, ["101", "400", "401", "403", "426", "503"]);
}

/// Properties of a shape by name.
fn properties(document: &Value, shape: &str) -> Vec<String> {
    let properties = &document["components"]["schemas"][shape]["properties"];
    properties.as_object().unwrap_or_else(|| panic!("no {shape}")).keys().cloned().collect()
}

#[actix_web::test]
async fn every_described_body_field_is_known_and_none_is_missing() {
    let (api, document) = (Api::start().await, document());
    let credential = api.credential(json!({"name": "c"})).await;
    let provider = api.provider(provider("p")).await;
    let rotate = format!("{credential}/rotate");
    let status = format!("{provider}/status");
    let health = format!("{provider}/health");
    for (shape, count, method, path) in [
        ("NewProvider", 8, Method::POST, "/admin/v1/providers"),
        ("ProviderChange", 8, Method::PUT, provider.as_str()),
        ("NewCredential", 7, Method::POST, "/admin/v1/credentials"),
        ("CredentialChange", 7, Method::PUT, credential.as_str()),
        ("StatusChange", 1, Method::PATCH, status.as_str()),
        ("Rotation", 2, Method::POST, rotate.as_str()),
        ("RollbackWish", 2, Method::POST, "/admin/v1/config/rollback"),
        ("LogIds", 1, Method::POST, "/admin/v1/logs/batch-delete"),
        ("CheckWish", 3, Method::POST, health.as_str()),
        ("ChecksWish", 4, Method::POST, "/admin/v1/health/check"),
        ("RoutingQuestion", 4, Method::POST, "/admin/v1/explain"),
    ] {
        let names = properties(&document, shape);
        assert_eq!(names.len(), count, "{names:?}");
        for name in names {
            // No field is an empty array, so a known one is refused for its type.
            let answer = api.send(method.clone(), path, Some(&json!({name.as_str(): [[]]}))).await;
            answer.refused(400, "validation_error");
            assert!(!answer.text.contains("not a known field"), "{shape}.{name}: {}", answer.text);
        }
    }
}

#[actix_web::test]
async fn every_shown_field_is_described() {
    let (api, document) = (Api::start().await, document());
    let shown = api.get(&api.provider(provider("p")).await).await.json;
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&shown), properties(&document, "Provider").into_iter().collect());
    let shown = api.get(&api.credential(json!({"name": "c"})).await).await.json;
    assert_eq!(names(&shown), properties(&document, "Credential").into_iter().collect());
}

#[actix_web::test]
async fn the_browser_works_with_and_without_a_slash_and_loads_nothing_from_elsewhere() {
    let api = Api::start().await;
    for path in ["/docs", "/docs/", "/docs/index.html"] {
        let page = api.call(TestRequest::get().uri(path)).await;
        assert_eq!((page.status, page.header("content-type")), (200, "text/html"));
        assert!(page.text.contains("<base href=\"/docs/\">"));
        assert!(!page.text.contains("http://") && !page.text.contains("https://"), "{}", page.text);
    }
    let start = api.call(TestRequest::get().uri("/docs/swagger-initializer.js")).await;
    assert!(start.text.contains("/admin/v1/openapi.json") && start.text.contains("\"validatorUrl\": \"none\""));
    assert!(!start.text.contains("http"), "{}", start.text);
    for file in ["swagger-ui-bundle.js", "swagger-ui.css", "swagger-ui-standalone-preset.js", "index.css"] {
        assert_eq!(api.call(TestRequest::get().uri(&format!("/docs/{file}"))).await.status, 200, "{file}");
    }
}

#[actix_web::test]
async fn beside_the_browser_are_the_errors_of_every_unknown_path_and_wrong_method() {
    let api = Api::start().await;
    let missing = api.call(TestRequest::get().uri("/docs/nothing.js")).await;
    assert_eq!((missing.status, &missing.json["error"]["code"]), (404, &json!("unknown_url")));
    let wrong = api.call(TestRequest::post().uri("/docs")).await;
    assert_eq!((wrong.status, wrong.header("allow")), (405, "GET, HEAD"));
}
