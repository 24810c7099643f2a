//! Taking messages: from the pages that were read, and from the kernel when those are used up.
//!
//! Peers that may have something stand in a queue; each gives one message and goes to its end
//! (fair queueing, RFC 28 to 31). A peer is read from the kernel only when all that it sent before
//! is taken, by whoever asks next, and only once there was word of it: there is no read that finds
//! nothing but the one that ends a run of full pages.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use chaski_zmtp::pattern::{Delivery, Peer};
use chaski_zmtp::{Limits, Message};

use super::poller::Doorbell;
use super::rules::{Chores, Rules};
use super::shared::Shared;
use super::turn::Want;
use crate::error::RecvError;
use crate::link::{Inbox, Link, Next, Single};
use crate::monitor::{Breach, Lost};
use crate::options::Options;

/// How many messages or commands the driver takes from one peer at a time.
const SERVICE_MAX: usize = 4096;

/// How many bytes it reads of one peer at a time, one read more or less: so long others wait for
/// the inboxes.
const SERVICE_BYTES: u64 = 256 * 1024;

/// How many bytes are taken by one call for many messages, one message more or less. Memory that is
/// read into serves again once its messages are gone: more at a time would take new memory each
/// time, and more of it than caches hold.
const TAKEN_BYTES: usize = 256 * 1024;

/// What came and was not taken.
#[derive(Default)]
pub(crate) struct Receiving {
    /// By number of the peer.
    inboxes: Vec<Option<Box<Inbox>>>,
    /// Those that may have something.
    queue: VecDeque<Peer>,
    /// Delivered already, before the user asked.
    taken: VecDeque<Message>,
    /// How many messages of peers that are gone wait. While they are as many as RCVHWM the driver
    /// reads nobody: else strangers who come, send and go would fill memory one after the other.
    gone: usize,
}

/// What became of a look into the inboxes.
enum Look {
    Message(Message),
    /// To be looked at again.
    Again,
    /// Nothing from this peer.
    Nothing,
    /// The pattern does not want to hear this peer now.
    NotNow,
}

impl Receiving {
    /// The inbox of a peer.
    pub(super) fn inbox(&mut self, link: &Arc<Link>) -> &mut Inbox {
        let at = link.peer.0 as usize;
        if self.inboxes.len() <= at {
            self.inboxes.resize_with(at + 1, || None);
        }
        self.inboxes[at].get_or_insert_with(|| Box::new(Inbox::new(Arc::clone(link))))
    }

    fn get(&mut self, peer: Peer) -> Option<&mut Inbox> {
        self.inboxes.get_mut(peer.0 as usize)?.as_deref_mut()
    }

    /// A peer may have something.
    fn list(&mut self, peer: Peer, hung_up: bool) {
        let Some(inbox) = self.get(peer) else { return };
        inbox.readable(hung_up);
        if !std::mem::replace(&mut inbox.listed, true) {
            self.queue.push_back(peer);
        }
    }

    /// The first in the queue has nothing more.
    fn unlist_first(&mut self) {
        if let Some(inbox) = self.queue.pop_front().and_then(|peer| self.get(peer)) {
            inbox.listed = false;
        }
    }

    /// Lists those who rang.
    pub(super) fn answer(&mut self, doorbell: &Doorbell) {
        doorbell.answer(|peer, hung_up| self.list(peer, hung_up));
    }

    /// Takes all out of the queue.
    pub(super) fn unlist_all(&mut self) -> Vec<Peer> {
        let listed: Vec<Peer> = self.queue.drain(..).collect();
        for peer in &listed {
            if let Some(inbox) = self.get(*peer) {
                inbox.listed = false;
            }
        }
        listed
    }

    fn rotate(&mut self) {
        if self.queue.len() > 1 {
            self.queue.rotate_left(1);
        }
    }

    /// A peer is gone, or one of its last messages was taken.
    pub(super) fn note_left(&mut self, peer: Peer) {
        let Some(inbox) = self.get(peer) else { return };
        let left = if inbox.last { inbox.ahead.len() } else { 0 };
        let before = std::mem::replace(&mut inbox.left, left);
        self.gone = self.gone + left - before;
    }

