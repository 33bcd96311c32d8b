//! The shapes of request bodies, for the API's description.
//!
//! Bodies are read field by field (`provider_body`, `credential_body`), so no Rust type has
//! their shape; a test keeps description and readers in step.

use serde_json::{Value, json};
use utoipa::openapi::schema::{AdditionalProperties, ArrayBuilder, KnownFormat, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{Array, Object, ObjectBuilder, OneOfBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::checks;
use super::explain::LONGEST_MODEL;
use super::fields::{BODY_LIMIT, MOST_IDS};
use crate::config::ProviderKind;

/// Declares types that stand for request bodies; nothing ever holds a value of them.
macro_rules! bodies {
    ($($name:ident = $schema:expr;)*) => {$(
        #[derive(Debug)]
        pub(super) enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                RefOr::T(Schema::Object($schema.build()))
            }
        }

        impl ToSchema for $name {}
    )*};
}

bodies! {
    NewProvider = provider(Purpose::Create);
    ProviderChange = provider(Purpose::Change);
    NewCredential = credential(Purpose::Create);
    CredentialChange = credential(Purpose::Change);
    StatusChange = body("Switches a row on or off.", &["is_enabled"]).property("is_enabled", flag());
    Rotation = rotation();
    RollbackWish = rollback();
    RoutingQuestion = question();
    LogIds = log_ids();
    CheckWish = check("How to check a provider.");
    ChecksWish = check("How to check providers.").property("provider_ids", provider_ids());
}

/// What a body is for. Only a new row has defaults: in a change, absent means unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Create,
    Change,
}

impl Purpose {
    fn default(self, property: ObjectBuilder, value: Value) -> ObjectBuilder {
        match self {
            Self::Create => property.default(Some(value)),
            Self::Change => property,
        }
    }

    fn body(self, name: &str, required: &[&str]) -> ObjectBuilder {
        match self {
            Self::Create => body(&format!("A new {name}."), required),
            Self::Change => body(&format!("A change of a {name}; what is absent stays as it is."), &[]),
        }
    }
}

fn body(description: &str, required: &[&str]) -> ObjectBuilder {
    let description = format!("{description} At most {BODY_LIMIT} bytes.");
    let body = ObjectBuilder::new().description(Some(description));
    let body = body.additional_properties(Some(AdditionalProperties::FreeForm(false)));
    required.iter().fold(body, |body, name| body.required(*name))
}

fn provider(purpose: Purpose) -> ObjectBuilder {
    let key = text(1, 255).pattern(Some("^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$"));
    let base = text(1, 500).description(Some("Absolute http(s) URL without user name, query and fragment."));
    let secret = text(0, 500).write_only(true);
    let weight = whole(0, Some(i32::MAX)).description(Some("Share of the traffic; 0 drains."));
    purpose
        .body("provider", &["provider_key", "provider_type", "api_base", "api_key"])
        .property("provider_key", key.description(Some("The operator's name for it; cannot be changed later.")))
        .property("provider_type", provider_type())
        .property("api_base", base)
        .property(
            "api_key",
            secret.description(Some("The key to present to the provider; may be empty for `custom` only.")),
        )
        .property("model_mapping", model_mapping())
        .property("weight", purpose.default(weight, json!(1)))
        .property("provider_params", provider_params())
        .property("is_enabled", purpose.default(flag(), json!(true)))
}

fn credential(purpose: Purpose) -> ObjectBuilder {
    let models = texts().description(Some("Names, wildcards or regexes of models; empty allows all."));
    let rate_limit = nullable(whole(0, Some(i32::MAX)), Type::Integer);
    let burst = nullable(whole(1, Some(i32::MAX)), Type::Integer);
    let expires_at = nullable(ObjectBuilder::new(), Type::String);
    purpose
        .body("credential", &["name"])
        .property("name", text(1, 255))
        .property(
            "key",
            client_key(match purpose {
                Purpose::Create => "Visible ASCII; generated when absent.",
                Purpose::Change => "Visible ASCII; the old key ends at once.",
            }),
        )
        .property("allowed_models", models)
        .property(
            "rate_limit",
            rate_limit.description(Some("Requests per second; null is unlimited, 0 refuses everything.")),
        )
        .property("burst", burst.description(Some("Bucket size; null is `rate_limit`.")))
        .property("is_enabled", purpose.default(flag(), json!(true)))
        .property("expires_at", expires_at.format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))))
}

