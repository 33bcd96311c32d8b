//! The output items of a stream, and what of each has been passed on.
//!
//! Servers differ in what they send: deltas, or only the whole text in some later event, or only
//! the whole item, or only the terminal response. Whatever comes first is passed on, once.

use std::collections::{BTreeMap, VecDeque};

use super::decode_response::opaque;
use super::output::made_id;
use super::wire::{Item, Part};
use crate::chat::{BlockKind, ChatEvent, Citation, Delta, Sequencer};

/// What an event of reasoning carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Words {
    /// The part of this index of the summary.
    Summary(u64),
    /// Raw reasoning, which open models show.
    Content,
}

/// Output index and content index.
pub(super) type Place = (Option<u64>, u64);

/// All items of an answer.
pub(super) struct Items {
    provider: String,
    sequencer: Sequencer,
    /// In order of appearance.
    slots: Vec<Slot>,
    /// Output index → slot.
    places: BTreeMap<u64, usize>,
    /// The block that began last.
    newest: Option<usize>,
    pub(super) has_calls: bool,
    pub(super) has_refusal: bool,
}

enum Slot {
    Message { parts: BTreeMap<u64, Told>, is_done: bool },
    Reasoning { block: Option<usize>, words: Option<Words>, is_sealed: bool, is_done: bool },
    Call(Call),
    Hosted,
}

/// A content part, as far as it was passed on.
#[derive(Default)]
struct Told {
    block: Option<usize>,
    has_text: bool,
    has_citations: bool,
}

#[derive(Default)]
struct Call {
    /// `None` until its name is known.
    block: Option<usize>,
    id: String,
    has_arguments: bool,
    /// Arguments that came before the name, or that the item began with.
    waiting: String,
    is_done: bool,
}

impl Items {
    pub(super) fn new(provider: &str) -> Self {
        Self {
            provider: provider.to_owned(),
            sequencer: Sequencer::default(),
            slots: Vec::new(),
            places: BTreeMap::new(),
            newest: None,
            has_calls: false,
            has_refusal: false,
        }
    }

    /// The slot at an output index if `fits`, else a new one there.
    fn slot(&mut self, at: Option<u64>, fits: fn(&Slot) -> bool, fresh: fn() -> Slot) -> usize {
        // Without an index it can only be the item that came last.
        let known = match at {
            Some(at) => self.places.get(&at).copied(),
            None => self.slots.len().checked_sub(1),
        };
        match known {
            Some(known) if self.slots.get(known).is_some_and(fits) => known,
            _ => self.push(at, fresh()),
        }
    }

    fn push(&mut self, at: Option<u64>, slot: Slot) -> usize {
        let new = self.slots.len();
        self.slots.push(slot);
        if let Some(at) = at {
            self.places.insert(at, new);
        }
        new
    }

    fn begin(&mut self, kind: BlockKind, out: &mut VecDeque<ChatEvent>) -> usize {
        let block = self.sequencer.start(kind, out);
        self.newest = Some(block);
        block
    }

    pub(super) fn added(&mut self, at: Option<u64>, item: Item, out: &mut VecDeque<ChatEvent>) {
        match item {
            Item::Message(_) => self.push(at, Slot::message()),
            Item::Reasoning { .. } => self.push(at, Slot::reasoning()),
            Item::Hosted(_) => self.push(at, Slot::Hosted),
            Item::Call { id, name, arguments, custom } => {
                let slot = self.push(at, Slot::Call(Call { waiting: arguments, ..Call::default() }));
                self.name_call(slot, BlockKind::ToolCall { id, name, custom }, out);
                slot
            }
        };
    }

    /// An item is complete: passes on what is still missing of it.
    pub(super) fn done(&mut self, at: Option<u64>, item: Item, out: &mut VecDeque<ChatEvent>) {
        let slot = match item {
            Item::Message(_) => {
                self.slot(at, |slot| matches!(slot, Slot::Message { is_done: false, .. }), Slot::message)
            }
            Item::Reasoning { .. } => {
                self.slot(at, |slot| matches!(slot, Slot::Reasoning { is_done: false, .. }), Slot::reasoning)
            }
            Item::Call { .. } => {
                self.slot(at, |slot| matches!(slot, Slot::Call(Call { is_done: false, .. })), Slot::call)
            }
            Item::Hosted(_) => return,
        };
        self.fill(slot, item, out);
    }

