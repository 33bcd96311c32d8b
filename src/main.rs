//! The llm-proxy binary: reads the command line and runs a command.

use std::process::ExitCode;

fn main() -> ExitCode {
    llm_proxy::cli::run()
}
