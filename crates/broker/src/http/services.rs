//! Who is there in shared memory: surveyed when somebody asks, and shared by all who ask.
//!
//! A service answers at once, from a thread of its own, and the survey reads what it counts anyway.
//! One that has been stopped keeps the survey waiting for a second, and no longer.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chaski_shm::survey::{self, ListError, Service};

use super::error::ApiError;
use super::extract::Live;
use crate::Client;
use crate::settings::Given;

/// Youngest survey that is not used again; or after as long as it took.
const AGE_MIN: Duration = Duration::from_secs(1);

pub(super) struct Services {
    /// Where their sockets are.
    directory: PathBuf,
    last: Mutex<Option<Arc<Survey>>>,
    /// One surveys at a time; the others wait for what it sees.
    looking: tokio::sync::Mutex<()>,
}

/// All services as they were at a time.
pub(super) struct Survey {
    at: Instant,
    took: Duration,
    /// By name.
    pub(super) services: Vec<Service>,
}

impl Services {
    /// Those of the directory that the broker meets others in.
    pub(super) fn new(given: &Given) -> Services {
        let named = given.get("shm.directory").filter(|named| !named.is_empty());
        Services {
            directory: named.map_or_else(chaski_shm::directory, PathBuf::from),
            last: Mutex::default(),
            looking: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// What has been seen of late, or is now.
    pub(super) async fn fresh(&self, live: &Live) -> Result<Arc<Survey>, ApiError> {
        if let Some(young) = self.young() {
            return Ok(young);
        }
        let _looking = self.looking.lock().await;
        if let Some(young) = self.young() {
            return Ok(young);
        }
        let directory = self.directory.clone();
        let take =
            move |_: &Client| Survey::take(&directory).map_err(|error| refused(&directory, &error));
        let seen = Arc::new(live.run(take).await?);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen.clone());
        Ok(seen)
    }

    fn young(&self) -> Option<Arc<Survey>> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|seen| seen.at.elapsed() < AGE_MIN.max(seen.took)).cloned()
    }
}

impl Survey {
    fn take(directory: &Path) -> Result<Survey, ListError> {
        let began = Instant::now();
        let services = survey::list_in(directory)?;
        Ok(Survey { took: began.elapsed(), ..Survey::of(services) })
    }

    /// These services, as of now.
    pub(super) fn of(services: Vec<Service>) -> Survey {
        Survey { at: Instant::now(), took: Duration::ZERO, services }
    }
}

fn refused(directory: &Path, error: &ListError) -> ApiError {
    let what = format!("cannot list the services in {}: {error}", directory.display());
    let error = ApiError::internal(what);
    error.hint("it must belong to the user of the broker, who alone may write to it")
}
