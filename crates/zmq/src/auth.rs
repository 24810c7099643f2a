//! Who may enter: ready-made authenticators, and the handler of RFC 27.
//!
//! A context has one [`Authenticator`], which a server asks about every peer that proves something.
//! Those here are put together from small ones, outermost first:
//!
//! ```
//! use chaski_zmq::auth::{Addresses, Domains, Passwords};
//!
//! let staff = Passwords::new().with("admin", "secret").with("guest", "");
//! let rules = Domains::new()
//!     .with("intranet", Addresses::allow(["127.0.0.1", "10.0.0.7"], staff.clone()))
//!     .with("public", Addresses::deny(["192.0.2.66"], staff));
//! # let _ = rules;
//! ```
//!
//! A closure is one too: `|request: &Request, answer: Answer| answer.grant("anybody")`.
//!
//! Instead, a program may bind a REP or ROUTER socket of the context to `inproc://zeromq.zap.01`
//! and answer [`Request`]s with [`Reply`]s itself, as with libzmq. It is asked if the context was
//! given no authenticator; handshakes wait for its answer, and nothing else does.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

pub use chaski_zmtp::keys::PublicKey;
use chaski_zmtp::zap::Presented;
pub use chaski_zmtp::zap::{Reply, Request, Status};
use chaski_zmtp::{Frame, Message};

pub use crate::driver::{Answer, Authenticator};
use crate::link::Arrival;
use crate::link::inproc::{Ends, NAME_OF_ZAP, Names};

impl<F> Authenticator for F
where
    F: Fn(&Request, Answer) + Send + Sync,
{
    fn authenticate(&self, request: &Request, answer: Answer) {
        self(request, answer);
    }
}

impl Authenticator for Box<dyn Authenticator> {
    fn authenticate(&self, request: &Request, answer: Answer) {
        (**self).authenticate(request, answer);
    }
}

fn deny(answer: Answer, why: &str) {
    answer.refuse(Status::Denied, why);
}

/// Lets in who knows a password (PLAIN), by the user's name. Other mechanisms are refused.
#[derive(Clone, Default)]
pub struct Passwords {
    of: HashMap<Vec<u8>, Vec<u8>>,
}

impl Passwords {
    /// Nobody has one.
    pub fn new() -> Self {
        Passwords::default()
    }

    /// This user has this password: both of at most 255 bytes, as PLAIN knows no longer ones.
    #[must_use]
    pub fn with(mut self, username: &str, password: &str) -> Self {
        self.of.insert(username.into(), password.into());
        self
    }
}

impl Authenticator for Passwords {
    fn authenticate(&self, request: &Request, answer: Answer) {
        let Ok(Presented::Plain { username, password }) = request.presented() else {
            return deny(answer, "a password is asked for");
        };
        // An unknown user takes as long as a wrong password of no length.
        let known = self.of.get(username);
        let right = same(known.map_or(&[], Vec::as_slice), password) && known.is_some();
        match std::str::from_utf8(username) {
            Ok(name) if right => answer.grant(name),
            _ => deny(answer, "wrong name or password"),
        }
    }
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords").field("users", &self.of.len()).finish_non_exhaustive()
    }
}

/// Whether both are the same, in a time that depends on the length of the second only.
fn same(known: &[u8], given: &[u8]) -> bool {
    let mut differ = u8::from(known.len() != given.len());
    for (at, byte) in given.iter().enumerate() {
        differ |= byte ^ known.get(at).unwrap_or(&0);
    }
    std::hint::black_box(differ) == 0
}

/// Lets in who has the secret half of a known key (CURVE). Other mechanisms are refused.
///
/// CURVE itself proves that the peer has the secret half of the key it shows.
#[derive(Clone, Debug)]
pub struct CurveKeys {
    /// The user of each; `None` lets everybody in.
    known: Option<HashMap<PublicKey, String>>,
}

impl CurveKeys {
    /// None is known.
    pub fn new() -> Self {
        CurveKeys { known: Some(HashMap::new()) }
    }

