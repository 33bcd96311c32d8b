//! The admin API over the real routes, actors and database.

mod auth;
mod config;
mod credential_keys;
mod credentials;
mod description;
mod detailed;
mod explain;
mod history;
mod logs;
mod provider_fields;
mod providers;

use std::collections::HashMap;
use std::sync::Arc;

use actix::Arbiter;
use actix_web::http::Method;
use actix_web::http::header::HeaderMap;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::{App, web};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::actors;
use crate::api::{FeedTimings, Phase, Shared, routes};
use crate::config::Snapshot;
use crate::proxy::{Proxy, Reporter};
use crate::settings::{DatabaseSettings, Settings};
use crate::store;
use crate::telemetry::Telemetry;
use crate::upstream::{Client, tls_config};

const ADMIN_KEY: &str = "admin-key-of-the-tests";

/// The API over a database of its own.
struct Api {
    shared: web::Data<Shared>,
    url: String,
    arbiter: Arbiter,
    _folder: TempDir,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    text: String,
    /// Null when the answer is no JSON.
    json: Value,
}

impl Api {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("test.db").display());
        // The logs of tests are old.
        let env = [("ADMIN_KEY", ADMIN_KEY), ("LOG_RETENTION_DAYS", "0")];
        let env = HashMap::from(env.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let settings = Settings::parse(&env).unwrap();
        let (arbiter, telemetry) = (Arbiter::new(), Telemetry::new().unwrap());
        let store = store::open(&DatabaseSettings::plain(url.clone())).await.unwrap();
        let handles = actors::start(&arbiter, store, &settings, telemetry.clone()).await.unwrap();
        let replica_id = settings.replica_id.clone();
        let (_, cut) = tokio::sync::watch::channel(false);
        let reporter =
            Reporter { handles: handles.clone(), replica_id, log_requests: false, errors: false, bodies: None, cut };
        let (reporter, phase) = (Arc::new(reporter), watch::channel(Phase::Serving).1);
        let shared = web::Data::new(Shared {
            handles,
            settings: Arc::new(settings),
            telemetry,
            reporter,
            phase,
            slots: crate::api::RequestSlots::new(None),
            feed: FeedTimings::default(),
        });
        Self { shared, url, arbiter, _folder: folder }
    }

    /// Sends a request as it is.
    async fn call(&self, request: TestRequest) -> Answer {
        let Shared { handles, settings, .. } = &**self.shared;
        let client = Client::new(tls_config(false).unwrap(), settings.upstream);
        let proxy = Proxy { handles: handles.clone(), settings: Arc::clone(settings), client };
        let app = App::new().app_data(self.shared.clone()).app_data(web::Data::new(proxy)).configure(routes);
        let app = init_service(app).await;
        let response = call_service(&app, request.to_request()).await;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = String::from_utf8_lossy(&read_body(response).await).into_owned();
        let json = serde_json::from_str(&text).unwrap_or_default();
        Answer { status, headers, text, json }
    }

    /// Sends a request with the admin key.
    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let mut request = with_key(method, path);
        if let Some(body) = body {
            request = request.set_payload(body.to_string());
        }
        self.call(request).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(&body)).await
    }

    async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, path, Some(&body)).await
    }

    async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PATCH, path, Some(&body)).await
    }

    async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    /// Creates a provider and returns its path.
    async fn provider(&self, body: Value) -> String {
        let created = self.post("/admin/v1/providers", body).await;
        assert_eq!(created.status, 201, "{}", created.text);
        format!("/admin/v1/providers/{}", created.json["id"])
    }

    /// Creates a credential and returns its path.
    async fn credential(&self, body: Value) -> String {
        let created = self.post("/admin/v1/credentials", body).await;
        assert_eq!(created.status, 201, "{}", created.text);
        format!("/admin/v1/credentials/{}", created.json["id"])
    }

    /// What new requests see.
    fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.handles.snapshot.load()
    }
}

impl Answer {
    /// Asserts an error of this status and type, and returns the field it names.
    #[track_caller]
    fn refused(&self, status: u16, kind: &str) -> Option<String> {
        assert_eq!(self.status, status, "{}", self.text);
        let error = &self.json["error"];
        assert_eq!(error["type"], kind, "{}", self.text);
        assert_eq!(error["code"], status, "{}", self.text);
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{}", self.text);
        let names: Vec<&str> = error.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["message", "type", "code", "field"]);
        error["field"].as_str().map(str::to_owned)
    }

    /// Asserts success and returns the version that the answer names.
    #[track_caller]
    fn version(&self) -> i64 {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.text);
        self.header("x-config-version").parse().unwrap()
    }

    #[track_caller]
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.headers)).to_str().unwrap()
    }
}

fn with_key(method: Method, path: &str) -> TestRequest {
    TestRequest::with_uri(path).method(method).insert_header(("authorization", format!("Bearer {ADMIN_KEY}")))
}

fn provider(key: &str) -> Value {
    json!({
        "provider_key": key, "provider_type": "openai", "api_base": "https://api.example.com/v1/",
        "api_key": "sk-upstream-secret",
    })
}
