//! `ipc-channel`: sockets that carry bytes, or values by way of serde. One process tells the other
//! its ends through a server that is good for one connection; where there are many connections, a
//! set of receivers says which of them have something, and wants values.

use ::ipc_channel::TryRecvError;
use ::ipc_channel::ipc::{
    self, IpcBytesReceiver, IpcBytesSender, IpcOneShotServer, IpcReceiver, IpcReceiverSet,
    IpcSelectionResult, IpcSender,
};
use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::link::Link;
use super::{Ends, Hosts, Mux, Opens, Read, Receives, Sends, Serves, Spec, Visits, Wait};

/// A message of 64 bytes as a value.
type Line = [u64; 8];

/// What the client gives the server: where to send, and where to receive from.
type Theirs<Tx, Rx> = (Tx, Rx);

#[derive(Debug)]
pub struct Bytes;

#[derive(Debug)]
pub struct Inbox {
    receiver: IpcBytesReceiver,
    wait: Wait,
}

impl Ends for Bytes {
    type Tx = IpcBytesSender;
    type Rx = Inbox;

    fn near(link: &Link, spec: Spec) -> Result<(IpcBytesSender, Inbox)> {
        let (there, their_inbox) = ipc::bytes_channel()?;
        let (back, receiver) = ipc::bytes_channel()?;
        introduce(link, (back, their_inbox))?;
        Ok((there, Inbox { receiver, wait: spec.wait }))
    }

    fn far(link: &Link, spec: Spec) -> Result<(IpcBytesSender, Inbox)> {
        let (back, receiver) = introduced(link)?;
        Ok((back, Inbox { receiver, wait: spec.wait }))
    }
}

fn introduce<T: Serialize>(link: &Link, theirs: T) -> Result<()> {
    let name = String::from_utf8(link.hear()?)?;
    Ok(IpcSender::connect(name)?.send(theirs)?)
}

fn introduced<T: Serialize + DeserializeOwned>(link: &Link) -> Result<T> {
    let (server, name) = IpcOneShotServer::new()?;
    link.say(name.as_bytes())?;
    Ok(server.accept()?.1)
}

/// It waits for room by itself.
impl Sends for IpcBytesSender {
    fn offer(&mut self, message: &[u8]) -> Result<bool> {
        IpcBytesSender::send(self, message)?;
        Ok(true)
    }
}

impl Inbox {
    fn take(&self) -> Result<Option<Vec<u8>>> {
        if self.wait == Wait::Block {
            return Ok(Some(self.receiver.recv()?));
        }
        match self.receiver.try_recv() {
            Ok(message) => Ok(Some(message)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl Receives for Inbox {
    fn show(&mut self, read: impl Read) -> Result<bool> {
        let message = self.take()?;
        message.as_deref().map(read).transpose().map(|read| read.is_some())
    }
}

/// The client of many connections.
pub struct Asking {
    senders: Vec<IpcSender<Line>>,
    replies: Replies,
}

/// The server of many connections.
pub struct Answering {
    senders: Vec<IpcSender<Line>>,
    requests: Replies,
}

/// The receivers of all connections, and what they have received.
struct Replies {
    set: IpcReceiverSet,
    /// The set's names for them, in order of the connections.
    ids: Vec<u64>,
    messages: Vec<Option<Line>>,
}

impl Opens for Asking {
    fn open(links: &[&Link], _: Spec) -> Result<Asking> {
        let mut asking = Asking { senders: Vec::new(), replies: Replies::new()? };
        for link in links {
            let (there, their_inbox) = ipc::channel::<Line>()?;
            let (back, inbox) = ipc::channel::<Line>()?;
            introduce::<Theirs<_, _>>(link, (back, their_inbox))?;
            asking.senders.push(there);
            asking.replies.add(inbox)?;
        }
        Ok(asking)
    }
}

impl Opens for Answering {
    fn open(links: &[&Link], _: Spec) -> Result<Answering> {
        let mut answering = Answering { senders: Vec::new(), requests: Replies::new()? };
        for link in links {
            let (back, inbox): Theirs<_, _> = introduced(link)?;
            answering.senders.push(back);
            answering.requests.add(inbox)?;
        }
        Ok(answering)
    }
}

impl Replies {
    fn new() -> Result<Replies> {
        Ok(Replies { set: IpcReceiverSet::new()?, ids: Vec::new(), messages: Vec::new() })
    }

    fn add(&mut self, receiver: IpcReceiver<Line>) -> Result<()> {
        self.ids.push(self.set.add(receiver)?);
        self.messages.push(None);
        Ok(())
    }

    /// Receives what there is, without waiting; on which connections.
    fn look(&mut self) -> Result<Vec<usize>> {
        // The type of its error has no name outside the crate; that there is nothing is one.
        let selected = self.set.try_select().unwrap_or_default();
        let mut received = Vec::with_capacity(selected.len());
        for result in selected {
            let IpcSelectionResult::MessageReceived(id, message) = result else { continue };
            let at = self.ids.iter().position(|known| *known == id).context("a stranger")?;
            self.messages[at] = Some(message.to()?);
            received.push(at);
        }
        Ok(received)
    }
}

impl Mux for Asking {
    fn request(&mut self, at: usize, request: &[u8]) -> Result<()> {
        Ok(self.senders[at].send(line(request)?)?)
    }

    fn ready(&mut self, ready: &mut Vec<usize>) -> Result<()> {
        ready.extend(self.replies.look()?);
        Ok(())
    }

    fn poll(&mut self, at: usize, mut read: impl Read) -> Result<bool> {
        let Some(message) = self.replies.messages[at].take() else { return Ok(false) };
        read(message.map(u64::to_ne_bytes).as_flattened())?;
        Ok(true)
    }
}

impl Serves for Answering {
    fn serve(&mut self) -> Result<()> {
        for at in self.requests.look()? {
            if let Some(message) = self.requests.messages[at].take() {
                self.senders[at].send(message)?;
            }
        }
        Ok(())
    }
}

fn line(message: &[u8]) -> Result<Line> {
    let (words, rest) = message.as_chunks();
    ensure!(words.len() == 8 && rest.is_empty(), "a message of {} bytes", message.len());
    Ok(std::array::from_fn(|at| u64::from_ne_bytes(words[at])))
}

/// Sends the ends of two new channels over one that is there to stay.
#[derive(Debug)]
pub struct Visitor(IpcSender<Theirs<IpcBytesSender, IpcBytesReceiver>>);

#[derive(Debug)]
pub struct Host(IpcReceiver<Theirs<IpcBytesSender, IpcBytesReceiver>>);

impl Opens for Visitor {
    fn open(links: &[&Link], _: Spec) -> Result<Visitor> {
        let (visits, their_inbox) = ipc::channel()?;
        introduce(links[0], their_inbox)?;
        Ok(Visitor(visits))
    }
}

impl Opens for Host {
    fn open(links: &[&Link], _: Spec) -> Result<Host> {
        introduced(links[0]).map(Host)
    }
}

impl Visits for Visitor {
    fn visit(&mut self, request: &[u8], mut read: impl Read) -> Result<()> {
        let (there, their_inbox) = ipc::bytes_channel()?;
        let (back, inbox) = ipc::bytes_channel()?;
        self.0.send((back, their_inbox))?;
        there.send(request)?;
        read(&inbox.recv()?)
    }
}

impl Hosts for Host {
    fn host(&mut self) -> Result<()> {
        let (back, inbox) = self.0.recv()?;
        Ok(back.send(&inbox.recv()?)?)
    }
}