    /// Whether those that are gone have left so many messages that no stranger is let in.
    pub(super) fn is_full_of_gone(&self, options: &Options) -> bool {
        self.gone >= hwm(options).saturating_mul(2)
    }

    pub(super) fn forget(&mut self, peer: Peer) {
        self.gone -= self.get(peer).map_or(0, |inbox| inbox.left);
        self.queue.retain(|queued| *queued != peer);
        if let Some(inbox) = self.inboxes.get_mut(peer.0 as usize) {
            *inbox = None;
        }
    }

    /// How often a peer was read.
    pub(super) fn reads(&mut self, peer: Peer) -> u64 {
        self.get(peer).map_or(0, |inbox| inbox.reads)
    }

    /// Whether a message was delivered that the user has not received yet.
    pub(super) fn has_taken(&self) -> bool {
        !self.taken.is_empty()
    }

    /// What is counted of a peer.
    pub(super) fn counts(&mut self, peer: Peer) -> (u64, u64) {
        self.get(peer).map_or((0, 0), |inbox| (inbox.messages, inbox.bytes))
    }
}

/// A message, and whether there may be another.
pub(super) struct Taken {
    pub(super) message: Message,
    pub(super) more: bool,
}

impl Shared {
    /// Takes the next message in the common case: a single frame that was read already, of which
    /// it is known without asking what the pattern makes of it. Whether there may be more. The
    /// caller makes a message of it where that stays: to move one takes longer than to find it.
    #[inline]
    pub(super) fn take_single(&self) -> Option<(Single, bool)> {
        if !self.singles || self.check_origin().is_err() {
            return None;
        }
        self.single_from(&mut self.receiving())
    }

    #[inline]
    fn single_from(&self, receiving: &mut Receiving) -> Option<(Single, bool)> {
        let first = receiving.queue.front()?;
        let others = receiving.queue.len() > 1;
        if !self.singles || !receiving.taken.is_empty() || others && self.doorbell.has_rung() {
            return None;
        }
        let inbox = receiving.inboxes[first.0 as usize].as_deref_mut()?;
        let single = match inbox.is_chosen_from() {
            true => self.next_wanted(inbox)?,
            false => inbox.next_single()?,
        };
        let backlog = inbox.has_more();
        let more = backlog || others || inbox.is_readable();
        self.note_backlog(backlog);
        receiving.rotate();
        Some((single, more))
    }

    /// Takes the next message of a single frame that the pattern wants; those that it does not
    /// want are gone.
    fn next_wanted(&self, inbox: &mut Inbox) -> Option<Single> {
        let rules = self.rules();
        for _ in 0..SERVICE_MAX {
            let single = inbox.next_single()?;
            if rules.pattern.wants(single.as_slice()) {
                return Some(single);
            }
        }
        None
    }

    /// Takes the next message, if one is there or can be read without waiting.
    #[inline]
    pub(super) fn take(self: &Arc<Self>) -> Result<Option<Taken>, RecvError> {
        // Before any lock, which another thread of the parent may have held for ever.
        self.check_origin()?;
        let mut receiving = self.receiving();
        self.take_from(&mut receiving)
    }

    /// Takes up to `max` messages, and about [`TAKEN_BYTES`]; whether there may be more.
    pub(super) fn take_many(
        self: &Arc<Self>,
        messages: &mut Vec<Message>,
        max: usize,
    ) -> Result<bool, RecvError> {
        self.check_origin()?;
        let mut receiving = self.receiving();
        let (before, mut bytes) = (messages.len(), 0);
        while messages.len() - before < max && bytes < TAKEN_BYTES {
            if let Some((single, _)) = self.single_from(&mut receiving) {
                bytes += single.len();
                messages.push(single.into_message());
                continue;
            }
            match self.take_from(&mut receiving) {
                Ok(Some(taken)) => {
                    bytes += taken.message.byte_len();
                    messages.push(taken.message);
                }
                Ok(None) => return Ok(false),
                Err(_) if messages.len() > before => return Ok(false),
                Err(failure) => return Err(failure),
            }
        }
        Ok(true)
    }

