//! The command line: one file per command that does more than call one function.
//!
//! Exit codes: 0 ok, 1 run-time failure, 2 wrong settings or usage, 3 database or migration.

mod check;
mod demo;
mod health;
mod logger;
mod rekey;
mod serve;

use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::settings::{DatabaseSettings, ProcessEnv, SettingError, Settings, load_env_file};
use crate::store::{self, StoreError};
use crate::{api, mock};

/// One address for every LLM provider.
#[derive(Debug, Parser)]
#[command(name = "llm-proxy", version = env!("LLM_PROXY_VERSION"), about, disable_help_subcommand = true)]
struct Arguments {
    /// File with NAME=value lines; never overrides the environment [default: .env, if present]
    #[arg(long, global = true, value_name = "PATH")]
    env_file: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server (the default)
    Serve,
    /// Run proxy and mock provider with a temporary database and print curl lines to paste
    Demo {
        /// Port of the proxy on loopback; 0 picks a free one
        #[arg(long, default_value_t = 18_000)]
        port: u16,
    },
    /// Run the mock provider alone: all three protocols, any key
    Mock {
        /// Address to listen on
        #[arg(long, default_value = "127.0.0.1")]
        host: String,
        /// Port to listen on; 0 picks a free one
        #[arg(long, default_value_t = 18_001)]
        port: u16,
        /// Milliseconds between the words of a stream
        #[arg(long, default_value_t = 20, value_name = "MS")]
        pace_ms: u64,
    },
    /// Apply the database migrations
    Migrate,
    /// Seal all secrets in the database with ENCRYPTION_KEY; ENCRYPTION_KEY_OLD opens older ones
    Rekey {
        /// Only tell what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Ask the server of the same settings whether it takes requests
    Health,
    /// Print the OpenAPI document
    Openapi,
    /// Check settings, database, schema and rows; change nothing
    Check,
}

/// Why a command failed, and the exit code that says so.
#[derive(Debug)]
struct Failed {
    code: u8,
    message: String,
}

const RUN_TIME: u8 = 1;
const USAGE: u8 = 2;
const DATABASE: u8 = 3;

/// Runs the command that the process was started with.
#[must_use]
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // `--help` and `--version` come this way, too, with exit code 0.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(USAGE));
        }
    };
    match dispatch(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            say(std::io::stderr(), &failed.message);
            ExitCode::from(failed.code)
        }
    }
}

fn dispatch(arguments: Arguments) -> Result<(), Failed> {
    let env = || load_env_file(arguments.env_file.as_deref()).map_err(|message| Failed { code: USAGE, message });
    match arguments.command.unwrap_or(Command::Serve) {
        Command::Serve => serve::serve(settings(&env()?)?),
        Command::Demo { port } => demo::demo(port),
        Command::Mock { host, port, pace_ms } => run_mock(host, port, pace_ms),
        Command::Migrate => migrate(&database_settings(&env()?)?),
        Command::Rekey { dry_run } => rekey::rekey(&database_settings(&env()?)?, dry_run),
        Command::Health => health::health(Settings::parse_listener(&env()?).map_err(|wrong| usage(&wrong))?),
        Command::Openapi => {
            let document = api::openapi().to_pretty_json().map_err(run_time)?;
            say(std::io::stdout(), document);
            Ok(())
        }
        Command::Check => check::check(&env()?),
    }
}

fn settings(env: &ProcessEnv) -> Result<Settings, Failed> {
    Settings::parse(env).map_err(|wrong| usage(&wrong))
}

fn database_settings(env: &ProcessEnv) -> Result<DatabaseSettings, Failed> {
    Settings::parse_database(env).map_err(|wrong| usage(&wrong))
}

fn usage(wrong: &[SettingError]) -> Failed {
    let lines: Vec<String> = wrong.iter().map(|error| format!("  {error}")).collect();
    Failed { code: USAGE, message: format!("wrong settings:\n{}", lines.join("\n")) }
}

fn run_time(error: impl Display) -> Failed {
    Failed { code: RUN_TIME, message: error.to_string() }
}

fn database(error: &StoreError) -> Failed {
    Failed { code: DATABASE, message: format!("database: {error}") }
}

fn run_mock(host: String, port: u16, pace_ms: u64) -> Result<(), Failed> {
    let options = mock::Options { host, port, pace: Duration::from_millis(pace_ms), handle_signals: true };
    actix_web::rt::System::new().block_on(async {
        let bound = mock::bind(&options).map_err(run_time)?;
        say(std::io::stdout(), format!("mock provider on http://{}/v1 (any key)", bound.addr()));
        bound.run().await.map_err(run_time)
    })
}

fn migrate(settings: &DatabaseSettings) -> Result<(), Failed> {
    let migrate = async { store::connect(settings)?.prepare().await };
    let applied = serve::runtime()?.block_on(migrate).map_err(|error| database(&error))?;
    say(std::io::stdout(), format!("{applied} migrations applied"));
    Ok(())
}

/// Writes a line; a reader that has gone away is no failure of the command.
fn say(mut to: impl std::io::Write, line: impl Display) {
    let _ = writeln!(to, "{line}");
}
