//! Walking over a JSON object without reading its values.
//!
//! A body is looked at once to its end, to know that it is JSON and where its members stand. It may
//! hold a prompt of megabytes, most of it text within strings, so those are walked over many bytes
//! at a time.

/// Deeper values are left to a reader with a stack.
const DEEPEST: u32 = 128;

/// The same byte in each place of a word.
const fn each(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// A place in a text.
struct Walk<'b> {
    text: &'b str,
    at: usize,
}

/// What the values around a place are, the innermost in the lowest bit: 1 is an object.
#[derive(Default)]
struct Nesting {
    kinds: u128,
    depth: u32,
}

/// Hands the members of the object that `text` is to `take`, in order: key, quotes included, and
/// value, both as they stand there. `None` when it is no JSON object, when it is nested so deeply
/// that this cannot tell, and when `take` gives up.
pub(super) fn members<'b>(text: &'b str, mut take: impl FnMut(&'b str, &'b str) -> Option<()>) -> Option<()> {
    let mut walk = Walk { text, at: 0 };
    walk.blank();
    walk.take(b'{')?;
    walk.blank();
    if walk.take(b'}').is_none() {
        loop {
            let key = walk.key()?;
            walk.blank();
            let start = walk.at;
            walk.value()?;
            take(key, text.get(start..walk.at)?)?;
            walk.blank();
            if walk.take(b',').is_none() {
                break;
            }
            walk.blank();
        }
        walk.take(b'}')?;
    }
    walk.blank();
    (walk.at == text.len()).then_some(())
}

/// How many bytes there are before a quote, a backslash, a control character, or the end.
fn plain(bytes: &[u8]) -> usize {
    // Most names and many texts are shorter than a block.
    let (first, behind) = bytes.split_at(bytes.len().min(8));
    if let Some(at) = special(first) {
        return at;
    }
    let (blocks, _) = behind.as_chunks::<32>();
    let is_plain = |block: &&[u8; 32]| !block.iter().fold(false, |found, byte| found | is_special(*byte));
    let skipped = first.len() + 32 * blocks.iter().take_while(is_plain).count();
    let (words, rest) = bytes.get(skipped..).unwrap_or_default().as_chunks::<8>();
    let within = words.iter().enumerate().find_map(|(place, word)| special(word).map(|at| place * 8 + at));
    skipped + within.unwrap_or_else(|| words.len() * 8 + special(rest).unwrap_or(rest.len()))
}

const fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Where the first special byte stands in `bytes`, which are 8 at most.
fn special(bytes: &[u8]) -> Option<usize> {
    let Ok(word) = bytes.try_into().map(u64::from_le_bytes) else {
        return bytes.iter().position(|byte| is_special(*byte));
    };
    // The highest bit of each byte that is less than what is taken away from it, up to the first
    // such byte: https://graphics.stanford.edu/~seander/bithacks.html#HasLessInWord
    let below = |word: u64, least: u64| word.wrapping_sub(least) & !word & each(0x80);
    let found = below(word, each(0x20)) | below(word ^ each(b'"'), each(1)) | below(word ^ each(b'\\'), each(1));
    (found != 0).then(|| usize::try_from(found.trailing_zeros() / 8).unwrap_or_default())
}

