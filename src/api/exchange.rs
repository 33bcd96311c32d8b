//! What goes on on a connection.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};

/// Connections of the process that have carried no request yet.
#[derive(Debug, Clone, Default)]
pub struct Newcomers(Arc<AtomicUsize>);

/// Requests and answers of one connection, as far as its socket must know of them.
#[derive(Debug)]
pub struct Exchange {
    newcomers: Newcomers,
    is_new: Cell<bool>,
    is_busy: Cell<bool>,
    /// Whether what is running, or ran last, is the first request.
    is_first: Cell<bool>,
    /// Whether bytes of the running request's body may still come.
    has_body: Cell<bool>,
    /// Whether the connection ends with the running answer.
    is_last: Cell<bool>,
    /// Who waits for the end of the running answer.
    waiting: RefCell<Option<Waker>>,
}

/// A request from the end of its head to the end of its answer.
pub(super) struct Running(Rc<Exchange>);

// === impl Newcomers ===

impl Newcomers {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

// === impl Exchange ===

impl Exchange {
    /// A connection that was just accepted.
    #[must_use]
    pub fn new(newcomers: Newcomers) -> Rc<Self> {
        newcomers.0.fetch_add(1, Ordering::AcqRel);
        let [is_new, is_busy, is_first, has_body, is_last] = [true, false, false, false, false].map(Cell::new);
        Rc::new(Self { newcomers, is_new, is_busy, is_first, has_body, is_last, waiting: RefCell::default() })
    }

    /// Whether no request has come yet.
    #[must_use]
    pub const fn is_new(&self) -> bool {
        self.is_new.get()
    }

    /// Whether a request is running; what is read then belongs to it.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        self.is_busy.get()
    }

    /// Whether a request is running whose body has come: what is read then belongs to the next.
    #[must_use]
    pub const fn is_answering(&self) -> bool {
        self.is_busy.get() && !self.has_body.get()
    }

    /// Whether nothing comes after what is running, or ran last.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        self.is_last.get()
    }

    /// Whether the connection has carried its last answer.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.is_last.get() && !self.is_busy.get()
    }

    /// Wakes this task when the running answer has ended.
    pub fn wake_when_idle(&self, context: &Context<'_>) {
        self.waiting.replace(Some(context.waker().clone()));
    }

    /// Whether the running request is the first one, whose client could not know that the process
    /// is about to end: it connected before the listener was closed.
    pub(super) const fn is_first(&self) -> bool {
        self.is_first.get()
    }

    /// The head of a request has come.
    pub(super) fn begin(self: &Rc<Self>, has_body: bool) -> Running {
        self.is_busy.set(true);
        self.has_body.set(has_body);
        self.is_first.set(self.is_new());
        self.greet();
        Running(Rc::clone(self))
    }

    /// All of the running request's body has come.
    pub(super) fn body_came(&self) {
        self.has_body.set(false);
    }

    /// Ends the connection with the running answer, whose head did not say so.
    pub(super) fn end_with_answer(&self) {
        self.is_last.set(true);
    }

    fn greet(&self) {
        if self.is_new.replace(false) {
            self.newcomers.0.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.greet();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.is_busy.set(false);
        if let Some(waiting) = self.0.waiting.take() {
            waiting.wake();
        }
    }
}
