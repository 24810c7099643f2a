//! A record on its way into a topic, as producers of every kind take it.

/// A record on its way into a topic.
#[derive(Debug, Clone, Copy, Default)]
pub struct Record<'a> {
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value; None is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Names and values that go along.
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
    /// Milliseconds since the epoch; None: now, which costs a look at the clock.
    pub timestamp: Option<i64>,
    /// Where it goes; None: where the partitioner says.
    pub partition: Option<i32>,
}

impl<'a> Record<'a> {
    /// One with this value, and nothing else.
    pub fn of(value: &'a [u8]) -> Record<'a> {
        Record { value: Some(value), ..Record::default() }
    }

    /// Bytes it takes in a batch at most, without compression.
    pub fn bytes_max(&self) -> usize {
        /// Lengths, deltas and counts take ten bytes each at most.
        const NUMBERS: usize = 7 * 10;
        let len = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
        let headers = self.headers.iter().map(|(name, value)| 20 + name.len() + len(*value));
        NUMBERS + len(self.key) + len(self.value) + headers.sum::<usize>()
    }
}
