//! SERVER (RFC 41) and PEER (RFC 51): each message goes to the peer of its routing id.
//!
//! | clause | where |
//! |---|---|
//! | identify each double queue by a non-zero 32-bit number, not chosen by the peer | `attach` |
//! | an API to get a message's routing id, and to set it | [`Message::routing_id`], `deliver` |
//! | PEER: connect and get the routing id at once | [`Pattern::routing_id`], from `attach` on |
//! | an error if the queue does not exist; block if it is full | `route` |
//! | MUST NOT send and MUST discard multipart messages | `check_shape`, `deliver` |

use std::collections::HashMap;

use super::peers::Peers;
use super::queues::Queues;
use super::{Attach, Delivery, Errand, Greeted, Misuse, Outgoing, Pattern, Peer, PeerInfo, Room};
use super::{Body, Verdict};
use crate::kind::Kind;
use crate::message::Message;

pub(crate) struct Server {
    kind: Kind,
    queues: Queues,
    by_id: HashMap<u32, Peer>,
    ids: Peers<u32>,
    next_id: u32,
}

impl Server {
    pub(crate) fn new(kind: Kind, seed: u32) -> Self {
        Server {
            kind,
            queues: Queues::default(),
            by_id: HashMap::new(),
            ids: Peers::default(),
            next_id: seed,
        }
    }

    /// A number that no peer has, and not zero.
    fn free_id(&mut self) -> u32 {
        loop {
            let id = self.next_id;
            self.next_id = id.wrapping_add(1);
            if id != 0 && !self.by_id.contains_key(&id) {
                return id;
            }
        }
    }
}

impl Pattern for Server {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn attach(&mut self, peer: Peer, how: Attach) -> Result<(), &'static str> {
        let id = self.free_id();
        self.by_id.insert(id, peer);
        self.ids.insert(peer, id);
        self.queues.attach(peer, &how);
        Ok(())
    }

    fn greet(
        &mut self,
        peer: Peer,
        _: &PeerInfo,
        _: &mut Vec<Errand>,
    ) -> Result<Greeted, &'static str> {
        self.queues.greet(peer);
        Ok(Greeted::Welcome)
    }

    fn hang_up(&mut self, peer: Peer, _: &mut Vec<Errand>) {
        self.queues.hang_up(peer);
    }

    fn detach(&mut self, peer: Peer, _: &mut Vec<Errand>) {
        self.queues.detach(peer);
        if let Some(id) = self.ids.remove(peer) {
            self.by_id.remove(&id);
        }
    }

    fn route(
        &mut self,
        message: &mut Outgoing<'_>,
        room: &dyn Room,
        to: &mut Vec<Peer>,
        _: &mut Vec<Errand>,
    ) -> Result<Verdict, Misuse> {
        message.check_shape(self.kind)?;
        let Body::Message(body) = &mut message.body else { return Err(Misuse::Unroutable) };
        let peer = self.by_id.get(&body.routing_id()).copied();
        let peer = peer.filter(|&peer| self.queues.has(peer)).ok_or(Misuse::Unroutable)?;
        if !room.has_room(peer) {
            return if room.is_gone(peer) { Err(Misuse::Unroutable) } else { Ok(Verdict::Wait) };
        }
        // It means nothing to the peer, where no wire is between.
        body.set_routing_id(0);
        to.push(peer);
        Ok(Verdict::Send)
    }

    fn may_recv(&self) -> Result<(), Misuse> {
        Ok(())
    }

    fn routing_id(&self, peer: Peer) -> u32 {
        self.ids.get(peer).copied().unwrap_or(0)
    }

    fn deliver(&mut self, from: Peer, mut message: Message, _: &mut Vec<Errand>) -> Delivery {
        match self.ids.get(from) {
            Some(&id) if message.len() == 1 => {
                message.set_routing_id(id);
                Delivery::Take(message)
            }
            _ => Delivery::Ignore,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::exercise::{Bench, Full, Sent, early, frames};

    fn to(id: u32, body: &str) -> Message {
        let mut message = Message::from(body);
        message.set_routing_id(id);
        message
    }

    #[test]
    fn a_reply_goes_to_who_asked() {
        let mut server = Bench::new(Kind::Server);
        server.accept(0, "").unwrap();
        server.accept(1, "chosen by the peer").unwrap();
        let ids = [0, 1].map(|peer| server.deliver(peer, &["a"]).unwrap().routing_id());
        assert!(ids[0] != 0 && ids[1] != 0 && ids[0] != ids[1]);
        for (peer, id) in [0, 1].into_iter().zip(ids) {
            let Ok(Sent::To(peers, message)) = server.send_message(to(id, "x")) else {
                panic!("it goes out")
            };
            assert_eq!(
                (peers, &message, message.routing_id()),
                (vec![peer], &Message::from("x"), 0)
            );
        }
    }

    #[test]
    fn the_unroutable_is_an_error_and_a_full_queue_waits() {
        let mut server = Bench::new(Kind::Server);
        server.accept(0, "").unwrap();
        let id = server.pattern.routing_id(Peer(0));
        server.room = Full::of([0]);
        assert_eq!(server.send_message(to(id, "x")), Ok(Sent::Wait));
        assert_eq!(server.send_message(to(id + 1, "x")), Err(Misuse::Unroutable));
        assert_eq!(server.send(&["x"]), Err(Misuse::Unroutable));
        server.leave(0);
        assert_eq!(server.send_message(to(id, "x")), Err(Misuse::Unroutable));
    }

    #[test]
    fn messages_have_one_frame() {
        let mut server = Bench::new(Kind::Server);
        server.accept(0, "").unwrap();
        assert!(matches!(server.send(&["a", "b"]), Err(Misuse::Shape(_))));
        assert_eq!(server.deliver(0, &["a", "b"]), None);
    }

    #[test]
    fn a_peer_that_is_connected_to_has_its_number_at_once() {
        let mut peer = Bench::new(Kind::Peer);
        peer.pattern.attach(Peer(0), early()).unwrap();
        let id = peer.pattern.routing_id(Peer(0));
        assert_eq!(peer.send_message(to(id, "x")), Ok(Sent::To(vec![0], frames(&["x"]))));
        peer.greet(0, "").unwrap();
        peer.hang_up(0);
        peer.greet(0, "").unwrap();
        assert_eq!(peer.deliver(0, &["a"]).unwrap().routing_id(), id);
    }

    #[test]
    fn no_peer_is_number_zero() {
        let mut server = Server::new(Kind::Server, u32::MAX);
        for peer in 0..3 {
            server.attach(Peer(peer), Attach::Accepted).unwrap();
        }
        assert_eq!([0, 1, 2].map(|peer| server.routing_id(Peer(peer))), [u32::MAX, 1, 2]);
        server.next_id = u32::MAX;
        assert_eq!(server.free_id(), 3);
    }
}
