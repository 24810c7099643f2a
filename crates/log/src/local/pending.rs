//! Appends that are written and wait for a sync, and how their producers are told.

use std::sync::Arc;

use super::segment::Segment;
use crate::store::{AppendError, AppendOutcome, AppendSink, Appended};

/// One append that is answered once everything before `end` is on disk.
pub(crate) struct Pending {
    pub(crate) token: u64,
    pub(crate) sink: Arc<dyn AppendSink>,
    pub(crate) end: i64,
    pub(crate) appended: Appended,
    /// Where its batch begins, which readers may not pass before. None for a duplicate: what it
    /// repeats has its own place, or is visible already.
    pub(crate) hides: Option<Place>,
}

/// A batch boundary.
pub(crate) struct Place {
    pub(crate) segment: Arc<Segment>,
    pub(crate) position: u64,
    pub(crate) offset: i64,
}

/// Outcomes gathered under locks and delivered without any.
#[derive(Default)]
pub(crate) struct Answers(Vec<(Arc<dyn AppendSink>, u64, AppendOutcome)>);

impl Answers {
    /// It is on disk.
    pub(crate) fn succeed(&mut self, pending: Pending) {
        self.0.push((pending.sink, pending.token, Ok(pending.appended)));
    }

    /// It may not be, and nobody will ever know.
    pub(crate) fn fail(&mut self, pending: Pending, error: &AppendError) {
        self.0.push((pending.sink, pending.token, Err(error.clone())));
    }

    /// Tells each sink its outcomes, in order, then flushes it once.
    pub(crate) fn deliver(mut self) {
        self.0.sort_by_key(|(sink, _, _)| Arc::as_ptr(sink).cast::<()>());
        let mut last: Option<Arc<dyn AppendSink>> = None;
        for (sink, token, outcome) in self.0 {
            if let Some(before) = last.take_if(|before| !Arc::ptr_eq(before, &sink)) {
                before.flush();
            }
            sink.appended(token, outcome);
            last = Some(sink);
        }
        if let Some(sink) = last {
            sink.flush();
        }
    }
}
