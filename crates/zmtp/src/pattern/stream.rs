//! STREAM, which is libzmq's own: plain TCP connections, each by an identity.
//!
//! ```text
//!   for the user   [identity] [bytes]      in both directions
//!                  [identity] []           received: it came, or it went; sent: close it
//!   on the wire               bytes
//! ```
//!
//! Identities are generated (`identities`), or given by the user to a connection that it makes.
//! A message to a connection that is not there is an error, and one to a full queue waits. With
//! `stream_notify`, which is on unless said otherwise, connections that come and go are told.

use super::arrivals::Arrivals;
use super::identities::Identities;
use super::queues::Queues;
use super::{Attach, Delivery, Errand, Greeted, Misuse, Outgoing, Pattern, Peer, PeerInfo, Room};
use super::{Body, Said, Setting, Verdict};
use crate::kind::Kind;
use crate::message::{Frame, Message};

const NOT_A_PAIR: Misuse = Misuse::Shape("a message of a STREAM is an identity and one more frame");

pub(crate) struct Stream {
    queues: Queues,
    identities: Identities,
    arrivals: Arrivals,
}

impl Stream {
    pub(crate) fn new(seed: u32) -> Self {
        Stream {
            queues: Queues::default(),
            identities: Identities::new(seed),
            arrivals: Arrivals::default(),
        }
    }
}

impl Pattern for Stream {
    fn kind(&self) -> Kind {
        Kind::Stream
    }

