//! What names the database, and what protects the secrets in it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use redis::{ConnectionAddr, IntoConnectionInfo as _};

use super::read::Reader;

/// A URL that may hold a password; its `Debug` shows the scheme only.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(String);

impl SecretUrl {
    /// Wraps the whole URL.
    #[must_use]
    pub const fn new(url: String) -> Self {
        Self(url)
    }

    /// The whole URL, password included.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.0.split_once("://").map_or("", |(scheme, _)| scheme);
        write!(f, "{scheme}://***")
    }
}

/// The keys that seal secrets at rest; its `Debug` shows nothing.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct EncryptionKeys {
    /// `ENCRYPTION_KEY`: what new values are sealed with.
    pub current: Option<[u8; 32]>,
    /// `ENCRYPTION_KEY_OLD`: what else values may be sealed with.
    pub old: Vec<[u8; 32]>,
}

impl fmt::Debug for EncryptionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// How PostgreSQL's certificate is checked; `None` of each is libpq's meaning of `sslmode`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DatabaseTls {
    /// `DB_SSL_ROOT_CERT`: PEM file with the authorities to trust; with it the certificate and
    /// the host name are verified.
    pub root_cert: Option<PathBuf>,
}

/// Everything a store needs to know.
#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    /// `DB_URL`: `sqlite://path`, `postgres://` or `postgresql://`.
    pub url: SecretUrl,
    /// `DB_POOL_MAX`: largest number of connections.
    pub pool_max: usize,
    /// TLS towards PostgreSQL.
    pub tls: DatabaseTls,
    /// What seals provider keys.
    pub keys: EncryptionKeys,
}

impl DatabaseSettings {
    /// The kind of database that the URL names.
    #[must_use]
    pub fn backend(&self) -> &'static str {
        if self.url.expose().starts_with("sqlite:") { "sqlite" } else { "postgres" }
    }

    /// A database without TLS and encryption.
    #[must_use]
    pub fn plain(url: String) -> Self {
        let (tls, keys) = (DatabaseTls::default(), EncryptionKeys::default());
        Self { url: SecretUrl::new(url), pool_max: 10, tls, keys }
    }
}

/// The buckets that all replicas share.
#[derive(Debug, Clone)]
pub struct RedisSettings {
    /// `REDIS_URL`.
    pub url: SecretUrl,
    /// `REDIS_KEY_PREFIX`.
    pub key_prefix: String,
    /// `REDIS_TIMEOUT_MS`: how long a request waits for Redis at most.
    pub timeout: Duration,
}

/// Reads what a store needs.
pub(super) fn database(read: &mut Reader<'_>) -> DatabaseSettings {
    DatabaseSettings {
        url: SecretUrl::new(db_url(read)),
        pool_max: read.whole("DB_POOL_MAX", 10, 1..=1000),
        tls: DatabaseTls { root_cert: read.text("DB_SSL_ROOT_CERT").map(PathBuf::from) },
        keys: encryption_keys(read),
    }
}

fn db_url(read: &mut Reader<'_>) -> String {
    let data_dir = read.text("DATA_DIR");
    let Some(url) = read.text("DB_URL") else {
        let directory = data_dir.map(|dir| PathBuf::from(dir).join("llm-proxy.db"));
        return directory
            .map_or_else(|| "sqlite://llm-proxy.db".to_owned(), |path| format!("sqlite://{}", path.display()));
    };
    let rest = ["sqlite://", "postgres://", "postgresql://"].iter().find_map(|scheme| url.strip_prefix(scheme));
    if rest.is_none_or(str::is_empty) {
        // The value may hold a password, so it is not repeated.
        read.wrong("DB_URL", "must be sqlite://<path>, or postgres://<user>:<password>@<host>/<database>");
    }
    url
}

fn encryption_keys(read: &mut Reader<'_>) -> EncryptionKeys {
    let current = read.text("ENCRYPTION_KEY").and_then(|text| encryption_key(read, "ENCRYPTION_KEY", &text));
    let old = read.text("ENCRYPTION_KEY_OLD").unwrap_or_default();
    let old = old.split(',').map(str::trim).filter(|text| !text.is_empty());
    let old = old.filter_map(|text| encryption_key(read, "ENCRYPTION_KEY_OLD", text)).collect();
    EncryptionKeys { current, old }
}

