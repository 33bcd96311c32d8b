//! Which program a client is, for metrics and logs.

/// Parts of a `User-Agent` in lower case and the name they stand for; the first hit counts.
const CLIENTS: [(&str, &str); 36] = [
    ("claude-cli", "claude-code"),
    ("claude-code", "claude-code"),
    ("kilo-code", "kilo-code"),
    ("codex_cli_rs", "codex-cli"),
    ("codex_vscode", "codex-vscode"),
    ("codex", "codex"),
    ("ai-sdk/openai-compatible", "ai-sdk-openai"),
    ("ai-sdk/anthropic", "ai-sdk-anthropic"),
    ("ai-sdk", "ai-sdk"),
    ("openai/js", "openai-js"),
    ("openai/python", "openai-python"),
    ("openai-python", "openai-python"),
    ("openai-node", "openai-node"),
    ("openai/", "openai-sdk"),
    // Behind every `openai/`, which holds it.
    ("ai/", "ai-sdk"),
    ("anthropic", "anthropic-sdk"),
    ("opencode", "opencode"),
    ("cursor", "cursor"),
    ("copilot", "copilot"),
    ("continue", "continue"),
    ("aider", "aider"),
    ("cline", "cline"),
    ("langchain", "langchain"),
    ("llama-index", "llama-index"),
    ("llamaindex", "llama-index"),
    ("apifox", "apifox"),
    ("postmanruntime", "postman"),
    ("insomnia", "insomnia"),
    ("python-httpx", "python-httpx"),
    ("python-requests", "python-requests"),
    ("httpx", "httpx"),
    ("axios", "axios"),
    ("node-fetch", "node-fetch"),
    ("curl", "curl"),
    ("wget", "wget"),
    ("mozilla", "browser"),
];

/// The bounded name of the program behind a `User-Agent`.
pub(super) fn client_name(user_agent: &str) -> &'static str {
    if user_agent.trim().is_empty() {
        return "unknown";
    }
    let user_agent = user_agent.to_ascii_lowercase();
    CLIENTS.iter().find(|(part, _)| user_agent.contains(part)).map_or("other", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_known_part_names_the_client() {
        for (user_agent, name) in [
            ("claude-cli/2.0 (external, cli)", "claude-code"),
            ("OpenAI/Python 2.54.0", "openai-python"),
            ("AsyncOpenAI/Python 2.54.0", "openai-python"),
            ("OpenAI/JS 6.1.0", "openai-js"),
            ("codex_cli_rs/0.9", "codex-cli"),
            ("ai/5.0 ai-sdk/anthropic/2.0", "ai-sdk-anthropic"),
            ("Anthropic/Python 2.12", "anthropic-sdk"),
            ("python-httpx/0.28", "python-httpx"),
            ("Mozilla/5.0", "browser"),
            ("curl/8", "curl"),
            (" ", "unknown"),
            ("my-app/1", "other"),
        ] {
            assert_eq!(client_name(user_agent), name, "{user_agent}");
        }
    }
}
