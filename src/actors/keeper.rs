//! Keeping the configuration in force in a file.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

use crate::config::{Loaded, Sealer, save_snapshot};

/// Writes the newest configuration to the snapshot file, off every other path. While one is being
/// written only the newest of those that follow waits.
#[derive(Clone)]
pub struct Keeper(watch::Sender<Option<Arc<Loaded>>>);

impl Keeper {
    /// A keeper of the file at `path`; works as long as it, or a clone, lives.
    #[must_use]
    pub fn start(path: PathBuf, sealer: Arc<Sealer>) -> Self {
        let (sender, mut newest) = watch::channel(None::<Arc<Loaded>>);
        actix::spawn(async move {
            let path = Arc::new(path);
            while newest.changed().await.is_ok() {
                let Some(loaded) = newest.borrow_and_update().clone() else {
                    continue;
                };
                let (path, sealer) = (Arc::clone(&path), Arc::clone(&sealer));
                let saved = tokio::task::spawn_blocking(move || save_snapshot(&path, &loaded, &sealer)).await;
                match saved {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => log::warn!(error:%; "a start without the database would miss the last changes"),
                    Err(error) => log::error!(error:%; "the snapshot file could not be written"),
                }
            }
        });
        Self(sender)
    }

    /// Hands over what is in force now.
    pub fn keep(&self, loaded: Loaded) {
        self.0.send_replace(Some(Arc::new(loaded)));
    }
}
