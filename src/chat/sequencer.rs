//! Putting interleaved blocks in order.

use std::collections::VecDeque;

use super::{BlockKind, ChatEvent, Delta};

/// Turns pieces of blocks that may come interleaved into the strictly sequential events of
/// [`ChatEvent`]. The block that comes first is streamed at once; a piece of a later one waits
/// until the earlier ones are complete. A tool call counts as complete when another block begins
/// and its arguments are a whole JSON value, which no further piece could extend; so calls that
/// come one after the other are all streamed without waiting.
#[derive(Debug, Default)]
pub struct Sequencer {
    blocks: Vec<Slot>,
    /// The first block that is not ended.
    open: usize,
}

#[derive(Debug)]
struct Slot {
    kind: BlockKind,
    started: bool,
    ended: bool,
    waiting: Vec<Delta>,
    arguments: String,
}

impl Sequencer {
    /// Registers a new block behind all others and returns its handle.
    pub fn start(&mut self, kind: BlockKind, out: &mut VecDeque<ChatEvent>) -> usize {
        let handle = self.blocks.len();
        self.blocks.push(Slot { kind, started: false, ended: false, waiting: Vec::new(), arguments: String::new() });
        self.advance(out);
        handle
    }

    /// A piece of the block `handle`. Pieces of a block that has ended are dropped.
    pub fn delta(&mut self, handle: usize, delta: Delta, out: &mut VecDeque<ChatEvent>) {
        let open = self.open;
        let Some(slot) = self.blocks.get_mut(handle) else {
            return;
        };
        if let Delta::Arguments(piece) = &delta {
            slot.arguments.push_str(piece);
        }
        if slot.started && handle == open {
            out.push_back(ChatEvent::Delta { index: handle, delta });
        } else if handle >= open {
            slot.waiting.push(delta);
        }
        // A call that became whole may let the next block begin.
        self.advance(out);
    }

    /// Marks a block as complete.
    pub fn end(&mut self, handle: usize, out: &mut VecDeque<ChatEvent>) {
        if let Some(slot) = self.blocks.get_mut(handle) {
            slot.ended = true;
        }
        self.advance(out);
    }

    /// Completes every block, in order.
    pub fn finish(&mut self, out: &mut VecDeque<ChatEvent>) {
        for slot in &mut self.blocks {
            slot.ended = true;
        }
        self.advance(out);
    }

    fn advance(&mut self, out: &mut VecDeque<ChatEvent>) {
        let last = self.blocks.len().saturating_sub(1);
        while let Some(slot) = self.blocks.get_mut(self.open) {
            let index = self.open;
            if !slot.started {
                slot.started = true;
                out.push_back(ChatEvent::BlockStarted { index, kind: slot.kind.clone() });
                out.extend(slot.waiting.drain(..).map(|delta| ChatEvent::Delta { index, delta }));
            }
            if !slot.ended && (index == last || !slot.is_whole()) {
                return;
            }
            slot.arguments = String::new();
            self.open += 1;
            out.push_back(ChatEvent::BlockEnded { index });
        }
    }
}

impl Slot {
    /// Whether no further piece can follow now that another block has begun.
    fn is_whole(&self) -> bool {
        match &self.kind {
            BlockKind::ToolCall { custom: false, .. } => {
                serde_json::from_str::<serde::de::IgnoredAny>(&self.arguments).is_ok()
            }
            BlockKind::ToolCall { custom: true, .. } => false,
            BlockKind::Text | BlockKind::Reasoning | BlockKind::Refusal => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Block, fold};

    fn call(name: &str) -> BlockKind {
        BlockKind::ToolCall { id: format!("id-{name}"), name: name.to_owned(), custom: false }
    }

    fn arguments(text: &str) -> Delta {
        Delta::Arguments(text.to_owned())
    }

    #[test]
    fn calls_one_after_the_other_are_streamed_without_waiting() {
        let (mut sequencer, mut out) = (Sequencer::default(), VecDeque::new());
        let first = sequencer.start(call("a"), &mut out);
        sequencer.delta(first, arguments("{}"), &mut out);
        let second = sequencer.start(call("b"), &mut out);
        sequencer.delta(second, arguments("{\"x\""), &mut out);
        assert_eq!(out.len(), 5, "{out:?}");
        assert!(matches!(out.back(), Some(ChatEvent::Delta { index: 1, .. })));
    }

    #[test]
    fn interleaved_calls_come_out_in_order_and_whole() {
        let (mut sequencer, mut out) = (Sequencer::default(), VecDeque::new());
        let first = sequencer.start(call("a"), &mut out);
        let second = sequencer.start(call("b"), &mut out);
        for (handle, piece) in [(first, "{\"a\":"), (second, "{\"b\":"), (first, "1}"), (second, "2}")] {
            sequencer.delta(handle, arguments(piece), &mut out);
        }
        sequencer.finish(&mut out);
        let mut open = None;
        for event in &out {
            match event {
                ChatEvent::BlockStarted { index, .. } => assert_eq!(open.replace(*index), None),
                ChatEvent::Delta { index, .. } => assert_eq!(open, Some(*index)),
                ChatEvent::BlockEnded { index } => assert_eq!(open.take(), Some(*index)),
                other => panic!("{other:?}"),
            }
        }
        let blocks = fold(out).unwrap().blocks;
        let texts: Vec<&str> = blocks
            .iter()
            .map(|block| match block {
                Block::ToolCall(call) => call.arguments.as_str(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(texts, ["{\"a\":1}", "{\"b\":2}"]);
    }
}
