//! The seam to whoever decides which peers may enter (RFC 27).

use std::fmt;
use std::sync::Arc;

use chaski_zmtp::zap::{Reply, Request, Status};

use super::inbox::{Command, Common};

/// Decides which peers may enter.
///
/// A context asks one for each handshake that proves something: PLAIN always, CURVE always, NULL
/// where the socket has a `zap_domain`. Without one PLAIN refuses everybody, and the others refuse
/// only where `zap_enforce_domain` is set.
pub trait Authenticator: Send + Sync {
    /// Decides about one peer: at once, or later from any thread.
    ///
    /// It is called on the context's thread, which serves all sockets, and so must not wait there.
    fn authenticate(&self, request: &Request, answer: Answer);
}

/// Where an [`Authenticator`] says what it decided. One that is dropped without a word refuses.
#[must_use = "dropped, it refuses the peer"]
pub struct Answer {
    to: Option<(Arc<Common>, usize)>,
    request: Request,
}

impl Answer {
    pub(super) fn new(common: &Arc<Common>, token: usize, request: &Request) -> Self {
        Answer { to: Some((Arc::clone(common), token)), request: request.clone() }
    }

    /// Lets the peer in, known by this name; it may be empty.
    pub fn grant(self, user_id: &str) {
        let reply = Reply::grant(&self.request, user_id);
        self.reply(reply);
    }

    /// Refuses the peer.
    pub fn refuse(self, status: Status, text: &str) {
        let reply = Reply::refuse(&self.request, status, text);
        self.reply(reply);
    }

    /// Says what a handler said.
    pub fn reply(mut self, reply: Reply) {
        self.send(reply);
    }

    fn send(&mut self, reply: Reply) {
        if let Some((common, token)) = self.to.take() {
            common.push(Command::Answered { token, reply });
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let reply =
            Reply::refuse(&self.request, Status::Failed, "the authenticator did not answer");
        self.send(reply);
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use chaski_zmtp::Frame;
    use chaski_zmtp::zap::Origin;
    use mio::{Poll, Token};

    use super::*;
    use crate::{Kind, Socket};

    fn statuses(common: &Common) -> Vec<Status> {
        let answered = |command| match command {
            Command::Answered { reply, .. } => Some(reply.status),
            _ => None,
        };
        common.take().into_iter().filter_map(answered).collect()
    }

    #[test]
    fn a_handler_with_too_much_to_do_is_asked_later_and_keeps_what_it_has() {
        let poll = Poll::new().unwrap();
        let common = Arc::new(Common::new());
        common.open(mio::Waker::new(poll.registry(), Token(0)).unwrap());
        let handler = Socket::builder(Kind::Router).rcvhwm(1).build().unwrap();
        let at = "inproc://zeromq.zap.01".parse().unwrap();
        common.near.names.bind("zeromq.zap.01", handler.shared(), &at).unwrap();
        let origin = Origin { domain: String::new(), address: String::new() };
        let request = origin.request("NULL", &[], Vec::<Frame>::new());
        let ask = |times: usize| {
            for token in 0..times {
                let answer = Answer::new(&common, token, &request);
                assert!(common.authenticate(&request, answer).is_none());
            }
        };
        ask(2000);
        let refused = statuses(&common);
        assert!((900..1000).contains(&refused.len()), "{}", refused.len());
        assert!(refused.iter().all(|status| *status == Status::NotNow), "{refused:?}");
        while handler.try_recv().is_ok() {}
        ask(1);
        assert_eq!(statuses(&common), []);
        drop(handler);
    }
}
