//! One request and its answer, the same way for every protocol.

use super::{
    Pace,
    faults::Fault,
    frames::Frame,
    plan::{Answer, Behaviour, Facts},
    problem::{Problem, Shape},
};
use actix_web::{
    HttpResponse, HttpResponseBuilder,
    http::{StatusCode, header::ContentType},
    web::{Bytes, Data},
};
use serde_json::Value;
use std::time::{SystemTime, UNIX_EPOCH};

/// Letters and digits after the prefix of an id.
const ID_LENGTH: usize = 24;

/// A request that was understood.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// The model asked for, repeated in the answer.
    pub(super) model: String,
    /// The whole body.
    pub(super) body: Value,
}

/// How one endpoint reads requests and writes answers.
pub(super) trait Protocol {
    /// Headers and errors.
    const SHAPE: Shape;

    /// What the plan needs to know of the request `body`.
    fn facts(body: &Value) -> Facts;

    /// The answer as one JSON body.
    fn whole(request: &Request, answer: &Answer) -> Value;

    /// The answer as frames; `None` where the endpoint cannot stream.
    fn frames(request: &Request, answer: &Answer) -> Option<Vec<Frame>>;
}

/// The handler of endpoint `P`.
pub(super) async fn serve<P: Protocol + 'static>(
    pace: Data<Pace>,
    body: Result<Bytes, actix_web::Error>,
) -> HttpResponse {
    let request_id = unique("req_mock_");
    let request = match Request::read(body) {
        Ok(request) => request,
        Err(problem) => return refuse(&problem, P::SHAPE, &request_id),
    };
    let behaviour = Behaviour::of(&request.model);
    if let Fault::Status(status) = behaviour.fault {
        return refuse(&Problem::asked(status), P::SHAPE, &request_id);
    }
    let answer = Answer::plan(&behaviour, &P::facts(&request.body));
    let head = head(StatusCode::OK, P::SHAPE, &request_id);
    let streamed = request.body.get("stream").and_then(Value::as_bool).unwrap_or(false);
    match streamed.then(|| P::frames(&request, &answer)).flatten() {
        Some(frames) => behaviour.fault.stream(head, frames, pace.0),
        None => behaviour.fault.whole(head, Bytes::from(P::whole(&request, &answer).to_string())).await,
    }
}

/// An id that nothing else has: `prefix` and 24 letters and digits.
pub(super) fn unique(prefix: &str) -> String {
    let mut random = uuid::Uuid::new_v4().simple().to_string();
    random.truncate(ID_LENGTH);
    format!("{prefix}{random}")
}

/// The time, in seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs())
}

/// The error `problem` as an answer.
pub(super) fn refuse(problem: &Problem, shape: Shape, request_id: &str) -> HttpResponse {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::BAD_REQUEST);
    let mut head = head(status, shape, request_id);
    if problem.may_be_retried() {
        head.insert_header(("retry-after", "1"));
    }
    head.content_type(ContentType::json()).body(problem.body(shape, request_id).to_string())
}

fn head(status: StatusCode, shape: Shape, request_id: &str) -> HttpResponseBuilder {
    let mut head = HttpResponse::build(status);
    head.insert_header(("x-request-id", request_id));
    if shape == Shape::Messages {
        head.insert_header(("request-id", request_id));
    }
    head
}

impl Request {
    fn read(body: Result<Bytes, actix_web::Error>) -> Result<Self, Problem> {
        let body = body.map_err(|error| Problem {
            status: error.as_response_error().status_code().as_u16(),
            message: format!("The mock could not read the body: {error}."),
            code: None,
            param: None,
        })?;
        let body: Value = serde_json::from_slice(&body).map_err(|error| {
            Problem::bad_request(format!("The mock was not given JSON: {error}."), "invalid_json", None)
        })?;
        let model = body.get("model").and_then(Value::as_str).filter(|model| !model.is_empty());
        let Some(model) = model.map(str::to_owned) else {
            let message = "The mock needs a model.".to_owned();
            return Err(Problem::bad_request(message, "missing_required_parameter", Some("model")));
        };
        Ok(Self { model, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &'static str) -> Result<String, (u16, Option<&'static str>)> {
        let read = Request::read(Ok(Bytes::from_static(body.as_bytes())));
        read.map(|request| request.model).map_err(|problem| (problem.status, problem.code))
    }

    #[test]
    fn a_request_needs_json_and_a_model() {
        assert_eq!(read(r#"{"model":"mock"}"#), Ok("mock".to_owned()));
        assert_eq!(read("{"), Err((400, Some("invalid_json"))));
        assert_eq!(read("[]"), Err((400, Some("missing_required_parameter"))));
        assert_eq!(read(r#"{"model":""}"#), Err((400, Some("missing_required_parameter"))));
    }

    #[test]
    fn ids_are_unique_and_of_one_length() {
        let (one, two) = (unique("call_"), unique("call_"));
        assert_ne!(one, two);
        assert_eq!(one.len(), "call_".len() + ID_LENGTH);
    }
}
