//! Looking offsets up, by time above all: segment by largest timestamp, time index, headers, and
//! only then the records of one batch.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::files::io_error;
use super::index::{NO_TIMESTAMP, floor_time};
use super::partition::Partition;
use super::read::{Step, Walk};
use super::segment::{OpenFiles, Segment};
use crate::store::{OffsetFound, OffsetQuery, StoreError};

impl Partition {
    /// Answers a query about offsets below the high watermark.
    pub(crate) fn find(
        &self,
        query: OffsetQuery,
        files: &OpenFiles,
    ) -> Result<Option<OffsetFound>, StoreError> {
        let offsets = self.offsets();
        let found = match query {
            OffsetQuery::Earliest => {
                return Ok(Some(OffsetFound { offset: offsets.log_start, timestamp: -1 }));
            }
            OffsetQuery::Latest => {
                return Ok(Some(OffsetFound { offset: offsets.high_watermark, timestamp: -1 }));
            }
            OffsetQuery::MaxTimestamp => self.find_max(files),
            OffsetQuery::AtOrAfter(timestamp) => self.find_from(timestamp, files),
        };
        match found {
            // Retention has taken a file away meanwhile: look again in what is left.
            Err(_) if self.offsets().log_start > offsets.log_start => self.find(query, files),
            found => found.map_err(io_error("look up a timestamp in", &self.dir)),
        }
    }

    fn find_from(&self, timestamp: i64, files: &OpenFiles) -> io::Result<Option<OffsetFound>> {
        for segment in self.segments.load().iter() {
            if segment.max_timestamp(files)? < timestamp {
                continue;
            }
            let record = |batch: &[u8]| chaski_batch::find_timestamp(batch, timestamp);
            if let Some(found) = self.find_in(segment, timestamp, record, files)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn find_max(&self, files: &OpenFiles) -> io::Result<Option<OffsetFound>> {
        let segments = self.segments.load();
        let mut best: Option<(i64, &Arc<Segment>)> = None;
        for segment in segments.iter() {
            let timestamp = visible_max_timestamp(segment, files)?;
            if segment.visible() > 0 && best.is_none_or(|(max, _)| timestamp > max) {
                best = Some((timestamp, segment));
            }
        }
        let Some((timestamp, segment)) = best else { return Ok(None) };
        let record = |batch: &[u8]| chaski_batch::find_max_timestamp(batch).map(Some);
        self.find_in(segment, timestamp, record, files)
    }

    /// The record that `look` finds in the first batch with a timestamp of `timestamp` or later in
    /// which it finds one. A batch that is damaged has none.
    fn find_in(
        &self,
        segment: &Arc<Segment>,
        timestamp: i64,
        look: impl Fn(&[u8]) -> Result<Option<chaski_batch::TimedOffset>, chaski_batch::BatchError>,
        files: &OpenFiles,
    ) -> io::Result<Option<OffsetFound>> {
        let log_start = self.log_start.load(Ordering::Acquire);
        let file = segment.file(files)?;
        let from = segment.base + i64::from(floor_time(&segment.times(files)?, timestamp));
        let mark = segment.floor_offset(from.max(log_start), files)?;
        let base_offset = segment.base + i64::from(mark.offset);
        let position = u64::from(mark.position);
        let mut walk = Walk::new(segment, &file, position, base_offset, segment.visible());
        while let Some(step) = walk.next()? {
            let Step::Batch { position, header } = step else { continue };
            if header.max_timestamp < timestamp || header.next_offset() <= log_start {
                continue;
            }
            let Some(batch) = walk.batch(position, &header)? else { continue };
            match look(batch) {
                Ok(Some(found)) => {
                    let offset = found.offset.max(log_start);
                    return Ok(Some(OffsetFound { offset, timestamp: found.timestamp }));
                }
                Ok(None) => {}
                Err(error) => tracing::debug!(
                    path = %segment.path().display(), offset = header.base_offset, %error,
                    "a batch whose records cannot be read is passed over"
                ),
            }
        }
        Ok(None)
    }
}

/// The largest timestamp that consumers may see.
fn visible_max_timestamp(segment: &Arc<Segment>, files: &OpenFiles) -> io::Result<i64> {
    let visible = segment.visible();
    if visible == segment.size() {
        return segment.max_timestamp(files);
    }
    let file = segment.file(files)?;
    let below = segment.floor_position(visible, files)?;
    let times = segment.times(files)?;
    let known = times.iter().take_while(|t| t.offset <= below.offset).last();
    let (from, mut max) = known.map_or((0, NO_TIMESTAMP), |t| (t.offset, t.timestamp));
    let mark = segment.floor_offset(segment.base + i64::from(from), files)?;
    let base_offset = segment.base + i64::from(mark.offset);
    let mut walk = Walk::new(segment, &file, u64::from(mark.position), base_offset, visible);
    while let Some(step) = walk.next()? {
        if let Step::Batch { header, .. } = step {
            max = max.max(header.max_timestamp);
        }
    }
    Ok(max)
}
