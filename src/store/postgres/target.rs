//! Where the server is, and how a connection to it begins.

use std::error::Error as _;
use std::time::Duration;

use diesel::{ConnectionError, ConnectionResult};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection as _};
use tokio::time::timeout;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::tls::{Trust, tls_config};
use crate::settings::DatabaseSettings;
use crate::store::StoreError;

/// Longer than a healthy server needs, name resolution, TLS and a first query included.
pub(super) const CONNECT_WITHIN: Duration = Duration::from_secs(4);

/// A network that is gone is noticed within this, also when nothing is sent.
const SILENT_NETWORK: Duration = Duration::from_secs(10);

/// The server gives up before the program does, so that nothing that was given up goes on there.
/// A transaction is idle only when this program, its machine or the network stands still.
const LIMITS: &str = "SET statement_timeout = '8s'; SET lock_timeout = '5s'; \
                      SET idle_in_transaction_session_timeout = '15s'";

/// A server and a database of it.
#[derive(Clone)]
pub(super) struct Target {
    config: Config,
    tls: MakeRustlsConnect,
}

impl Target {
    /// Reads URL and certificates; contacts nothing.
    pub(super) fn new(settings: &DatabaseSettings) -> Result<Self, StoreError> {
        let (url, verify) = without_verification(settings.url.expose());
        let mut config: Config = url.parse().map_err(|error| wrong_url(&error))?;
        check(&config)?;
        let trust = match (&settings.tls.root_cert, verify) {
            (Some(file), _) => Trust::File(file),
            (None, true) => Trust::System,
            (None, false) => Trust::Anybody,
        };
        if !matches!(trust, Trust::Anybody) {
            config.ssl_mode(SslMode::Require);
        }
        if config.get_application_name().is_none() {
            config.application_name("llm-proxy");
        }
        config.connect_timeout(CONNECT_WITHIN);
        config.tcp_user_timeout(SILENT_NETWORK);
        config.keepalives(true).keepalives_idle(SILENT_NETWORK / 2);
        config.keepalives_interval(SILENT_NETWORK / 5).keepalives_retries(2);
        Ok(Self { config, tls: MakeRustlsConnect::new(tls_config(&trust)?) })
    }

    /// A new connection, which the current runtime drives from now on.
    pub(super) async fn connect(&self) -> ConnectionResult<AsyncPgConnection> {
        let slow = |_elapsed| ConnectionError::BadConnection("the server did not answer in time".to_owned());
        timeout(CONNECT_WITHIN, self.establish()).await.map_err(slow)?
    }

    async fn establish(&self) -> ConnectionResult<AsyncPgConnection> {
        let connected = match self.config.connect(self.tls.clone()).await {
            Err(error) if self.config.get_ssl_mode() == SslMode::Prefer && is_for_want_of_tls(&error) => {
                let mut plain = self.config.clone();
                plain.ssl_mode(SslMode::Disable).connect(self.tls.clone()).await
            }
            other => other,
        };
        let (client, connection) = connected.map_err(|error| ConnectionError::BadConnection(reason(&error)))?;
        let mut connection = AsyncPgConnection::try_from_client_and_connection(client, connection).await?;
        connection.batch_execute(LIMITS).await.map_err(ConnectionError::CouldntSetupConfiguration)?;
        Ok(connection)
    }
}

/// The URL without the values of `sslmode` that the driver does not know, and whether it had one:
/// `verify-ca` and `verify-full`. Both verify the host name, too.
fn without_verification(url: &str) -> (String, bool) {
    let Some((address, query)) = split_query(url) else {
        return (url.to_owned(), false);
    };
    let mut verify = false;
    let options: Vec<&str> = query
        .split('&')
        .map(|option| match option {
            "sslmode=verify-ca" | "sslmode=verify-full" => {
                verify = true;
                "sslmode=require"
            }
            other => other,
        })
        .collect();
    (format!("{address}?{}", options.join("&")), verify)
}

/// Splits at the `?` that begins the options; one within the password does not.
fn split_query(url: &str) -> Option<(&str, &str)> {
    let host = url.find('@').unwrap_or_default();
    let at = url.get(host..)?.find('?')? + host;
    Some((url.get(..at)?, url.get(at + 1..)?))
}

