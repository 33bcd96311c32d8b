//! What a client may write about a provider.

use serde_json::Value;

use super::fields::{Field, Fields};
use crate::config::{
    AddressRule, FieldError, ModelMap, Provider, ProviderDraft, ProviderKind, ProviderParams, ProviderPatch, Sealer,
    Secret,
};

/// Fields that only answers have.
const READ_ONLY: [&str; 5] = ["id", "api_key_state", "created_at", "updated_at", "version"];

/// A new provider, whose address `rule` allows.
pub(super) fn draft(mut fields: Fields, rule: AddressRule) -> Result<ProviderDraft, FieldError> {
    fields.ignore(&READ_ONLY);
    let provider_key = fields.required("provider_key", key)?;
    let kind = fields.required("provider_type", kind)?;
    let least = if kind == ProviderKind::Custom { 0 } else { 1 };
    let draft = ProviderDraft {
        provider_key,
        provider_type: kind.name().to_owned(),
        api_base: fields.required("api_base", |field| api_base(&field, rule))?,
        api_key: fields.required("api_key", |field| api_key(&field, least))?,
        model_mapping: Value::Object(fields.optional("model_mapping", model_mapping)?.unwrap_or_default()),
        weight: fields.optional("weight", weight)?.unwrap_or(1),
        provider_params: Value::Object(fields.optional("provider_params", provider_params)?.unwrap_or_default()),
        is_enabled: fields.optional("is_enabled", |field| field.boolean())?.unwrap_or(true),
    };
    fields.finish()?;
    Ok(draft)
}

/// A change of a provider, whose new address, if any, `rule` allows.
pub(super) fn patch(mut fields: Fields, rule: AddressRule) -> Result<ProviderPatch, FieldError> {
    fields.ignore(&READ_ONLY);
    let patch = ProviderPatch {
        provider_key: fields.optional("provider_key", key)?,
        provider_type: fields.optional("provider_type", kind)?.map(|kind| kind.name().to_owned()),
        api_base: fields.optional("api_base", |field| api_base(&field, rule))?,
        // Whether it may be empty depends on the stored type, too: the store knows.
        api_key: fields.optional("api_key", |field| api_key(&field, 0))?,
        model_mapping: fields.optional("model_mapping", model_mapping)?,
        weight: fields.optional("weight", weight)?,
        provider_params: fields.optional("provider_params", provider_params)?,
        is_enabled: fields.optional("is_enabled", |field| field.boolean())?,
    };
    fields.finish()?;
    Ok(patch)
}

/// A change of the status alone.
pub(super) fn status(mut fields: Fields) -> Result<ProviderPatch, FieldError> {
    fields.ignore(&READ_ONLY);
    let is_enabled = fields.required("is_enabled", |field| field.boolean())?;
    fields.finish()?;
    Ok(ProviderPatch { is_enabled: Some(is_enabled), ..ProviderPatch::default() })
}

fn key(field: Field) -> Result<String, FieldError> {
    let text = field.text(1..=255)?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if text.starts_with(|first: char| first.is_ascii_alphanumeric()) && text.bytes().all(is_plain) {
        Ok(text.to_owned())
    } else {
        Err(field.refuse("must begin with a letter or digit and hold only letters, digits, '.', '_' and '-'"))
    }
}

fn kind(field: Field) -> Result<ProviderKind, FieldError> {
    Provider::check_kind(field.text(0..=50)?)
}

fn api_base(field: &Field, rule: AddressRule) -> Result<String, FieldError> {
    let api_base = Provider::check_api_base(field.text(1..=500)?)?;
    Provider::check_host(&api_base, rule)?;
    Ok(api_base)
}

fn api_key(field: &Field, least: usize) -> Result<Secret, FieldError> {
    let text = field.text(least..=500)?;
    if text.chars().any(|c| !c.is_ascii() || c.is_control()) {
        return Err(field.refuse("must be ASCII without control characters"));
    }
    if Sealer::looks_sealed(text) {
        return Err(field.refuse("must be the plain key: what begins with enc:v1: is taken for a sealed one"));
    }
    Ok(Secret::new(text.to_owned()))
}

fn weight(field: Field) -> Result<i32, FieldError> {
    field.integer(0..=i32::MAX)
}

fn model_mapping(field: Field) -> Result<serde_json::Map<String, Value>, FieldError> {
    field.object(|mapping| ModelMap::compile(mapping).1)
}

fn provider_params(field: Field) -> Result<serde_json::Map<String, Value>, FieldError> {
    field.object(|params| ProviderParams::compile(params).1)
}