fn rotation() -> ObjectBuilder {
    let grace = whole(0, Some(2_592_000)).default(Some(json!(0)));
    body("How to replace a key.", &[])
        .property("grace_secs", grace.description(Some("How long the old key still works, in seconds.")))
        .property("key", client_key("Visible ASCII; generated when absent."))
}

fn rollback() -> ObjectBuilder {
    let version = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
    body("Where to go back to.", &["version"])
        .property("version", version.description(Some("0 is the empty configuration of a new database.")))
        .property("dry_run", flag().default(Some(json!(false))).description(Some("Only tell what would change.")))
}

fn check(description: &str) -> ObjectBuilder {
    let models = texts().description(Some("By default the exact keys of the mapping, else what its patterns lead to."));
    let at_once = whole(1, Some(checks::MOST_AT_ONCE)).default(Some(json!(checks::DEFAULT_AT_ONCE)));
    let secs = whole(1, Some(checks::MOST_SECS)).default(Some(json!(checks::DEFAULT_SECS)));
    body(description, &[])
        .property("models", models)
        .property("max_concurrent", at_once.description(Some("Requests at a time.")))
        .property("timeout_secs", secs.description(Some("Patience with each answer.")))
}

fn provider_ids() -> ArrayBuilder {
    let id = ObjectBuilder::new().schema_type(Type::Integer);
    ArrayBuilder::new().items(id).max_items(Some(MOST_IDS)).description(Some("All providers by default."))
}

fn log_ids() -> ObjectBuilder {
    let id =
        ObjectBuilder::new().schema_type(Type::Integer).format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)));
    let ids =
        ArrayBuilder::new().items(id).max_items(Some(MOST_IDS)).description(Some("Ids that no row has are ignored."));
    body("Rows to delete.", &["ids"]).property("ids", ids)
}

fn question() -> ObjectBuilder {
    let operations = names(&["generate", "completions", "embeddings", "count_tokens"]);
    let operations = operations.default(Some(json!("generate")));
    body("A request that is not sent.", &["model", "protocol"])
        .property("model", text(1, LONGEST_MODEL).description(Some("As a client would give it.")))
        .property(
            "protocol",
            names(&["openai", "anthropic", "response_api"]).description(Some("The client's protocol.")),
        )
        .property("credential_id", nullable(whole(1, Some(i32::MAX)), Type::Integer))
        .property(
            "operation",
            operations.description(Some(
                "`completions` and `embeddings` exist for `openai` only, `count_tokens` for `anthropic` only.",
            )),
        )
}

/// How a request would end before a provider is asked.
pub(super) fn outcome() -> Object {
    names(&["ok", "model_not_allowed", "model_not_found", "no_provider_available", "unsupported_operation"]).build()
}

/// How a mapping key matches.
pub(super) fn match_kind() -> Object {
    nullable_names(&["exact", "wildcard", "regex"])
}

/// What an active check found.
pub(super) fn check_status() -> Object {
    names(&["healthy", "unhealthy", "disabled", "unknown"]).build()
}

/// The state of a circuit.
pub(super) fn admission() -> Object {
    names(&["closed", "open", "half_open", "cooldown"]).build()
}

/// How a replica is.
pub(super) fn health() -> Object {
    names(&["ok", "degraded"]).build()
}

/// Where a configuration came from.
pub(super) fn source() -> Object {
    nullable_names(&["database", "snapshot_file"])
}

/// Whether something answers.
pub(super) fn up_or_down() -> Object {
    names(&["up", "down"]).build()
}

/// The same of what may not be configured.
pub(super) fn redis_status() -> Object {
    names(&["up", "down", "disabled"]).build()
}

/// Why a provider may not be chosen.
pub(super) fn exclusion() -> Object {
    nullable_names(&[
        "disabled",
        "undecryptable_key",
        "invalid_config",
        "no_mapping",
        "unsupported_operation",
        "drained",
        "saturated",
        "breaker_open",
        "cooldown",
        "half_open_busy",
    ])
}

fn names(values: &[&str]) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(values.to_vec()))
}

