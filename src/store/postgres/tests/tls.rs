//! Encrypted connections.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::servers::Postgres;
use crate::settings::DatabaseSettings;
use crate::store::{StoreError, open};

/// A self-signed certificate for 127.0.0.1: `<name>.crt` and `<name>.key`.
fn certificate(folder: &Path, name: &str) -> PathBuf {
    std::fs::write(folder.join("ext"), "subjectAltName=IP:127.0.0.1\nbasicConstraints=critical,CA:FALSE\n").unwrap();
    let script = format!(
        "openssl req -new -newkey rsa:2048 -nodes -subj /CN=db -keyout {name}.key -out {name}.csr &&
         openssl x509 -req -in {name}.csr -signkey {name}.key -days 2 -extfile ext -out {name}.crt"
    );
    let made = Command::new("sh").args(["-c", &script]).current_dir(folder).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    folder.join(format!("{name}.crt"))
}

/// Makes the server write a file into its own folder, where it must own its key.
fn install(server: &Postgres, from: &Path, name: &str) {
    let text = std::fs::read_to_string(from).unwrap();
    let rows = format!("SELECT unnest(string_to_array('{}', E'\\n'))", text.trim_end());
    server.execute("postgres", &format!("COPY ({rows}) TO PROGRAM 'umask 077; cat > {name}'"));
}

fn configure(server: &Postgres, name: &str, value: &str) {
    server.execute("postgres", &format!("ALTER SYSTEM SET {name} = '{value}'"));
    server.execute("postgres", "SELECT pg_reload_conf()");
    while server.texts("postgres", &format!("SHOW {name}")) != [value] {}
}

struct Encrypted {
    folder: TempDir,
    server: Postgres,
    database: String,
    root: PathBuf,
}

impl Encrypted {
    fn start() -> Self {
        let (folder, server) = (tempfile::tempdir().unwrap(), Postgres::start());
        let root = certificate(folder.path(), "server");
        install(&server, &root, "server.crt");
        install(&server, &folder.path().join("server.key"), "server.key");
        configure(&server, "ssl", "on");
        let database = server.create_database();
        Self { folder, server, database, root }
    }

    /// Opens a store and tells whether its connections are encrypted.
    async fn open(&self, host: &str, mode: &str, root: Option<&Path>) -> Result<bool, StoreError> {
        let url = format!("postgres://postgres@{host}:{}/{}?{mode}", self.server.port(), self.database);
        let mut settings = DatabaseSettings::plain(url);
        settings.tls.root_cert = root.map(Path::to_owned);
        let store = open(&settings).await?;
        store.version().await.unwrap();
        let encrypted = "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
                         WHERE application_name = 'llm-proxy' AND state IS NOT NULL";
        let answer = self.server.texts(&self.database, encrypted);
        drop(store);
        let ours = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'llm-proxy'";
        while !self.server.texts(&self.database, ours).is_empty() {}
        assert_eq!(answer.len(), 1, "{mode}");
        Ok(answer == ["t"])
    }

    async fn refuses(&self, host: &str, mode: &str, root: Option<&Path>) -> String {
        match self.open(host, mode, root).await {
            Err(StoreError::Unavailable(reason)) => reason,
            other => panic!("{host} {mode}: {other:?}"),
        }
    }
}

const HERE: &str = "127.0.0.1";

#[tokio::test]
async fn a_connection_is_encrypted_and_verified_as_asked() {
    let encrypted = Encrypted::start();
    let own = Some(encrypted.root.as_path());
    let other = certificate(encrypted.folder.path(), "other");
    assert!(!encrypted.open(HERE, "sslmode=disable", None).await.unwrap());
    assert!(encrypted.open(HERE, "sslmode=prefer", None).await.unwrap());
    assert!(encrypted.open(HERE, "", None).await.unwrap());
    assert!(encrypted.open(HERE, "sslmode=require", None).await.unwrap());
    for mode in ["", "sslmode=disable", "sslmode=require", "sslmode=verify-ca", "sslmode=verify-full"] {
        assert!(encrypted.open(HERE, mode, own).await.unwrap(), "{mode}");
        let reason = encrypted.refuses(HERE, mode, Some(&other)).await;
        assert!(reason.contains("certificate"), "{reason}");
        // The certificate is not for this name.
        let reason = encrypted.refuses("localhost", mode, own).await;
        assert!(reason.contains("certificate"), "{reason}");
    }
    // No authority of the system signed it.
    encrypted.refuses(HERE, "sslmode=verify-full", None).await;
}

#[tokio::test]
async fn only_who_prefers_encryption_does_without_it() {
    let encrypted = Encrypted::start();
    let own = Some(encrypted.root.as_path());
    // Older than anything that is spoken here: the handshake fails.
    configure(&encrypted.server, "ssl_min_protocol_version", "TLSv1");
    configure(&encrypted.server, "ssl_max_protocol_version", "TLSv1.1");
    assert!(!encrypted.open(HERE, "sslmode=prefer", None).await.unwrap());
    encrypted.refuses(HERE, "sslmode=require", None).await;
    encrypted.refuses(HERE, "", own).await;
    configure(&encrypted.server, "ssl", "off");
    assert!(!encrypted.open(HERE, "", None).await.unwrap());
    encrypted.refuses(HERE, "sslmode=require", None).await;
    encrypted.refuses(HERE, "sslmode=disable", own).await;
}
