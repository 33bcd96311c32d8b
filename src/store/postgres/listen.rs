//! Hearing of changes that others make.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use diesel_async::{AsyncPgConnection, SimpleAsyncConnection as _};
use futures_util::StreamExt as _;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::target::Target;
use crate::store::StoreError;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Wakes `heard` for every notification, and whenever a connection was made: what was said before
/// it is lost. Runs until it is dropped.
pub(super) async fn listen(target: Target, heard: Arc<Notify>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match subscribe(&target).await {
            Ok(connection) => {
                pause = FIRST_PAUSE;
                heard.notify_one();
                let Err(error) = pass_on(connection, &heard).await;
                error
            }
            Err(error) => error,
        };
        log::debug!(error:%; "not told of changes until the database answers again");
        // Replicas that lost the server at the same time do not return at the same time.
        sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn subscribe(target: &Target) -> Result<AsyncPgConnection, StoreError> {
    let mut connection = target.connect().await?;
    connection.batch_execute("LISTEN llm_proxy_config").await?;
    Ok(connection)
}

async fn pass_on(mut connection: AsyncPgConnection, heard: &Notify) -> Result<Infallible, StoreError> {
    let mut notifications = pin!(connection.notifications_stream());
    while let Some(notification) = notifications.next().await {
        notification?;
        heard.notify_one();
    }
    Err(StoreError::Unavailable("the connection ended".to_owned()))
}
