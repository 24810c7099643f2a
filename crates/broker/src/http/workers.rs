//! Work that blocks, off the HTTP thread: reading the log, asking the control thread.
//!
//! A few threads do it. Whoever finds them taken waits a moment, and is then told to try again:
//! so neither threads nor waiting work pile up, however many ask.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::error::ApiError;

/// Threads that work.
pub(super) const COUNT: usize = 8;

/// Longest that one waits for a free one.
const PATIENCE: Duration = Duration::from_secs(5);

/// Those who may wait for one.
const WAITING_MAX: usize = 256;

pub(super) struct Workers {
    free: Arc<Semaphore>,
    /// Those who work or wait.
    inside: Semaphore,
}

impl Workers {
    pub(super) fn new() -> Workers {
        Workers {
            free: Arc::new(Semaphore::new(COUNT)),
            inside: Semaphore::new(COUNT + WAITING_MAX),
        }
    }

    /// Does it on another thread. It is done to its end even if nobody waits for it any more.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let _inside = self.inside.try_acquire().map_err(|_| busy())?;
        let free =
            timeout(PATIENCE, self.free.clone().acquire_owned()).await.map_err(|_| busy())?;
        let free = free.map_err(|_| busy())?;
        let work = move || {
            let done = work();
            // The thread is free when the work is done, not when nobody waits for it any more.
            drop(free);
            done
        };
        match spawn_blocking(work).await {
            Ok(done) => done,
            Err(error) => {
                tracing::error!(%error, "a request was not answered");
                Err(ApiError::internal("the work was given up"))
            }
        }
    }
}

fn busy() -> ApiError {
    ApiError::busy("too many requests at once")
}
