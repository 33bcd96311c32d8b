//! Chunks that differ in one string only.
//!
//! Within a stream almost every chunk is the one before it with another piece of text. What
//! stands before and after that text has been read once; where it comes again byte by byte, only
//! the text itself has to be looked at.

use bytes::BytesMut;

use crate::sse::Frame;

/// A frame without its text: as it came, and as it went out.
#[derive(Debug)]
pub(super) struct Alike {
    came: [Box<[u8]>; 2],
    went: [Box<[u8]>; 2],
    /// Whose text it is.
    pub choice: u64,
}

// === impl Alike ===

impl Alike {
    /// What of `frame` may come again: all but `text`, which is its only one and a choice's.
    /// `written` is what became of the frame. `None` where the text is not a string of its own.
    pub(super) fn learn(frame: &Frame, (choice, text): (u64, &str), written: &[u8]) -> Option<Self> {
        let start = text.as_ptr().addr().checked_sub(frame.raw.as_ptr().addr())?;
        let end = start.checked_add(text.len())?;
        // A text that was joined, or had escapes, is no part of the frame.
        if frame.raw.get(start..end)? != text.as_bytes() {
            return None;
        }
        let (before, after) = (frame.raw.get(..start)?, frame.raw.get(end..)?);
        if !before.ends_with(b"\"") || !after.starts_with(b"\"") {
            return None;
        }
        // Something else was edited, on one side of the text.
        let went = match written.strip_suffix(after).and_then(|rest| rest.strip_suffix(text.as_bytes())) {
            Some(edited) => [edited, after],
            None => [before, written.strip_prefix(before)?.strip_prefix(text.as_bytes())?],
        };
        Some(Self { came: [before, after].map(Box::from), went: went.map(Box::from), choice })
    }

    /// The text of a frame that is the same but for it. Text that is empty or holds escapes has to
    /// be read.
    pub(super) fn text<'f>(&self, frame: &'f Frame) -> Option<&'f str> {
        let [before, after] = &self.came;
        let text = frame.raw.strip_prefix(&**before)?.strip_suffix(&**after)?;
        let is_plain = !text.is_empty() && text.iter().all(|byte| !matches!(byte, 0..=0x1f | b'"' | b'\\'));
        if is_plain { std::str::from_utf8(text).ok() } else { None }
    }

    /// Writes the frame with this text.
    pub(super) fn write(&self, text: &str, out: &mut BytesMut) {
        let [before, after] = &self.went;
        out.reserve(before.len() + text.len() + after.len());
        out.extend_from_slice(before);
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(after);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sse::Parser;

    fn frame(data: &str) -> Frame {
        let mut parser = Parser::new(1 << 20);
        parser.feed(format!("data: {data}\n\n").as_bytes());
        parser.next_frame().unwrap().unwrap()
    }

    fn learn(data: &str, text: &str, written: &str) -> Option<Alike> {
        let frame = frame(data);
        let raw = std::str::from_utf8(&frame.raw).unwrap();
        let at = raw.find(text).unwrap();
        Alike::learn(&frame, (3, &raw[at..at + text.len()]), format!("data: {written}\n\n").as_bytes())
    }

    #[test]
    fn the_same_but_for_the_text_is_written_with_what_was_edited() {
        for (came, went) in [
            (r#"{"model":"real","text":"AB","x":1}"#, r#"{"model":"alias","text":"AB","x":1}"#),
            (r#"{"text":"AB","model":"real"}"#, r#"{"text":"AB","model":"a longer alias"}"#),
            (r#"{"text":"AB","model":"same"}"#, r#"{"text":"AB","model":"same"}"#),
        ] {
            let alike = learn(came, "AB", went).unwrap();
            assert_eq!(alike.choice, 3);
            for text in ["C", " Dö \u{2028}", "AB"] {
                let next = frame(&came.replace("AB", text));
                assert_eq!(alike.text(&next), Some(text));
                let mut out = BytesMut::new();
                alike.write(text, &mut out);
                assert_eq!(out, format!("data: {}\n\n", went.replace("AB", text)));
            }
        }
    }

    #[test]
    fn anything_else_has_to_be_read() {
        let came = r#"{"model":"m","text":"AB","finish_reason":null}"#;
        let alike = learn(came, "AB", came).unwrap();
        for other in [
            r#"{"model":"m","text":"","finish_reason":null}"#,
            r#"{"model":"m","text":"a\nb","finish_reason":null}"#,
            r#"{"model":"m","text":"a","finish_reason":"stop","x":"","finish_reason":null}"#,
            r#"{"model":"m","text":"a","finish_reason":"stop"}"#,
            r#"{"model":"m","text":null,"finish_reason":null}"#,
            r#"{"model":"n","text":"a","finish_reason":null}"#,
            "[DONE]",
        ] {
            assert_eq!(alike.text(&frame(other)), None, "{other}");
        }
        let mut broken = frame(&came.replace("AB", "xy")).raw.to_vec();
        let at = broken.iter().position(|byte| *byte == b'x').unwrap();
        broken[at] = 0xff;
        assert_eq!(alike.text(&Frame { raw: broken.into(), ..frame("") }), None);
    }

    #[test]
    fn what_is_no_string_of_its_own_is_not_learnt() {
        assert!(learn(r#"{"arguments":{"a":1}}"#, r#"{"a":1}"#, r#"{"arguments":{"a":1}}"#).is_none());
        assert!(learn(r#"{"text":"AB"}"#, "A", r#"{"text":"AB"}"#).is_none());
        assert!(learn(r#"{"text":"AB"}"#, "AB", r#"{"other":"XY"}"#).is_none());
        let frame = frame(r#"{"text":"AB"}"#);
        assert!(Alike::learn(&frame, (0, "AB"), &frame.raw).is_none(), "a text from elsewhere");
    }
}