    #[inline]
    fn take_from(self: &Arc<Self>, receiving: &mut Receiving) -> Result<Option<Taken>, RecvError> {
        // The common case: a pattern that passes everything on, one peer, a page with messages.
        if self.unchanged
            && self.singles
            && receiving.taken.is_empty()
            && receiving.queue.len() == 1
            && let Some(inbox) = receiving.inboxes[receiving.queue[0].0 as usize].as_deref_mut()
            && let Some(message) = inbox.next_at_hand()
        {
            let backlog = inbox.has_more();
            self.note_backlog(backlog);
            return Ok(Some(Taken { message, more: backlog || inbox.is_readable() }));
        }
        self.take_any(receiving)
    }

    fn take_any(self: &Arc<Self>, receiving: &mut Receiving) -> Result<Option<Taken>, RecvError> {
        if let Some(message) = receiving.taken.pop_front() {
            return Ok(Some(Taken { message, more: true }));
        }
        if let Some(message) = self.ask_pattern()? {
            return Ok(Some(Taken { message, more: true }));
        }
        self.doorbell.answer(|peer, hung_up| receiving.list(peer, hung_up));
        let (mut passed, mut again) = (0, 0);
        while let Some(&peer) = receiving.queue.front()
            && passed < receiving.queue.len()
        {
            if again == SERVICE_MAX {
                // Much came, and nothing of it for the user. Others get their turn, and the caller
                // a look at its clock; that there is more makes it come again.
                receiving.rotate();
                self.notify(Want::Recv);
                break;
            }
            match self.look(receiving, peer)? {
                Look::Message(message) => {
                    let message = match self.conflate {
                        true => self.newest_of(receiving, peer, message),
                        false => message,
                    };
                    return Ok(Some(self.taken(receiving, message)));
                }
                Look::Again => again += 1,
                Look::Nothing => receiving.unlist_first(),
                Look::NotNow => {
                    receiving.rotate();
                    passed += 1;
                }
            }
        }
        self.note_backlog(false);
        // A command on the way may have given the pattern something to say.
        let said = if self.unchanged { None } else { self.rules().pattern.notice() };
        Ok(said.map(|message| Taken { message, more: true }))
    }

    /// Takes all that a peer has sent, and keeps the last (`ZMQ_CONFLATE`).
    fn newest_of(
        self: &Arc<Self>,
        receiving: &mut Receiving,
        peer: Peer,
        mut message: Message,
    ) -> Message {
        // One that sends faster than we read does not keep us from what there is.
        for _ in 0..SERVICE_MAX {
            match self.look(receiving, peer) {
                Ok(Look::Message(newer)) => message = newer,
                Ok(Look::Again) => {}
                Ok(Look::Nothing | Look::NotNow) | Err(_) => break,
            }
        }
        message
    }

    /// A message was taken from the first in the queue.
    fn taken(&self, receiving: &mut Receiving, message: Message) -> Taken {
        let first = receiving.queue.front().copied();
        let inbox = first.and_then(|peer| receiving.get(peer));
        let backlog = inbox.as_ref().is_some_and(|inbox| inbox.has_more());
        // Behind the last message of one that is gone the pattern may say that it went.
        let more = backlog || inbox.is_some_and(|inbox| inbox.is_readable() || inbox.last);
        self.note_backlog(backlog);
        receiving.rotate();
        Taken { message, more: more || receiving.queue.len() > 1 }
    }

    /// Whether the user has received messages left to take: then what it sends can wait.
    #[inline]
    fn note_backlog(&self, backlog: bool) {
        // ORDERING: a hint, which at worst lets a send be written now or a tick later.
        if self.backlog.load(Ordering::Relaxed) != backlog {
            self.backlog.store(backlog, Ordering::Relaxed);
        }
    }

