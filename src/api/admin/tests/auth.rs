use actix_web::http::Method;
use actix_web::test::TestRequest;
use serde_json::json;

use super::{ADMIN_KEY, Api, provider, with_key};

#[actix_web::test]
async fn without_the_right_key_every_path_is_401_even_an_unknown_one() {
    let api = Api::start().await;
    let keys = [None, Some("Bearer wrong"), Some("Bearer "), Some("Bearer"), Some("Basic YTpi")];
    for path in ["/admin/v1/providers", "/admin/v1/providers/x", "/admin/v1/nowhere", "/admin/v1", "/admin/v1/"] {
        for key in keys {
            for method in [Method::GET, Method::TRACE] {
                let mut request = TestRequest::with_uri(path).method(method);
                if let Some(key) = key {
                    request = request.insert_header(("authorization", key));
                }
                let answer = api.call(request).await;
                assert_eq!(answer.refused(401, "unauthorized"), None);
                assert_eq!(answer.header("www-authenticate"), "Bearer");
            }
        }
    }
}

#[actix_web::test]
async fn the_key_is_checked_before_the_body_and_the_actor() {
    let api = Api::start().await;
    let request = TestRequest::post().uri("/admin/v1/providers").insert_header(("x-admin-actor", ""));
    api.call(request.set_payload("{")).await.refused(401, "unauthorized");
}

#[actix_web::test]
async fn the_scheme_may_have_any_case_and_the_key_may_not() {
    let api = Api::start().await;
    let ask = async |value: String| {
        api.call(TestRequest::get().uri("/admin/v1/providers").insert_header(("authorization", value))).await.status
    };
    assert_eq!(ask(format!("bEARER  {ADMIN_KEY} ")).await, 200);
    assert_eq!(ask(format!("Bearer {}", ADMIN_KEY.to_uppercase())).await, 401);
    assert_eq!(ask(format!("Bearer {ADMIN_KEY}x")).await, 401);
    assert_eq!(ask(ADMIN_KEY.to_owned()).await, 401);
}

#[actix_web::test]
async fn a_client_key_opens_nothing_here() {
    let api = Api::start().await;
    api.credential(json!({"name": "client", "key": "client-key-1"})).await;
    let request = TestRequest::get().uri("/admin/v1/providers").insert_header(("authorization", "Bearer client-key-1"));
    api.call(request).await.refused(401, "unauthorized");
    let request = TestRequest::get().uri("/admin/v1/providers").insert_header(("x-api-key", ADMIN_KEY));
    api.call(request).await.refused(401, "unauthorized");
}

#[actix_web::test]
async fn validating_a_key_has_three_answers() {
    let api = Api::start().await;
    let path = "/admin/v1/auth/validate";
    let right = api.call(with_key(Method::POST, path)).await;
    assert_eq!((right.status, right.json), (200, json!({"valid": true, "message": "Admin key is valid"})));
    let invalid = json!({"valid": false, "message": "Invalid admin key"});
    let none = api.call(TestRequest::post().uri(path)).await;
    assert_eq!((none.status, &none.json), (200, &invalid));
    let wrong = api.call(TestRequest::post().uri(path).insert_header(("authorization", "Bearer x"))).await;
    assert_eq!((wrong.status, &wrong.json), (401, &invalid));
    assert_eq!(wrong.header("www-authenticate"), "Bearer");
}

#[actix_web::test]
async fn an_unknown_path_is_404_and_a_wrong_method_405_with_the_right_ones() {
    let api = Api::start().await;
    for path in ["/admin/v1", "/admin/v1/nowhere", "/admin/v1/providers/1/nowhere", "/admin/v1/health/nowhere"] {
        api.get(path).await.refused(404, "not_found");
    }
    for (method, path, allow) in [
        (Method::PATCH, "/admin/v1/providers", "GET, HEAD, POST"),
        (Method::POST, "/admin/v1/providers/1", "GET, HEAD, PUT, DELETE"),
        (Method::GET, "/admin/v1/providers/1/status", "PATCH"),
        (Method::DELETE, "/admin/v1/credentials", "GET, HEAD, POST"),
        (Method::PATCH, "/admin/v1/credentials/1", "GET, HEAD, PUT, DELETE"),
        (Method::PUT, "/admin/v1/credentials/1/status", "PATCH"),
        (Method::GET, "/admin/v1/credentials/1/rotate", "POST"),
        (Method::GET, "/admin/v1/auth/validate", "POST"),
        (Method::POST, "/admin/v1/config/version", "GET, HEAD"),
        (Method::GET, "/admin/v1/config/reload", "POST"),
        (Method::POST, "/admin/v1/openapi.json", "GET, HEAD"),
    ] {
        let answer = api.send(method, path, None).await;
        answer.refused(405, "validation_error");
        assert_eq!(answer.header("allow"), allow, "{path}");
    }
}

#[actix_web::test]
async fn head_and_a_trailing_slash_work_as_get_without() {
    let api = Api::start().await;
    assert_eq!(api.send(Method::HEAD, "/admin/v1/providers", None).await.status, 200);
    assert_eq!(api.get("/admin/v1/providers/").await.json, api.get("/admin/v1/providers").await.json);
    let path = api.provider(provider("p")).await;
    assert_eq!(api.get(&format!("{path}/")).await.json["provider_key"], "p");
}

#[actix_web::test]
async fn an_actor_that_cannot_be_shown_is_refused() {
    let api = Api::start().await;
    let named = async |name: &str| {
        let request = with_key(Method::GET, "/admin/v1/providers").insert_header(("X-Admin-Actor", name));
        api.call(request).await
    };
    for wrong in ["", "a b", "é", &"a".repeat(65)] {
        assert_eq!(named(wrong).await.refused(400, "validation_error").unwrap(), "X-Admin-Actor", "{wrong}");
    }
    assert_eq!(named(&"a".repeat(64)).await.status, 200);
}

#[actix_web::test]
async fn a_body_that_cannot_be_read_is_refused_in_the_same_shape() {
    let api = Api::start().await;
    let post = || with_key(Method::POST, "/admin/v1/providers");
    for wrong in ["", "{", "[]", "null", "\"x\"", "{\"weight\": 1e999}"] {
        assert_eq!(api.call(post().set_payload(wrong)).await.refused(400, "validation_error"), None, "{wrong}");
    }
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(1 << 20));
    api.call(post().set_payload(large)).await.refused(413, "validation_error");
    let announced = post().insert_header(("content-length", "9000000"));
    api.call(announced).await.refused(413, "validation_error");
    let compressed = post().insert_header(("content-encoding", "gzip")).set_payload("{}");
    api.call(compressed).await.refused(415, "validation_error");
    let plain = post().insert_header(("content-encoding", "identity")).set_payload(provider("p").to_string());
    assert_eq!(api.call(plain.insert_header(("content-type", "text/plain"))).await.status, 201);
}
