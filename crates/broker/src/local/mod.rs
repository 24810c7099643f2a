//! The log for the processes of this machine: what the broker does so that they need no socket.
//!
//! ```text
//!   LocalProducer ==shm==> intake   one thread: batches in, LogStore::append, offsets out
//!   LocalConsumer <-pages- outlet   one thread: where they are, and a wake for who sleeps
//! ```
//! Both ends are in `chaski-local`, but for the broker's. It is there where `shm.listen` names it.

mod intake;
mod late;
mod outlet;
mod readers;
mod stats;

use std::sync::Arc;

use self::intake::Intake;
use self::outlet::Outlet;
pub(crate) use self::readers::{Progress, Reader};
pub(crate) use self::stats::LocalStats;
use crate::Broker;
use crate::health::Health;
use crate::server::StartError;

/// What serves the processes of this machine, while it runs.
pub(crate) struct Local {
    intake: intake::Running,
    outlet: outlet::Running,
}

impl Local {
    /// Binds the name, and serves.
    pub(crate) fn start(
        name: &str,
        broker: &Arc<Broker>,
        health: &Arc<Health>,
    ) -> Result<Local, StartError> {
        let bind = |source| StartError::Shm { name: name.to_owned(), source };
        let intake = Intake::bind(name, broker.clone()).map_err(bind)?;
        let outlet = Outlet::bind(name, broker.clone()).map_err(bind)?;
        let intake = intake.spawn(health)?;
        match outlet.spawn(health) {
            Ok(outlet) => Ok(Local { intake, outlet }),
            Err(error) => {
                intake.stop();
                Err(error.into())
            }
        }
    }

    /// Takes nothing more, answers what was taken, and ends. What it has not taken stays with who
    /// sent it.
    pub(crate) fn stop(self) {
        self.intake.stop();
        self.outlet.stop();
    }
}
