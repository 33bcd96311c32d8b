//! The command line of the real binary.

use std::fs;
use std::net::TcpListener;

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::support::servers::Postgres;
use crate::support::{ADMIN_KEY, Connection, Process, execute, hello, hello_stream};

#[test]
fn wrong_settings_end_with_code_2_and_are_all_named() {
    let folder = tempdir().unwrap();
    let wrong = [
        ("PORT", "http"),
        ("HOST", "everywhere"),
        ("MAX_ATTEMPTS", "0"),
        ("REQUEST_TIMEOUT_SECS", "soon"),
        ("ALLOW_ANONYMOUS", "perhaps"),
        ("DB_URL", "mysql://root:hunter2@db/x"),
        ("LOG_FORMAT", "xml"),
    ];
    for command in [&["serve"][..], &[]] {
        let (code, out, error) = Process::output(&folder, command, &wrong);
        assert_eq!((code, out.as_str()), (2, ""), "{error}");
        for name in wrong.iter().map(|(name, _)| *name).chain(["ADMIN_KEY"]) {
            assert!(error.contains(&format!("{name}: ")), "{name} is not named in:\n{error}");
        }
        assert!(!error.contains("hunter2"), "{error}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn usage_errors_end_with_code_2_and_help_with_0() {
    let folder = tempdir().unwrap();
    for arguments in
        [&["nonsense"][..], &["serve", "--port", "1"], &["demo", "--port", "x"], &["--env-file", "missing.env"]]
    {
        let (code, _, error) = Process::output(&folder, arguments, &[]);
        assert_eq!(code, 2, "{arguments:?}: {error}");
        assert!(!error.is_empty());
    }
    let (code, help, _) = Process::output(&folder, &["--help"], &[]);
    assert_eq!(code, 0);
    for command in ["serve", "demo", "mock", "migrate", "rekey", "health", "openapi", "check", "--env-file"] {
        assert!(help.contains(command), "{command} is not in:\n{help}");
    }
    let (code, help, _) = Process::output(&folder, &["rekey", "--help"], &[]);
    assert!(code == 0 && help.contains("--dry-run") && help.contains("ENCRYPTION_KEY_OLD"), "{help}");
    let (code, version, _) = Process::output(&folder, &["--version"], &[]);
    // A release tells its commit; a debug build is not made anew for each.
    let commit = version.trim().strip_prefix(concat!("llm-proxy ", env!("CARGO_PKG_VERSION"), " (commit "));
    let commit = commit.and_then(|rest| rest.strip_suffix(')')).unwrap_or_else(|| panic!("{version}"));
    assert!(code == 0 && !commit.is_empty(), "{version}");
}

#[test]
fn an_env_file_fills_in_what_the_environment_does_not_say() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join(".env"), "ADMIN_KEY=from-the-file\nPORT=wrong\n").unwrap();
    let (code, _, error) = Process::output(&folder, &["check"], &[]);
    assert_eq!(code, 2);
    assert!(error.contains("PORT: ") && !error.contains("ADMIN_KEY"), "{error}");
    let (code, out, error) = Process::output(&folder, &["check"], &[("PORT", "0")]);
    assert_eq!(code, 0, "{out}{error}");
    fs::write(folder.path().join("other.env"), "ADMIN_KEY=from-the-other\n").unwrap();
    let (code, out, error) = Process::output(&folder, &["check", "--env-file", "other.env"], &[]);
    assert_eq!(code, 0, "{out}{error}");
}

#[test]
fn migrations_are_applied_once() {
    let folder = tempdir().unwrap();
    let (code, first, error) = Process::output(&folder, &["migrate"], &[]);
    assert_eq!(code, 0, "{error}");
    assert!(first.ends_with(" migrations applied\n") && !first.starts_with("0 "), "{first}");
    let (code, again, _) = Process::output(&folder, &["migrate"], &[]);
    assert_eq!((code, again.as_str()), (0, "0 migrations applied\n"));
    assert!(folder.path().join("llm-proxy.db").exists());
}

