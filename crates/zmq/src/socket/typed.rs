//! One type per kind of socket, with the methods that its pattern allows.
//!
//! Each wraps a [`Socket`]; what the pattern cannot do is no method of it. Where code is to work
//! with sockets of several kinds, take [`Socket`], as which each can be seen.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use chaski_zmtp::pattern::Outgoing;
use chaski_zmtp::{Kind, Message};

use super::{IntoEndpoint, Socket, build};
use crate::driver::{BindError, ConnectError, UnbindError};
use crate::endpoint::Endpoint;
use crate::error::{BuildError, RecvError, SendError};
use crate::monitor::Monitor;
use crate::options::{Builder, OptionError, Options, SocketOption};
use crate::stats::PeerStats;

macro_rules! typed {
    ($($(#[doc = $doc:literal])+ $name:ident: $($can:ident)+;)+) => {$(
        $(#[doc = $doc])+
        ///
        /// See [`Socket`] for what all sockets have in common.
        pub struct $name(Socket);

        /// Making it, binding and connecting.
        impl $name {
            /// A socket with default options, in the default context.
            ///
            /// # Panics
            ///
            /// If the system has no descriptor left; [`Builder::build`] gives an error instead.
            #[allow(clippy::new_without_default, reason = "a socket is a thing, not a value")]
            pub fn new() -> Self {
                $name(Socket::new(Kind::$name))
            }

            /// Gathers options for a socket.
            pub fn builder() -> Builder<$name> {
                Builder::new(Kind::$name)
            }

            /// See [`Socket::bind`].
            ///
            /// # Errors
            ///
            /// If the endpoint is not to be had.
            pub fn bind(&self, endpoint: impl IntoEndpoint) -> Result<Endpoint, BindError> {
                self.0.bind(endpoint)
            }

            /// See [`Socket::connect`].
            ///
            /// # Errors
            ///
            /// If connecting cannot begin. That nobody is there yet is no error.
            pub fn connect(&self, endpoint: impl IntoEndpoint) -> Result<(), ConnectError> {
                self.0.connect(endpoint)
            }

            /// See [`Socket::unbind`].
            ///
            /// # Errors
            ///
            /// If the socket is not bound to it.
            pub fn unbind(&self, endpoint: impl IntoEndpoint) -> Result<(), UnbindError> {
                self.0.unbind(endpoint)
            }

            /// See [`Socket::disconnect`].
            ///
            /// # Errors
            ///
            /// If the socket is not connected to it.
            pub fn disconnect(&self, endpoint: impl IntoEndpoint) -> Result<(), UnbindError> {
                self.0.disconnect(endpoint)
            }

            /// What it is set to now.
            pub fn options(&self) -> Arc<Options> {
                self.0.options()
            }

            /// See [`Socket::set`].
            ///
            /// # Errors
            ///
            /// If the option cannot be set so.
            pub fn set(&self, option: SocketOption) -> Result<(), OptionError> {
                self.0.set(option)
            }

            /// See [`Socket::monitor`].
            pub fn monitor(&self) -> Monitor {
                self.0.monitor()
            }

            /// See [`Socket::peers`].
            pub fn peers(&self) -> Vec<PeerStats> {
                self.0.peers()
            }

            /// See [`Socket::close`].
            pub fn close(&self, linger: impl Into<Option<Duration>>) {
                self.0.close(linger);
            }

            /// See [`Socket::close_async`].
            pub async fn close_async(&self, linger: impl Into<Option<Duration>>) {
                self.0.close_async(linger).await;
            }

            /// As a socket of any kind.
            pub fn as_socket(&self) -> &Socket {
                &self.0
            }
        }

        $( typed!(@$can $name); )+

        impl From<$name> for Socket {
            fn from(socket: $name) -> Socket {
                socket.0
            }
        }

        impl AsRef<Socket> for $name {
            fn as_ref(&self) -> &Socket {
                &self.0
            }
        }

        impl AsFd for $name {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.as_fd()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl Builder<$name> {
            /// Makes the socket.
            ///
            /// # Errors
            ///
            /// If the options do not go together or do not suit the kind, or the system has no
            /// descriptor left.
            pub fn build(self) -> Result<$name, BuildError> {
                build(self).map($name)
            }
        }
    )+};

    (@sends $name:ident) => {
        /// Sending. See [`Socket`] for what is a message and what is sent.
        impl $name {
            /// See [`Socket::send`].
            ///
            /// # Errors
            ///
            /// If the pattern does not allow it, the socket is closed, or there was no room for as
            /// long as the option `sndtimeo`.
            #[inline]
            pub fn send<'a>(&self, message: impl Into<Outgoing<'a>>) -> Result<(), SendError> {
                self.0.send(message)
            }

            /// See [`Socket::try_send`].
            ///
            /// # Errors
            ///
            /// As [`send`](Self::send), and if there is no room.
            #[inline]
            pub fn try_send<'a>(&self, message: impl Into<Outgoing<'a>>) -> Result<(), SendError> {
                self.0.try_send(message)
            }

            /// See [`Socket::send_timeout`].
            ///
            /// # Errors
            ///
            /// As [`send`](Self::send).
            pub fn send_timeout<'a>(
                &self,
                message: impl Into<Outgoing<'a>>,
                timeout: Duration,
            ) -> Result<(), SendError> {
                self.0.send_timeout(message, timeout)
            }

            /// See [`Socket::send_async`], also for what happens if the future is dropped.
            ///
            /// # Errors
            ///
            /// As [`send`](Self::send).
            pub async fn send_async<'a>(
                &self,
                message: impl Into<Outgoing<'a>>,
            ) -> Result<(), SendError> {
                self.0.send_async(message).await
            }

            /// See [`Socket::send_all`].
            ///
            /// # Errors
            ///
            /// Stops at the first message that cannot be sent.
            pub fn send_all<'a, M: Into<Outgoing<'a>>>(
                &self,
                messages: impl IntoIterator<Item = M>,
            ) -> Result<(), SendError> {
                self.0.send_all(messages)
            }

            /// See [`Socket::flush`].
            pub fn flush(&self) {
                self.0.flush();
            }
        }
    };

    (@receives $name:ident) => {
        /// Receiving. A receive future that is dropped before it is ready has taken nothing.
        impl $name {
            /// See [`Socket::recv`].
            ///
            /// # Errors
            ///
            /// If the pattern does not allow it, the socket is closed, or none came for as long as
            /// the option `rcvtimeo`.
            #[inline]
            pub fn recv(&self) -> Result<Message, RecvError> {
                self.0.recv()
            }

            /// See [`Socket::try_recv`].
            ///
            /// # Errors
            ///
            /// As [`recv`](Self::recv), and if none is there.
            #[inline]
            pub fn try_recv(&self) -> Result<Message, RecvError> {
                self.0.try_recv()
            }

            /// See [`Socket::recv_timeout`].
            ///
            /// # Errors
            ///
            /// As [`recv`](Self::recv).
            pub fn recv_timeout(&self, timeout: Duration) -> Result<Message, RecvError> {
                self.0.recv_timeout(timeout)
            }

            /// See [`Socket::recv_async`].
            ///
            /// # Errors
            ///
            /// As [`recv`](Self::recv).
            pub async fn recv_async(&self) -> Result<Message, RecvError> {
                self.0.recv_async().await
            }

            /// See [`Socket::recv_many`].
            ///
            /// # Errors
            ///
            /// As [`recv`](Self::recv).
            pub fn recv_many(
                &self,
                messages: &mut Vec<Message>,
                max: usize,
            ) -> Result<usize, RecvError> {
                self.0.recv_many(messages, max)
            }

            /// See [`Socket::try_recv_many`].
            ///
            /// # Errors
            ///
            /// As [`recv`](Self::recv).
            pub fn try_recv_many(
                &self,
                messages: &mut Vec<Message>,
                max: usize,
            ) -> Result<usize, RecvError> {
                self.0.try_recv_many(messages, max)
            }

            /// See [`Socket::recv_many_async`].
            ///
            /// # Errors
            ///
            /// As [`recv`](Self::recv).
            pub async fn recv_many_async(
                &self,
                messages: &mut Vec<Message>,
                max: usize,
            ) -> Result<usize, RecvError> {
                self.0.recv_many_async(messages, max).await
            }
        }
    };

    (@subscribes $name:ident) => {
        /// Saying which topics are wanted.
        impl $name {
            /// See [`Socket::subscribe`].
            ///
            /// # Errors
            ///
            /// If the socket is closed, or is an XPUB that is not manual.
            pub fn subscribe(&self, topic: impl AsRef<[u8]>) -> Result<(), SendError> {
                self.0.subscribe(topic)
            }

            /// See [`Socket::unsubscribe`].
            ///
            /// # Errors
            ///
            /// If there is no such subscription, or as [`subscribe`](Self::subscribe).
            pub fn unsubscribe(&self, topic: impl AsRef<[u8]>) -> Result<(), SendError> {
                self.0.unsubscribe(topic)
            }
        }
    };

    (@joins $name:ident) => {
        /// Saying which groups are wanted.
        impl $name {
            /// See [`Socket::join`].
            ///
            /// # Errors
            ///
            /// If the socket is closed, is in that group, or the name is too long.
            pub fn join(&self, group: impl AsRef<[u8]>) -> Result<(), SendError> {
                self.0.join(group)
            }

            /// See [`Socket::leave`].
            ///
            /// # Errors
            ///
            /// If the socket is not in that group, or as [`join`](Self::join).
            pub fn leave(&self, group: impl AsRef<[u8]>) -> Result<(), SendError> {
                self.0.leave(group)
            }
        }
    };

    (@addresses $name:ident) => {
        /// Knowing peers by number.
        impl $name {
            /// See [`Socket::connect_peer`].
            ///
            /// # Errors
            ///
            /// If connecting cannot begin. That nobody is there yet is no error.
            pub fn connect_peer(&self, endpoint: impl IntoEndpoint) -> Result<u32, ConnectError> {
                self.0.connect_peer(endpoint)
            }
        }
    };

    (@groups $name:ident) => {
        /// Sending to groups.
        impl $name {
            /// Sends to all who have joined `group`.
            ///
            /// # Errors
            ///
            /// If the socket is closed, or the group's name is longer than 255 bytes.
            pub fn send_to(
                &self,
                group: impl AsRef<[u8]>,
                body: impl AsRef<[u8]>,
            ) -> Result<(), SendError> {
                self.0.send(Message::from(group.as_ref()).with(body.as_ref()))
            }
        }
    };
}