    /// The answer is complete; `output` is all of it, or empty. Items are paired by their kind
    /// and order, for some servers leave items of their own tools out of the stream.
    pub(super) fn complete(&mut self, output: Vec<Item>, out: &mut VecDeque<ChatEvent>) {
        let (mut messages, mut reasonings) = (0, 0);
        let ids: Vec<String> = output.iter().filter_map(Item::call_id).map(str::to_owned).collect();
        for item in output {
            let slot = match &item {
                Item::Message(_) => nth(&self.slots, &mut messages, |slot| matches!(slot, Slot::Message { .. })),
                Item::Reasoning { .. } => {
                    nth(&self.slots, &mut reasonings, |slot| matches!(slot, Slot::Reasoning { .. }))
                }
                Item::Call { id, .. } => self.call_of(id, &ids),
                Item::Hosted(_) => continue,
            };
            let slot = slot.unwrap_or_else(|| {
                self.push(
                    None,
                    match &item {
                        Item::Reasoning { .. } => Slot::reasoning(),
                        Item::Call { .. } => Slot::call(),
                        Item::Message(_) | Item::Hosted(_) => Slot::message(),
                    },
                )
            });
            self.fill(slot, item, out);
        }
        (0..self.slots.len()).for_each(|slot| self.use_waiting(slot, out));
        self.sequencer.finish(out);
    }

    /// The slot of a call; one whose id stands nowhere in the output is a call whose id changed.
    fn call_of(&self, id: &str, ids: &[String]) -> Option<usize> {
        let find = |fits: &dyn Fn(&Call) -> bool| {
            self.slots.iter().position(|slot| matches!(slot, Slot::Call(call) if fits(call)))
        };
        find(&|call| call.id == id).or_else(|| find(&|call| !call.is_done && !ids.contains(&call.id)))
    }

    /// Arguments that only the event that began the item had.
    fn use_waiting(&mut self, slot: usize, out: &mut VecDeque<ChatEvent>) {
        if let Some(Slot::Call(call)) = self.slots.get_mut(slot)
            && !call.has_arguments
        {
            let waiting = std::mem::take(&mut call.waiting);
            self.call_text(slot, waiting, out);
        }
    }

    fn fill(&mut self, slot: usize, item: Item, out: &mut VecDeque<ChatEvent>) {
        match item {
            Item::Message(parts) => {
                for (i, part) in parts {
                    self.fill_part(slot, i, part, out);
                }
            }
            Item::Reasoning { text, encrypted } => self.fill_reasoning(slot, text, encrypted, out),
            Item::Call { id, name, arguments, custom } => {
                self.name_call(slot, BlockKind::ToolCall { id, name, custom }, out);
                self.call_rest(slot, arguments, out);
                self.use_waiting(slot, out);
                if let Some(Slot::Call(Call { block: Some(block), .. })) = self.slots.get(slot) {
                    self.sequencer.end(*block, out);
                }
            }
            Item::Hosted(_) => {}
        }
        match self.slots.get_mut(slot) {
            Some(
                Slot::Message { is_done, .. } | Slot::Reasoning { is_done, .. } | Slot::Call(Call { is_done, .. }),
            ) => *is_done = true,
            Some(Slot::Hosted) | None => {}
        }
    }

    pub(super) fn part_delta(&mut self, place: Place, is_refusal: bool, text: String, out: &mut VecDeque<ChatEvent>) {
        let slot = self.message(place.0);
        self.say((slot, place.1), is_refusal, text, out);
    }

    pub(super) fn part_text(&mut self, place: Place, is_refusal: bool, text: String, out: &mut VecDeque<ChatEvent>) {
        self.part_done(place, Part { is_refusal, text, citations: Vec::new(), lost: None }, out);
    }

