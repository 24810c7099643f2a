//! What a user may choose about the rules of a socket.

use crate::message::Message;

/// A rule of a pattern that the user may choose; the words are libzmq's.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is a libzmq option of the same name")]
pub enum Setting {
    ReqRelaxed(bool),
    ReqCorrelate(bool),
    RouterMandatory(bool),
    RouterHandover(bool),
    RouterRaw(bool),
    ProbeRouter(bool),
    XpubVerbose(bool),
    XpubVerboser(bool),
    XpubManual(bool),
    XpubManualLastValue(bool),
    XpubNodrop(bool),
    XpubWelcome(Option<Message>),
    XsubVerboseUnsubscribe(bool),
    OnlyFirstSubscribe(bool),
    InvertMatching(bool),
    StreamNotify(bool),
}