    /// Any key will do: traffic is sealed, and who is at the other end is not asked. The user's id
    /// is the key, in Z85.
    pub fn any() -> Self {
        CurveKeys { known: None }
    }

    /// Who has this key may enter, and is known by this id.
    #[must_use]
    pub fn with(mut self, key: PublicKey, user_id: &str) -> Self {
        self.known.get_or_insert_default().insert(key, user_id.to_owned());
        self
    }
}

impl Default for CurveKeys {
    fn default() -> Self {
        CurveKeys::new()
    }
}

impl Authenticator for CurveKeys {
    fn authenticate(&self, request: &Request, answer: Answer) {
        let Ok(Presented::Curve(key)) = request.presented() else {
            return deny(answer, "a CURVE key is asked for");
        };
        match &self.known {
            None => answer.grant(&key.to_string()),
            Some(known) => match known.get(&key) {
                Some(user_id) => answer.grant(user_id),
                None => deny(answer, "the key is not known"),
            },
        }
    }
}

/// Refuses by the peer's address, before another is asked.
#[derive(Clone, Debug)]
pub struct Addresses<A> {
    listed: HashSet<String>,
    /// What it means to be on the list.
    allows: bool,
    then: A,
}

impl<A: Authenticator> Addresses<A> {
    /// Only peers from these addresses go on to `then`. An address is an IP address as text,
    /// without a port; that of a peer on this machine that came by a file is empty.
    pub fn allow<I: IntoIterator<Item: Into<String>>>(addresses: I, then: A) -> Self {
        let listed = addresses.into_iter().map(Into::into).collect();
        Addresses { listed, allows: true, then }
    }

    /// All peers go on to `then` but those from these addresses.
    pub fn deny<I: IntoIterator<Item: Into<String>>>(addresses: I, then: A) -> Self {
        let listed = addresses.into_iter().map(Into::into).collect();
        Addresses { listed, allows: false, then }
    }
}

impl<A: Authenticator> Authenticator for Addresses<A> {
    fn authenticate(&self, request: &Request, answer: Answer) {
        if self.listed.contains(&request.origin.address) == self.allows {
            self.then.authenticate(request, answer);
        } else {
            deny(answer, "the address may not connect");
        }
    }
}

/// Lets everybody in: what comes last behind [`Addresses`] where those are all that matters.
#[derive(Clone, Copy, Debug, Default)]
pub struct Anybody;

impl Authenticator for Anybody {
    fn authenticate(&self, _: &Request, answer: Answer) {
        answer.grant("");
    }
}

/// Asks another for each domain (the option `zap_domain`); refuses in domains it does not know.
#[derive(Default)]
pub struct Domains {
    of: HashMap<String, Box<dyn Authenticator>>,
}

impl Domains {
    /// None is known.
    pub fn new() -> Self {
        Domains::default()
    }

    /// In this domain that one decides.
    #[must_use]
    pub fn with(mut self, domain: &str, decides: impl Authenticator + 'static) -> Self {
        self.of.insert(domain.to_owned(), Box::new(decides));
        self
    }
}

impl Authenticator for Domains {
    fn authenticate(&self, request: &Request, answer: Answer) {
        match self.of.get(&request.origin.domain) {
            Some(decides) => decides.authenticate(request, answer),
            None => deny(answer, "the domain is not known"),
        }
    }
}

impl fmt::Debug for Domains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.of.keys()).finish()
    }
}

/// How many requests a handler may leave unanswered. Of more, the oldest is refused.
const PENDING_MAX: usize = 4096;

/// The handler of RFC 27, as seen by who asks it: the socket that is bound to
/// `inproc://zeromq.zap.01`.
///
/// It is asked through the two halves of an inproc connection without a socket at this end: the
/// driver pushes a request and goes on, and the thread that sends the reply brings it here.
pub(crate) struct Handler {
    names: Arc<Names>,
    line: Arc<Line>,
}

/// The connection to the handler.
#[derive(Default)]
struct Line {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    ends: Option<Ends>,
    /// By the id of the request.
    pending: BTreeMap<u64, Answer>,
    asked: u64,
}

impl Handler {
    pub(crate) fn new(names: Arc<Names>) -> Self {
        Handler { names, line: Arc::default() }
    }

