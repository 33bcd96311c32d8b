//! The admin API's part of the OpenAPI document.

use std::collections::BTreeMap;

use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::Type;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, Header, ObjectBuilder, OpenApi as Document, PathItem, Ref, RefOr, Required, Response,
    ResponseBuilder,
};
use utoipa::{IntoResponses, Modify, OpenApi};

use super::{auth, checks, config, credentials, detailed, dto, explain, history, logs, providers};
use crate::api::live;

const SCHEME: &str = "admin_key";

/// Paths and shapes of `/admin/v1` and of what else the admin key opens.
#[derive(OpenApi)]
#[openapi(
    paths(
        auth::validate,
        providers::list, providers::create, providers::show, providers::update, providers::set_status,
        providers::delete,
        credentials::list, credentials::create, credentials::show, credentials::update, credentials::set_status,
        credentials::rotate, credentials::delete,
        config::version, config::reload, history::changes, history::rollback,
        explain::explain_route, live::feed, detailed::detailed,
        logs::request_logs::list, logs::stats::stats, logs::request_logs::export, logs::request_logs::show,
        logs::request_logs::delete, logs::request_logs::batch_delete,
        logs::error_logs::list, logs::error_logs::export, logs::error_logs::show, logs::error_logs::delete,
        logs::error_logs::batch_delete, logs::summary::summary,
        checks::one, checks::many, checks::one_by_query,
        super::document,
    ),
    components(schemas(dto::ErrorBody)),
    tags(
        (name = "auth", description = "The admin key"),
        (name = "providers", description = "Services that answer requests"),
        (name = "credentials", description = "Keys of clients"),
        (name = "config", description = "The configuration in force, its history and what it does"),
        (name = "logs", description = "What is kept of requests and of errors"),
        (name = "health", description = "What a replica knows of itself and of the providers"),
    ),
    modifiers(&CommonRules),
)]
pub(in crate::api) struct AdminApi;

/// What holds for every operation: the key, the actor's name and the version after a change.
struct CommonRules;

impl Modify for CommonRules {
    fn modify(&self, document: &mut Document) {
        let scheme =
            HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("The value of ADMIN_KEY")).build();
        document.components.get_or_insert_default().add_security_scheme(SCHEME, SecurityScheme::Http(scheme));
        for item in document.paths.paths.values_mut() {
            let PathItem { get, post, put, patch, delete, .. } = item;
            for operation in [&mut *get, post, put, patch, delete].into_iter().flatten() {
                // Operations that need no key say so themselves.
                operation.security.get_or_insert_with(|| vec![SecurityRequirement::new(SCHEME, [""; 0])]);
            }
            let changes = [post, put, patch, delete].into_iter().flatten();
            for operation in changes.filter(|operation| needs_key(operation) && !is_question(operation)) {
                describe_change(operation);
            }
        }
    }
}

fn needs_key(operation: &Operation) -> bool {
    let requirements = operation.security.as_deref().unwrap_or_default();
    !requirements.contains(&SecurityRequirement::default())
}

/// Whether a call has a body but changes nothing of the configuration.
fn is_question(operation: &Operation) -> bool {
    let only_asks = operation.tags.iter().flatten().any(|tag| matches!(tag.as_str(), "logs" | "health"));
    only_asks || operation.operation_id.as_deref() == Some("explain")
}

fn describe_change(operation: &mut Operation) {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let actor = ParameterBuilder::new()
        .name("X-Admin-Actor")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some("Who asks, for the history; not verified"))
        .schema(Some(text().pattern(Some("^[!-~]{1,64}$")).default(Some("admin".into()))))
        .build();
    operation.parameters.get_or_insert_default().push(RefOr::T(actor));
    for (status, response) in &mut operation.responses.responses {
        if let (true, RefOr::T(response)) = (status.starts_with('2'), response) {
            let mut version = Header::new(ObjectBuilder::new().schema_type(Type::Integer));
            version.description = Some("The version of the configuration in force after this call".to_owned());
            response.headers.insert("x-config-version".to_owned(), version.into());
        }
    }
}

/// Declares sets of error answers.
macro_rules! failures {
    ($($(#[$doc:meta])* $name:ident = [$($status:literal),*];)*) => {$(
        $(#[$doc])*
        pub(in crate::api) enum $name {}

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                [$($status),*].into_iter().map(failure).collect()
            }
        }
    )*};
}

failures! {
    /// Of calls that read many rows.
    ReadFailures = [400, 401, 500];
    /// Of calls that read one row.
    RowFailures = [400, 401, 404, 500];
    /// Of calls that add a row.
    CreateFailures = [400, 401, 408, 409, 413, 415, 500, 503];
    /// Of calls that change a row.
    UpdateFailures = [400, 401, 404, 408, 409, 413, 415, 500, 503];
    /// Of calls that remove a row.
    DeleteFailures = [400, 401, 404, 500, 503];
    /// Of calls that read the database again.
    ReloadFailures = [400, 401, 500, 503];
    /// Of calls that read the history.
    HistoryFailures = [400, 401, 500, 503];
    /// Of calls that read many log rows.
    LogFailures = [400, 401, 500, 503];
    /// Of calls that read a log row.
    LogRowFailures = [401, 404, 500, 503];
    /// Of calls that delete a log row.
    LogDeleteFailures = [400, 401, 404, 500, 503];
    /// Of calls that delete log rows.
    LogsDeleteFailures = [400, 401, 408, 413, 415, 500, 503];
    /// Of calls that explain.
    ExplainFailures = [400, 401, 404, 408, 413, 415, 500];
    /// Of active checks.
    CheckFailures = [400, 401, 404, 408, 413, 415, 500, 503];
    /// Of an active check without a body.
    CheckOneFailures = [400, 401, 404, 500, 503];
    /// Of the report on health.
    DetailFailures = [401, 503];
    /// Of the feed of changes, before it is open.
    FeedFailures = [400, 401, 403, 426, 503];
}

fn failure(status: u16) -> (String, RefOr<Response>) {
    let description = match status {
        400 => "A field, parameter or header is wrong: `validation_error`",
        401 => "The admin key is missing or wrong: `unauthorized`",
        403 => "A page of another origin asks that is not in CORS_ORIGINS: `unauthorized`",
        404 => "There is no such row or version: `not_found`",
        408 => "The body came too slowly: `request_timeout`",
        409 => "Another row has this key, or the history has a gap: `conflict`",
        413 => "The body is too large: `validation_error`",
        415 => "The body is compressed: `validation_error`",
        426 => "The request is no websocket's: `upgrade_required`",
        503 => "The database, or what was asked, is not available: `database_unavailable`",
        _ => "A fault of llm-proxy: `internal_error`",
    };
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("AdminError"))).build();
    let response = ResponseBuilder::new().description(description).content("application/json", content).build();
    (status.to_string(), RefOr::T(response))
}
