//! Words that two cores write are kept apart.

/// Alone on its cache line, and on the one that is fetched along with it.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub struct Padded<T>(pub T);