/// Refuses what the driver would refuse only when it connects.
fn check(config: &Config) -> Result<(), StoreError> {
    let (hosts, addresses) = (config.get_hosts().len(), config.get_hostaddrs().len());
    let is_nowhere = |host: &Host| matches!(host, Host::Tcp(name) if name.is_empty());
    if hosts.max(addresses) == 0 || config.get_hosts().iter().any(is_nowhere) {
        return Err(StoreError::Unsupported("names no host".to_owned()));
    }
    let ports = config.get_ports().len();
    if (hosts > 0 && addresses > 0 && hosts != addresses) || (ports > 1 && ports != hosts.max(addresses)) {
        return Err(StoreError::Unsupported("has not as many ports or addresses as hosts".to_owned()));
    }
    Ok(())
}

/// What is wrong with a URL; never a part of it, which may be one of the password.
fn wrong_url(error: &tokio_postgres::Error) -> StoreError {
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    // These messages name an option that the driver knows.
    let cause = if cause.starts_with("invalid value for option") {
        cause
    } else {
        "has an option that is not known or a character that must be percent-encoded; \
         certificates are named by DB_SSL_ROOT_CERT"
            .to_owned()
    };
    StoreError::Unsupported(format!("must be postgres://user:password@host/database: {cause}"))
}

/// Whether libpq would try again without TLS: the handshake failed, or the server's rules refuse
/// users with it.
fn is_for_want_of_tls(error: &tokio_postgres::Error) -> bool {
    let is_refused = error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION);
    is_refused || error.to_string() == "error performing TLS handshake"
}

/// Why there is no connection. The server names users and databases here, the driver nothing.
fn reason(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), error.source()) {
        (Some(refusal), _) => refusal.message().to_owned(),
        (None, Some(cause)) => format!("{error}: {cause}"),
        (None, None) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> String {
        let settings = DatabaseSettings::plain(url.to_owned());
        match Target::new(&settings).err() {
            Some(StoreError::Unsupported(reason)) => reason,
            other => panic!("{url}: {other:?}"),
        }
    }

    #[test]
    fn a_url_that_cannot_work_is_refused_without_its_password() {
        for url in [
            "postgres://",
            "postgres:///db",
            "postgres://u:hunter2@/db",
            "postgres://u:hunter2@h:port/db",
            "postgres://u:hunter2@h/db?sslmode=sometimes",
            "postgres://u:hunter2@h/db?nonsense=1",
            "postgres://u:x@h?hunter2=1@h/db",
            "postgres://u:hunter2@h/db?port=1&port=2",
            "postgres://u:hunter2@%ff/db",
            "postgres://u:hunter2@h/db?hunter2",
        ] {
            let reason = refusal(url);
            assert!(!reason.contains("hunter2"), "{reason}");
        }
        assert!(refusal("postgres://u@h/db?sslmode=sometimes").contains("sslmode"));
        assert!(refusal("postgres://u@h/db?sslrootcert=x").contains("DB_SSL_ROOT_CERT"));
    }

    #[test]
    fn verification_is_asked_for_by_the_url() {
        for mode in ["verify-ca", "verify-full"] {
            let (url, verify) = without_verification(&format!("postgres://u:p?w@h/db?x=1&sslmode={mode}&y=2"));
            assert_eq!((url.as_str(), verify), ("postgres://u:p?w@h/db?x=1&sslmode=require&y=2", true));
        }
        for url in ["postgres://h/db", "postgres://u:sslmode=verify-full@h/db", "postgres://h/db?sslmode=require"] {
            assert_eq!(without_verification(url), (url.to_owned(), false));
        }
    }

    #[test]
    fn certificates_that_cannot_be_read_are_told() {
        let settings = |file: &std::path::Path| {
            let mut settings = DatabaseSettings::plain("postgres://h/db".to_owned());
            settings.tls.root_cert = Some(file.to_owned());
            settings
        };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("root.pem");
        for content in [None, Some(""), Some("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n")] {
            if let Some(content) = content {
                std::fs::write(&file, content).unwrap();
            }
            let error = Target::new(&settings(&file)).err().unwrap();
            assert!(
                matches!(&error, StoreError::Unsupported(reason) if reason.contains("DB_SSL_ROOT_CERT")),
                "{error}"
            );
        }
    }
}
