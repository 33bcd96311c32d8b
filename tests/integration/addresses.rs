//! Where a provider may not be.

use serde_json::json;

use crate::support::{Answer, TestProxy, Upstream, assert_error, eventually, execute, hello};

const ANSWER: &str = r#"{"model":"real","choices":[]}"#;

fn create(proxy: &TestProxy, api_base: &str) -> Answer {
    let provider = json!({
        "provider_key": "new", "provider_type": "openai", "api_base": api_base, "api_key": "k", "is_enabled": false,
    });
    proxy.admin("POST", "/providers", &provider)
}

/// Writes an address behind the back of the admin API.
fn move_by_sql(proxy: &TestProxy, key: &str, api_base: &str) {
    let sql = format!("UPDATE providers SET api_base = '{api_base}' WHERE provider_key = '{key}'");
    execute(&proxy.database(), &sql);
    proxy.configure("POST", "/config/reload", &json!({}));
}

#[test]
fn the_admin_api_refuses_what_only_a_mistake_or_an_attack_names() {
    let proxy = TestProxy::empty();
    let path = proxy.provider("main", "http://127.0.0.1:9/v1", json!({}));
    for host in [
        "169.254.169.254",
        "169.254.1.1:8080",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "169.254.43518",
        "169.254.169.254.",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "[::ffff:169.254.169.254]",
        "[::169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "100.100.100.200",
        "168.63.129.16",
        "metadata.google.internal",
        "Metadata.Google.Internal.",
        "metadata",
        "0.0.0.0:18000",
        "0",
        "[::]",
        "224.0.0.1",
        "[ff02::1]",
        "255.255.255.255",
    ] {
        let base = format!("http://{host}/v1");
        for answer in [create(&proxy, &base), proxy.admin("PUT", &path, &json!({"api_base": base}))] {
            assert_eq!(answer.status, 400, "{host}: {answer:?}");
            let error = &answer.json()["error"];
            assert_eq!((&error["type"], &error["field"]), (&json!("validation_error"), &json!("api_base")), "{error}");
        }
    }
    assert_eq!(proxy.configure("GET", &path, &json!(null))["api_base"], "http://127.0.0.1:9/v1");
}

#[test]
fn private_and_loopback_addresses_are_allowed() {
    let proxy = TestProxy::empty();
    for host in
        ["10.0.0.1", "192.168.1.1", "172.31.0.1", "100.64.0.1", "localhost:1", "[::1]:1", "[fd12::1]", "2130706433"]
    {
        let answer = create(&proxy, &format!("http://{host}/v1"));
        assert_eq!(answer.status, 201, "{host}: {answer:?}");
        proxy.configure("DELETE", &format!("/providers/{}", answer.json()["id"]), &json!(null));
    }
}

#[test]
fn link_local_addresses_are_allowed_where_the_operator_says_so_and_no_others() {
    let proxy = TestProxy::with(&[("ALLOW_LINK_LOCAL_PROVIDERS", "true")]);
    let path = proxy.provider("main", "http://127.0.0.1:9/v1", json!({}));
    for (host, status) in [
        ("169.254.169.254", 200),
        ("[fe80::1]", 200),
        ("100.100.100.200", 200),
        ("metadata.google.internal", 200),
        ("0.0.0.0", 400),
        ("[::ffff:0.0.0.0]", 400),
        ("224.0.0.1", 400),
        ("255.255.255.255", 400),
    ] {
        let answer = proxy.admin("PUT", &path, &json!({"api_base": format!("http://{host}/v1")}));
        assert_eq!(answer.status, status, "{host}: {answer:?}");
    }
}

#[test]
fn an_address_that_came_by_sql_is_not_connected_to_in_any_notation() {
    let upstream = Upstream::json(ANSWER);
    let proxy = TestProxy::before(&upstream);
    let port = upstream.address().port();
    // On Linux the unspecified address leads to this machine: the provider would get the request.
    for host in ["0.0.0.0", "0", "0x0", "00.0.0.0", "[::ffff:0.0.0.0]"] {
        move_by_sql(&proxy, "main", &format!("http://{host}:{port}/v1"));
        let answer = proxy.chat(&hello("m"));
        assert_error(&answer, 502, "upstream_connect_error");
        assert!(answer.text().contains("an unspecified address is not allowed"), "{host}: {answer:?}");
    }
    for (host, class) in [
        ("169.254.1.1", "a link-local address"),
        ("[fe80::1]", "a link-local address"),
        ("2852039166", "the address of a cloud's metadata service"),
        ("169.254.43518", "the address of a cloud's metadata service"),
        ("[64:ff9b::a9fe:a9fe]", "the address of a cloud's metadata service"),
    ] {
        move_by_sql(&proxy, "main", &format!("http://{host}:{port}/v1"));
        let answer = proxy.chat(&hello("m"));
        assert_error(&answer, 502, "upstream_connect_error");
        assert!(answer.text().contains(&format!("{class} is not allowed")), "{host}: {answer:?}");
    }
    assert_eq!(upstream.waiting(), 0);
    move_by_sql(&proxy, "main", &upstream.base());
    assert_eq!(proxy.chat(&hello("m")).status, 200);
}

#[test]
fn a_refused_address_counts_as_a_provider_that_cannot_be_reached() {
    let upstream = Upstream::json(ANSWER);
    let proxy = TestProxy::before_with(&upstream, &[("ADAPTIVE_TRANSPORT_THRESHOLD", "2")]);
    proxy.provider("other", &upstream.base(), json!({"m": "real"}));
    proxy.configure("PUT", "/providers/2", &json!({"weight": 1}));
    proxy.configure("PUT", "/providers/1", &json!({"weight": 1_000_000}));
    move_by_sql(&proxy, "main", "http://169.254.169.254/v1");
    // What an attempt proved is told without waiting for it.
    let mut failures = 0;
    eventually("the provider is taken out of routing", || {
        let answer = proxy.chat(&hello("m"));
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("x-llm-proxy-provider"), Some("other"));
        let has_failed = answer.header("x-llm-proxy-attempts") == Some("2");
        failures += i32::from(has_failed);
        !has_failed
    });
    assert!(failures >= 2, "{failures}");
}
