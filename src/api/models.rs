//! Which models a key may use.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::{Shared, extract, reply};
use crate::chat::{Failure, FailureKind, Operation, Protocol};
use crate::proxy::{Caller, Endpoint, model_name};

/// A model in OpenAI's list. Only `id` means anything here; the rest is what clients expect.
#[derive(Debug, Serialize)]
struct Model<'m> {
    id: &'m str,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
    permission: [(); 0],
    root: &'m str,
    parent: Option<&'m str>,
}

#[derive(Debug, Serialize)]
struct List<'m> {
    object: &'static str,
    data: Vec<Model<'m>>,
}

/// A model in Anthropic's list.
#[derive(Debug, Serialize)]
struct AnthropicModel<'m> {
    r#type: &'static str,
    id: &'m str,
    display_name: &'m str,
    created_at: &'static str,
}

#[derive(Debug, Serialize)]
struct AnthropicList<'m> {
    data: Vec<AnthropicModel<'m>>,
    has_more: bool,
    first_id: Option<&'m str>,
    last_id: Option<&'m str>,
}

/// Every model that can be named and that the key may use.
pub(super) async fn list(request: HttpRequest, shared: web::Data<Shared>) -> HttpResponse {
    answer("/v1/models", &request, &shared, |caller, protocol| {
        let names = caller.snapshot.models_for(caller.credential.as_deref());
        if protocol == Protocol::Anthropic {
            let data = names.iter().map(|name| anthropic_model(name)).collect();
            let (first_id, last_id) = (names.first().map(String::as_str), names.last().map(String::as_str));
            return Ok(HttpResponse::Ok().json(AnthropicList { data, has_more: false, first_id, last_id }));
        }
        let data = names.iter().map(|name| model(name)).collect();
        Ok(HttpResponse::Ok().json(List { object: "list", data }))
    })
}

/// One model: any name that some mapping matches and the key may use.
pub(super) async fn one(request: HttpRequest, id: web::Path<String>, shared: web::Data<Shared>) -> HttpResponse {
    answer("/v1/models/{id}", &request, &shared, |caller, protocol| {
        let id = id.strip_suffix('/').unwrap_or(&id);
        let name = model_name(id, shared.settings.provider_suffix.as_deref());
        let allowed = caller.credential.as_ref().is_none_or(|credential| credential.allows(name));
        if !allowed || caller.snapshot.candidates(name).is_empty() {
            let message = format!("the model {id:?} does not exist, or this key may not use it");
            return Err(Failure::new(FailureKind::ModelNotFound, message).with_param("model"));
        }
        if protocol == Protocol::Anthropic {
            return Ok(HttpResponse::Ok().json(anthropic_model(id)));
        }
        Ok(HttpResponse::Ok().json(model(id)))
    })
}

fn anthropic_model(id: &str) -> AnthropicModel<'_> {
    AnthropicModel { r#type: "model", id, display_name: id, created_at: "2023-02-28T18:56:42Z" }
}

fn model(id: &str) -> Model<'_> {
    Model {
        id,
        object: "model",
        // Some clients parse the date; it is the same for all, since mappings have none.
        created: 1_677_610_602,
        owned_by: "system",
        permission: [],
        root: id,
        parent: None,
    }
}

/// Answers a reading request in the client's protocol: Anthropic's clients name its version.
pub(super) fn answer(
    path: &'static str,
    request: &HttpRequest,
    shared: &Shared,
    make: impl FnOnce(&Caller, Protocol) -> Result<HttpResponse, Failure>,
) -> HttpResponse {
    let is_anthropic = request.headers().contains_key("anthropic-version");
    let protocol = if is_anthropic { Protocol::Anthropic } else { Protocol::OpenAiChat };
    let endpoint = Endpoint { path, protocol, operation: Operation::Generate };
    let mut finish = extract::open(request, shared, path, protocol);
    let request_id = finish.request_id().to_owned();
    let made = extract::caller(request, shared).and_then(|caller| {
        finish.known_caller(&caller);
        make(&caller, protocol)
    });
    let mut response = match made {
        Ok(response) => {
            finish.answered(200);
            response
        }
        Err(failure) => reply::failure(endpoint, &failure, finish),
    };
    reply::set(&mut response, "x-request-id", &request_id);
    if is_anthropic {
        reply::set(&mut response, "request-id", &request_id);
    }
    response
}
