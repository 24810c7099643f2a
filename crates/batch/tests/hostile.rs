//! Bytes that no producer would send: nothing panics, nothing inflates without bound.

use chaski_batch::{BatchError, Builder, Codec, HEADER_LEN, exercise, records};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

const CODECS: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

/// A sound batch of a few records, headers and all.
fn sound(codec: Codec) -> Vec<u8> {
    let mut builder = Builder::new(codec);
    for i in 0..20u8 {
        let value = vec![i / 4; usize::from(i) * 40];
        builder.push(1_000 + i64::from(i), Some(&[i]), Some(&value), &[("h", None), ("i", None)]);
    }
    builder.build().unwrap()
}

/// A change to a batch at some place in it.
#[derive(Debug, Clone)]
enum Mutation {
    Flip(Index, u8),
    Overwrite(Index, Vec<u8>),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<Index>;
    prop_oneof![
        (at(), 0..8u8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        (at(), vec(any::<u8>(), 1..9)).prop_map(|(at, bytes)| Mutation::Overwrite(at, bytes)),
        (at(), vec(any::<u8>(), 1..9)).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        (at(), 1..200usize).prop_map(|(at, length)| Mutation::Remove(at, length)),
    ]
}

fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation) {
    let len = bytes.len();
    if len == 0 {
        return;
    }
    match mutation {
        Mutation::Flip(at, bit) => bytes[at.index(len)] ^= 1 << bit,
        Mutation::Overwrite(at, new) => {
            let at = at.index(len);
            let end = len.min(at + new.len());
            bytes[at..end].copy_from_slice(&new[..end - at]);
        }
        Mutation::Insert(at, new) => {
            let at = at.index(len);
            bytes.splice(at..at, new.iter().copied());
        }
        Mutation::Remove(at, count) => {
            let at = at.index(len);
            bytes.drain(at..len.min(at + count));
        }
    }
}

/// Makes the length right again, so that what follows it is looked at.
fn set_length(batch: &mut [u8]) {
    if batch.len() >= HEADER_LEN {
        let length = (batch.len() - 12) as i32;
        batch[8..12].copy_from_slice(&length.to_be_bytes());
    }
}

proptest! {
    #[test]
    fn mutated_batches_keep_every_promise(
        codec in select(&CODECS[..]),
        mutations in vec(mutation(), 1..4),
        fix_length: bool,
    ) {
        let mut batch = sound(codec);
        mutations.iter().for_each(|mutation| mutate(&mut batch, mutation));
        if fix_length {
            set_length(&mut batch);
        }
        exercise::batch(&batch);
    }

    #[test]
    fn mutated_records_keep_every_promise(
        codec in select(&CODECS[..]),
        mutations in vec(mutation(), 1..4),
    ) {
        let batch = sound(codec);
        let mut records = batch[HEADER_LEN..].to_vec();
        mutations.iter().for_each(|mutation| mutate(&mut records, mutation));
        let mut batch = [&batch[..HEADER_LEN], &records].concat();
        set_length(&mut batch);
        exercise::batch(&batch);
    }

    #[test]
    fn noise_keeps_every_promise(mut bytes in vec(any::<u8>(), 0..400), as_batch: bool) {
        if as_batch && bytes.len() >= HEADER_LEN {
            set_length(&mut bytes);
            bytes[16] = 2;
        }
        exercise::batch(&bytes);
    }
}

#[test]
fn every_prefix_keeps_every_promise() {
    for codec in CODECS {
        let batch = sound(codec);
        for end in 0..batch.len() {
            exercise::batch(&batch[..end]);
            let mut cut = batch[..end].to_vec();
            set_length(&mut cut);
            exercise::batch(&cut);
        }
    }
}

#[test]
fn a_bomb_stops_at_the_limit() {
    for codec in &CODECS[1..] {
        let mut builder = Builder::new(*codec);
        builder.push(0, None, Some(&vec![0; 16 << 20]), &[]);
        let bomb = builder.build().unwrap();
        let error = records(&bomb, 1 << 20).err();
        assert_eq!(error, Some(BatchError::TooLarge(1 << 20)), "{codec:?}");
    }
}
