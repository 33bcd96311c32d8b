//! Makes cargo notice when the admin page was built anew: it is embedded by `src/api/ui.rs`. Tells the
//! code which commit it is built from.

use std::process::Command;

fn main() {
    // What does not exist counts as changed at every build. Where it cannot be made, it is not missed.
    let _ = std::fs::create_dir_all("frontend/build");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=frontend/build");
    println!("cargo:rerun-if-env-changed=LLM_PROXY_COMMIT");
    let commit = given().or_else(asked);
    if let Some(commit) = &commit {
        println!("cargo:rustc-env=LLM_PROXY_COMMIT={commit}");
    }
    let commit = commit.as_deref().unwrap_or("unknown");
    println!("cargo:rustc-env=LLM_PROXY_VERSION={} (commit {commit})", env!("CARGO_PKG_VERSION"));
}

#[expect(clippy::disallowed_methods, reason = "a build script is told by its environment, settings are not there yet")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// What a build without a repository, as that of the image, is told.
fn given() -> Option<String> {
    variable("LLM_PROXY_COMMIT")
        .filter(|commit| commit.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'))
}

/// What git says. Only for releases: a debug build is not made anew for each commit.
fn asked() -> Option<String> {
    variable("PROFILE").filter(|profile| profile == "release")?;
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    println!("cargo:rerun-if-changed={log}");
    git(&["rev-parse", "--short=12", "HEAD"])
}

/// What git answers; nothing where there is no git, no repository or no commit.
fn git(arguments: &[&str]) -> Option<String> {
    let done = Command::new("git").args(arguments).output().ok().filter(|done| done.status.success())?;
    String::from_utf8(done.stdout).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}
