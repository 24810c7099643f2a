//! The life of a peer: it exists, a connection to it is up, is lost, and at last it is gone.
//!
//! All of it is called by the driver, but `attach` also by `connect` on the user's thread. A peer
//! that is gone while messages of it wait keeps its number until they are received: the pattern may
//! need it to say whom they are from.

use std::sync::Arc;

use chaski_zmtp::pattern::{Attach, Errand, Greeted, Peer, PeerInfo};
use chaski_zmtp::{Decoder, Established, Kind, Limits};
use mio::Interest;

use super::receiving::{Receiving, wire_limits};
use super::rules::{Chores, Rules, Seat};
use super::shared::Shared;
use super::turn::Want;
use crate::link::{
    About, Codec, Framing, Link, NearReceiver, NearSender, Pass, Route, Stream, Words,
};
use crate::monitor::Lost;

const CLOSED: &str = "the socket is closed";
const UNKNOWN: &str = "the peer is gone";
const FULL: &str = "too many messages of peers that are gone wait to be received";

impl Shared {
    /// A peer exists. `Err` says why the pattern refuses it.
    pub(crate) fn attach(
        self: &Arc<Self>,
        how: Attach,
        about: Arc<Route>,
    ) -> Result<Peer, &'static str> {
        let hwm = if self.conflate { 0 } else { self.options().sndhwm };
        let framing = if self.kind == Kind::Stream { Framing::Raw } else { Framing::Zmtp };
        let mut rules = self.rules();
        if rules.closed {
            return Err(CLOSED);
        }
        let Rules { pattern, seats, .. } = &mut *rules;
        let entry = seats.0.vacant_entry();
        let peer = Peer(u32::try_from(entry.key()).map_err(|_| "too many peers")?);
        pattern.attach(peer, how)?;
        let socket = Arc::downgrade(self);
        let link = Arc::new(Link::new(peer, about, hwm, framing, socket));
        let near = link.route.is_near();
        entry.insert(Seat { link, near: None, unlaid: near, leaving: false });
        drop(rules);
        // A peer that can be given messages before it is there is room.
        self.room();
        Ok(peer)
    }

    /// The handshake with `peer` is done: from here on its stream belongs to the socket. `leftover`
    /// is what was read behind the handshake. `Err` says why the pattern refuses it; the peer is
    /// then as it was.
    pub(crate) fn up(
        self: &Arc<Self>,
        peer: Peer,
        established: Established,
        stream: Stream,
        leftover: &[u8],
    ) -> Result<(), &'static str> {
        let Established { version, info, mechanism, sealer, opener, .. } = established;
        let words =
            Words::new(established.user_id, &established.metadata, &established.zap_metadata);
        let codec = if self.kind == Kind::Stream {
            Codec::Raw
        } else {
            let mut decoder = Decoder::new(self.limits(), version, opener);
            decoder.feed(leftover);
            Codec::Zmtp(decoder)
        };
        let stream = Arc::new(stream);
        let about = About {
            info: info.clone(),
            mechanism,
            stream: Some(Arc::clone(&stream)),
            words: Arc::new(words),
        };
        let link = self.link(peer).ok_or(UNKNOWN)?;
        // Messages must find the inbox when the pattern knows the peer, and nobody may take what
        // came with the handshake before it does.
        let mut receiving = self.receiving();
        if !link.route.dialled && receiving.is_full_of_gone(&self.options()) {
            return Err(FULL);
        }
        receiving.inbox(&link).connect(Arc::clone(&stream), codec);
        let greeted = self.greet(peer, &info, &mut receiving, |link, errands| {
            // In this order: who finds the new connection broken knows that it is this one.
            link.set_about(Some(about));
            let greeting = errands.extract_if(.., |errand| errand.to == peer);
            let greeting = greeting.map(|errand| errand.what);
            link.outbox.connect(Arc::clone(&stream), version, sealer, greeting);
        });
        let chores = match greeted {
            Ok(chores) => chores,
            Err(why) => {
                receiving.inbox(&link).disconnect();
                return Err(why);
            }
        };
        drop(receiving);
        self.run_chores(chores);
        if let Some(interest) = self.interest(&stream, false)
            && let Err(error) = self.poller.add(&stream, peer, interest)
        {
            self.lost(&link, Lost::Io(error.kind()));
        }
        self.flush_link(&link);
        self.room();
        self.rouse(peer);
        if self.kind.reads_in_background() {
            // What came behind the handshake raises no event, and the user may never receive.
            self.read_in_background(peer);
        }
        Ok(())
    }

    /// After `attach`, for a peer that is reached through memory: what is sent to it goes this way
    /// from now on, though nobody may be at the other end yet.
    pub(crate) fn lay(
        self: &Arc<Self>,
        peer: Peer,
        sender: Box<dyn NearSender>,
        receiver: Box<dyn NearReceiver>,
    ) {
        let Some(link) = self.link(peer) else { return };
        self.receiving().inbox(&link).lay(receiver);
        if let Some(seat) = self.rules().seats.get_mut(peer) {
            seat.near = Some(sender);
            seat.unlaid = false;
        }
        self.room();
        self.rouse(peer);
    }

    /// After `lay`: who is at the other end is known now. `Err` says why the pattern refuses it.
    pub(crate) fn up_near(
        self: &Arc<Self>,
        peer: Peer,
        info: PeerInfo,
    ) -> Result<(), &'static str> {
        let words = Arc::default();
        let about = About { info: info.clone(), mechanism: "NULL", stream: None, words };
        let chores = self.greet(peer, &info, &mut self.receiving(), |link, _| {
            link.set_about(Some(about));
        })?;
        self.run_chores(chores);
        self.room();
        self.rouse(peer);
        Ok(())
    }

    /// Introduces a peer to the pattern, and queues what the pattern wants said to it. `connect`
    /// may say some of that itself.
    fn greet(
        self: &Arc<Self>,
        peer: Peer,
        info: &PeerInfo,
        receiving: &mut Receiving,
        connect: impl FnOnce(&Arc<Link>, &mut Vec<Errand>),
    ) -> Result<Chores, &'static str> {
        let mut chores = Chores::new();
        let mut rules = self.rules();
        let link = rules.seats.get(peer).map(|seat| Arc::clone(&seat.link)).ok_or(UNKNOWN)?;
        let Rules { pattern, errands, .. } = &mut *rules;
        let greeted = pattern.greet(peer, info, errands)?;
        connect(&link, errands);
        let pass = match rules.pattern.prefix(peer) {
            Some(prefix) => Some(Pass::After(prefix.clone())),
            None if self.unchanged => Some(Pass::Whole),
            None if rules.pattern.delivers_wanted() => Some(Pass::Wanted),
            None => None,
        };
        rules.run_errands(&mut chores);
        let replaced = match greeted {
            Greeted::Replaces(old) => rules.seats.get(old).map(|seat| Arc::clone(&seat.link)),
            _ => None,
        };
        drop(rules);
        receiving.inbox(&link).pass = pass;
        if let Some(old) = replaced {
            receiving.inbox(&old).pass = None;
            self.lost(&old, Lost::Replaced);
        }
        Ok(chores)
    }

    /// Nothing more can be written to a peer, which may be read on. One that connected to us comes
    /// back as another, if at all, and so is sent nothing more. False if nobody will read: the
    /// socket is closed.
    pub(super) fn hears_out(self: &Arc<Self>, link: &Arc<Link>) -> bool {
        let mut chores = Chores::new();
        let mut rules = self.rules();
        if rules.closed {
            return false;
        }
        if link.route.dialled {
            return true;
        }
        let Rules { pattern, seats, errands, .. } = &mut *rules;
        let Some(seat) = seats.get_mut(link.peer) else { return false };
        seat.leaving = true;
        if self.kind.sends() {
            pattern.hang_up(link.peer, errands);
        }
        rules.run_errands(&mut chores);
        drop(rules);
        link.outbox.clear();
        self.run_chores(chores);
        true
    }

    /// The connection to `peer` is lost; it may come again.
    pub(crate) fn down(self: &Arc<Self>, peer: Peer) {
        let Some(link) = self.link(peer) else { return };
        link.loses(link.connection());
        let about = link.set_about(None);
        if let Some(stream) = about.as_ref().and_then(|about| about.stream.as_ref()) {
            self.poller.remove(stream);
        }
        self.receiving().inbox(&link).disconnect();
        link.outbox.disconnect();
        let mut chores = Chores::new();
        let mut rules = self.rules();
        if about.is_some() {
            let Rules { pattern, errands, .. } = &mut *rules;
            pattern.hang_up(peer, errands);
            rules.run_errands(&mut chores);
        }
        drop(rules);
        self.run_chores(chores);
        // Senders look again whom to send to; a receiver, what the pattern has to say of it.
        self.room();
        self.rouse(peer);
    }

    /// The peer is gone for good. Messages that came from it are still received.
    ///
    /// Whoever was woken by `down` may have looked before the pattern knew. So all look again when
    /// it does: receivers for what it says of that, senders for whether there is still whom they
    /// wait for.
    pub(crate) fn gone(self: &Arc<Self>, peer: Peer) {
        self.down(peer);
        let mut chores = Chores::new();
        let mut rules = self.rules();
        let Some(seat) = rules.seats.get_mut(peer) else { return };
        seat.leaving = true;
        seat.near = None;
        let link = Arc::clone(&seat.link);
        link.outbox.clear();
        rules.run_errands(&mut chores);
        drop(rules);
        self.run_chores(chores);
        let mut receiving = self.receiving();
        let inbox = receiving.inbox(&link);
        inbox.last = true;
        if inbox.has_more() {
            receiving.note_left(peer);
        } else {
            self.detach(&mut receiving, peer);
        }
        drop(receiving);
        self.room();
        self.notify(Want::Recv);
    }

    /// Nothing of a peer is left: its number may be given to another.
    pub(super) fn detach(self: &Arc<Self>, receiving: &mut Receiving, peer: Peer) {
        receiving.forget(peer);
        let mut chores = Chores::new();
        let mut rules = self.rules();
        let Rules { pattern, seats, errands, .. } = &mut *rules;
        pattern.detach(peer, errands);
        if seats.0.contains(peer.0 as usize) {
            seats.0.remove(peer.0 as usize);
        }
        rules.run_errands(&mut chores);
        drop(rules);
        self.run_chores(chores);
    }

    /// The way to a peer.
    pub(crate) fn link(&self, peer: Peer) -> Option<Arc<Link>> {
        self.rules().seats.get(peer).map(|seat| Arc::clone(&seat.link))
    }

    /// What a stream is watched for. TCP raises a writable edge only after a write was refused, so
    /// it is watched for both from the start; a Unix stream raises one with each read of the peer,
    /// so that is asked for only while the outbox is stuck. What nobody receives from is read by
    /// the driver.
    fn interest(&self, stream: &Stream, stuck: bool) -> Option<Interest> {
        let reads = self.kind.receives();
        let writes = stuck || !stream.raises_writable_often();
        match (reads, writes) {
            (true, true) => Some(Interest::READABLE | Interest::WRITABLE),
            (true, false) => Some(Interest::READABLE),
            (false, true) => Some(Interest::WRITABLE),
            (false, false) => None,
        }
    }

    /// An outbox is stuck: sees to it that the writable edge is told.
    pub(super) fn watch_writable(&self, link: &Link) {
        let Some(stream) = link.about().and_then(|about| about.stream) else { return };
        if !stream.raises_writable_often() {
            return;
        }
        if let Some(interest) = self.interest(&stream, true)
            && self.poller.change(&stream, link.peer, interest).is_err()
        {
            let _ = self.poller.add(&stream, link.peer, interest);
        }
    }

    fn limits(&self) -> Limits {
        wire_limits(&self.options())
    }
}