#[test]
fn check_names_every_problem_and_changes_nothing() {
    let folder = tempdir().unwrap();
    let key = [("ADMIN_KEY", ADMIN_KEY)];
    let (code, out, error) = Process::output(&folder, &["check"], &key);
    assert_eq!(code, 0, "{out}{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "check made a database");
    assert_eq!(Process::output(&folder, &["migrate"], &[]).0, 0);
    execute(
        &folder.path().join("llm-proxy.db"),
        "INSERT INTO providers (provider_key, provider_type, api_base, api_key, model_mapping)
         VALUES ('bad-base', 'openai', 'nowhere', 'k', '{}'), ('bad-key', 'openai', 'http://h/v1', 'k', '{\"(\":\"x\"}')",
    );
    let (code, _, error) = Process::output(&folder, &["check"], &key);
    assert_eq!(code, 3, "{error}");
    assert!(error.contains("api_base") && error.contains("model_mapping"), "{error}");
    let (code, _, error) = Process::output(&folder, &["check"], &[("ADMIN_KEY", ADMIN_KEY), ("WORKERS", "none")]);
    assert_eq!(code, 2, "{error}");
    assert!(error.contains("WORKERS") && error.contains("api_base"), "{error}");
}

#[test]
fn a_database_that_cannot_be_used_ends_with_code_3() {
    let folder = tempdir().unwrap();
    let key = ("ADMIN_KEY", ADMIN_KEY);
    let (code, _, error) = Process::output(&folder, &["serve"], &[key, ("DB_URL", "sqlite:///no/such/folder/x.db")]);
    assert_eq!(code, 3, "{error}");
    fs::write(folder.path().join("text.db"), "this is no database, it only has the name of one".repeat(100)).unwrap();
    for command in ["serve", "check", "migrate"] {
        let (code, _, error) = Process::output(&folder, &[command], &[key, ("DB_URL", "sqlite://text.db")]);
        assert_eq!(code, 3, "{command}: {error}");
    }
    assert_eq!(Process::output(&folder, &["migrate"], &[]).0, 0);
    execute(
        &folder.path().join("llm-proxy.db"),
        "INSERT INTO __diesel_schema_migrations (version) VALUES ('99991231235959')",
    );
    for command in ["serve", "check", "migrate"] {
        let (code, _, error) = Process::output(&folder, &[command], &[key, ("PORT", "0")]);
        assert_eq!(code, 3, "{command}: {error}");
        assert!(error.contains("newer"), "{command}: {error}");
    }
}

#[test]
fn a_postgresql_database_is_checked_and_migrated() {
    let (folder, server) = (tempdir().unwrap(), Postgres::shared());
    let name = server.create_database();
    let (url, tables) = (server.url(&name), "SELECT relname FROM pg_class WHERE relname = 'providers'");
    let run = |command: &str| Process::output(&folder, &[command], &[("ADMIN_KEY", ADMIN_KEY), ("DB_URL", &url)]);
    let (code, out, error) = run("check");
    assert_eq!(code, 0, "{out}{error}");
    assert_eq!(server.texts(&name, tables), [""; 0], "check made tables");
    let (code, first, error) = run("migrate");
    assert_eq!(code, 0, "{error}");
    assert!(first.ends_with(" migrations applied\n") && !first.starts_with("0 "), "{first}");
    let (code, again, _) = run("migrate");
    assert_eq!((code, again.as_str()), (0, "0 migrations applied\n"));
    assert_eq!(run("check").0, 0);
    server.execute(
        &name,
        "INSERT INTO providers (provider_key, provider_type, api_base, api_key) VALUES ('bad', 'openai', 'nowhere', 'k')",
    );
    let (code, _, error) = run("check");
    assert_eq!(code, 3, "{error}");
    assert!(error.contains("api_base"), "{error}");
    server.execute(&name, "INSERT INTO __diesel_schema_migrations (version) VALUES ('99991231235959')");
    for command in ["serve", "check", "migrate"] {
        let (code, _, error) = run(command);
        assert_eq!(code, 3, "{command}: {error}");
        assert!(error.contains("newer"), "{command}: {error}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "no file is left behind");
}

const ENCRYPTION_KEY: (&str, &str) =
    ("ENCRYPTION_KEY", "0101010101010101010101010101010101010101010101010101010101010101");

#[test]
fn a_rekey_needs_a_key_and_a_database_of_this_release() {
    let folder = tempdir().unwrap();
    for arguments in [&["rekey"][..], &["rekey", "--dry-run"]] {
        let (code, out, error) = Process::output(&folder, arguments, &[]);
        assert_eq!((code, out.as_str()), (2, ""), "{error}");
        assert!(error.contains("ENCRYPTION_KEY: "), "{error}");
        let (code, _, error) = Process::output(&folder, arguments, &[("ENCRYPTION_KEY", "sk-short")]);
        assert_eq!(code, 2, "{error}");
        assert!(error.contains("ENCRYPTION_KEY: ") && !error.contains("sk-short"), "{error}");
        let (code, _, error) = Process::output(&folder, arguments, &[ENCRYPTION_KEY]);
        assert_eq!(code, 3, "{error}");
        assert!(error.contains("llm-proxy migrate"), "{error}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
    fs::write(folder.path().join("llm-proxy.db"), "this is no database, it only has the name of one".repeat(100))
        .unwrap();
    let (code, _, error) = Process::output(&folder, &["rekey"], &[ENCRYPTION_KEY]);
    assert_eq!(code, 3, "{error}");
}

#[test]
fn a_postgresql_database_is_rekeyed() {
    let (folder, server) = (tempdir().unwrap(), Postgres::shared());
    let name = server.create_database();
    let url = server.url(&name);
    let run = |arguments: &[&str]| Process::output(&folder, arguments, &[ENCRYPTION_KEY, ("DB_URL", &url)]);
    assert_eq!(run(&["migrate"]).0, 0);
    server.execute(
        &name,
        "INSERT INTO providers (provider_key, provider_type, api_base, api_key) VALUES
         ('plain', 'openai', 'http://h', 'sk-plain'), ('lost', 'openai', 'http://h', 'enc:v1:00000000:AAAA')",
    );
    for (arguments, done) in [(&["rekey", "--dry-run"][..], "would be re-encrypted"), (&["rekey"], "re-encrypted")] {
        let (code, out, error) = run(arguments);
        assert_eq!(code, 1, "{out}{error}");
        assert!(out.starts_with(&format!("1 provider keys and 1 history entries {done}\n")), "{out}");
        assert!(error.contains("lost") && !error.contains("plain"), "{error}");
    }
    let keys = "SELECT api_key || COALESCE(before::text, '') || COALESCE(after::text, '')
                FROM providers, config_changes WHERE entity_id = providers.id";
    let keys = server.texts(&name, keys);
    assert!(keys.len() == 3 && keys.iter().all(|text| !text.contains("sk-plain")), "{keys:?}");
    server.execute(&name, "DELETE FROM providers WHERE provider_key = 'lost'");
    let (code, out, error) = run(&["rekey"]);
    assert_eq!((code, error.as_str()), (0, ""));
    assert!(out.starts_with("0 provider keys and 0 history entries re-encrypted\n"), "{out}");
}

#[test]
fn a_start_warns_of_plain_keys_only_while_there_is_no_encryption_key() {
    let started = |variables: &[(&str, &str)]| {
        let folder = tempdir().unwrap();
        let (process, _) = Process::serve(&folder, variables);
        process.signal("INT");
        let log = process.wait().1;
        let warnings = log.lines().filter(|line| line.contains("\"level\":\"warn\"")).map(str::to_owned);
        warnings.collect::<Vec<_>>()
    };
    let server = Postgres::shared();
    let url = server.url(&server.create_database());
    for (variables, place) in [(&[][..], "in the database file"), (&[("DB_URL", url.as_str())], "in PostgreSQL")] {
        let warnings = started(variables);
        let [warning] = warnings.as_slice() else { panic!("{warnings:?}") };
        assert!(warning.contains("ENCRYPTION_KEY is not set") && warning.contains(place), "{warning}");
        let with_key: Vec<_> = variables.iter().copied().chain([ENCRYPTION_KEY]).collect();
        assert_eq!(started(&with_key), [""; 0]);
    }
}

#[test]
fn a_postgresql_server_that_cannot_be_used_is_told_without_the_password() {
    let folder = tempdir().unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let urls = [
        format!("postgres://ann:hunter2@127.0.0.1:{closed}/db"),
        format!("postgres://ann:hunter2@127.0.0.1:{}/nowhere", Postgres::shared().port()),
        "postgres://ann:hunter2@127.0.0.1/db?sslmode=perhaps".to_owned(),
    ];
    for url in &urls {
        for command in ["check", "migrate"] {
            let variables = [("ADMIN_KEY", ADMIN_KEY), ("DB_URL", url.as_str())];
            let (code, _, error) = Process::output(&folder, &[command], &variables);
            assert_eq!(code, 3, "{command}: {error}");
            assert!(error.contains("database") && !error.contains("hunter2"), "{command}: {error}");
        }
    }
}

#[test]
fn health_tells_whether_the_server_of_the_same_settings_takes_requests() {
    let folder = tempdir().unwrap();
    let (process, address) = Process::serve(&folder, &[("SHUTDOWN_DELAY_SECS", "20")]);
    let port = address.port().to_string();
    let health = || Process::output(&folder, &["health"], &[("PORT", &port), ("HOST", "127.0.0.1")]);
    let (code, out, error) = health();
    assert_eq!((code, out.contains("\"ready\"")), (0, true), "{out}{error}");
    process.signal("TERM");
    process.wait_for("stopping");
    // It still serves, but wants no more.
    let (code, out, error) = health();
    assert_eq!((code, out.contains("\"draining\"")), (1, true), "{out}{error}");
    drop(process);
    assert_eq!(health().0, 1, "nobody is there");
    assert_eq!(Process::output(&folder, &["health"], &[("PORT", "http")]).0, 2);
}

#[test]
fn a_port_that_is_taken_ends_with_code_1() {
    let folder = tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let variables = [("ADMIN_KEY", ADMIN_KEY), ("HOST", "127.0.0.1"), ("PORT", port.as_str())];
    let (code, _, error) = Process::output(&folder, &["serve"], &variables);
    assert_eq!(code, 1, "{error}");
    assert!(error.contains(&port), "{error}");
}

#[test]
fn the_openapi_document_is_printed() {
    let folder = tempdir().unwrap();
    let (code, out, error) = Process::output(&folder, &["openapi"], &[]);
    assert_eq!(code, 0, "{error}");
    let document: Value = serde_json::from_str(&out).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    for path in ["/admin/v1/providers", "/admin/v1/credentials/{id}"] {
        assert!(document["paths"].get(path).is_some(), "{path} is not described");
    }
}

#[test]
fn the_mock_runs_alone() {
    let folder = tempdir().unwrap();
    let process = Process::start(&folder, &["mock", "--port", "0", "--pace-ms", "0"], &[]);
    let line = process.wait_for("http://");
    let address = line.split("http://").nth(1).unwrap().split('/').next().unwrap().parse().unwrap();
    let mut connection = Connection::open(address);
    for body in [hello("mock"), hello_stream("mock")] {
        let answer = connection.ask("POST", "/v1/chat/completions", &[], body.to_string().as_bytes());
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    drop(connection);
    process.signal("INT");
    assert!(process.wait().0.success());
}

#[test]
fn each_log_line_is_a_json_object_when_asked() {
    let folder = tempdir().unwrap();
    let (process, address) = Process::serve(&folder, &[("LOG_LEVEL", "debug")]);
    Connection::open(address).ask("GET", "/health", &[], b"");
    process.signal("INT");
    let (status, log) = process.wait();
    assert!(status.success());
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for member in ["time", "level", "target", "message"] {
            assert!(line[member].is_string(), "{line}");
        }
    }
    assert!(log.contains(&json!("stopped").to_string()));
}