typed! {
    /// One peer, both ways (RFC 31).
    Pair: sends receives;
    /// Sends each message to every subscriber that wants it (RFC 29). Never waits, unless told so
    /// by `xpub_nodrop`: who has no room misses the message, and that is counted.
    Pub: sends;
    /// Receives what it has subscribed to (RFC 29).
    Sub: receives subscribes;
    /// Asks, and receives the answer (RFC 28): one `send`, one `recv`, in turns.
    Req: sends receives;
    /// Receives a request, and answers it (RFC 28): one `recv`, one `send`, in turns.
    Rep: sends receives;
    /// Sends to its peers in turns, receives from all of them (RFC 28).
    Dealer: sends receives;
    /// Receives with the sender's identity as the first frame, and sends to whom the first frame
    /// names (RFC 28).
    Router: sends receives;
    /// Receives work from all its peers, in turns (RFC 30).
    Pull: receives;
    /// Gives work to its peers, in turns (RFC 30). Waits while none has room.
    Push: sends;
    /// PUB, and receives the subscriptions (RFC 29): an octet 1 or 0, and the topic.
    Xpub: sends receives subscribes;
    /// SUB, and sends subscriptions as messages: an octet 1 or 0, and the topic (RFC 29).
    Xsub: sends receives subscribes;
    /// Bytes to and from peers that speak no ZMTP: each message is an identity and some bytes.
    Stream: sends receives;
    /// Receives with [`Message::routing_id`] set, and sends to whom that names (RFC 41).
    Server: sends receives addresses;
    /// Talks to one or more SERVERs (RFC 41).
    Client: sends receives;
    /// Sends to groups: a message has two frames, the group and the body (RFC 48).
    Radio: sends groups;
    /// Receives from the groups it has joined, group and body (RFC 48).
    Dish: receives joins;
    /// Receives work from all its peers, one frame each (RFC 49).
    Gather: receives;
    /// Gives work to its peers, one frame each, in turns (RFC 49).
    Scatter: sends;
    /// Sends to and receives from any of its peers, by [`Message::routing_id`] (RFC 51).
    Peer: sends receives addresses;
    /// One peer, both ways, one frame each (RFC 52).
    Channel: sends receives;
}