    /// Whether a receive is allowed, and what the pattern itself has to say.
    fn ask_pattern(&self) -> Result<Option<Message>, RecvError> {
        let mut rules = self.rules();
        if rules.closed {
            return Err(RecvError::Closed);
        }
        if self.unchanged {
            return Ok(None);
        }
        rules.pattern.may_recv()?;
        Ok(rules.pattern.notice())
    }

    /// Looks at what one peer has next.
    fn look(self: &Arc<Self>, receiving: &mut Receiving, peer: Peer) -> Result<Look, RecvError> {
        let Some(inbox) = receiving.get(peer) else { return Ok(Look::Nothing) };
        let mut chores = Chores::new();
        let mut rules = None;
        if !self.unchanged {
            let rules = rules.insert(self.rules());
            if !rules.pattern.may_read(peer) {
                return Ok(Look::NotNow);
            }
        }
        let look = match inbox.next() {
            Next::Message(message) => match &mut rules {
                None => Ok(Look::Message(message)),
                Some(rules) => match rules.pattern.may_recv() {
                    Ok(()) => Ok(self.deliver(rules, inbox, message, &mut chores)),
                    Err(misuse) => {
                        inbox.ahead.push_front(message);
                        Err(misuse.into())
                    }
                },
            },
            Next::Command(command) => {
                let rules = rules.get_or_insert_with(|| self.rules());
                self.heed(peer, &command);
                let kept = rules.command(peer, command, &mut chores);
                Ok(self.or_shun(kept, inbox))
            }
            Next::Unread => {
                drop(rules.take());
                Ok(self.read(inbox))
            }
            Next::Empty => Ok(Look::Nothing),
            Next::Lost(why) => {
                self.lost(&inbox.link, why);
                Ok(Look::Nothing)
            }
        };
        drop(rules);
        let over = matches!(look, Ok(Look::Nothing)) && inbox.last;
        if inbox.last {
            receiving.note_left(peer);
        }
        self.run_chores(chores);
        if over {
            self.detach(receiving, peer);
            return Ok(Look::Again);
        }
        look
    }

    /// Passes a message through the pattern.
    fn deliver(
        self: &Arc<Self>,
        rules: &mut Rules,
        inbox: &mut Inbox,
        message: Message,
        chores: &mut Chores,
    ) -> Look {
        let Rules { pattern, errands, .. } = rules;
        let look = match pattern.deliver(inbox.link.peer, message, errands) {
            Delivery::Take(message) => Look::Message(message),
            Delivery::Ignore => Look::Again,
            Delivery::Close(why) => self.or_shun(Err(Lost::Protocol(Breach::Rule(why))), inbox),
        };
        rules.run_errands(chores);
        look
    }

    /// Goes on, unless the peer broke a rule, or refuses us: then its connection ends.
    fn or_shun(self: &Arc<Self>, kept: Result<(), Lost>, inbox: &mut Inbox) -> Look {
        match kept {
            Ok(()) => Look::Again,
            Err(why) => {
                self.lost(&inbox.link, why);
                inbox.shun();
                Look::Nothing
            }
        }
    }

    /// Reads from the kernel, having written first what the peer may be waiting for.
    fn read(self: &Arc<Self>, inbox: &mut Inbox) -> Look {
        self.flush_armed();
        match inbox.read() {
            Ok(()) => Look::Again,
            Err(why) => {
                self.lost(&inbox.link, why);
                Look::Nothing
            }
        }
    }

    /// Whether a receive would find something. What it finds is kept for the receive.
    pub(crate) fn can_recv(self: &Arc<Self>) -> bool {
        let mut receiving = self.receiving();
        if !receiving.taken.is_empty() {
            return true;
        }
        match self.take_from(&mut receiving) {
            Ok(Some(taken)) => {
                receiving.taken.push_back(taken.message);
                true
            }
            Ok(None) => false,
            // The receive will say what is wrong, without waiting.
            Err(RecvError::Closed) => true,
            Err(_) => false,
        }
    }