impl<'b> Walk<'b> {
    fn next(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Steps over `byte`, if that is what comes.
    fn take(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then(|| self.at += 1)
    }

    fn blank(&mut self) {
        while matches!(self.next(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// A key, quotes included, and its colon.
    fn key(&mut self) -> Option<&'b str> {
        let start = self.at;
        self.string()?;
        let key = self.text.get(start..self.at)?;
        self.blank();
        self.take(b':').map(|()| key)
    }

    fn string(&mut self) -> Option<()> {
        self.take(b'"')?;
        loop {
            self.at += plain(self.text.as_bytes().get(self.at..)?);
            match self.next()? {
                b'"' => {
                    self.at += 1;
                    return Some(());
                }
                b'\\' => self.escape()?,
                _ => return None,
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        self.at += 1;
        let is_unicode = self.next()? == b'u';
        if !is_unicode && !matches!(self.next()?, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') {
            return None;
        }
        self.at += 1;
        if is_unicode {
            let digits = self.text.as_bytes().get(self.at..self.at + 4)?;
            self.at += digits.iter().all(u8::is_ascii_hexdigit).then_some(4)?;
        }
        Some(())
    }

    /// RFC 8259, section 6.
    fn number(&mut self) -> Option<()> {
        let _ = self.take(b'-');
        if self.take(b'0').is_none() {
            self.digits()?;
        }
        if self.take(b'.').is_some() {
            self.digits()?;
        }
        if self.take(b'e').or_else(|| self.take(b'E')).is_some() {
            let _ = self.take(b'+').or_else(|| self.take(b'-'));
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.next().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let follows = self.text.as_bytes().get(self.at..)?.starts_with(word.as_bytes());
        follows.then(|| self.at += word.len())
    }

    /// A value with all that is in it.
    fn value(&mut self) -> Option<()> {
        let mut nesting = Nesting::default();
        loop {
            let is_open = match self.next()? {
                b'"' => self.string().map(|()| false)?,
                b'-' | b'0'..=b'9' => self.number().map(|()| false)?,
                b't' => self.word("true").map(|()| false)?,
                b'f' => self.word("false").map(|()| false)?,
                b'n' => self.word("null").map(|()| false)?,
                b'[' => self.open(&mut nesting, false, b']')?,
                b'{' => self.open(&mut nesting, true, b'}')?,
                _ => return None,
            };
            if !is_open && self.close(&mut nesting)? {
                return Some(());
            }
        }
    }

    /// Steps into an array or an object, up to its first value; false when it has none.
    fn open(&mut self, nesting: &mut Nesting, is_object: bool, end: u8) -> Option<bool> {
        self.at += 1;
        self.blank();
        if self.take(end).is_some() {
            return Some(false);
        }
        nesting.enter(is_object)?;
        if is_object {
            self.key()?;
            self.blank();
        }
        Some(true)
    }

    /// Steps out of all that ends here; true when that was the outermost value, else the next
    /// value comes.
    fn close(&mut self, nesting: &mut Nesting) -> Option<bool> {
        while nesting.depth > 0 {
            let is_object = nesting.is_object();
            self.blank();
            if self.take(b',').is_some() {
                self.blank();
                if is_object {
                    self.key()?;
                    self.blank();
                }
                return Some(false);
            }
            self.take(if is_object { b'}' } else { b']' })?;
            nesting.leave();
        }
        Some(true)
    }
}

impl Nesting {
    fn enter(&mut self, is_object: bool) -> Option<()> {
        self.kinds = self.kinds << 1 | u128::from(is_object);
        self.depth += 1;
        (self.depth <= DEEPEST).then_some(())
    }

    const fn is_object(&self) -> bool {
        self.kinds & 1 == 1
    }

    const fn leave(&mut self) {
        self.kinds >>= 1;
        self.depth -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::Value;
    use serde_json::value::RawValue;

    use super::*;

    /// Reads `text` both ways; whether it is an object.
    fn agree(text: &str) -> bool {
        let mut found = BTreeMap::new();
        let is_object = members(text, |key, value| {
            found.insert(serde_json::from_str::<String>(key).ok()?, value);
            Some(())
        });
        let told = serde_json::from_str::<BTreeMap<String, &RawValue>>(text);
        assert_eq!(is_object.is_some(), told.is_ok(), "{text}");
        if let Ok(told) = told {
            assert_eq!(found, told.into_iter().map(|(key, value)| (key, value.get())).collect(), "{text}");
        }
        is_object.is_some()
    }

    #[test]
    fn what_is_json_and_what_is_not_is_told_as_by_serde_json() {
        for text in [
            "{}",
            " { } ",
            r#"{"a":1}"#,
            r#"{"a" : [ ] , "b":{ }}"#,
            r#"{"a":[1,2,[{"b":null}],true,false,"x"]}"#,
            r#"{"a":-0,"b":0.5,"c":1e9,"d":1E+9,"e":-12.25e-3,"f":123456789012345678901234567890}"#,
            r#"{"\u0061\n":"\ud83d\ude00\\\"\/"}"#,
            r#"{"lone":"\ud800"}"#,
            "{\"é\":\"日本語\u{7f}\"}",
            "\n\t\r{\"a\":1}\n",
        ] {
            assert!(agree(text), "{text}");
        }
        for text in [
            "",
            " ",
            "[]",
            "1",
            "null",
            "{",
            "}",
            "{}}",
            "{} {}",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            r#"{,"a":1}"#,
            r#"{"a":1 "b":2}"#,
            r#"{a:1}"#,
            r#"{"a":[1,]}"#,
            r#"{"a":[,1]}"#,
            r#"{"a":[1}"#,
            r#"{"a":{"b":1]}"#,
            r#"{"a":01}"#,
            r#"{"a":1.}"#,
            r#"{"a":.5}"#,
            r#"{"a":1e}"#,
            r#"{"a":+1}"#,
            r#"{"a":-}"#,
            r#"{"a":tru}"#,
            r#"{"a":truex}"#,
            r#"{"a":"b}"#,
            r#"{"a":"\x"}"#,
            r#"{"a":"\u12"}"#,
            r#"{"a":"\u12g4"}"#,
            "{\"a\":\"\n\"}",
            "{\"a\":\"\u{1f}\"}",
            r#"{"\ud800":1}"#,
            "{\"a\":1}\u{feff}",
            "{\u{a0}}",
            r#"{"a":"\"#,
            r#"{"a":1"#,
        ] {
            assert!(!agree(text), "{text}");
        }
    }

    #[test]
    fn a_special_byte_is_found_wherever_it_stands() {
        for length in 0..100 {
            let text = vec![b'x'; length];
            assert_eq!(plain(&text), length);
            for (place, byte) in (0..length).flat_map(|place| [b'"', b'\\', 0, 0x1f].map(|byte| (place, byte))) {
                let mut text = text.clone();
                text[place] = byte;
                assert_eq!(plain(&text), place, "{byte} of {length}");
            }
        }
        assert_eq!(plain(&(0x20..=0xff).filter(|byte| !is_special(*byte)).collect::<Vec<u8>>()), 222);
    }

    #[test]
    fn deep_values_are_left_to_others() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(members(&nested(129), |_, _| Some(())).is_some());
        assert!(members(&nested(130), |_, _| Some(())).is_none());
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((any::<String>(), inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect()))
            ]
        })
    }

    proptest! {
        #[test]
        fn any_object_is_read_as_by_serde_json_and_so_is_what_is_left_when_a_byte_changes(
            value in prop::collection::vec((any::<String>(), json()), 0..5),
            pretty in any::<bool>(),
            (place, byte) in (any::<prop::sample::Index>(), any::<u8>()),
        ) {
            let value = Value::Object(value.into_iter().collect());
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            assert!(agree(&text));
            let mut bytes = text.into_bytes();
            let place = place.index(bytes.len());
            bytes[place] = byte;
            if let Ok(text) = String::from_utf8(bytes.clone()) {
                agree(&text);
            }
            bytes.remove(place);
            if let Ok(text) = String::from_utf8(bytes) {
                agree(&text);
            }
        }
    }
}
