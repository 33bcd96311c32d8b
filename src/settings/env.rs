//! Where variables come from.

use std::collections::HashMap;
use std::path::Path;

/// A source of variables; tests pass a map.
pub trait Env {
    /// The value of `name`, `None` when it is not set.
    fn get(&self, name: &str) -> Option<String>;
}

impl Env for HashMap<String, String> {
    fn get(&self, name: &str) -> Option<String> {
        Self::get(self, name).cloned()
    }
}

/// The environment of this process, with a file of defaults behind it.
#[derive(Debug, Default)]
pub struct ProcessEnv {
    file: HashMap<String, String>,
}

impl Env for ProcessEnv {
    fn get(&self, name: &str) -> Option<String> {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that reads it")]
        std::env::var_os(name)
            .map(|value| value.to_string_lossy().into_owned())
            .or_else(|| self.file.get(name).cloned())
    }
}

/// The process environment over the variables of an env file. `None` looks for `.env` in the
/// working directory, which may be missing.
///
/// # Errors
/// When the file cannot be read or is not of the form `NAME=value`.
pub fn load_env_file(path: Option<&Path>) -> Result<ProcessEnv, String> {
    let fallback = Path::new(".env");
    let chosen = path.unwrap_or(fallback);
    // Asked for by its content, not by `exists`, so that an unreadable file is an error.
    let entries = match dotenvy::from_path_iter(chosen) {
        Ok(entries) => entries,
        Err(error) if path.is_none() && error.not_found() => return Ok(ProcessEnv::default()),
        Err(error) => return Err(format!("{}: {error}", chosen.display())),
    };
    let mut file = HashMap::new();
    for entry in entries {
        // The error would repeat the line, which may hold a secret.
        let (name, value) =
            entry.map_err(|_error| format!("{}: a line is not of the form NAME=value", chosen.display()))?;
        file.insert(name, value);
    }
    Ok(ProcessEnv { file })
}
