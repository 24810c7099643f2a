//! Death between any two stores: a publisher is run once, its stores are noted, and replayed up to
//! each of them; from there, its subscribers must find sense.

use super::super::super::memory::trace;
use super::super::layout::record_size;
use super::*;

/// Payloads of many lengths, each telling its number.
fn numbered(n: usize) -> Vec<u8> {
    let mut payload = vec![n as u8; n * 37 % 90];
    payload.insert(0, n as u8);
    payload
}

/// How many payloads are published: some laps.
const NUMBERED: usize = 40;

/// Where each record's pad or header is.
fn positions(capacity: usize) -> Vec<usize> {
    let mut end: usize = 0;
    let mut begin = |n| {
        let (size, position) = (record_size(numbered(n).len()), end);
        let pad = if size > capacity - end % capacity { capacity - end % capacity } else { 0 };
        end += pad + size;
        position
    };
    (0..NUMBERED).map(&mut begin).collect()
}

#[test]
fn a_publisher_may_die_between_any_two_stores() {
    let (mut out, _) = publisher(256, 0);
    let stores = trace::of(|| {
        let mut n = 0;
        while n < NUMBERED {
            // One by one, and in batches.
            for n in n..NUMBERED.min(n + 1 + n % 3) {
                out.stage(0, &numbered(n)).unwrap();
            }
            n += 1 + n % 3;
            out.publish();
        }
    });
    let (layout, start) = (out.layout(), Start { position: 0, sequence: 0 });
    let positions = positions(256);
    let mut published = 0;
    for count in 0..=stores.len() {
        let (_, area) = publisher(256, 0);
        let words = layout.open_publisher(&area).unwrap();
        stores[..count].iter().for_each(|(_, at, value)| words.store(*at, *value));
        let (page, _) = page(layout);
        let subscriber = Subscriber::attach(area, page, layout, start, Fence::Both);
        let (mut next, mut whole) = (0, Vec::new());
        for got in drain(&mut subscriber.unwrap()) {
            match got {
                Ok(payload) => {
                    assert_eq!(payload, numbered(next));
                    whole.push(next);
                    next += 1;
                }
                Err(lost) => next += lost as usize,
            }
        }
        let oldest = words.load(OLDEST) as usize;
        published = published.max(next);
        let kept = (0..published).filter(|n| positions[*n] >= oldest);
        assert!(whole.into_iter().eq(kept), "what was published and not given up is there");
    }
    assert_eq!(published, NUMBERED);
}
