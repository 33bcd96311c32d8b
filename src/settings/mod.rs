//! The process environment, read once at start.
//!
//! This is the only reader of environment variables. Every mistake is collected, so that an
//! operator fixes all of them in one go.

mod breaker;
mod clients;
mod cors;
mod database;
mod env;
mod langfuse;
mod otel;
mod read;
mod secret;
mod upstream;

pub use breaker::BreakerPolicy;
pub use clients::ClientSettings;
pub use cors::CorsOrigins;
pub use database::{DatabaseSettings, DatabaseTls, EncryptionKeys, RedisSettings, SecretUrl};
pub use env::{Env, ProcessEnv, load_env_file};
pub use langfuse::LangfuseSettings;
pub use otel::{OtelSettings, Sampler};
pub use secret::SecretText;
pub use upstream::UpstreamSettings;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use read::Reader;

/// A variable that cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {message}")]
pub struct SettingError {
    /// The environment variable.
    pub variable: &'static str,
    /// What is wrong with its value; the value itself only where it cannot be a secret.
    pub message: String,
}

/// The admin key; its `Debug` shows nothing.
#[derive(Clone)]
pub struct AdminKey(String);

impl AdminKey {
    /// Wraps the plain key.
    #[must_use]
    pub const fn new(key: String) -> Self {
        Self(key)
    }

    /// The plain key, to compare with what a caller presents.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for AdminKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Where and how lines are logged.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// An `env_logger` filter: `RUST_LOG`, else `LOG_LEVEL`.
    pub filter: String,
    /// Text or JSON.
    pub format: LogFormat,
    /// Whether text may be coloured on a terminal.
    pub color: bool,
}

/// Process-wide timeouts; `None` is off.
#[derive(Debug, Clone, Copy)]
pub struct TimeoutSettings {
    /// TCP and TLS to a provider.
    pub connect: Option<Duration>,
    /// Attempt start to the first content token of a stream.
    pub ttft: Option<Duration>,
    /// Upstream silence after the first content token.
    pub stream_idle: Option<Duration>,
    /// A whole answer; also the wait for the first content token when `ttft` is unset.
    pub request: Option<Duration>,
    /// A whole stream.
    pub stream_total: Option<Duration>,
}

/// What a log row costs and whether it is kept.
#[derive(Debug, Clone, Copy)]
pub struct RequestLogSettings {
    /// Whether finished requests are stored.
    pub enabled: bool,
    /// Whether failed attempts, and errors of our own, are stored.
    pub errors: bool,
    /// Most bytes of a stored body; `None`: neither bodies nor headers are stored.
    pub bodies: Option<usize>,
    /// Rows that may wait for the database; more are dropped and counted.
    pub queue: usize,
    /// Rows older than this are deleted; `None` keeps all.
    pub retention: Option<Duration>,
}

/// Where the server listens and how much it takes.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// Address to bind.
    pub host: IpAddr,
    /// Port to bind; 0 picks a free one.
    pub port: u16,
    /// HTTP worker threads.
    pub workers: usize,
    /// Largest request body, in bytes.
    pub max_body_bytes: usize,
    /// How many clients are served, and how long slow ones are waited for.
    pub clients: ClientSettings,
    /// How long requests are still taken after a signal to stop, while load balancers notice.
    pub shutdown_delay: Duration,
    /// How long running requests may go on after a signal to stop.
    pub shutdown_drain: Duration,
}

/// Everything the environment decides.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The database.
    pub database: DatabaseSettings,
    /// Where the last configuration in force is kept for a start without the database.
    pub snapshot_path: Option<PathBuf>,
    /// The buckets that all replicas share; `None`: each replica has its own.
    pub redis: Option<RedisSettings>,
    /// How often the stored version is polled.
    pub config_poll: Duration,
    /// The key that opens `/admin/v1`.
    pub admin_key: AdminKey,
    /// Which pages of other origins may use this server.
    pub cors_origins: CorsOrigins,
    /// Whether requests are admitted without a key while no enabled credential exists.
    pub allow_anonymous: bool,
    /// This process's name among replicas.
    pub replica_id: String,
    /// The listener.
    pub http: HttpSettings,
    /// Largest buffered upstream answer, in bytes.
    pub upstream_max_response_bytes: usize,
    /// Connections to providers.
    pub upstream: UpstreamSettings,
    /// Most providers that are tried for one request.
    pub max_attempts: usize,
    /// How long a stream is silent before a sign of life is sent; `None`: none ever is.
    pub sse_keepalive: Option<Duration>,
    /// Whether a request that would lose a field in translation is refused.
    pub strict_translation: bool,
    /// `max_tokens` of a translated Messages request that has no limit of its own.
    pub anthropic_default_max_tokens: u64,
    /// A prefix that is taken off model names.
    pub provider_suffix: Option<String>,
    /// Timeouts towards providers.
    pub timeouts: TimeoutSettings,
    /// When providers are taken out of routing, and brought back.
    pub breaker: BreakerPolicy,
    /// The stored request log.
    pub request_log: RequestLogSettings,
    /// The Langfuse project that gets traces; `None`: none does.
    pub langfuse: Option<LangfuseSettings>,
    /// The OpenTelemetry collector that gets spans; `None`: none does.
    pub otel: Option<OtelSettings>,
    /// The process log.
    pub log: LogSettings,
}