    pub(super) fn part_done(&mut self, place: Place, part: Part, out: &mut VecDeque<ChatEvent>) {
        let slot = self.message(place.0);
        self.fill_part(slot, place.1, part, out);
    }

    pub(super) fn cite(&mut self, place: Place, citation: Citation, out: &mut VecDeque<ChatEvent>) {
        let slot = self.message(place.0);
        self.cite_in(slot, place.1, citation, out);
    }

    fn message(&mut self, at: Option<u64>) -> usize {
        self.slot(at, |slot| matches!(slot, Slot::Message { .. }), Slot::message)
    }

    fn told(&mut self, slot: usize, part: u64) -> Option<&mut Told> {
        match self.slots.get_mut(slot) {
            Some(Slot::Message { parts, .. }) => Some(parts.entry(part).or_default()),
            _ => None,
        }
    }

    fn fill_part(&mut self, slot: usize, i: u64, part: Part, out: &mut VecDeque<ChatEvent>) {
        let Some(told) = self.told(slot, i) else {
            return;
        };
        let (has_text, has_citations) = (told.has_text, told.has_citations);
        if !has_text {
            self.say((slot, i), part.is_refusal, part.text, out);
        }
        if !has_citations {
            part.citations.into_iter().for_each(|citation| self.cite_in(slot, i, citation, out));
        }
    }

    fn say(&mut self, (slot, part): (usize, u64), is_refusal: bool, text: String, out: &mut VecDeque<ChatEvent>) {
        if text.is_empty() {
            return;
        }
        let newest = self.newest;
        let Some(told) = self.told(slot, part) else {
            return;
        };
        told.has_text = true;
        // Text after another block has begun needs a block of its own.
        let block = match told.block.filter(|block| Some(*block) == newest) {
            Some(block) => block,
            None => {
                self.has_refusal |= is_refusal;
                let block = self.begin(if is_refusal { BlockKind::Refusal } else { BlockKind::Text }, out);
                if let Some(told) = self.told(slot, part) {
                    told.block = Some(block);
                }
                block
            }
        };
        self.sequencer.delta(block, Delta::Text(text), out);
    }

    fn cite_in(&mut self, slot: usize, part: u64, citation: Citation, out: &mut VecDeque<ChatEvent>) {
        let Some(told) = self.told(slot, part) else {
            return;
        };
        if let Some(block) = told.block {
            told.has_citations = true;
            self.sequencer.delta(block, Delta::Citation(citation), out);
        }
    }

    pub(super) fn reason(&mut self, at: Option<u64>, words: Words, text: String, out: &mut VecDeque<ChatEvent>) {
        let slot = self.slot(at, |slot| matches!(slot, Slot::Reasoning { .. }), Slot::reasoning);
        self.think(slot, words, text, out);
    }

    fn think(&mut self, slot: usize, now: Words, text: String, out: &mut VecDeque<ChatEvent>) {
        let newest = self.newest;
        let Some(Slot::Reasoning { block, words, .. }) = self.slots.get_mut(slot) else {
            return;
        };
        // A server that sends summary and raw reasoning says the same twice.
        let is_repetition = matches!(
            (*words, now),
            (Some(Words::Summary(_)), Words::Content) | (Some(Words::Content), Words::Summary(_))
        );
        if text.is_empty() || is_repetition {
            return;
        }
        let is_next_part = words.is_some_and(|before| before != now);
        *words = Some(now);
        let open = block.filter(|block| Some(*block) == newest);
        let block = match open {
            Some(block) => block,
            None => self.begin_reasoning(slot, out),
        };
        if is_next_part && open.is_some() {
            self.sequencer.delta(block, Delta::Text("\n\n".to_owned()), out);
        }
        self.sequencer.delta(block, Delta::Text(text), out);
    }

    fn begin_reasoning(&mut self, slot: usize, out: &mut VecDeque<ChatEvent>) -> usize {
        let new = self.begin(BlockKind::Reasoning, out);
        if let Some(Slot::Reasoning { block, .. }) = self.slots.get_mut(slot) {
            *block = Some(new);
        }
        new
    }

