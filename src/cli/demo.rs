//! `demo`: the main job with nothing but this binary.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::serve::{Signals, failed};
use super::{Failed, logger, run_time, say};
use crate::actors::config::{Apply, Change};
use crate::actors::{Handles, ask};
use crate::config::{CredentialDraft, PlainKey, ProviderDraft, Secret};
use crate::mock;
use crate::server::{self, Stop};
use crate::settings::Settings;

/// Runs proxy and mock on loopback with a temporary database until a signal.
pub(super) fn demo(port: u16) -> Result<(), Failed> {
    let folder = tempfile::tempdir().map_err(run_time)?;
    let admin_key = PlainKey::generate();
    // Not the process environment: a demo must not touch anybody's real database.
    let env: HashMap<String, String> = [
        ("ADMIN_KEY", admin_key.expose().to_owned()),
        ("DB_URL", format!("sqlite://{}", folder.path().join("demo.db").display())),
        ("HOST", "127.0.0.1".to_owned()),
        ("PORT", port.to_string()),
        ("WORKERS", "1".to_owned()),
        ("LOG_LEVEL", "warn".to_owned()),
        ("SHUTDOWN_DRAIN_SECS", "1".to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    let settings = Settings::parse(&env).map_err(|wrong| super::usage(&wrong))?;
    logger::init(&settings.log);
    let result = actix_web::rt::System::new().block_on(run(settings, &admin_key));
    folder.close().map_err(run_time)?;
    result
}

async fn run(settings: Settings, admin_key: &PlainKey) -> Result<(), Failed> {
    let mut signals = Signals::listen().map_err(run_time)?;
    let options =
        mock::Options { port: 0, pace: Duration::from_millis(50), handle_signals: false, ..mock::Options::default() };
    let provider = mock::bind(&options).map_err(run_time)?;
    let provider_address = provider.addr();
    let provider = provider.run();
    let stop_provider = provider.handle();
    tokio::task::spawn_local(provider);
    let bound = server::bind(settings).await.map_err(|error| failed(&error))?;
    let key = PlainKey::generate();
    configure(bound.handles(), provider_address, &key).await?;
    say(std::io::stdout(), invitation(bound.address(), &key, admin_key));
    let stop = async {
        signals.next().await;
        Stop::Soon
    };
    let served = bound.serve(stop).await.map_err(|error| failed(&error));
    stop_provider.stop(false).await;
    served
}

async fn configure(handles: &Handles, provider: SocketAddr, key: &PlainKey) -> Result<(), Failed> {
    for (provider_key, provider_type, mapping) in providers() {
        let draft = ProviderDraft {
            provider_key: provider_key.to_owned(),
            provider_type: provider_type.to_owned(),
            api_base: format!("http://{provider}/v1"),
            api_key: Secret::new("sk-mock".to_owned()),
            model_mapping: mapping,
            weight: 1,
            provider_params: json!({}),
            is_enabled: true,
        };
        apply(handles, Change::CreateProvider(draft)).await?;
    }
    let draft = CredentialDraft {
        key_hash: key.hash(),
        name: "demo".to_owned(),
        allowed_models: Vec::new(),
        rate_limit: None,
        burst: None,
        is_enabled: true,
        expires_at: None,
    };
    apply(handles, Change::CreateCredential(draft)).await
}

/// Key, type and model mapping of the demo's providers, all of them the mock.
fn providers() -> [(&'static str, &'static str, Value); 3] {
    [
        ("mock-openai", "openai", json!({"mock": "mock", "mock-*": "mock-*", "gpt-*": "mock"})),
        ("mock-anthropic", "anthropic", json!({"claude-*": "mock"})),
        ("mock-responses", "response_api", json!({"responses-*": "mock"})),
    ]
}

async fn apply(handles: &Handles, change: Change) -> Result<(), Failed> {
    let config = handles.config.load();
    let applied = ask(&config, Apply::new(change, "demo".to_owned())).await.map_err(run_time)?;
    applied.map(|_| ()).map_err(run_time)
}

fn invitation(address: SocketAddr, key: &PlainKey, admin_key: &PlainKey) -> String {
    let (key, admin) = (key.expose(), admin_key.expose());
    let chat = |body: &str, flags: &str| {
        format!(
            "curl {flags} http://{address}/v1/chat/completions -H 'Authorization: Bearer {key}' \
             -H 'Content-Type: application/json' -d '{body}'"
        )
    };
    let whole = chat(r#"{"model":"mock","messages":[{"role":"user","content":"Hello"}]}"#, "-s");
    let stream = chat(r#"{"model":"gpt-demo","stream":true,"messages":[{"role":"user","content":"Hello"}]}"#, "-sN");
    let crossed = chat(r#"{"model":"claude-demo","messages":[{"role":"user","content":"Hello"}]}"#, "-s");
    let messages = format!(
        "curl -sN http://{address}/v1/messages -H 'x-api-key: {key}' -H 'Content-Type: application/json' -d \
         '{{\"model\":\"responses-demo\",\"max_tokens\":100,\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}'"
    );
    format!(
        "llm-proxy demo on http://{address} with a mock provider behind it; Ctrl-C ends it.\n\n\
         # a whole answer\n{whole}\n\n\
         # a streamed one, through a mapped model name\n{stream}\n\n\
         # a Chat request answered by an Anthropic provider\n{crossed}\n\n\
         # a Messages request, streamed by a Responses provider\n{messages}\n\n\
         # the models of this key\ncurl -s http://{address}/v1/models -H 'Authorization: Bearer {key}'\n\n\
         # the providers, as the admin sees them\ncurl -s http://{address}/admin/v1/providers -H 'Authorization: Bearer {admin}'\n\n\
         # the admin page: http://{address}/admin/ with the key {admin}\n\
         # metrics, and the browsable admin API: http://{address}/docs\ncurl -s http://{address}/metrics\n"
    )
}