impl Settings {
    /// Reads every variable of `env`.
    ///
    /// # Errors
    /// All wrong variables at once.
    pub fn parse(env: &dyn Env) -> Result<Self, Vec<SettingError>> {
        let mut read = Reader::new(env);
        let settings = Self {
            database: database::database(&mut read),
            snapshot_path: read.text("SNAPSHOT_PATH").map(PathBuf::from),
            redis: database::redis(&mut read),
            config_poll: read.seconds("CONFIG_POLL_SECS", 5.0, 0.05).unwrap_or(Duration::from_secs(5)),
            admin_key: admin_key(&mut read),
            cors_origins: cors::cors_origins(&mut read),
            allow_anonymous: read.flag("ALLOW_ANONYMOUS", false),
            replica_id: replica_id(&mut read),
            http: http(&mut read),
            upstream_max_response_bytes: read.whole("UPSTREAM_MAX_RESPONSE_BYTES", 67_108_864, 1..=usize::MAX),
            upstream: upstream::upstream(&mut read),
            max_attempts: read.whole("MAX_ATTEMPTS", 3, 1..=100),
            sse_keepalive: read.seconds("SSE_KEEPALIVE_SECS", 15.0, 0.0),
            strict_translation: read.flag("STRICT_TRANSLATION", false),
            anthropic_default_max_tokens: read.whole("ANTHROPIC_DEFAULT_MAX_TOKENS", 4096, 1..=10_000_000),
            provider_suffix: read.text("PROVIDER_SUFFIX"),
            timeouts: timeouts(&mut read),
            breaker: breaker_policy(&mut read),
            request_log: request_log(&mut read),
            langfuse: langfuse::langfuse(&mut read),
            otel: otel::otel(&mut read),
            log: log_settings(&mut read),
        };
        read.finish(settings)
    }

    /// Reads only what concerns the database: enough to migrate it.
    ///
    /// # Errors
    /// The variables that are wrong.
    pub fn parse_database(env: &dyn Env) -> Result<DatabaseSettings, Vec<SettingError>> {
        let mut read = Reader::new(env);
        let database = database::database(&mut read);
        read.finish(database)
    }

    /// Reads only where the server listens.
    ///
    /// # Errors
    /// The variables that are wrong.
    pub fn parse_listener(env: &dyn Env) -> Result<(IpAddr, u16), Vec<SettingError>> {
        let mut read = Reader::new(env);
        let listener = listener(&mut read);
        read.finish(listener)
    }
}

fn admin_key(read: &mut Reader<'_>) -> AdminKey {
    let key = read.text("ADMIN_KEY").unwrap_or_default();
    if key.is_empty() {
        read.wrong("ADMIN_KEY", "is required: set it to the key that shall open the admin API");
    } else if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        read.wrong("ADMIN_KEY", "must be visible ASCII without spaces, since it travels in a header");
    }
    AdminKey(key)
}

fn replica_id(read: &mut Reader<'_>) -> String {
    read.text("REPLICA_ID").unwrap_or_else(|| {
        let host = gethostname::gethostname();
        let suffix = rand::random::<u32>() & 0x00ff_ffff;
        format!("{}-{suffix:06x}", host.to_string_lossy())
    })
}

fn listener(read: &mut Reader<'_>) -> (IpAddr, u16) {
    let host = read.parsed("HOST", IpAddr::from([0, 0, 0, 0]), "an IP address");
    (host, read.parsed("PORT", 18_000, "a port from 0 to 65535"))
}

