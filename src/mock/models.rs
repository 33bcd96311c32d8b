//! The list of models, in the shape the client speaks.

use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

/// The models listed; status and delay take any number.
const MODELS: [&str; 9] = [
    "mock",
    "mock-echo",
    "mock-tools",
    "mock-thinking",
    "mock-nousage",
    "mock-status-429",
    "mock-delay-1000",
    "mock-stall",
    "mock-cut",
];
/// When the models were made, in seconds since 1970.
const CREATED: u64 = 1_750_000_000;
/// The same time as Anthropic writes it.
const CREATED_AT: &str = "2025-06-15T15:06:40Z";

/// `GET /v1/models`.
pub(super) async fn list(request: HttpRequest) -> HttpResponse {
    let anthropic = request.headers().contains_key("anthropic-version");
    HttpResponse::Ok().json(if anthropic { for_messages() } else { for_openai() })
}

fn for_openai() -> Value {
    let model = |id: &&str| json!({"id": id, "object": "model", "created": CREATED, "owned_by": "mock"});
    json!({"object": "list", "data": MODELS.iter().map(model).collect::<Vec<_>>()})
}

fn for_messages() -> Value {
    let model = |id: &&str| json!({"type": "model", "id": id, "display_name": id, "created_at": CREATED_AT, "lifecycle": "active"});
    json!({
        "data": MODELS.iter().map(model).collect::<Vec<_>>(),
        "has_more": false,
        "first_id": MODELS.first(),
        "last_id": MODELS.last(),
    })
}
