//! Who may use the admin API, and in whose name.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};

use super::dto::KeyValidity;
use super::error::AdminError;
use crate::api::Shared;
use crate::config::{FieldError, KeyHash};

const ACTOR: &str = "X-Admin-Actor";

/// Proof that the request has the admin key; every handler but the open ones takes it.
#[derive(Debug)]
pub(in crate::api) struct Admin {
    /// The name that the history shows for a change. Not verified.
    pub(super) actor: String,
}

/// What a request says about the admin key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum Presented {
    Nothing,
    Wrong,
    Right,
}

impl FromRequest for Admin {
    type Error = AdminError;
    type Future = Ready<Result<Self, AdminError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(admit(request))
    }
}

fn admit(request: &HttpRequest) -> Result<Admin, AdminError> {
    let Some(shared) = request.app_data::<web::Data<Shared>>() else {
        log::error!("the admin API was mounted without its state");
        return Err(AdminError::internal());
    };
    match presented(request, shared) {
        Presented::Right => Ok(Admin { actor: actor(request)? }),
        Presented::Nothing | Presented::Wrong => Err(AdminError::unauthorized()),
    }
}

/// What the head of `request` says about the admin key.
pub(in crate::api) fn presented(request: &HttpRequest, shared: &Shared) -> Presented {
    let Some(value) = request.headers().get(header::AUTHORIZATION) else {
        return Presented::Nothing;
    };
    let credentials = value.to_str().ok().and_then(|value| value.trim().split_once(' '));
    let key = credentials.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, key)| key.trim());
    match key {
        Some(key) if is_admin_key(key, shared) => Presented::Right,
        _ => Presented::Wrong,
    }
}

/// Compares hashes, which takes the same time for every key of any length.
pub(in crate::api) fn is_admin_key(key: &str, shared: &Shared) -> bool {
    KeyHash::of(key).matches(&KeyHash::of(shared.settings.admin_key.expose()))
}

fn actor(request: &HttpRequest) -> Result<String, FieldError> {
    let Some(value) = request.headers().get(ACTOR) else {
        return Ok("admin".to_owned());
    };
    let name = value.to_str().unwrap_or_default();
    if (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(name.to_owned())
    } else {
        Err(FieldError::new(ACTOR, "must have 1 to 64 visible ASCII characters"))
    }
}

/// Tells whether the request has the admin key, for a log-in form.
///
/// Without any key the answer is 200 all the same.
#[utoipa::path(
    post, path = "/admin/v1/auth/validate", tag = "auth", operation_id = "validate_admin_key",
    security(("admin_key" = []), ()),
    responses(
        (status = 200, description = "The key is right, or none was sent", body = KeyValidity),
        (status = 401, description = "The key is wrong", body = KeyValidity),
    ),
)]
pub(super) fn validate(request: HttpRequest, shared: web::Data<Shared>) -> Ready<HttpResponse> {
    let invalid = KeyValidity { valid: false, message: "Invalid admin key" };
    ready(match presented(&request, &shared) {
        Presented::Right => HttpResponse::Ok().json(KeyValidity { valid: true, message: "Admin key is valid" }),
        Presented::Nothing => HttpResponse::Ok().json(invalid),
        Presented::Wrong => {
            HttpResponse::Unauthorized().insert_header((header::WWW_AUTHENTICATE, "Bearer")).json(invalid)
        }
    })
}
