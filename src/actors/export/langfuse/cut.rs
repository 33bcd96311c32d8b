//! Keeping what was asked and answered within Langfuse's bounds.

use serde_json::{Value, json};

/// Most bytes of an input or an output, as JSON.
pub(super) const MOST: usize = 256 * 1024;

/// Most bytes of each text of an input that is too large, one after the other until it fits.
const TEXTS: [usize; 8] = [128 << 10, 64 << 10, 32 << 10, 16 << 10, 8 << 10, 4 << 10, 2 << 10, 1 << 10];

/// `text` with at most `most` bytes before the mark that says how much was cut.
pub(super) fn text(mut text: String, most: usize) -> String {
    if text.len() > most {
        let cut = text.len() - text.floor_char_boundary(most);
        text.truncate(text.floor_char_boundary(most));
        text.push_str(&mark(cut));
    }
    text
}

/// What stands for what was cut.
pub(super) fn mark(bytes: usize) -> String {
    format!("…[llm-proxy cut {bytes} bytes]")
}

/// What stands for the rest of an answer that was not kept.
pub(super) fn mark_of_rest() -> String {
    "…[llm-proxy kept no more]".to_owned()
}

/// An output within [`MOST`] bytes of JSON.
pub(super) fn output(said: String) -> String {
    let escaped = |text: &str| size(&Value::String(text.to_owned()));
    let (mut most, mut fitting) = (MOST, said);
    while escaped(&fitting) > MOST {
        // Escapes may make it up to six times as long.
        most /= 2;
        fitting = text(fitting, most);
    }
    fitting
}

/// Messages within [`MOST`] bytes of JSON: long texts are cut first, such as images as data; then
/// messages are left out, the oldest but for the first, which is most often the instructions.
pub(super) fn messages(mut messages: Vec<Value>) -> Vec<Value> {
    for most in TEXTS {
        if sizes(&messages) <= MOST {
            return messages;
        }
        messages.iter_mut().for_each(|message| shorten(message, most));
    }
    if sizes(&messages) <= MOST {
        return messages;
    }
    // Room for brackets and the mark.
    let mut room = MOST - 1024;
    let mut rest = messages.into_iter();
    let first = rest.next().filter(|first| size(first) < room / 2);
    room -= first.as_ref().map_or(0, |first| size(first) + 1);
    let mut newest: Vec<Value> = rest.collect();
    let all = newest.len();
    let mut from = all;
    for message in newest.iter().rev() {
        let Some(left) = room.checked_sub(size(message) + 1) else { break };
        room = left;
        from -= 1;
    }
    let left_out = json!({"role": "system", "content": format!("…[llm-proxy left out {from} messages]")});
    first.into_iter().chain([left_out]).chain(newest.split_off(from)).collect()
}

fn shorten(value: &mut Value, most: usize) {
    match value {
        Value::String(long) if long.len() > most => *long = text(std::mem::take(long), most),
        Value::Array(values) => values.iter_mut().for_each(|value| shorten(value, most)),
        Value::Object(members) => members.values_mut().for_each(|value| shorten(value, most)),
        _ => {}
    }
}

fn sizes(messages: &[Value]) -> usize {
    messages.iter().map(|message| size(message) + 1).sum::<usize>() + r#"{"messages":[]}"#.len()
}

/// How many bytes a value has as JSON.
fn size(value: &Value) -> usize {
    struct Counter(usize);
    impl std::io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    // A value always serialises, and the counter takes all.
    let _ = serde_json::to_writer(&mut counter, value);
    counter.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(content: impl Into<Value>) -> Value {
        json!({"role": "user", "content": content.into()})
    }

    #[test]
    fn what_fits_stays_as_it_is() {
        let short = vec![user("Hello"), user("a".repeat(MOST - 200))];
        assert_eq!(messages(short.clone()), short);
        assert_eq!(output("a".repeat(MOST - 2)), "a".repeat(MOST - 2));
    }

    #[test]
    fn long_texts_are_cut_between_characters_and_short_ones_stay() {
        let image = json!([{"type": "image_url", "image_url": {"url": "é".repeat(MOST)}}, {"type": "text", "text": "What is it?"}]);
        let cut = messages(vec![user("Be brief."), user(image)]);
        assert!(sizes(&cut) <= MOST);
        assert_eq!(cut[0], user("Be brief."));
        assert_eq!(cut[1]["content"][1]["text"], "What is it?");
        let url = cut[1]["content"][0]["image_url"]["url"].as_str().unwrap();
        assert!(url.ends_with(&mark(2 * MOST - (128 << 10))), "{}", &url[url.len() - 60..]);
        let said = output("é".repeat(MOST));
        assert!(said.len() <= MOST && said.contains("…[llm-proxy cut "), "{}", said.len());
        let escaped = output("\u{1}".repeat(MOST));
        assert!(size(&Value::String(escaped)) <= MOST);
    }

    #[test]
    fn of_very_many_messages_the_first_and_the_newest_stay() {
        let many: Vec<Value> = (0..20_000).map(|number| user(format!("message number {number}"))).collect();
        let cut = messages(many);
        assert!(sizes(&cut) <= MOST && cut.len() > 3000, "{}", cut.len());
        assert_eq!(cut[0], user("message number 0"));
        assert!(cut[1]["content"].as_str().unwrap().contains("left out"), "{}", cut[1]);
        assert_eq!(cut.last().unwrap(), &user("message number 19999"));
        // One that is made of very many small things cannot be shortened.
        let numbers = vec![user("first"), user(Value::from(vec![1; MOST])), user("last")];
        assert_eq!(messages(numbers).len(), 3);
    }
}
