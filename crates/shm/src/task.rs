//! How an endpoint waits as a task.
//!
//! Nothing is awaited per message: a future first takes what is there, and only when it finds
//! nothing does the endpoint lie down as it does for a thread. It then runs the heavy fence at
//! once, in place of the nap, for which it would need a timer.
//!
//! On tokio (feature `tokio`, within a runtime whose I/O driver is enabled) the porch's descriptor
//! is registered with the driver for the time of the wait. On any other executor the doorman
//! watches it, and wakes the task: one hop more.

use std::os::fd::AsFd;

use crate::door::Watched;
use crate::error::Error;
use crate::porch::Porch;
use crate::wait::{self, Sleeper};

/// Looks before a task lies down, about a microsecond: a peer in dense conversation answers within
/// it, and the executor's other tasks do not notice.
const LOOKS: u32 = 64;

/// Waits until there is something to do. Dropped, the endpoint is up again.
pub(crate) async fn wait(porch: &Porch, sleeper: &mut impl Sleeper) -> Result<(), Error> {
    for _ in 0..LOOKS {
        if sleeper.look() {
            return Ok(());
        }
    }
    loop {
        let bed = Bed::lie_down(porch, sleeper);
        wait::heavy_fence();
        if bed.sleeper.look_everywhere() {
            return Ok(());
        }
        readable(porch).await?;
        porch
            .sleep(Some(std::time::Duration::ZERO), |key| bed.sleeper.rung(key))
            .map_err(Error::system("asking which doorbell rang"))?;
        if bed.sleeper.look() {
            return Ok(());
        }
    }
}

/// An endpoint that lies down, and gets up when this is dropped.
struct Bed<'a, S: Sleeper> {
    porch: &'a Porch,
    sleeper: &'a mut S,
}

impl<'a, S: Sleeper> Bed<'a, S> {
    fn lie_down(porch: &'a Porch, sleeper: &'a mut S) -> Bed<'a, S> {
        wait::lie_down(porch, sleeper);
        Bed { porch, sleeper }
    }
}

impl<S: Sleeper> Drop for Bed<'_, S> {
    fn drop(&mut self) {
        self.porch.get_up();
        self.sleeper.get_up();
    }
}

async fn readable(porch: &Porch) -> Result<(), Error> {
    #[cfg(feature = "tokio")]
    if tokio::runtime::Handle::try_current().is_ok() {
        return on_tokio(porch).await;
    }
    Watched::new(porch.as_fd()).await.map_err(Error::system("waiting for a doorbell"))
}

#[cfg(feature = "tokio")]
async fn on_tokio(porch: &Porch) -> Result<(), Error> {
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    let refused = |error: std::io::Error| {
        let errno = rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO);
        Error::system("waiting for a doorbell in tokio")(errno)
    };
    // SAFETY: the descriptor is borrowed for as long as this lives, and is always the same.
    let fd = unsafe { AsyncFd::register_with_interest(porch.as_fd(), Interest::READABLE) };
    let fd = fd.map_err(|error| refused(error.into()))?;
    let _ready = fd.readable().await.map_err(refused)?;
    Ok(())
}
