//! Text that every database can hold.

use serde_json::Value;

use crate::config::{CredentialDraft, CredentialPatch, FieldError, ProviderDraft, ProviderPatch};

/// A change whose text may be written. PostgreSQL holds no NUL, neither as text nor within JSON,
/// and what one database refuses the other does not accept either.
pub(super) trait Storable {
    /// The first field that cannot be stored is an error.
    fn check(&self) -> Result<(), FieldError>;
}

impl Storable for ProviderDraft {
    fn check(&self) -> Result<(), FieldError> {
        refuse("provider_key", holds_nul(&self.provider_key))?;
        refuse("provider_type", holds_nul(&self.provider_type))?;
        refuse("api_base", holds_nul(&self.api_base))?;
        refuse("api_key", holds_nul(self.api_key.expose()))?;
        refuse("model_mapping", json_holds_nul(&self.model_mapping))?;
        refuse("provider_params", json_holds_nul(&self.provider_params))
    }
}

impl Storable for (i32, ProviderPatch) {
    fn check(&self) -> Result<(), FieldError> {
        let patch = &self.1;
        let text = |text: &Option<String>| text.as_deref().is_some_and(holds_nul);
        refuse("provider_key", text(&patch.provider_key))?;
        refuse("provider_type", text(&patch.provider_type))?;
        refuse("api_base", text(&patch.api_base))?;
        refuse("api_key", patch.api_key.as_ref().is_some_and(|key| holds_nul(key.expose())))?;
        refuse("model_mapping", patch.model_mapping.as_ref().is_some_and(object_holds_nul))?;
        refuse("provider_params", patch.provider_params.as_ref().is_some_and(object_holds_nul))
    }
}

impl Storable for CredentialDraft {
    fn check(&self) -> Result<(), FieldError> {
        refuse("name", holds_nul(&self.name))?;
        refuse("allowed_models", self.allowed_models.iter().any(|model| holds_nul(model)))
    }
}

impl Storable for (i32, CredentialPatch) {
    fn check(&self) -> Result<(), FieldError> {
        let patch = &self.1;
        refuse("name", patch.name.as_deref().is_some_and(holds_nul))?;
        let models = patch.allowed_models.iter().flatten();
        refuse("allowed_models", models.into_iter().any(|model| holds_nul(model)))
    }
}

/// The id of what is removed.
impl Storable for i32 {
    fn check(&self) -> Result<(), FieldError> {
        Ok(())
    }
}

fn refuse(field: &str, is_wrong: bool) -> Result<(), FieldError> {
    if is_wrong { Err(FieldError::new(field, "must not contain NUL characters")) } else { Ok(()) }
}

fn holds_nul(text: &str) -> bool {
    text.contains('\0')
}

fn json_holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => holds_nul(text),
        Value::Array(items) => items.iter().any(json_holds_nul),
        Value::Object(members) => object_holds_nul(members),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn object_holds_nul(members: &serde_json::Map<String, Value>) -> bool {
    members.iter().any(|(name, value)| holds_nul(name) || json_holds_nul(value))
}
