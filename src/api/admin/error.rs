//! What the admin API answers when it does not do what it was asked.

use std::fmt;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};

use super::dto::{ErrorBody, ErrorDetail};
use crate::actors::AskError;
use crate::actors::config::ConfigActorError;
use crate::config::{Entity, FieldError};
use crate::store::StoreError;
use crate::store::logs::LogTable;

/// A refusal in the admin API's shape. Its message is safe to show: causes are logged instead.
#[derive(Debug)]
pub(in crate::api) struct AdminError {
    status: StatusCode,
    kind: &'static str,
    message: String,
    field: Option<String>,
    allow: Option<&'static str>,
}

// === impl AdminError ===

impl AdminError {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into(), field: None, allow: None }
    }

    /// 400: the request as a whole cannot be read.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "validation_error", message)
    }

    /// 401: the admin key is missing or wrong.
    pub(in crate::api) fn unauthorized() -> Self {
        let message = "The admin key is missing or wrong: send it as Authorization: Bearer <key>";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }

    /// 403: a page of another origin asks. The admin API has no type of its own for it.
    pub(in crate::api) fn foreign_origin() -> Self {
        let message = "Pages of this origin may not use the admin API: list it in CORS_ORIGINS";
        Self::new(StatusCode::FORBIDDEN, "unauthorized", message)
    }

    /// 404: there is no such row; `id` as the caller wrote it.
    pub(super) fn no_row(entity: Entity, id: impl fmt::Display) -> Self {
        let name = match entity {
            Entity::Provider => "Provider",
            Entity::Credential => "Credential",
        };
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("{name} with ID {id} not found"))
    }

    /// 404: there is no such log row; `id` as the caller wrote it.
    pub(super) fn no_log(table: LogTable, id: impl fmt::Display) -> Self {
        let name = match table {
            LogTable::Requests => "Request log",
            LogTable::Errors => "Error log",
        };
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("{name} with ID {id} not found"))
    }

    /// 404: there is no such path.
    pub(in crate::api) fn no_path(path: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("There is no {path} in the admin API"))
    }

    /// 405: the path exists; `allow` lists its methods.
    pub(in crate::api) fn wrong_method(allow: &'static str) -> Self {
        let error = Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "validation_error",
            format!("This path takes the methods {allow} only"),
        );
        Self { allow: Some(allow), ..error }
    }

    /// 409: `field` must be unique.
    pub(super) fn conflict(field: impl Into<String>, message: impl Into<String>) -> Self {
        let error = Self::new(StatusCode::CONFLICT, "conflict", message);
        Self { field: Some(field.into()), ..error }
    }

    /// 408: the body did not come at the least pace.
    pub(super) fn too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", "The body of the request came too slowly")
    }

    /// 413: the body has more than `limit` bytes.
    pub(super) fn too_large(limit: usize) -> Self {
        let message = format!("The body has more than {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "validation_error", message)
    }

    /// 415: the body is compressed.
    pub(super) fn encoded() -> Self {
        let message = "The body must not be compressed: send it without Content-Encoding";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "validation_error", message)
    }

    /// 426: the path is for websockets.
    pub(in crate::api) fn upgrade_required(reason: &impl fmt::Display) -> Self {
        let message = format!("This path is for websockets only: {reason}");
        Self::new(StatusCode::UPGRADE_REQUIRED, "upgrade_required", message)
    }

    /// 500: a fault of ours, whose cause is in the log.
    pub(in crate::api) fn internal() -> Self {
        let message = "Something went wrong in llm-proxy; its log tells more";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", message)
    }

    /// 503: the change is stored, but the database went away before it was read back.
    fn not_in_force() -> Self {
        let message = "The change is stored, but not in force yet: the database went away; do not repeat it";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "database_unavailable", message)
    }

    /// 503: the keeper of the providers' health does not answer. There is no type of its own for it.
    pub(super) fn no_vitals(error: AskError) -> Self {
        log::error!(error:%; "the keeper of the providers' health did not answer");
        let message = "What is known of the providers cannot be told now; try again later";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "database_unavailable", message)
    }

    /// 503: the change cannot be stored, or not soon enough.
    pub(in crate::api) fn unavailable() -> Self {
        let message = "The database is not available; try again later";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "database_unavailable", message)
    }
}

