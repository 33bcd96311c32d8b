//! What a model has said so far, kept for the case that somebody has to count it.
//!
//! Forwarding does not decode: a text is found by a look at the few bytes around it, kept as it
//! is spelled, and read only when it is counted.

use memchr::memmem::Finder;
use memchr::{memchr2, memmem};

use crate::chat::Countable;

/// Bytes of text that are kept of one answer; what goes beyond them counts by its length.
const MOST_BYTES: usize = 1 << 20;
/// Choices that are kept apart, so that words that come in turns stay whole.
const MOST_CHOICES: usize = 16;

/// What a model has said so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    spelling: Spelling,
    /// A text for each choice.
    texts: Vec<(u64, Vec<u8>)>,
    kept: usize,
    unread: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Spelling {
    #[default]
    Plain,
    /// As it stands between the quotes of a JSON string.
    Json,
}

impl Heard {
    /// Nothing yet; what comes is spelled as between the quotes of JSON strings.
    pub(in crate::codec) const fn json() -> Self {
        Self { spelling: Spelling::Json, texts: Vec::new(), kept: 0, unread: 0 }
    }

    /// Takes in a piece of what a choice says.
    pub fn hear(&mut self, choice: u64, piece: &[u8]) {
        if piece.is_empty() {
            return;
        }
        if self.kept.saturating_add(piece.len()) > MOST_BYTES {
            self.unread = self.unread.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
            return;
        }
        self.kept += piece.len();
        let place = self.texts.iter().position(|(known, _)| *known == choice);
        let is_full = self.texts.len() >= MOST_CHOICES;
        let text = match place {
            Some(place) => self.texts.get_mut(place),
            None if is_full => self.texts.last_mut(),
            None => {
                self.texts.push((choice, Vec::with_capacity(256)));
                self.texts.last_mut()
            }
        };
        if let Some((_, text)) = text {
            text.extend_from_slice(piece);
        }
    }

    /// Takes in the texts that an event's member holds, [`texts_of`].
    pub(in crate::codec) fn hear_member(&mut self, data: &[u8], member: &Finder<'_>, is_text: fn(&[u8]) -> bool) {
        texts_of(data, member, is_text, |text| self.hear(0, text));
    }
}

impl From<Heard> for Countable {
    fn from(heard: Heard) -> Self {
        let read = |text: Vec<u8>| {
            let text =
                String::from_utf8(text).unwrap_or_else(|odd| String::from_utf8_lossy(odd.as_bytes()).into_owned());
            match heard.spelling {
                Spelling::Plain => text,
                // Half of a character that stands alone cannot be read; it is counted as spelled.
                Spelling::Json => serde_json::from_str(&format!("\"{text}\"")).unwrap_or(text),
            }
        };
        let texts = heard.texts.into_iter().map(|(_, text)| read(text)).collect();
        Self { texts, unread: heard.unread, ..Self::default() }
    }
}

/// The texts that the member of an event holds that `member` finds by its quoted name: it is a
/// text itself, or an object, some of whose members are. Texts are given as spelled between
/// their quotes; what stands behind an array or another object is not looked at.
///
/// Within a text the quotes of the name would be escaped, so it is found where it is a name, or
/// not at all.
fn texts_of<'d>(data: &'d [u8], member: &Finder<'_>, is_text: fn(&[u8]) -> bool, mut each: impl FnMut(&'d [u8])) {
    let Some(at) = member.find(data) else {
        return;
    };
    let mut scan = Scan(data.get(at + member.needle().len()..).unwrap_or_default());
    if !scan.eat(b':') {
        return;
    }
    if scan.eat(b'"') {
        return scan.string().into_iter().for_each(each);
    }
    let mut goes_on = scan.eat(b'{');
    while goes_on && scan.eat(b'"') {
        let Some(name) = scan.string().filter(|_| scan.eat(b':')) else {
            return;
        };
        if scan.eat(b'"') {
            let text = scan.string();
            text.filter(|_| is_text(name)).into_iter().for_each(&mut each);
        } else {
            scan.skip_plain();
        }
        goes_on = scan.eat(b',');
    }
}

/// A look at JSON, piece by piece.
struct Scan<'d>(&'d [u8]);

impl<'d> Scan<'d> {
    /// Takes this byte, and the white space before it, if it comes next.
    fn eat(&mut self, byte: u8) -> bool {
        let rest = self.0.trim_ascii_start();
        match rest.split_first() {
            Some((first, tail)) if *first == byte => {
                self.0 = tail;
                true
            }
            _ => false,
        }
    }

