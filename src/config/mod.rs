//! What the operator configured, compiled and immutable.
//!
//! [`ProviderRecord`] and [`CredentialRecord`] are the stored facts; [`Provider`], [`Credential`]
//! and [`Snapshot`] are what a request reads. Every rule for a field lives here, so that a row
//! written with plain SQL meets the same checks as one written through the admin API.

mod address;
mod change;
mod credential;
mod model_map;
mod pattern;
mod prices;
mod provider;
mod provider_params;
mod record;
mod seal;
mod secret;
mod snapshot;
mod snapshot_file;
mod time;

pub use address::{AddressClass, AddressRule};
pub use change::{ChangeRecord, ShownChange};
pub use credential::{Credential, KeyHash, PlainKey, Quota};
pub use model_map::{ModelLimits, ModelMap, Resolved};
pub use pattern::{MatchKind, NameMatcher};
pub use prices::Prices;
pub use provider::{Provider, ProviderId, ProviderKind};
pub use provider_params::{BetaPolicy, MASK, ProviderParams, Timeouts, is_secret_header};
pub use record::{
    CredentialDraft, CredentialPatch, CredentialRecord, FieldError, ProviderDraft, ProviderPatch, ProviderRecord,
};
pub use seal::{SealError, SealState, Sealer};
pub use secret::Secret;
pub use snapshot::{Candidate, ConfigError, Entity, KeyRefusal, Loaded, Snapshot, Source};
pub use snapshot_file::{SnapshotFileError, load_snapshot, save_snapshot};
pub use time::rfc3339;