fn http(read: &mut Reader<'_>) -> HttpSettings {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (host, port) = listener(read);
    HttpSettings {
        host,
        port,
        workers: read.whole("WORKERS", cores, 1..=1024),
        max_body_bytes: read.whole("MAX_BODY_BYTES", 33_554_432, 1..=usize::MAX),
        clients: clients::clients(read),
        shutdown_delay: read.seconds("SHUTDOWN_DELAY_SECS", 3.0, 0.0).unwrap_or(Duration::ZERO),
        shutdown_drain: read.seconds("SHUTDOWN_DRAIN_SECS", 30.0, 0.0).unwrap_or(Duration::ZERO),
    }
}

fn timeouts(read: &mut Reader<'_>) -> TimeoutSettings {
    TimeoutSettings {
        connect: read.seconds("CONNECT_TIMEOUT_SECS", 10.0, 0.0),
        ttft: read.seconds("TTFT_TIMEOUT_SECS", 0.0, 0.0),
        stream_idle: read.seconds("STREAM_IDLE_TIMEOUT_SECS", 120.0, 0.0),
        request: read.seconds("REQUEST_TIMEOUT_SECS", 300.0, 0.0),
        stream_total: read.seconds("STREAM_TOTAL_TIMEOUT_SECS", 0.0, 0.0),
    }
}

fn breaker_policy(read: &mut Reader<'_>) -> BreakerPolicy {
    let default = BreakerPolicy::default();
    let off = |time: Option<Duration>| time.unwrap_or(Duration::ZERO);
    BreakerPolicy {
        enabled: read.flag("ADAPTIVE_ROUTING_ENABLED", default.enabled),
        min_multiplier: read.whole("ADAPTIVE_MIN_MULTIPLIER", default.min_multiplier, 0.0..=1.0),
        half_open_weight_factor: read.whole(
            "ADAPTIVE_HALF_OPEN_WEIGHT_FACTOR",
            default.half_open_weight_factor,
            0.0..=1.0,
        ),
        success_recovery_step: read.whole("ADAPTIVE_SUCCESS_RECOVERY_STEP", default.success_recovery_step, 0.0..=1.0),
        slow_start_window: off(read.seconds("ADAPTIVE_SLOW_START_WINDOW_SECS", 60.0, 0.0)),
        threshold_429: read.whole("ADAPTIVE_429_THRESHOLD", default.threshold_429, 0..=1_000_000),
        threshold_5xx: read.whole("ADAPTIVE_5XX_THRESHOLD", default.threshold_5xx, 0..=1_000_000),
        threshold_transport: read.whole("ADAPTIVE_TRANSPORT_THRESHOLD", default.threshold_transport, 0..=1_000_000),
        half_open_success_threshold: read.whole(
            "ADAPTIVE_HALF_OPEN_SUCCESS_THRESHOLD",
            default.half_open_success_threshold,
            1..=1_000_000,
        ),
        half_open_max_probes: read.whole("ADAPTIVE_HALF_OPEN_MAX_PROBES", default.half_open_max_probes, 1..=1_000_000),
        base_429_cooldown: off(read.seconds("ADAPTIVE_BASE_429_COOLDOWN_SECS", 15.0, 0.0)),
        max_429_cooldown: off(read.seconds("ADAPTIVE_MAX_429_COOLDOWN_SECS", 300.0, 0.0)),
        base_open: off(read.seconds("ADAPTIVE_BASE_OPEN_DURATION_SECS", 30.0, 0.0)),
        max_open: off(read.seconds("ADAPTIVE_MAX_OPEN_DURATION_SECS", 300.0, 0.0)),
    }
}

fn request_log(read: &mut Reader<'_>) -> RequestLogSettings {
    const DAY: u64 = 86_400;
    let days: u64 = read.whole("LOG_RETENTION_DAYS", 30, 0..=36_500);
    let most = read.whole("REQUEST_LOG_BODY_MAX_BYTES", 10_240, 1..=10_485_760);
    RequestLogSettings {
        enabled: read.flag("REQUEST_LOG_ENABLED", true),
        errors: read.flag("ERROR_LOG_ENABLED", true),
        bodies: read.flag("REQUEST_LOG_BODY_ENABLED", false).then_some(most),
        queue: read.whole("REQUEST_LOG_QUEUE", 10_000, 1..=10_000_000),
        retention: (days > 0).then(|| Duration::from_secs(days * DAY)),
    }
}

