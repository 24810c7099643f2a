//! The kinds of sockets: their names on the wire, which may talk to which, and what each may do.
//!
//! ZMTP 3 names a kind by the `Socket-Type` property of the handshake (RFC 37, "The Socket-Type
//! Property"), ZMTP 2.0 by one octet of the greeting (RFC 15). Both peers check the pair they make.

use std::fmt;

/// A kind of socket. Its wire name is the `Socket-Type` property of the handshake.
///
/// ```
/// use chaski_zmtp::Kind;
///
/// assert_eq!(Kind::from_name(b"DEALER"), Some(Kind::Dealer));
/// assert!(Kind::Dealer.compatible(Kind::Router));
/// assert!(!Kind::Dealer.compatible(Kind::Req));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(
    missing_docs,
    reason = "the names are the field's own; the crate's head says where each is defined"
)]
pub enum Kind {
    Pair,
    Pub,
    Sub,
    Req,
    Rep,
    Dealer,
    Router,
    Pull,
    Push,
    Xpub,
    Xsub,
    Stream,
    Server,
    Client,
    Radio,
    Dish,
    Gather,
    Scatter,
    Peer,
    Channel,
}

impl Kind {
    /// Every kind, in the order of the numbers that libzmq gives them.
    pub const ALL: [Kind; 20] = [
        Kind::Pair,
        Kind::Pub,
        Kind::Sub,
        Kind::Req,
        Kind::Rep,
        Kind::Dealer,
        Kind::Router,
        Kind::Pull,
        Kind::Push,
        Kind::Xpub,
        Kind::Xsub,
        Kind::Stream,
        Kind::Server,
        Kind::Client,
        Kind::Radio,
        Kind::Dish,
        Kind::Gather,
        Kind::Scatter,
        Kind::Peer,
        Kind::Channel,
    ];

    /// How many kinds ZMTP 2.0 can name: those before STREAM in [`Kind::ALL`].
    const ZMTP2_KINDS: usize = 11;

