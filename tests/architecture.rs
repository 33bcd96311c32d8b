//! The rules of ARCHITECTURE.md that a compiler does not keep.
#![expect(clippy::unwrap_used, reason = "a test that cannot read the sources shall fail")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A module may import only modules of strictly lower rank; hence there are no cycles.
const RANKS: [(&str, u8); 16] = [
    ("chat", 0),
    ("sse", 0),
    ("settings", 0),
    ("telemetry", 0),
    ("tls", 0),
    ("mock", 0),
    ("codec", 1),
    ("config", 1),
    ("store", 2),
    ("upstream", 2),
    ("actors", 3),
    ("proxy", 4),
    ("api", 5),
    ("server", 6),
    ("cli", 7),
    ("main", 8),
];

/// Each framework has its homes, modules or folders, and is named nowhere else.
const HOMES: [(&str, &[&str]); 14] = [
    ("actix_web", &["api", "server", "mock", "cli"]),
    ("actix_http", &["server"]),
    ("actix_server", &["server"]),
    ("socket2", &["server", "upstream"]),
    ("rlimit", &["cli"]),
    ("awc", &["upstream"]),
    ("actix_web_actors", &["api/live"]),
    ("actix", &["actors", "server", "api/live"]),
    ("diesel", &["store"]),
    ("diesel_async", &["store"]),
    ("tokio_postgres", &["store"]),
    ("prometheus", &["telemetry"]),
    ("governor", &["actors"]),
    ("redis", &["actors", "settings"]),
];

const LONGEST_FILE: usize = 500;

struct Source {
    path: PathBuf,
    /// The top-level module.
    module: String,
    text: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    files(&root)
        .into_iter()
        .map(|path| {
            let inside = path.strip_prefix(&root).unwrap();
            let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
            let module = first.trim_end_matches(".rs").to_owned();
            let text = fs::read_to_string(&path).unwrap();
            Source { path: inside.to_owned(), module, text }
        })
        .collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let rust = files.into_iter().filter(|path| path.extension().is_some_and(|end| end == "rs"));
    rust.chain(folders.iter().flat_map(|folder| self::files(folder))).collect()
}

/// Lines of code: no comments, and nothing behind `#[cfg(test)]`, since a test may look anywhere.
fn code(source: &Source) -> impl Iterator<Item = &str> {
    let product = source.text.split("#[cfg(test)]\nmod tests").next().unwrap();
    product.lines().map(str::trim).filter(|line| !line.starts_with("//"))
}

fn is_test(source: &Source) -> bool {
    let parts: Vec<&str> = source.path.iter().filter_map(|part| part.to_str()).collect();
    parts.iter().any(|part| matches!(*part, "tests" | "tests.rs" | "suite.rs"))
}

/// Words of `line` that follow `prefix`, cut at what cannot be part of a name.
fn names_after<'l>(line: &'l str, prefix: &'l str) -> impl Iterator<Item = &'l str> {
    line.match_indices(prefix).map(move |(at, _)| {
        let rest = &line[at + prefix.len()..];
        rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap()
    })
}

#[test]
fn a_module_imports_only_modules_of_lower_rank() {
    let ranks: BTreeMap<&str, u8> = RANKS.into_iter().collect();
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| source.module != "lib" && !is_test(source)) {
        let own = ranks.get(source.module.as_str()).unwrap_or_else(|| panic!("{} has no rank", source.module));
        for line in code(source) {
            for name in names_after(line, "crate::").filter(|name| *name != source.module) {
                let Some(rank) = ranks.get(name) else { continue };
                if rank >= own {
                    wrong.push(format!("{}: {line}", source.path.display()));
                }
            }
            // `use crate::{api, mock};` names modules without a path.
            if let Some(list) = line.strip_prefix("use crate::{") {
                let names = list.trim_end_matches("};").split(',').map(|name| name.trim().split("::").next().unwrap());
                wrong.extend(
                    names
                        .filter(|name| ranks.get(name).is_some_and(|rank| rank >= own))
                        .map(|name| format!("{}: {name}", source.path.display())),
                );
            }
        }
    }
    assert!(wrong.is_empty(), "imports against the ranks:\n{}", wrong.join("\n"));
}

#[test]
fn each_framework_stays_at_home() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| !is_test(source)) {
        for line in code(source) {
            for (framework, homes) in HOMES {
                let path = format!("{framework}::");
                let is_named = line.match_indices(&path).any(|(at, _)| {
                    let before = line[..at].chars().next_back();
                    before.is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '_' | ':' | '"'))
                });
                let is_home = homes.iter().any(|home| *home == source.module || source.path.starts_with(home));
                if is_named && !is_home {
                    wrong.push(format!("{}: {line}", source.path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "frameworks away from home:\n{}", wrong.join("\n"));
}

#[test]
fn no_protocol_names_another() {
    let protocols = ["openai_chat", "openai_responses", "openai_text", "anthropic"];
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| source.module == "codec") {
        let Some(own) = protocols.iter().find(|name| source.path.iter().any(|part| part == **name)) else {
            continue;
        };
        for line in code(source) {
            for other in protocols.iter().filter(|name| *name != own) {
                if line.contains(&format!("codec::{other}")) || line.contains(&format!("super::{other}")) {
                    wrong.push(format!("{}: {line}", source.path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "protocols that name each other:\n{}", wrong.join("\n"));
}

#[test]
fn a_file_is_one_idea() {
    let tests = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"));
    let all = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).into_iter().chain(tests);
    let long: Vec<String> = all
        .map(|path| (fs::read_to_string(&path).unwrap().lines().count(), path))
        .filter(|(lines, _)| *lines > LONGEST_FILE)
        .map(|(lines, path)| format!("{}: {lines} lines", path.display()))
        .collect();
    assert!(long.is_empty(), "files of more than {LONGEST_FILE} lines:\n{}", long.join("\n"));
}

#[test]
fn the_environment_is_read_in_one_place() {
    let wrong: Vec<String> = sources()
        .iter()
        .filter(|source| source.path != Path::new("settings/env.rs") && !is_test(source))
        .filter(|source| code(source).any(|line| line.contains("env::var")))
        .map(|source| source.path.display().to_string())
        .collect();
    assert!(wrong.is_empty(), "readers of the environment: {wrong:?}");
}

#[test]
fn every_setting_is_in_the_readme() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let sources = sources();
    let mut names = std::collections::BTreeSet::new();
    for source in sources.iter().filter(|source| source.module == "settings" && !is_test(source)) {
        for literal in code(source).flat_map(|line| line.split('"').skip(1).step_by(2)) {
            let is_name =
                literal.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
            if is_name && literal.len() > 3 {
                names.insert(literal);
            }
        }
    }
    assert!(names.contains("DB_URL") && names.len() > 60, "{names:?}");
    let is_there = |name: &str| ["`", "="].iter().any(|end| readme.contains(&format!("`{name}{end}")));
    let missing: Vec<&&str> = names.iter().filter(|name| !is_there(name)).collect();
    assert!(missing.is_empty(), "not in README.md: {missing:?}");
}
