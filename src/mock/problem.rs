//! Errors of the mock in the shapes of the protocols.

use serde_json::{Value, json};

/// Which family of headers and errors a route belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// OpenAI.
    OpenAi,
    /// Anthropic Messages.
    Messages,
}

/// An error answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// HTTP status.
    pub(super) status: u16,
    /// What happened, for people.
    pub(super) message: String,
    /// OpenAI's `code`.
    pub(super) code: Option<&'static str>,
    /// OpenAI's `param`.
    pub(super) param: Option<&'static str>,
}

impl Problem {
    /// The error that a `mock-status-<code>` model asks for.
    pub(super) fn asked(status: u16) -> Self {
        let code = match status {
            401 => Some("invalid_api_key"),
            402 => Some("insufficient_quota"),
            404 => Some("model_not_found"),
            429 => Some("rate_limit_exceeded"),
            _ => None,
        };
        let message = format!("The mock answers with status {status} because the model name asks for it.");
        Self { status, message, code, param: None }
    }

    /// A request the mock cannot read.
    pub(super) fn bad_request(message: String, code: &'static str, param: Option<&'static str>) -> Self {
        Self { status: 400, message, code: Some(code), param }
    }

    /// Whether the answer carries `Retry-After`.
    pub(super) fn may_be_retried(&self) -> bool {
        matches!(self.status, 429 | 503)
    }

    /// The error body in `shape`; Messages repeats the request id.
    pub(super) fn body(&self, shape: Shape, request_id: &str) -> Value {
        match shape {
            Shape::Messages => json!({
                "type": "error",
                "error": {"type": messages_type(self.status), "message": self.message},
                "request_id": request_id,
            }),
            Shape::OpenAi => json!({"error": {
                "message": self.message,
                "type": openai_type(self.status),
                "param": self.param,
                "code": self.code,
            }}),
        }
    }
}

fn openai_type(status: u16) -> &'static str {
    match status {
        402 => "insufficient_quota",
        403 => "permission_error",
        408 | 504 => "timeout_error",
        429 => "requests",
        500.. => "server_error",
        _ => "invalid_request_error",
    }
}

fn messages_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        408 | 504 => "timeout_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shape_carries_the_message_and_its_type() {
        let problem = Problem::asked(429);
        assert!(problem.may_be_retried());
        let openai = problem.body(Shape::OpenAi, "id-1");
        assert_eq!(openai["error"]["type"], "requests");
        assert_eq!(openai["error"]["code"], "rate_limit_exceeded");
        assert!(openai["error"]["message"].as_str().unwrap().contains("mock"));
        let messages = problem.body(Shape::Messages, "id-1");
        assert_eq!(messages["error"]["type"], "rate_limit_error");
        assert_eq!(messages["request_id"], "id-1");
    }
}