    /// The name on the wire: `"REQ"`, `"XPUB"`, ... STREAM has one too, for people to read; it
    /// never goes over a wire, as a STREAM socket makes no handshake.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Pair => "PAIR",
            Kind::Pub => "PUB",
            Kind::Sub => "SUB",
            Kind::Req => "REQ",
            Kind::Rep => "REP",
            Kind::Dealer => "DEALER",
            Kind::Router => "ROUTER",
            Kind::Pull => "PULL",
            Kind::Push => "PUSH",
            Kind::Xpub => "XPUB",
            Kind::Xsub => "XSUB",
            Kind::Stream => "STREAM",
            Kind::Server => "SERVER",
            Kind::Client => "CLIENT",
            Kind::Radio => "RADIO",
            Kind::Dish => "DISH",
            Kind::Gather => "GATHER",
            Kind::Scatter => "SCATTER",
            Kind::Peer => "PEER",
            Kind::Channel => "CHANNEL",
        }
    }

    /// The kind of that wire name, letter by letter as RFC 37 writes it; `None` if there is none.
    pub fn from_name(name: &[u8]) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name().as_bytes() == name)
    }

    /// The octet that names it to a ZMTP 2.0 peer (RFC 15, "socket-type"; XPUB and XSUB, which the
    /// RFC leaves out, as libzmq numbers them). `None` for the kinds that are younger.
    pub fn zmtp2_code(self) -> Option<u8> {
        let at = Kind::ALL[..Kind::ZMTP2_KINDS].iter().position(|&kind| kind == self)?;
        u8::try_from(at).ok()
    }

    /// The kind that a ZMTP 2.0 peer names by `code`; `None` if there is none.
    pub fn from_zmtp2_code(code: u8) -> Option<Kind> {
        Kind::ALL[..Kind::ZMTP2_KINDS].get(usize::from(code)).copied()
    }

    /// Whether a socket of this kind may talk to one of the `other` (RFC 37, "The Socket-Type
    /// Property", and libzmq for the kinds the RFC does not list). It holds both ways or neither.
    pub const fn compatible(self, other: Kind) -> bool {
        use Kind::*;
        matches!(
            (self, other),
            (Pair, Pair)
                | (Pub | Xpub, Sub | Xsub)
                | (Sub | Xsub, Pub | Xpub)
                | (Req, Rep | Router)
                | (Rep, Req | Dealer)
                | (Dealer, Rep | Dealer | Router)
                | (Router, Req | Dealer | Router)
                | (Pull, Push)
                | (Push, Pull)
                | (Server, Client)
                | (Client, Server)
                | (Radio, Dish)
                | (Dish, Radio)
                | (Gather, Scatter)
                | (Scatter, Gather)
                | (Peer, Peer)
                | (Channel, Channel)
        )
    }

    /// Whether its user can send.
    pub const fn sends(self) -> bool {
        !matches!(self, Kind::Pull | Kind::Sub | Kind::Dish | Kind::Gather)
    }

    /// Whether its user can receive.
    pub const fn receives(self) -> bool {
        !matches!(self, Kind::Push | Kind::Pub | Kind::Radio | Kind::Scatter)
    }

    /// Whether its user says what it wants: topics (SUB, XSUB) or groups (DISH).
    pub const fn subscribes(self) -> bool {
        matches!(self, Kind::Sub | Kind::Xsub | Kind::Dish)
    }

    /// Whether its peers say what they want.
    pub const fn publishes(self) -> bool {
        matches!(self, Kind::Pub | Kind::Xpub | Kind::Radio)
    }

    /// Whether its peers have to be read although the user may never receive: for what they
    /// subscribe to, for their PINGs, and to learn that they went.
    pub const fn reads_in_background(self) -> bool {
        self.publishes() || !self.receives()
    }

    /// Whether a message may have more than one frame. The thread-safe kinds of RFC 37 ("Thread
    /// Safe Sockets") have one; RADIO and DISH have a group before it.
    pub const fn multipart(self) -> bool {
        use Kind::*;
        !matches!(self, Server | Client | Radio | Dish | Gather | Scatter | Peer | Channel)
    }

    /// Whether it tells its peers the identity that its user chose: those that a ROUTER may meet
    /// (RFC 37, "The Identity Property").
    pub const fn sends_identity(self) -> bool {
        matches!(self, Kind::Req | Kind::Dealer | Kind::Router)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_back_to_its_kind() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_name(kind.name().as_bytes()), Some(kind));
        }
        assert_eq!(Kind::from_name(b"dealer"), None);
        assert_eq!(Kind::from_name(b""), None);
    }

    #[test]
    fn zmtp2_knows_the_eleven_oldest() {
        // RFC 15: PAIR %x00, DEALER %x05, PUSH %x08.
        assert_eq!(Kind::Pair.zmtp2_code(), Some(0));
        assert_eq!(Kind::Dealer.zmtp2_code(), Some(5));
        assert_eq!(Kind::Push.zmtp2_code(), Some(8));
        assert_eq!(Kind::Xsub.zmtp2_code(), Some(10));
        assert_eq!(Kind::Stream.zmtp2_code(), None);
        for code in 0..=u8::MAX {
            let kind = Kind::from_zmtp2_code(code);
            assert_eq!(kind.is_some(), code < 11);
            assert!(kind.is_none_or(|kind| kind.zmtp2_code() == Some(code)));
        }
    }

    #[test]
    fn whoever_may_talk_may_be_answered() {
        for one in Kind::ALL {
            for other in Kind::ALL {
                assert_eq!(one.compatible(other), other.compatible(one), "{one} {other}");
            }
        }
    }

    #[test]
    fn every_kind_but_stream_has_a_partner_that_can_hear_it() {
        for kind in Kind::ALL {
            let mut partners = Kind::ALL.into_iter().filter(|&other| kind.compatible(other));
            assert_eq!(partners.next().is_none(), kind == Kind::Stream, "{kind}");
            for partner in Kind::ALL.into_iter().filter(|&other| kind.compatible(other)) {
                assert!(kind.sends() <= partner.receives() || kind.subscribes(), "{kind}");
            }
        }
    }

    #[test]
    fn the_pairs_of_rfc_37() {
        let partners = |kind: Kind| {
            Kind::ALL.into_iter().filter(|&other| kind.compatible(other)).collect::<Vec<_>>()
        };
        assert_eq!(partners(Kind::Req), [Kind::Rep, Kind::Router]);
        assert_eq!(partners(Kind::Rep), [Kind::Req, Kind::Dealer]);
        assert_eq!(partners(Kind::Dealer), [Kind::Rep, Kind::Dealer, Kind::Router]);
        assert_eq!(partners(Kind::Router), [Kind::Req, Kind::Dealer, Kind::Router]);
        assert_eq!(partners(Kind::Pub), [Kind::Sub, Kind::Xsub]);
        assert_eq!(partners(Kind::Xsub), [Kind::Pub, Kind::Xpub]);
        assert_eq!(partners(Kind::Peer), [Kind::Peer]);
    }

    #[test]
    fn the_five_that_are_read_in_the_background() {
        let read: Vec<_> =
            Kind::ALL.into_iter().filter(|kind| kind.reads_in_background()).collect();
        assert_eq!(read, [Kind::Pub, Kind::Push, Kind::Xpub, Kind::Radio, Kind::Scatter]);
    }
}