    fn attach(&mut self, peer: Peer, how: Attach) -> Result<(), &'static str> {
        match &how {
            Attach::Connecting { identity, .. } if !identity.is_empty() => {
                if self.identities.holder(identity).is_some() {
                    return Err("another connection has this identity");
                }
                self.identities.give(peer, identity.clone());
            }
            _ => self.identities.generate(peer),
        }
        self.arrivals.attach(peer, &how);
        self.queues.attach(peer, &how);
        Ok(())
    }

    fn greet(
        &mut self,
        peer: Peer,
        _: &PeerInfo,
        _: &mut Vec<Errand>,
    ) -> Result<Greeted, &'static str> {
        if let Some(identity) = self.identities.name(peer) {
            self.arrivals.greet(peer, identity)?;
        }
        self.queues.greet(peer);
        Ok(Greeted::Welcome)
    }

    fn hang_up(&mut self, peer: Peer, _: &mut Vec<Errand>) {
        if let Some(identity) = self.identities.name(peer) {
            self.arrivals.hang_up(peer, identity);
        }
        self.queues.hang_up(peer);
    }

    fn detach(&mut self, peer: Peer, _: &mut Vec<Errand>) {
        if let Some(identity) = self.identities.name(peer) {
            self.arrivals.detach(peer, identity);
        }
        self.queues.detach(peer);
        self.identities.withdraw(peer);
    }

    fn route(
        &mut self,
        message: &mut Outgoing<'_>,
        room: &dyn Room,
        to: &mut Vec<Peer>,
        errands: &mut Vec<Errand>,
    ) -> Result<Verdict, Misuse> {
        let Body::Message(body) = &mut message.body else { return Err(NOT_A_PAIR) };
        let [identity, bytes] = body.as_slice() else { return Err(NOT_A_PAIR) };
        let peer = self.identities.holder(identity).filter(|&peer| self.queues.has(peer));
        let peer = peer.ok_or(Misuse::Unroutable)?;
        if bytes.is_empty() {
            errands.push(Errand { to: peer, what: Said::Goodbye });
            // Nothing more is sent to it; what was sent before goes out first.
            self.queues.detach(peer);
            return Ok(Verdict::Drop);
        }
        if !room.has_room(peer) {
            return Ok(Verdict::Wait);
        }
        body.pop_front();
        to.push(peer);
        Ok(Verdict::Send)
    }

    fn may_recv(&self) -> Result<(), Misuse> {
        Ok(())
    }

    fn notice(&mut self) -> Option<Message> {
        self.arrivals.pop()
    }

    fn deliver(&mut self, from: Peer, mut message: Message, _: &mut Vec<Errand>) -> Delivery {
        let Some(identity) = self.identities.name(from) else { return Delivery::Ignore };
        message.push_front(Frame::clone(identity));
        Delivery::Take(message)
    }

    fn set(&mut self, setting: Setting) -> Result<(), Misuse> {
        match setting {
            Setting::StreamNotify(on) => self.arrivals.set(on),
            _ => return Err(Misuse::NotSupported(Kind::Stream, "have that setting")),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::exercise::{Bench, Full, Sent, frames};
    use crate::pattern::limits::UNREAD_ARRIVALS_MAX;

    const FIRST: &[u8] = &[0, 1, 2, 3, 4];

    #[test]
    fn a_connection_is_told_when_it_comes_and_when_it_goes() {
        let mut stream = Bench::new(Kind::Stream);
        stream.accept(0, "").unwrap();
        assert_eq!(stream.pattern.notice(), Some(frames(&[FIRST, b""])));
        assert_eq!(stream.pattern.notice(), None);
        assert_eq!(stream.deliver(0, &["bytes"]), Some(frames(&[FIRST, b"bytes"])));
        stream.hang_up(0);
        assert_eq!(stream.pattern.notice(), None);
        assert_eq!(stream.deliver(0, &["last bytes"]), Some(frames(&[FIRST, b"last bytes"])));
        stream.pattern.detach(Peer(0), &mut stream.errands);
        assert_eq!(stream.pattern.notice(), Some(frames(&[FIRST, b""])));
        assert_eq!(stream.pattern.notice(), None);
    }

    #[test]
    fn without_notify_nothing_is_told() {
        let mut stream = Bench::with(Kind::Stream, [Setting::StreamNotify(false)]);
        stream.accept(0, "").unwrap();
        stream.leave(0);
        assert_eq!(stream.pattern.notice(), None);
    }

    #[test]
    fn bytes_go_to_the_connection_of_that_identity() {
        let mut stream = Bench::new(Kind::Stream);
        stream.accept(0, "ignored").unwrap();
        let bytes = Sent::To(vec![0], frames(&["bytes"]));
        assert_eq!(stream.send(&[FIRST, b"bytes"]), Ok(bytes));
        assert_eq!(stream.send(&["ignored", "bytes"]), Err(Misuse::Unroutable));
        stream.room = Full::of([0]);
        assert_eq!(stream.send(&[FIRST, b"bytes"]), Ok(Sent::Wait));
        assert_eq!(stream.send(&[FIRST]), Err(NOT_A_PAIR));
        assert_eq!(stream.send(&[FIRST, b"a", b"b"]), Err(NOT_A_PAIR));
    }

    #[test]
    fn an_empty_body_closes_the_connection() {
        let mut stream = Bench::new(Kind::Stream);
        stream.accept(0, "").unwrap();
        assert_eq!(stream.send(&[FIRST, b""]), Ok(Sent::Drop));
        assert!(matches!(stream.said()[..], [(0, Said::Goodbye)]));
        assert_eq!(stream.send(&[FIRST, b"late"]), Err(Misuse::Unroutable));
        stream.leave(0);
        assert_eq!(stream.send(&[FIRST, b"late"]), Err(Misuse::Unroutable));
    }

    #[test]
    fn a_connection_that_we_make_has_the_identity_that_it_is_given() {
        let mut stream = Bench::new(Kind::Stream);
        let named = || Attach::Connecting { early: true, identity: Frame::from("web") };
        stream.pattern.attach(Peer(0), named()).unwrap();
        assert_eq!(stream.sent_to(&["web", "bytes"]), [0]);
        assert!(stream.pattern.attach(Peer(1), named()).is_err());
        stream.greet(0, "").unwrap();
        assert_eq!(stream.pattern.notice(), Some(frames(&["web", ""])));
        stream.hang_up(0);
        assert_eq!(stream.pattern.notice(), Some(frames(&["web", ""])));
        stream.greet(0, "").unwrap();
        assert_eq!(stream.pattern.notice(), Some(frames(&["web", ""])));
    }

    #[test]
    fn who_does_not_look_gets_no_more_connections() {
        let mut stream = Bench::new(Kind::Stream);
        let mut come_and_go = || {
            let come = stream.accept(0, "");
            stream.leave(0);
            come
        };
        assert!((0..UNREAD_ARRIVALS_MAX / 2).all(|_| come_and_go().is_ok()));
        assert!(come_and_go().is_err());
        stream.pattern.notice().unwrap();
        stream.accept(0, "").unwrap();
    }
}