    /// Drops all that has come: it answers what was asked before (a relaxed REQ).
    pub(super) fn discard(self: &Arc<Self>) {
        self.harvest(Some(Want::Recv));
        let mut receiving = self.receiving();
        let receiving = &mut *receiving;
        self.doorbell.answer(|peer, hung_up| receiving.list(peer, hung_up));
        receiving.taken.clear();
        let mut stale = VecDeque::new();
        for at in 0..receiving.queue.len() {
            let peer = receiving.queue[at];
            for _ in 0..SERVICE_MAX {
                if !matches!(self.look_in_background(receiving, peer, &mut stale), Look::Again) {
                    break;
                }
                stale.clear();
            }
            receiving.note_left(peer);
        }
    }

    /// Reads what nobody else reads, as far as there is room for it: called by the driver. Whether
    /// there is more, of which no other word will come.
    pub(super) fn read_in_background(self: &Arc<Self>, peer: Peer) -> bool {
        let rcvhwm = hwm(&self.options());
        let mut receiving = self.receiving();
        let receiving = &mut *receiving;
        self.doorbell.answer(|peer, hung_up| receiving.list(peer, hung_up));
        let mut kept = VecDeque::new();
        let Some(inbox) = receiving.get(peer) else { return false };
        inbox.readable(false);
        std::mem::swap(&mut kept, &mut inbox.ahead);
        let enough = inbox.bytes + SERVICE_BYTES;
        let mut more = false;
        for turn in 0..SERVICE_MAX {
            let most = kept.len().max(receiving.taken.len()).max(receiving.gone);
            if most >= rcvhwm {
                break;
            }
            match self.look_in_background(receiving, peer, &mut kept) {
                Look::Message(message) => receiving.taken.push_back(message),
                Look::Again => {}
                Look::Nothing | Look::NotNow => break,
            }
            let has_enough = receiving.get(peer).is_some_and(|inbox| inbox.bytes >= enough);
            if has_enough || turn + 1 == SERVICE_MAX {
                more = true;
                self.doorbell.ring(peer, false);
                break;
            }
        }
        let has_some = !kept.is_empty() || !receiving.taken.is_empty();
        if let Some(inbox) = receiving.get(peer) {
            kept.append(&mut inbox.ahead);
            inbox.ahead = kept;
            inbox.rest();
        }
        if has_some {
            receiving.list(peer, false);
        }
        // A command may have given the pattern something to say, too.
        if has_some || self.kind.publishes() {
            self.notify(Want::Recv);
        }
        more
    }

    /// Looks at what one peer has next. Messages go through the pattern only if the user has no
    /// part in that.
    fn look_in_background(
        self: &Arc<Self>,
        receiving: &mut Receiving,
        peer: Peer,
        kept: &mut VecDeque<Message>,
    ) -> Look {
        let Some(inbox) = receiving.get(peer) else { return Look::Nothing };
        let mut chores = Chores::new();
        let mut rules = self.rules();
        if self.kind.reads_in_background() && !rules.pattern.may_read(peer) {
            return Look::NotNow;
        }
        let look = match inbox.next() {
            Next::Message(message) if self.kind.reads_in_background() => {
                self.deliver(&mut rules, inbox, message, &mut chores)
            }
            Next::Message(message) => {
                kept.push_back(message);
                Look::Again
            }
            Next::Command(command) => {
                self.heed(peer, &command);
                let kept = rules.command(peer, command, &mut chores);
                self.or_shun(kept, inbox)
            }
            Next::Unread => {
                drop(rules);
                return self.read(inbox);
            }
            Next::Empty => Look::Nothing,
            Next::Lost(why) => {
                self.lost(&inbox.link, why);
                Look::Nothing
            }
        };
        drop(rules);
        self.run_chores(chores);
        look
    }
}

/// How many messages may wait to be received.
fn hwm(options: &Options) -> usize {
    match options.rcvhwm {
        0 => usize::MAX,
        hwm => hwm as usize,
    }
}

/// The limits of a connection that follow from options.
pub(super) fn wire_limits(options: &Options) -> Limits {
    let mut limits = Limits::default();
    limits.frame_bytes_max = options.maxmsgsize;
    limits.message_bytes_max = limits.message_bytes_max.max(options.maxmsgsize);
    limits.page = options.page_size;
    limits
}