fn encryption_key(read: &mut Reader<'_>, variable: &'static str, text: &str) -> Option<[u8; 32]> {
    let bytes = if text.len() == 64 { from_hex(text) } else { BASE64_STANDARD.decode(text).ok() };
    let key = bytes.and_then(|bytes| bytes.try_into().ok());
    if key.is_none() {
        // The value is a secret, so it is not repeated.
        read.wrong(variable, "must be 32 bytes, as 64 hex digits or as base64");
    }
    key
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

/// Reads where the shared buckets are; `None` without `REDIS_URL`.
pub(super) fn redis(read: &mut Reader<'_>) -> Option<RedisSettings> {
    let key_prefix = read.text("REDIS_KEY_PREFIX").unwrap_or_else(|| "llm-proxy:".to_owned());
    let timeout = Duration::from_millis(read.whole("REDIS_TIMEOUT_MS", 50, 1..=60_000));
    let url = read.text("REDIS_URL")?;
    if !is_redis(&url) {
        // The value may hold a password, so it is not repeated.
        read.wrong("REDIS_URL", "must be redis://<user>:<password>@<host>:<port>/<database>, or rediss:// for TLS");
    }
    Some(RedisSettings { url: SecretUrl::new(url), key_prefix, timeout })
}

/// Whether the client will understand it. It knows more schemes, and TLS without verification,
/// which we do not offer.
fn is_redis(url: &str) -> bool {
    let info = url.into_connection_info().ok();
    let is_offered = ["redis://", "rediss://"].iter().any(|scheme| url.starts_with(scheme));
    is_offered && info.is_some_and(|info| !matches!(info.addr(), ConnectionAddr::TcpTls { insecure: true, .. }))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn read<T>(pairs: &[(&str, &str)], what: impl Fn(&mut Reader<'_>) -> T) -> Result<T, String> {
        let env: HashMap<String, String> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut read = Reader::new(&env);
        let value = what(&mut read);
        read.finish(value).map_err(|wrong| format!("{wrong:?}"))
    }

    #[test]
    fn a_key_is_32_bytes_in_hex_or_base64() {
        let hex = "00".repeat(31) + "ff";
        let base64 = BASE64_STANDARD.encode([7; 32]);
        let keys =
            read(&[("ENCRYPTION_KEY", &hex), ("ENCRYPTION_KEY_OLD", &format!("{base64}, {hex}"))], encryption_keys);
        let keys = keys.unwrap();
        assert_eq!(keys.current.unwrap()[31], 255);
        assert_eq!(keys.old, [[7; 32], keys.current.unwrap()]);
        assert_eq!(format!("{keys:?}"), "***");
        for wrong in ["short", &"zz".repeat(32), &BASE64_STANDARD.encode([7; 31])] {
            let error = read(&[("ENCRYPTION_KEY", wrong)], encryption_keys).unwrap_err();
            assert!(error.contains("ENCRYPTION_KEY") && !error.contains(wrong), "{error}");
        }
    }

    #[test]
    fn a_url_with_a_password_is_never_shown() {
        let url = "postgres://u:hunter2@h/db";
        assert_eq!(format!("{:?}", read(&[("DB_URL", url)], database).unwrap().url), "postgres://***");
        let error = read(&[("DB_URL", "mysql://u:hunter2@h/db")], database).unwrap_err();
        assert!(error.contains("DB_URL") && !error.contains("hunter2"), "{error}");
        for wrong in
            ["http://u:hunter2@h", "redis://u:hunter2@h/x", "redis://u:hunter2@h:port", "rediss://u:hunter2@h#insecure"]
        {
            let error = read(&[("REDIS_URL", wrong)], redis).unwrap_err();
            assert!(error.contains("REDIS_URL") && !error.contains("hunter2"), "{error}");
        }
        for url in ["redis://h", "redis://:secret@h:7000/3", "rediss://u:secret@h/"] {
            assert_eq!(read(&[("REDIS_URL", url)], redis).unwrap().unwrap().url.expose(), url);
        }
        assert!(read(&[("REDIS_KEY_PREFIX", "x")], redis).unwrap().is_none());
    }
}
