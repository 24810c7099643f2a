//! Endpoints that messages come in by: one shape for all.

mod listen;
mod pull;
mod serve;
mod subscribe;

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use chaski_shm::ConnectError;
use serde::Serialize;

use super::explain;
use crate::failure::{CALLED_WRONGLY, Failure};
use crate::interrupt::Interrupt;
use crate::service::{Role, ServiceUrl};

/// How long one try to connect lasts, and so how long Ctrl-C may have to wait.
const TRY: Duration = Duration::from_millis(100);
/// How long somebody who is bound may take to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);
/// How long nobody is told that nobody is there.
const QUIET: Duration = Duration::from_secs(1);

/// As good as for ever.
const FOLLOWS_WITHIN: Duration = Duration::from_secs(365 * 86_400);

/// Where messages come from.
pub(super) trait Inlet {
    /// The next message, waiting for it no longer than that; its payload replaces what is in
    /// `payload`.
    fn next(&mut self, wait: Duration, payload: &mut Vec<u8>) -> Result<Came, Failure>;
}

/// What came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Came {
    Message(Origin),
    Nothing,
    /// Nothing, and nothing will.
    End,
}

/// Where a message came from, as far as that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub(super) struct Origin {
    /// The process that sent it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pid: Option<u32>,
    /// Of a notification: how many it stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rings: Option<u64>,
    /// Of a publication: how many came before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sequence: Option<u64>,
}

/// How to wait for who is not there.
pub(super) struct Awaiting<'a> {
    pub(super) interrupt: &'a Interrupt,
    /// Wait for the next one when the one who sends is gone.
    pub(super) follow: bool,
}

/// The inlet that a URL means; none if the user did not want to wait for the other side.
pub(super) fn open(
    url: &ServiceUrl,
    awaiting: &Awaiting<'_>,
) -> Result<Option<Box<dyn Inlet>>, Failure> {
    fn boxed<'i>(inlet: impl Inlet + 'i) -> Box<dyn Inlet + 'i> {
        Box::new(inlet)
    }
    match url.role.unwrap_or(Role::Pull) {
        Role::Pull => Ok(pull::Pulling::open(url, awaiting)?.map(boxed)),
        Role::Serve => Ok(Some(boxed(serve::Serving::open(url)?))),
        Role::Sub => Ok(subscribe::Subscribing::open(url, awaiting)?.map(boxed)),
        Role::Listen => Ok(Some(boxed(listen::Listening::open(url)?))),
        role => Err(wrong_way(role)),
    }
}

fn wrong_way(role: Role) -> Failure {
    let other = role.opposite();
    Failure::new(format!("`type={role}` sends, and this is `chaski recv`"))
        .hint(format!("`type={other}` receives from it; `chaski send` is what sends"))
        .code(CALLED_WRONGLY)
}

impl Awaiting<'_> {
    /// How long to wait for the next one who has the name.
    fn patience(&self) -> Duration {
        if self.follow { FOLLOWS_WITHIN } else { Duration::ZERO }
    }

    /// Connects as soon as somebody is bound; none if the user did not want to wait so long.
    fn connect<T>(
        &self,
        url: &ServiceUrl,
        role: Role,
        mut connect: impl FnMut(Duration) -> Result<T, ConnectError>,
    ) -> Result<Option<T>, Failure> {
        let began = Instant::now();
        let mut told = !io::stderr().is_terminal();
        while !self.interrupt.came() {
            match connect(TRY).or_else(|error| insist(&error, &mut connect).unwrap_or(Err(error))) {
                Ok(endpoint) => return Ok(Some(endpoint)),
                Err(ConnectError::NotFound { .. }) => {}
                Err(error) => return Err(explain::connect(url, role, &error)),
            }
            if !told && began.elapsed() >= QUIET {
                told = true;
                eprintln!("waiting for a process that binds {}", url.name);
            }
        }
        Ok(None)
    }
}

/// Tries again, for longer, where somebody was there and did not answer in time.
fn insist<T>(
    error: &ConnectError,
    connect: &mut impl FnMut(Duration) -> Result<T, ConnectError>,
) -> Option<Result<T, ConnectError>> {
    match error {
        ConnectError::Silent { .. } | ConnectError::Busy { .. } | ConnectError::HungUp { .. } => {
            Some(connect(ANSWERS_WITHIN))
        }
        _ => None,
    }
}
