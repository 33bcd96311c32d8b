//! The llm-proxy binary: reads the command line and runs a command.

use std::process::ExitCode;

/// Memory that one thread gives back another can use again: snapshots are made on the actors'
/// thread and dropped on workers, which makes glibc's arenas grow for as long as changes come.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    llm_proxy::cli::run()
}
