//! Legacy completions and embeddings, the two OpenAI endpoints without messages.

use super::{
    chat::{choices, usage, wants_usage},
    exchange::{Protocol, Request, now, unique},
    frames::Frame,
    plan::{Answer, Facts},
    problem::Shape,
    text::{pieces, string, text_of, words},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

/// Numbers of an embedding when the request does not say how many.
const DIMENSIONS: u64 = 8;
/// Numbers of an embedding, at most.
const MOST_DIMENSIONS: u64 = 4096;

/// `POST /v1/completions`.
pub(super) struct Completions;

/// `POST /v1/embeddings`.
pub(super) struct Embeddings;

impl Protocol for Completions {
    const SHAPE: Shape = Shape::OpenAi;

    fn facts(body: &Value) -> Facts {
        let prompt = body.get("prompt").map(text_of).unwrap_or_default();
        Facts { prompt_tokens: words(&prompt), user_text: prompt, ..Facts::default() }
    }

    fn whole(request: &Request, answer: &Answer) -> Value {
        let choices = choices(&request.body);
        let answers = (0..choices).map(|index| choice(index, &answer.text, Some("stop")));
        let mut body = completion(request, &unique("cmpl-"), now(), answers.collect());
        add_usage(&mut body, answer.usage.map(|tokens| usage(&tokens, choices)));
        body
    }

    fn frames(request: &Request, answer: &Answer) -> Option<Vec<Frame>> {
        let (id, created, choices) = (unique("cmpl-"), now(), choices(&request.body));
        let tokens = answer.usage.filter(|_tokens| wants_usage(&request.body));
        let pending = tokens.map(|_later| Value::Null);
        let frame = |index, text: &str, finish| {
            let mut chunk = completion(request, &id, created, vec![choice(index, text, finish)]);
            add_usage(&mut chunk, pending.clone());
            Frame::data(&chunk)
        };
        let mut frames = Vec::new();
        for piece in pieces(&answer.text) {
            frames.extend((0..choices).map(|index| frame(index, piece, None).token_if(index == 0)));
        }
        frames.extend((0..choices).map(|index| frame(index, "", Some("stop"))));
        if let Some(tokens) = tokens {
            let mut last = completion(request, &id, created, Vec::new());
            add_usage(&mut last, Some(usage(&tokens, choices)));
            frames.push(Frame::data(&last));
        }
        frames.push(Frame::done());
        Some(frames)
    }
}

impl Protocol for Embeddings {
    const SHAPE: Shape = Shape::OpenAi;

    fn facts(body: &Value) -> Facts {
        let input = body.get("input").map(text_of).unwrap_or_default();
        Facts { prompt_tokens: words(&input), ..Facts::default() }
    }

    fn whole(request: &Request, answer: &Answer) -> Value {
        let dimensions = request.body.get("dimensions").and_then(Value::as_u64).unwrap_or(DIMENSIONS);
        let dimensions = dimensions.clamp(1, MOST_DIMENSIONS);
        let packed = string(&request.body, "encoding_format") == "base64";
        let data = inputs(request.body.get("input")).into_iter().enumerate().map(|(index, input)| {
            let vector = vector(&input.to_string(), dimensions);
            let embedding = if packed { json!(pack(&vector)) } else { json!(vector) };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        });
        let mut body = json!({"object": "list", "data": data.collect::<Vec<_>>(), "model": request.model});
        let usage = answer.usage.map(|usage| json!({"prompt_tokens": usage.prompt, "total_tokens": usage.prompt}));
        add_usage(&mut body, usage);
        body
    }

    fn frames(_request: &Request, _answer: &Answer) -> Option<Vec<Frame>> {
        None
    }
}

fn completion(request: &Request, id: &str, created: u64, choices: Vec<Value>) -> Value {
    json!({
        "id": id,
        "object": "text_completion",
        "created": created,
        "model": request.model,
        "system_fingerprint": "fp_mock",
        "choices": choices,
    })
}

fn choice(index: u64, text: &str, finish: Option<&str>) -> Value {
    json!({"index": index, "text": text, "logprobs": null, "finish_reason": finish})
}

fn add_usage(body: &mut Value, usage: Option<Value>) {
    if let (Some(usage), Some(fields)) = (usage, body.as_object_mut()) {
        fields.insert("usage".to_owned(), usage);
    }
}

/// The inputs to embed: a text or an array of token numbers is one, any other array is several.
fn inputs(input: Option<&Value>) -> Vec<&Value> {
    match input {
        Some(Value::Array(items)) if !items.iter().all(Value::is_number) => items.iter().collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    }
}

/// Numbers between -1 and 1 that depend on nothing but `input`.
fn vector(input: &str, dimensions: u64) -> Vec<f32> {
    let mix = |seed: u32, byte: u8| seed.wrapping_mul(16_777_619) ^ u32::from(byte);
    let mut seed = input.bytes().fold(2_166_136_261, mix);
    let mut number = |_index| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let high = u16::try_from(seed >> 16).unwrap_or(u16::MAX);
        f32::from(high) / f32::from(u16::MAX) * 2.0 - 1.0
    };
    (0..dimensions).map(&mut number).collect()
}

fn pack(vector: &[f32]) -> String {
    STANDARD.encode(vector.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::plan::Behaviour;

    fn asked<P: Protocol>(body: Value) -> (Request, Answer) {
        let model = body["model"].as_str().unwrap().to_owned();
        let answer = Answer::plan(&Behaviour::of(&model), &P::facts(&body));
        (Request { model, body }, answer)
    }

    #[test]
    fn a_completion_streams_the_text_of_the_whole_answer() {
        let (request, answer) = asked::<Completions>(json!({"model": "mock-echo", "prompt": "one two three"}));
        let whole = Completions::whole(&request, &answer);
        assert_eq!(whole["choices"][0]["text"], "one two three");
        assert_eq!(whole["usage"]["total_tokens"], 6);
        let frames = Completions::frames(&request, &answer).unwrap();
        assert_eq!(frames.iter().filter(|frame| frame.token).count(), 3);
        assert_eq!(frames.last(), Some(&Frame::done()));
    }

    #[test]
    fn embeddings_are_deterministic_and_of_the_size_asked_for() {
        let body = json!({"model": "mock", "input": ["a", "b", "a"], "dimensions": 5});
        let (request, answer) = asked::<Embeddings>(body);
        let whole = Embeddings::whole(&request, &answer);
        let of = |index: usize| whole["data"][index]["embedding"].as_array().unwrap().clone();
        assert_eq!(of(0).len(), 5);
        assert_eq!(of(0), of(2));
        assert_ne!(of(0), of(1));
        assert_eq!(whole["usage"], json!({"prompt_tokens": 3, "total_tokens": 3}));
    }

    #[test]
    fn base64_embeddings_hold_four_bytes_per_number() {
        let body = json!({"model": "mock", "input": [1, 2, 3], "encoding_format": "base64"});
        let (request, answer) = asked::<Embeddings>(body);
        let whole = Embeddings::whole(&request, &answer);
        assert_eq!(whole["data"].as_array().unwrap().len(), 1);
        let bytes = STANDARD.decode(whole["data"][0]["embedding"].as_str().unwrap()).unwrap();
        assert_eq!(bytes.len(), 32);
    }
}
