//! What a client writes in place, and what it gets.

use std::ops::{Deref, DerefMut};

use super::super::outstanding::{Outstanding, RequestId};
use crate::error::Error;
use crate::link::Lending;

/// Room for a request, from [`Client::loan`](super::Client::loan).
#[derive(Debug)]
pub struct Loan<'a> {
    pub(super) room: Lending<'a>,
    pub(super) place: u16,
    pub(super) outstanding: &'a mut Outstanding,
}

impl Loan<'_> {
    /// Sends the request.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`], when the server does not keep the protocol: the next receive finds out
    /// what became of the other requests.
    pub fn send(self) -> Result<RequestId, Error> {
        let end = self.room.send(self.place)?;
        Ok(self.outstanding.sent(end))
    }
}

impl Deref for Loan<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.room
    }
}

impl DerefMut for Loan<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.room
    }
}

/// A response, or a part of one.
#[derive(Debug)]
pub struct Response<'a> {
    pub(super) payload: &'a [u8],
    pub(super) id: RequestId,
    pub(super) last: bool,
}

impl Response<'_> {
    /// The request that it answers.
    pub fn id(&self) -> RequestId {
        self.id
    }

    /// Whether that was all of it.
    pub fn is_last(&self) -> bool {
        self.last
    }
}

impl Deref for Response<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.payload
    }
}