    /// The rest of a string and its closing quote.
    fn string(&mut self) -> Option<&'d [u8]> {
        let mut end = 0;
        loop {
            let rest = self.0.get(end..)?;
            let found = memchr2(b'"', b'\\', rest)?;
            end += found;
            if rest.get(found) == Some(&b'"') {
                let text = self.0.get(..end);
                self.0 = self.0.get(end + 1..)?;
                return text;
            }
            end += 2;
        }
    }

    /// Takes a number or a word.
    fn skip_plain(&mut self) {
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-. ".contains(byte);
        let end = self.0.iter().position(|byte| !is_plain(byte)).unwrap_or(self.0.len());
        self.0 = self.0.get(end..).unwrap_or_default();
    }
}

/// Finds a member by its name, quotes included.
pub(in crate::codec) fn finder(quoted: &'static str) -> Finder<'static> {
    memmem::Finder::new(quoted)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::chat::{Operation, Protocol};
    use crate::codec::{self, Peek};
    use crate::sse::Parser;

    fn texts(data: &str) -> Vec<String> {
        let mut all = Vec::new();
        let is_text = |name: &[u8]| matches!(name, b"text" | b"thinking");
        texts_of(data.as_bytes(), &finder("\"delta\""), is_text, |text| {
            all.push(String::from_utf8(text.to_vec()).unwrap());
        });
        all
    }

    #[test]
    fn a_text_is_found_in_its_member_however_it_is_written() {
        for (data, want) in [
            (r#"{"type":"x.delta","delta":"Hi \"you\" \\","n":1}"#, &[r#"Hi \"you\" \\"#][..]),
            (r#"{"delta" : { "type" : "text_delta" , "text" : "a" } }"#, &["a"]),
            (r#"{"delta":{"n":-1.5e3,"t":true,"z":null,"text":"a","thinking":"b"}}"#, &["a", "b"]),
            (r#"{"delta":{"citation":{"text":"no"},"text":"not reached"}}"#, &[]),
            (r#"{"delta":{"type":"signature_delta","signature":"text"}}"#, &[]),
            (r#"{"text":"a \"delta\":\"b\""}"#, &[]),
            (r#"{"delta":{}}"#, &[]),
            (r#"{"delta":[]}"#, &[]),
            (r#"{"delta":"cut"#, &[]),
            (r#"{"delta":{"text":"cut \"#, &[]),
            (r#"{"delta""#, &[]),
            ("", &[]),
        ] {
            assert_eq!(texts(data), want, "{data}");
        }
    }

    #[test]
    fn choices_are_kept_apart_and_escapes_are_read_across_pieces() {
        let mut heard = Heard::json();
        for (choice, piece) in [(0, r"Hel"), (1, "Bon"), (0, r"lo \ud83e"), (1, "jour"), (0, r"\udd80\n")] {
            heard.hear(choice, piece.as_bytes());
        }
        assert_eq!(Countable::from(heard).texts, ["Hello 🦀\n", "Bonjour"]);
        let mut plain = Heard::default();
        plain.hear(0, br"a\n");
        assert_eq!(Countable::from(plain).texts, [r"a\n"]);
        let mut broken = Heard::json();
        broken.hear(0, br"\ud83e alone");
        assert_eq!(Countable::from(broken).texts, [r"\ud83e alone"]);
    }

    /// What is kept of a stream that is forwarded.
    fn heard(protocol: Protocol, operation: Operation, events: &[(&str, &str)]) -> Vec<String> {
        let include_usage = false;
        let peek = Peek { model: "m".to_owned(), model_span: 0..0, stream: true, include_usage, stream_options: None };
        let mut stream = codec::verbatim(protocol, operation).forward_stream(&peek, "r");
        let (mut parser, mut out) = (Parser::new(1 << 20), BytesMut::new());
        for (name, data) in events {
            let name = if name.is_empty() { String::new() } else { format!("event: {name}\n") };
            parser.feed(format!("{name}data: {data}\n\n").as_bytes());
            stream.forward(&parser.next_frame().unwrap().unwrap(), &mut out).unwrap();
        }
        Countable::from(stream.said()).texts
    }

    #[test]
    fn chat_is_heard_in_every_field_and_choice() {
        let chunk = |delta: &str| {
            format!(r#"{{"choices":[{{"index":0,"delta":{delta}}},{{"index":1,"delta":{{"content":"."}}}}]}}"#)
        };
        let said = [
            r#"{"role":"assistant","content":""}"#,
            r#"{"reasoning_content":"Hm\n","reasoning":"Hm\n","reasoning_details":[{"type":"reasoning.text","text":"Hm\n"}]}"#,
            r#"{"reasoning_details":[{"type":"reasoning.text","text":"so "}]}"#,
            r#"{"content":"Hi \"you\" "}"#,
            r#"{"refusal":"no "}"#,
            r#"{"tool_calls":[{"index":0,"id":"c","function":{"name":"get ","arguments":"{\"a\":1} "}}]}"#,
            r#"{"tool_calls":[{"index":1,"id":"d","custom":{"name":"run ","input":"ls "}}]}"#,
            r#"{"function_call":{"name":"old"}}"#,
        ]
        .map(chunk);
        let events: Vec<(&str, &str)> = said.iter().map(|data| ("", data.as_str())).collect();
        let texts = heard(Protocol::OpenAiChat, Operation::Generate, &events);
        // The second choice speaks first.
        assert_eq!(texts, ["........", "Hm\nso Hi \"you\" no get {\"a\":1} run ls old"]);
        let text = [("", r#"{"choices":[{"index":0,"text":"a"}]}"#), ("", r#"{"choices":[{"index":0,"text":"\nb"}]}"#)];
        assert_eq!(heard(Protocol::OpenAiChat, Operation::Completions, &text), ["a\nb"]);
    }

    #[test]
    fn messages_are_heard_before_and_after_their_first_content() {
        let events = [
            (
                "message_start",
                r#"{"type":"message_start","message":{"model":"x","content":[],"usage":{"input_tokens":1}}}"#,
            ),
            (
                "content_block_start",
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
            ),
            (
                "content_block_delta",
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm\n"}}"#,
            ),
            (
                "content_block_delta",
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"c2ln"}}"#,
            ),
            ("content_block_stop", r#"{"type":"content_block_stop","index":0}"#),
            ("ping", r#"{"type":"ping"}"#),
            (
                "content_block_delta",
                r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Hi \"you\" "}}"#,
            ),
            ("", r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"there "}}"#),
            (
                "content_block_start",
                r#"{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"t","name":"get","input":{}}}"#,
            ),
            (
                "content_block_delta",
                r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"a\""}}"#,
            ),
            (
                "content_block_delta",
                r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":":1}"}}"#,
            ),
            (
                "message_delta",
                r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":9}}"#,
            ),
        ];
        let texts = heard(Protocol::Anthropic, Operation::Generate, &events);
        assert_eq!(texts, ["Hm\nHi \"you\" there get{\"a\":1}"]);
    }

    #[test]
    fn responses_are_heard_in_their_deltas_and_only_there() {
        let events = [
            ("response.created", r#"{"type":"response.created","response":{"id":"r","model":"x","output":[]}}"#),
            (
                "response.reasoning_summary_text.delta",
                r#"{"type":"response.reasoning_summary_text.delta","delta":"Hm\n"}"#,
            ),
            (
                "response.output_item.added",
                r#"{"type":"response.output_item.added","item":{"type":"message","role":"assistant","content":[]}}"#,
            ),
            (
                "response.output_text.delta",
                r#"{"type":"response.output_text.delta","item_id":"i","delta":"Hi \"you\" ","logprobs":[]}"#,
            ),
            ("", r#"{"type":"response.output_text.delta","item_id":"i","delta":"there ","obfuscation":"xyz"}"#),
            ("response.output_text.done", r#"{"type":"response.output_text.done","text":"Hi \"you\" there "}"#),
            (
                "response.output_item.done",
                r#"{"type":"response.output_item.done","item":{"type":"message","content":[{"type":"output_text","text":"Hi"}]}}"#,
            ),
            (
                "response.output_item.added",
                r#"{"type":"response.output_item.added","item":{"type":"function_call","arguments":"","name":"get"}}"#,
            ),
            (
                "response.function_call_arguments.delta",
                r#"{"type":"response.function_call_arguments.delta","delta":"{\"a\":1}"}"#,
            ),
            ("response.audio.delta", r#"{"type":"response.audio.delta","delta":"UklGRg=="}"#),
        ];
        let texts = heard(Protocol::OpenAiResponses, Operation::Generate, &events);
        assert_eq!(texts, ["Hm\nHi \"you\" there get{\"a\":1}"]);
    }

    #[test]
    fn the_memory_of_one_answer_is_bounded() {
        let mut heard = Heard::default();
        for _ in 0..3000 {
            heard.hear(0, &[b'a'; 1000]);
        }
        for choice in 0..1000 {
            heard.hear(choice, b"b");
        }
        let countable = Countable::from(heard);
        let kept: usize = countable.texts.iter().map(String::len).sum();
        assert!(kept <= MOST_BYTES && countable.texts.len() <= MOST_CHOICES, "{kept}");
        assert_eq!(u64::try_from(kept).unwrap() + countable.unread, 3_001_000);
    }
}