    /// Whether there is one.
    pub(crate) fn is_bound(&self) -> bool {
        self.names.is_bound(NAME_OF_ZAP)
    }

    /// Makes the connection anew. No lock of ours may be held: it takes those of the handler's
    /// socket, under which that brings replies here.
    fn connect(&self) -> bool {
        let waker = Waker::from(Arc::clone(&self.line));
        let Some(ends) = self.names.call(NAME_OF_ZAP, waker) else { return false };
        let mut state = self.line.lock();
        // Nobody will answer what the last handler left.
        let left = std::mem::take(&mut state.pending);
        let old = state.ends.replace(ends);
        drop(state);
        drop((left, old));
        // From now on a reply is told of.
        self.line.collect();
        true
    }
}

impl Authenticator for Handler {
    fn authenticate(&self, request: &Request, answer: Answer) {
        let answer = match self.line.ask(request, answer) {
            Asked::Yes => return,
            Asked::Busy(answer) => return busy(answer),
            Asked::Nobody(answer) => answer,
        };
        if !self.connect() {
            return answer.refuse(Status::Failed, "the handler is gone");
        }
        match self.line.ask(request, answer) {
            Asked::Yes => {}
            Asked::Busy(answer) | Asked::Nobody(answer) => busy(answer),
        }
    }
}

/// What became of a request.
enum Asked {
    /// It is on its way.
    Yes,
    /// There is a handler, with as many requests before it as there may be.
    Busy(Answer),
    /// There is no connection to a handler.
    Nobody(Answer),
}

/// The peer may come again (RFC 27, status 300).
fn busy(answer: Answer) {
    answer.refuse(Status::NotNow, "the handler has too much to do");
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request; gives the place for the answer back if nobody takes it.
    fn ask(&self, request: &Request, answer: Answer) -> Asked {
        let mut state = self.lock();
        let id = state.asked;
        let mut message = Message::from(Frame::empty());
        let request = Request { id: Frame::from(id.to_string()), ..request.clone() };
        message.extend(request.encode());
        let Some((sender, _)) = &mut state.ends else { return Asked::Nobody(answer) };
        if sender.push(message).is_err() {
            // It is full. A handler that goes closes its own end first, of which `collect` learns
            // and forgets both.
            return Asked::Busy(answer);
        }
        state.asked += 1;
        state.pending.insert(id, answer);
        let over = state.pending.len() > PENDING_MAX;
        let oldest = if over { state.pending.pop_first() } else { None };
        drop(state);
        drop(oldest);
        Asked::Yes
    }

    /// Takes the replies that are there.
    fn collect(&self) {
        while let Some((answer, reply)) = self.next() {
            match reply {
                Some(reply) => answer.reply(reply),
                // It is dropped, and so refuses.
                None => drop(answer),
            }
        }
    }

    /// The next reply to a request that is known; without it, if that was none of RFC 27.
    fn next(&self) -> Option<(Answer, Option<Reply>)> {
        let mut state = self.lock();
        loop {
            let (_, receiver) = state.ends.as_mut()?;
            let message = match receiver.pop() {
                Ok(Some(Arrival::Message(message))) => message,
                Ok(Some(Arrival::Command(_))) => continue,
                Ok(None) => return None,
                Err(_) => {
                    let left = (state.ends.take(), std::mem::take(&mut state.pending));
                    drop(state);
                    drop(left);
                    return None;
                }
            };
            if let Some(found) = state.answered(message) {
                return Some(found);
            }
        }
    }
}

impl State {
    /// Finds whom a reply is for.
    fn answered(&mut self, mut message: Message) -> Option<(Answer, Option<Reply>)> {
        // The empty frame between a REQ's envelope and its body.
        message.pop_front();
        let id: u64 = std::str::from_utf8(message.get(1)?).ok()?.parse().ok()?;
        let answer = self.pending.remove(&id)?;
        Some((answer, Reply::decode(&message).ok()))
    }
}

impl Wake for Line {
    fn wake(self: Arc<Self>) {
        self.collect();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.collect();
    }
}