    fn fill_reasoning(&mut self, slot: usize, text: String, encrypted: Option<String>, out: &mut VecDeque<ChatEvent>) {
        let Some(Slot::Reasoning { words, is_sealed, .. }) = self.slots.get_mut(slot) else {
            return;
        };
        let (is_told, was_sealed) = (words.is_some(), *is_sealed);
        *is_sealed |= encrypted.is_some();
        if !is_told {
            self.think(slot, Words::Content, text, out);
        }
        let Some(data) = encrypted.filter(|_| !was_sealed) else {
            return;
        };
        let newest = self.newest;
        let open = match self.slots.get(slot) {
            Some(Slot::Reasoning { block, .. }) => block.filter(|block| Some(*block) == newest),
            _ => None,
        };
        // The state still counts when another block has begun meanwhile.
        let block = match open {
            Some(block) => block,
            None => self.begin_reasoning(slot, out),
        };
        let opaque = opaque(&self.provider, data);
        self.sequencer.delta(block, Delta::Opaque(opaque), out);
    }

    pub(super) fn arguments(&mut self, at: Option<u64>, text: String, out: &mut VecDeque<ChatEvent>) {
        let slot = self.call(at);
        self.call_text(slot, text, out);
    }

    pub(super) fn all_arguments(&mut self, at: Option<u64>, text: String, out: &mut VecDeque<ChatEvent>) {
        let slot = self.call(at);
        self.call_rest(slot, text, out);
    }

    fn call(&mut self, at: Option<u64>) -> usize {
        self.slot(at, |slot| matches!(slot, Slot::Call(_)), Slot::call)
    }

    /// All arguments, unless pieces of them were passed on.
    fn call_rest(&mut self, slot: usize, text: String, out: &mut VecDeque<ChatEvent>) {
        if matches!(self.slots.get(slot), Some(Slot::Call(call)) if !call.has_arguments) {
            self.call_text(slot, text, out);
        }
    }

    fn call_text(&mut self, slot: usize, text: String, out: &mut VecDeque<ChatEvent>) {
        let Some(Slot::Call(call)) = self.slots.get_mut(slot) else {
            return;
        };
        if text.is_empty() {
            return;
        }
        match call.block {
            Some(block) => {
                call.has_arguments = true;
                call.waiting.clear();
                self.sequencer.delta(block, Delta::Arguments(text), out);
            }
            None => {
                if !call.has_arguments {
                    call.waiting.clear();
                }
                call.has_arguments = true;
                call.waiting.push_str(&text);
            }
        }
    }

    /// Begins the block of a call, once its name is known.
    fn name_call(&mut self, slot: usize, mut kind: BlockKind, out: &mut VecDeque<ChatEvent>) {
        let BlockKind::ToolCall { id, name, .. } = &mut kind else {
            return;
        };
        let Some(Slot::Call(call)) = self.slots.get_mut(slot).filter(|_| !name.is_empty()) else {
            return;
        };
        if call.block.is_some() {
            return;
        }
        if id.is_empty() {
            *id = made_id("call_");
        }
        call.id.clone_from(id);
        let (has_arguments, waiting) = (call.has_arguments, call.waiting.clone());
        let block = self.begin(kind, out);
        self.has_calls = true;
        if let Some(Slot::Call(call)) = self.slots.get_mut(slot) {
            call.block = Some(block);
        }
        if has_arguments {
            self.call_text(slot, waiting, out);
        }
    }
}

/// The next slot of a kind, counting in `seen`.
fn nth(slots: &[Slot], seen: &mut usize, fits: fn(&Slot) -> bool) -> Option<usize> {
    let found = slots.iter().enumerate().filter(|(_, slot)| fits(slot)).nth(*seen).map(|(i, _)| i);
    *seen += 1;
    found
}

impl Slot {
    const fn message() -> Self {
        Self::Message { parts: BTreeMap::new(), is_done: false }
    }

    const fn reasoning() -> Self {
        Self::Reasoning { block: None, words: None, is_sealed: false, is_done: false }
    }

    fn call() -> Self {
        Self::Call(Call::default())
    }
}