impl fmt::Display for AdminError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

// The end of a body that is cut off.
impl std::error::Error for AdminError {}

impl ResponseError for AdminError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        if self.status == StatusCode::REQUEST_TIMEOUT {
            response.force_close();
        }
        if self.status == StatusCode::UPGRADE_REQUIRED {
            response.insert_header((header::UPGRADE, "websocket")).insert_header((header::SEC_WEBSOCKET_VERSION, "13"));
        }
        if let Some(allow) = self.allow {
            response.insert_header((header::ALLOW, allow));
        }
        response.json(ErrorBody {
            error: ErrorDetail {
                message: self.message.clone(),
                kind: self.kind.to_owned(),
                code: self.status.as_u16(),
                field: self.field.clone(),
            },
        })
    }
}

// === conversions ===

impl From<FieldError> for AdminError {
    fn from(error: FieldError) -> Self {
        let message = error.to_string();
        Self { field: Some(error.field), ..Self::invalid(message) }
    }
}

impl From<StoreError> for AdminError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound { entity, id } => Self::no_row(entity, id),
            StoreError::NoVersion(_) => Self::new(StatusCode::NOT_FOUND, "not_found", error.to_string()),
            StoreError::Conflict { field, message } => Self::conflict(field, message),
            StoreError::Invalid(error) => error.into(),
            StoreError::Unavailable(_) | StoreError::Busy(_) => {
                log::warn!(error:%; "an admin request needs the database, which is not available");
                Self::unavailable()
            }
            StoreError::Schema(_) | StoreError::Unsupported(_) | StoreError::Internal(_) => {
                log::error!(error:%; "an admin request failed");
                Self::internal()
            }
        }
    }
}

impl From<ConfigActorError> for AdminError {
    fn from(error: ConfigActorError) -> Self {
        match error {
            ConfigActorError::Store(error) => error.into(),
            ConfigActorError::NotInForce(_) => {
                log::warn!(error:%; "a change is stored, but the database went away before it was in force");
                Self::not_in_force()
            }
            ConfigActorError::Late => {
                log::warn!(error:%; "a change was not carried out");
                Self::unavailable()
            }
            ConfigActorError::Follower(_) => {
                log::error!(error:%; "a stored change is not in force yet");
                Self::internal()
            }
        }
    }
}

impl From<AskError> for AdminError {
    fn from(error: AskError) -> Self {
        log::error!(error:%; "the writer of configuration did not answer");
        Self::unavailable()
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;
    use serde_json::{Value, json};

    use super::*;

    async fn shown(error: AdminError) -> (u16, Value) {
        let response = error.error_response();
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&to_bytes(response.into_body()).await.unwrap()).unwrap())
    }

    #[actix_web::test]
    async fn each_store_error_has_its_status_and_hides_its_cause() {
        let cause = || "hunter2".to_owned();
        for (error, status, kind) in [
            (StoreError::Unavailable(cause()), 503, "database_unavailable"),
            (StoreError::Internal(cause()), 500, "internal_error"),
            (StoreError::Schema(cause()), 500, "internal_error"),
            (StoreError::Unsupported(cause()), 500, "internal_error"),
        ] {
            let (answered, body) = shown(error.into()).await;
            assert_eq!((answered, body["error"]["type"].as_str()), (status, Some(kind)));
            assert_eq!(body["error"]["code"], json!(status));
            assert!(!body.to_string().contains("hunter2"));
        }
        let wrong = StoreError::Invalid(FieldError::new("weight", "must be more"));
        let (status, body) = shown(wrong.into()).await;
        assert_eq!(status, 400);
        assert_eq!(
            body,
            json!({"error": {
                "message": "weight: must be more", "type": "validation_error", "code": 400, "field": "weight"
            }})
        );
    }

    #[actix_web::test]
    async fn an_actor_that_does_not_answer_is_an_unavailable_database() {
        let (status, body) = shown(AskError::Busy.into()).await;
        assert_eq!((status, body["error"]["type"].as_str()), (503, Some("database_unavailable")));
        let (status, body) = shown(ConfigActorError::Follower(AskError::Gone).into()).await;
        assert_eq!((status, body["error"]["type"].as_str()), (500, Some("internal_error")));
    }
}