fn nullable_names(values: &[&str]) -> Object {
    let values = values.iter().map(|value| json!(value)).chain([Value::Null]);
    nullable(ObjectBuilder::new(), Type::String).enum_values(Some(values)).build()
}

fn client_key(description: &str) -> ObjectBuilder {
    text(8, 255).write_only(true).description(Some(description))
}

/// The canonical provider types; aliases are accepted, too.
pub(super) fn provider_type() -> Object {
    let names = ProviderKind::ALL.map(ProviderKind::name);
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names)).build()
}

/// Model names and what they are called at the provider.
pub(super) fn model_mapping() -> Object {
    let price = || ObjectBuilder::new().schema_type(Type::Number).minimum(Some(0));
    let mut detailed = ObjectBuilder::new().property("mapped_model", text(1, usize::MAX)).required("mapped_model");
    for count in ["max_tokens", "max_input_tokens", "max_output_tokens"] {
        detailed = detailed.property(count, whole(0, None));
    }
    for cost in ["input", "output", "cache_read", "cache_write", "reasoning"] {
        detailed = detailed.property(format!("{cost}_cost_per_1k_tokens"), price());
    }
    for feature in
        ["vision", "function_calling", "streaming", "response_schema", "reasoning", "computer_use", "pdf_input"]
    {
        detailed = detailed.property(format!("supports_{feature}"), flag());
    }
    let detailed = detailed.property("mode", ObjectBuilder::new().schema_type(Type::String));
    let detailed = detailed.additional_properties(Some(AdditionalProperties::FreeForm(false)));
    let value = OneOfBuilder::new().item(text(1, usize::MAX)).item(detailed).build();
    ObjectBuilder::new()
        .description(Some(
            "Model names, wildcards (`gpt-*`) or regexes, and what each is called at the provider. Replaced whole.",
        ))
        .additional_properties(Some(Schema::OneOf(value)))
        .examples([
            json!({"gpt-4o": "gpt-4o-2024-11-20", "claude-*": {"mapped_model": "claude-*", "max_tokens": 8192}}),
        ])
        .build()
}

/// The options of a provider.
pub(super) fn provider_params() -> Object {
    let seconds = || ObjectBuilder::new().schema_type(Type::Number).minimum(Some(0)).maximum(Some(86_400));
    let timeouts = ["connect_secs", "ttft_secs", "stream_idle_secs", "request_secs", "stream_total_secs"];
    let timeouts = timeouts.into_iter().fold(ObjectBuilder::new(), |object, name| object.property(name, seconds()));
    let headers = ObjectBuilder::new()
        .description(Some("Extra request headers. Secret values read as `***`; `***` written back keeps the value."))
        .additional_properties(Some(Schema::Object(ObjectBuilder::new().schema_type(Type::String).build())));
    ObjectBuilder::new()
        .description(Some("Options of this provider. Replaced whole."))
        .property("api_version", text(1, usize::MAX))
        .property("headers", headers)
        .property("anthropic_beta_policy", names(&["drop", "allowlist", "passthrough"]))
        .property("anthropic_beta_allowlist", texts())
        .property("timeouts", timeouts.additional_properties(Some(AdditionalProperties::FreeForm(false))))
        .property("max_concurrency", nullable(whole(1, None), Type::Integer))
        .property("max_tokens_field", names(&["max_completion_tokens", "max_tokens"]))
        .property("thinking_style", names(&["auto", "adaptive", "budget", "off"]))
        .property("inject_usage", flag().default(Some(json!(true))))
        .build()
}

/// Up to `most` characters; `usize::MAX` is no bound.
fn text(least: usize, most: usize) -> ObjectBuilder {
    let text = ObjectBuilder::new().schema_type(Type::String);
    text.min_length((least > 0).then_some(least)).max_length((most < usize::MAX).then_some(most))
}

fn texts() -> utoipa::openapi::schema::ArrayBuilder {
    Array::builder().items(ObjectBuilder::new().schema_type(Type::String))
}

/// `None` is no bound.
fn whole(least: i32, most: Option<i32>) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(least)).maximum(most)
}

fn nullable(property: ObjectBuilder, kind: Type) -> ObjectBuilder {
    property.schema_type(SchemaType::from_iter([kind, Type::Null]))
}

fn flag() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Boolean)
}
