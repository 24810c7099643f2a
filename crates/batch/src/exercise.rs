//! All that this crate does with bytes from outside, in one call: the body of a fuzz target and of
//! the tests that mutate batches. It panics where a promise is broken and never otherwise.

use crate::header::set_checksum;
use crate::{
    HEADER_LEN, Header, check, find_max_timestamp, find_timestamp, has_null_key, records,
    set_log_append_time,
};

/// What the records of one input may inflate to.
const INFLATED_BYTES_MAX: usize = 1 << 20;

/// Reads `bytes` as a batch in every way there is.
pub fn batch(bytes: &[u8]) {
    let checked = check(bytes);
    let Ok(header) = Header::parse(bytes) else {
        assert!(checked.is_err());
        return;
    };
    assert_eq!(header.encode(), bytes[..HEADER_LEN]);
    match bytes.get(..header.total_len()) {
        Some(batch) => patch(batch, &header),
        None => assert!(checked.is_err()),
    }
    walk(bytes);
    lookup(bytes, &header);
}

/// With its checksum made right a batch passes or fails on its header alone.
fn patch(batch: &[u8], header: &Header) {
    let mut batch = batch.to_vec();
    set_checksum(&mut batch);
    let sound = check(&batch).is_ok();
    assert_eq!(
        sound,
        header.record_count > 0
            && header.last_offset_delta == header.record_count - 1
            && header.codec().is_ok()
    );
    set_log_append_time(&mut batch, 1);
    assert_eq!(check(&batch).is_ok(), sound);
}

fn walk(bytes: &[u8]) {
    let Ok(records) = records(bytes, INFLATED_BYTES_MAX) else { return };
    let header = *records.header();
    let mut read = 0;
    let mut previous = None;
    for record in records.iter().map_while(Result::ok) {
        assert!(record.offset <= header.last_offset());
        assert!(previous < Some(record.offset) || record.offset == i64::MAX);
        assert_eq!(record.headers.iter().count(), record.headers.len());
        previous = Some(record.offset);
        read += 1;
    }
    assert!(read <= header.record_count.max(0));
}

fn lookup(bytes: &[u8], header: &Header) {
    let _ = has_null_key(bytes);
    if let Ok(max) = find_max_timestamp(bytes) {
        assert!(max.offset <= header.last_offset() || header.last_offset_delta < 0);
        let found = find_timestamp(bytes, max.timestamp);
        if header.max_timestamp >= max.timestamp {
            assert_eq!(found, Ok(Some(max)));
        } else {
            assert_eq!(found, Ok(None));
        }
    }
}