fn log_settings(read: &mut Reader<'_>) -> LogSettings {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let level = read.one_of("LOG_LEVEL", "info", &LEVELS);
    let format = read.one_of("LOG_FORMAT", "text", &["text", "json"]);
    LogSettings {
        filter: read.text("RUST_LOG").unwrap_or(level),
        format: if format == "json" { LogFormat::Json } else { LogFormat::Text },
        color: read.text("NO_COLOR").is_none(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<Settings, Vec<SettingError>> {
        let env: HashMap<String, String> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Settings::parse(&env)
    }

    #[test]
    fn only_the_admin_key_is_required_and_the_rest_has_the_documented_defaults() {
        let settings = parse(&[("ADMIN_KEY", "k"), ("PORT", "")]).unwrap();
        assert_eq!(settings.database.url.expose(), "sqlite://llm-proxy.db");
        assert_eq!(settings.http.port, 18_000);
        assert_eq!(settings.http.max_body_bytes, 32 << 20);
        assert_eq!(settings.timeouts.connect, Some(Duration::from_secs(10)));
        assert_eq!(settings.timeouts.ttft, None);
        assert_eq!(settings.request_log.retention, Some(Duration::from_secs(30 * 86_400)));
        assert_eq!(settings.log.filter, "info");
        assert!(settings.upstream.verify_ssl && !settings.allow_anonymous);
        assert!(settings.replica_id.len() > 7);
    }

    #[test]
    fn every_wrong_variable_is_named_at_once_and_no_secret_is_shown() {
        let wrong = parse(&[
            ("ADMIN_KEY", "sécret"),
            ("PORT", "70000"),
            ("HOST", "localhost"),
            ("WORKERS", "0"),
            ("VERIFY_SSL", "perhaps"),
            ("CONFIG_POLL_SECS", "-1"),
            ("LOG_LEVEL", "loud"),
            ("DB_URL", "mysql://u:hunter2@h/db"),
            ("ADAPTIVE_MIN_MULTIPLIER", "2"),
        ])
        .unwrap_err();
        let names: Vec<&str> = wrong.iter().map(|error| error.variable).collect();
        for name in [
            "ADMIN_KEY",
            "PORT",
            "HOST",
            "WORKERS",
            "VERIFY_SSL",
            "CONFIG_POLL_SECS",
            "LOG_LEVEL",
            "DB_URL",
            "ADAPTIVE_MIN_MULTIPLIER",
        ] {
            assert_eq!(names.iter().filter(|found| **found == name).count(), 1, "{name} in {names:?}");
        }
        let text = format!("{wrong:?}");
        assert!(!text.contains("hunter2") && !text.contains("sécret"), "{text}");
    }

    #[test]
    fn logs_are_kept_for_so_many_days_or_for_ever() {
        let parse_days = |days| parse(&[("ADMIN_KEY", "k"), ("LOG_RETENTION_DAYS", days)]);
        let kept = |days| parse_days(days).unwrap().request_log.retention;
        assert_eq!((kept("0"), kept("7")), (None, Some(Duration::from_secs(7 * 86_400))));
        for wrong in ["-1", "1.5", "40000", "week"] {
            assert_eq!(parse_days(wrong).unwrap_err()[0].variable, "LOG_RETENTION_DAYS", "{wrong}");
        }
    }

    #[test]
    fn data_dir_moves_the_default_database() {
        let settings = parse(&[("ADMIN_KEY", "k"), ("DATA_DIR", "/data")]).unwrap();
        assert_eq!(settings.database.url.expose(), "sqlite:///data/llm-proxy.db");
        assert!(!format!("{settings:?}").contains("\"k\""));
    }

    #[test]
    fn rust_log_wins_over_log_level_and_zero_switches_a_timeout_off() {
        let settings = parse(&[
            ("ADMIN_KEY", "k"),
            ("LOG_LEVEL", "WARN"),
            ("RUST_LOG", "llm_proxy=debug"),
            ("REQUEST_TIMEOUT_SECS", "0"),
            ("TTFT_TIMEOUT_SECS", "1.5"),
        ])
        .unwrap();
        assert_eq!(settings.log.filter, "llm_proxy=debug");
        assert_eq!(settings.timeouts.request, None);
        assert_eq!(settings.timeouts.ttft, Some(Duration::from_millis(1500)));
    }
}
