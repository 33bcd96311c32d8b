//! What a client may write about a credential.

use chrono::TimeDelta;

use super::fields::{Field, Fields};
use crate::config::{CredentialDraft, CredentialPatch, FieldError, NameMatcher, PlainKey};

/// Fields that only answers have.
const READ_ONLY: [&str; 6] = ["id", "key_preview", "previous_key_valid_until", "created_at", "updated_at", "version"];

/// The longest grace of a rotation: 30 days.
const LONGEST_GRACE_SECS: i32 = 2_592_000;

/// A new credential and its key, which is not stored.
pub(super) struct NewCredential {
    pub(super) draft: CredentialDraft,
    pub(super) key: PlainKey,
    /// Whether the key was made here, so that the client does not know it yet.
    pub(super) is_generated: bool,
}

/// A wish to replace a key.
pub(super) struct Rotation {
    /// How long the old key goes on; zero ends it at once.
    pub(super) grace: TimeDelta,
    /// The new key.
    pub(super) key: PlainKey,
}

/// A new credential.
pub(super) fn draft(mut fields: Fields) -> Result<NewCredential, FieldError> {
    fields.ignore(&READ_ONLY);
    let chosen = fields.optional("key", key)?;
    let is_generated = chosen.is_none();
    let key = chosen.unwrap_or_else(PlainKey::generate);
    let draft = CredentialDraft {
        key_hash: key.hash(),
        name: fields.required("name", name)?,
        allowed_models: fields.optional("allowed_models", allowed_models)?.unwrap_or_default(),
        rate_limit: fields.nullable("rate_limit", rate_limit)?.flatten(),
        burst: fields.nullable("burst", burst)?.flatten(),
        is_enabled: fields.optional("is_enabled", |field| field.boolean())?.unwrap_or(true),
        expires_at: fields.nullable("expires_at", |field| field.time())?.flatten(),
    };
    fields.finish()?;
    Ok(NewCredential { draft, key, is_generated })
}

/// A change of a credential.
pub(super) fn patch(mut fields: Fields) -> Result<CredentialPatch, FieldError> {
    fields.ignore(&READ_ONLY);
    let patch = CredentialPatch {
        key_hash: fields.optional("key", key)?.map(|key| key.hash()),
        name: fields.optional("name", name)?,
        allowed_models: fields.optional("allowed_models", allowed_models)?,
        rate_limit: fields.nullable("rate_limit", rate_limit)?,
        burst: fields.nullable("burst", burst)?,
        is_enabled: fields.optional("is_enabled", |field| field.boolean())?,
        expires_at: fields.nullable("expires_at", |field| field.time())?,
        grace_until: None,
    };
    fields.finish()?;
    Ok(patch)
}

/// A change of the status alone.
pub(super) fn status(mut fields: Fields) -> Result<CredentialPatch, FieldError> {
    fields.ignore(&READ_ONLY);
    let is_enabled = fields.required("is_enabled", |field| field.boolean())?;
    fields.finish()?;
    Ok(CredentialPatch { is_enabled: Some(is_enabled), ..CredentialPatch::default() })
}

/// A rotation.
pub(super) fn rotation(mut fields: Fields) -> Result<Rotation, FieldError> {
    let grace = fields.optional("grace_secs", |field| field.integer(0..=LONGEST_GRACE_SECS))?;
    let key = fields.optional("key", key)?.unwrap_or_else(PlainKey::generate);
    fields.finish()?;
    Ok(Rotation { grace: TimeDelta::seconds(grace.unwrap_or(0).into()), key })
}

fn key(field: Field) -> Result<PlainKey, FieldError> {
    let text = field.text(8..=255)?;
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(PlainKey::new(text.to_owned()))
    } else {
        Err(field.refuse("must be visible ASCII without spaces, since it travels in a header"))
    }
}

fn name(field: Field) -> Result<String, FieldError> {
    field.text(1..=255).map(str::to_owned)
}

fn allowed_models(field: Field) -> Result<Vec<String>, FieldError> {
    let entries = field.texts()?;
    for entry in &entries {
        NameMatcher::new(entry).map_err(|reason| field.refuse(format!("entry {entry:?} {reason}")))?;
    }
    Ok(entries)
}

fn rate_limit(field: Field) -> Result<i32, FieldError> {
    field.integer(0..=i32::MAX)
}

fn burst(field: Field) -> Result<i32, FieldError> {
    field.integer(1..=i32::MAX)
}
