//! Publish-subscribe with an event for each message, on which the receiver sleeps.

use ::iceoryx2::port::listener::Listener;
use ::iceoryx2::port::notifier::Notifier;
use ::iceoryx2::prelude::*;
use anyhow::Result;

use super::pub_sub::{Inbox, Outbox, PubSub};
use super::{name, node};
use crate::rivals::processes::link::Link;
use crate::rivals::processes::{Ends, Read, Receives, Sends, Spec};

#[derive(Debug)]
pub struct WithEvents;

#[derive(Debug)]
pub struct Ringing {
    outbox: Outbox,
    bell: Notifier<ipc::Service>,
}

#[derive(Debug)]
pub struct Listening {
    inbox: Inbox,
    bell: Listener<ipc::Service>,
}

impl Ends for WithEvents {
    type Tx = Ringing;
    type Rx = Listening;

    fn near(link: &Link, spec: Spec) -> Result<(Ringing, Listening)> {
        with_bells(link, PubSub::near(link, spec)?, "bell there", "bell back")
    }

    fn far(link: &Link, spec: Spec) -> Result<(Ringing, Listening)> {
        with_bells(link, PubSub::far(link, spec)?, "bell back", "bell there")
    }
}

fn with_bells(
    link: &Link,
    (outbox, inbox): (Outbox, Inbox),
    out: &str,
    inward: &str,
) -> Result<(Ringing, Listening)> {
    let node = node(link)?;
    let event = |called| -> Result<_> {
        Ok(node.service_builder(&name(called)?).event().open_or_create()?)
    };
    let ringing = Ringing { outbox, bell: event(out)?.notifier_builder().create()? };
    let listening = Listening { inbox, bell: event(inward)?.listener_builder().create()? };
    link.meet()?;
    Ok((ringing, listening))
}

impl Sends for Ringing {
    fn offer(&mut self, message: &[u8]) -> Result<bool> {
        self.outbox.offer(message)?;
        self.bell.notify()?;
        Ok(true)
    }
}

/// A bell that was rung before is heard at once. Messages are of the short kind, which a
/// conversation looks at where they lie.
impl Receives for Listening {
    fn show(&mut self, mut read: impl Read) -> Result<bool> {
        while !self.inbox.show(&mut read)? {
            self.bell.blocking_wait(|_| {})?;
        }
        Ok(true)
    }
}
