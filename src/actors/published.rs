//! Views that actors publish and requests read without a message.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

/// The writing end; one actor owns it.
pub struct Publisher<T>(watch::Sender<Arc<T>>);

/// The reading end; cheap to clone and to load (about 20 ns).
pub struct Published<T>(watch::Receiver<Arc<T>>);

/// A view and its two ends.
#[must_use]
pub fn publish<T>(first: T) -> (Publisher<T>, Published<T>) {
    let (sender, receiver) = watch::channel(Arc::new(first));
    (Publisher(sender), Published(receiver))
}

// === impl Publisher ===

impl<T> Publisher<T> {
    /// Makes `view` the one that every later load sees.
    pub fn publish(&self, view: Arc<T>) {
        self.0.send_replace(view);
    }

    /// The view in force.
    #[must_use]
    pub fn current(&self) -> Arc<T> {
        Arc::clone(&self.0.borrow())
    }
}

impl<T> Clone for Publisher<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

// === impl Published ===

impl<T> Published<T> {
    /// The view in force. Load it once for a request: one request, one version.
    #[must_use]
    pub fn load(&self) -> Arc<T> {
        Arc::clone(&self.0.borrow())
    }

    /// Waits until another view is published than the one last seen through this handle. Ends
    /// at once when the publisher is gone.
    pub async fn changed(&mut self) {
        // An error says that nothing will ever be published again: there is nothing to wait for.
        let _ = self.0.changed().await;
    }

    /// Waits until another view than `view` is in force. Ends at once when the publisher is gone.
    pub async fn other_than(&mut self, view: &Arc<T>) {
        // As above.
        let _ = self.0.wait_for(|current| !Arc::ptr_eq(current, view)).await;
    }
}

impl<T> Clone for Published<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: fmt::Debug> fmt::Debug for Published<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Published").field(&self.load()).finish()
    }
}
