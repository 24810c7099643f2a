//! The bytes that a ring lies in: who owns them, and how they are touched.
//!
//! # Why this is sound although the other side may write anything at any time
//!
//! Every access of the protocol to shared bytes is an atomic load or store of an aligned 8-byte
//! word, through [`Words`]; no plain read or write, and no reference to the bytes, is ever made.
//! Atomic accesses do not race: whatever another thread, another process or a second producer does
//! to the same words, by such accesses or from outside this program, a load returns *some* value
//! and nothing more happens. What the values mean is checked by the protocol, in private memory. So
//! [`Memory`] need not promise that the other side behaves, only that the bytes stay there.
//!
//! Payloads are copied in the same way ([`copy`] says how), ordered by the header that publishes
//! them.
//!
//! Loads of memory that is mapped read-only must be relaxed to be sound on every machine (see
//! "Atomic accesses to read-only memory" in [`std::sync::atomic`]), and the other side's area may
//! well be so mapped: whoever wants to acquire loads relaxed, then calls [`Words::acquired`].
//!
//! The exceptions are `reserve` and `peek`, which lend the bytes themselves; they are unsafe and
//! leave the promise to the caller.

use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;

use super::copy;
use super::layout::Layout;
use super::record::WORD;
use crate::sync::{AtomicU64, Ordering, fence};

/// A run of bytes.
#[derive(Debug, Clone, Copy)]
pub struct Area {
    /// The first byte.
    pub base: NonNull<u8>,
    /// How many there are.
    pub len: usize,
}

impl Area {
    /// Copies `bytes` to the begin of the area, whoever else may be reading or writing it; the last
    /// word is filled up with anything. For what lies beside a ring and is touched in the same way.
    ///
    /// # Panics
    ///
    /// If the base is not aligned for a word, or the bytes take more whole words than there are.
    ///
    /// # Safety
    ///
    /// The area is valid for writes, and nothing in this process touches it but by atomic accesses
    /// and copies such as this one.
    #[cfg(not(loom))]
    pub unsafe fn copy_in(self, bytes: &[u8]) {
        // SAFETY: the caller vouches for the area.
        unsafe { self.words() }.copy_in(0, bytes);
    }

    /// Appends the first `len` bytes of the area to `into`, whoever may be writing them.
    ///
    /// # Panics
    ///
    /// As [`Area::copy_in`].
    ///
    /// # Safety
    ///
    /// The area is valid for reads, and nothing in this process touches it but by atomic accesses
    /// and copies such as this one.
    #[cfg(not(loom))]
    pub unsafe fn append_to(self, len: usize, into: &mut Vec<u8>) {
        // SAFETY: the caller vouches for the area.
        unsafe { self.words() }.append(0, len, into);
    }

    /// # Safety
    ///
    /// As [`Words::new`], while the words are in use.
    #[cfg(not(loom))]
    unsafe fn words(self) -> Words {
        assert!(self.base.as_ptr().addr().is_multiple_of(WORD), "area at {:?}", self.base);
        // SAFETY: aligned, as just checked, and the caller vouches for the bytes.
        unsafe { Words::new(self.base, self.len / WORD) }
    }
}

/// The two areas of a ring.
#[derive(Debug, Clone, Copy)]
pub struct Areas {
    /// What the producer alone writes: header, records, its cursor and counters.
    pub producer: Area,
    /// What the consumer alone writes: header, its cursor and counters.
    pub consumer: Area,
}

/// Owns the memory of a ring, or keeps alive what owns it: a mapping, two mappings, a share of a
/// larger one, or the [`Heap`].
///
/// # Safety
///
/// From when it is handed to a producer, a consumer or an observer until it is dropped:
///
/// - `areas` returns the same areas each time, and moving the value does not move them;
/// - both areas are valid for reads. The producer's is valid for writes too if it is handed to a
///   producer, the consumer's if to a consumer, both if to [`Layout::format`]. (A mapping of a file
///   that someone can truncate is not valid: it must be sealed against that.)
///   [`Layout::format_producer`] and [`Layout::format_consumer`] write to the one area and leave
///   the other alone, which may then be anything, [dangling](NonNull::dangling) too;
/// - this process touches the bytes in no way but through this module, or by atomic accesses.
///
/// What *other processes* do to the bytes, and how many producers and consumers are made, does not
/// matter for soundness.
pub unsafe trait Memory {
    /// Where the two areas are.
    fn areas(&self) -> Areas;
}

/// The words of an area.
///
/// Holds no borrow: whoever makes it keeps the [`Memory`] beside it.
#[derive(Debug)]
pub(super) struct Words {
    base: NonNull<AtomicU64>,
    count: usize,
}

// SAFETY: access is by shared references to atomics alone, which any thread may hold.
unsafe impl Send for Words {}
// SAFETY: as above.
unsafe impl Sync for Words {}

impl Words {
    /// # Safety
    ///
    /// `base` is aligned for a word, and `count` words from there are valid for reads while this
    /// value is in use, and for writes if it is written through; nothing in this process touches
    /// them but by atomic accesses.
    pub(super) unsafe fn new(base: NonNull<u8>, count: usize) -> Self {
        Words { base: base.cast(), count }
    }

    /// `count` words from the one at `at` on.
    #[inline]
    fn places(&self, at: usize, count: usize) -> &[AtomicU64] {
        assert!(at <= self.count && count <= self.count - at, "{count} words at {at}");
        // SAFETY: within the words that `new` was promised, and atomics may be shared.
        unsafe { slice::from_raw_parts(self.base.as_ptr().add(at), count) }
    }

    #[inline]
    fn place(&self, at: usize) -> &AtomicU64 {
        &self.places(at, 1)[0]
    }

    /// The word at `at`.
    #[inline]
    pub(super) fn load(&self, at: usize) -> u64 {
        self.place(at).load(Ordering::Relaxed)
    }

    /// Orders what follows behind the loads before, and whatever their values were released after.
    #[inline]
    pub(super) fn acquired(&self) {
        fence(Ordering::Acquire);
    }

    /// Writes the word at `at`.
    #[inline]
    pub(super) fn store(&self, at: usize, value: u64) {
        #[cfg(all(test, not(loom)))]
        trace::stored(self.base, at, value);
        self.place(at).store(value, Ordering::Relaxed);
    }

    /// Writes the word at `at`, and shows with it everything done before.
    #[inline]
    pub(super) fn publish(&self, at: usize, value: u64) {
        #[cfg(all(test, not(loom)))]
        trace::stored(self.base, at, value);
        self.place(at).store(value, Ordering::Release);
    }

    /// Sets bits of the word at `at`, which others may be changing, and shows with them everything
    /// done before.
    #[inline]
    pub(super) fn set_bits(&self, at: usize, bits: u64) {
        self.place(at).fetch_or(bits, Ordering::Release);
    }

    /// Clears the word at `at`; what it was, with everything that was shown with its bits.
    #[inline]
    pub(super) fn take_bits(&self, at: usize) -> u64 {
        self.place(at).swap(0, Ordering::Acquire)
    }

    /// Asks the processor for the line of the word at `at`, to be written soon.
    #[inline]
    pub(super) fn fetch(&self, at: usize) {
        copy::fetch(self.place(at));
    }

    /// The address of the word at `at`, good for all of the area.
    #[cfg(not(loom))]
    pub(super) fn address(&self, at: usize) -> *mut u8 {
        assert!(at < self.count);
        self.base.as_ptr().wrapping_add(at).cast()
    }

    /// Copies `bytes` to the words from `at` on, the last of which may be filled up with anything.
    #[inline]
    pub(super) fn copy_in(&self, at: usize, bytes: &[u8]) {
        #[cfg(all(test, not(loom)))]
        trace::copied(self.base, at, bytes);
        copy::copy_in(self.places(at, bytes.len().div_ceil(WORD)), bytes);
    }

    /// Copies the parts to the words from `at` on, one behind the other.
    pub(super) fn copy_in_parts(&self, mut at: usize, parts: &[&[u8]]) {
        // What does not yet fill a word.
        let (mut word, mut held) = ([0; WORD], 0);
        for mut part in parts.iter().copied() {
            if held > 0 {
                let (head, rest) = part.split_at(part.len().min(WORD - held));
                word[held..held + head.len()].copy_from_slice(head);
                (held, part) = (held + head.len(), rest);
                if held < WORD {
                    continue;
                }
                self.copy_in(at, &word);
                at += 1;
            }
            let (whole, rest) = part.split_at(part.len() / WORD * WORD);
            self.copy_in(at, whole);
            at += whole.len() / WORD;
            word[..rest.len()].copy_from_slice(rest);
            held = rest.len();
        }
        self.copy_in(at, &word[..held]);
    }

    /// Copies the words from `at` on to all of `into`.
    #[inline]
    pub(super) fn copy_out(&self, at: usize, into: &mut [MaybeUninit<u8>]) {
        copy::copy_out(self.places(at, into.len().div_ceil(WORD)), into);
    }

    /// Copies `len` bytes from the words at `at` to the end of `into`.
    #[inline]
    pub(super) fn append(&self, at: usize, len: usize, into: &mut Vec<u8>) {
        into.reserve(len);
        self.copy_out(at, &mut into.spare_capacity_mut()[..len]);
        // SAFETY: `reserve` made room for `len` more bytes, and `copy_out` wrote all of them.
        unsafe { into.set_len(into.len() + len) };
    }
}

/// Bytes as `copy_out` takes them.
#[inline]
pub(super) fn as_uninit(bytes: &mut [u8]) -> &mut [MaybeUninit<u8>] {
    // SAFETY: of the same layout; who gets this, `copy_out`, only writes bytes that are
    // initialised.
    unsafe { &mut *(std::ptr::from_mut(bytes) as *mut [MaybeUninit<u8>]) }
}

/// Memory of this process: for tests, for threads, and for rings that never leave home.
///
/// Clones share the memory: give one to the producer and one to the consumer.
#[derive(Debug, Clone)]
pub struct Heap(Arc<Pages>);

#[derive(Debug)]
struct Pages {
    producer: Box<[Page]>,
    consumer: Box<[Page]>,
}

#[derive(Debug)]
#[cfg_attr(not(loom), repr(C, align(4096)))]
pub(super) struct Page(#[allow(dead_code, reason = "written through `Words`")] [AtomicU64; PAGE]);

/// Words of a page.
pub(super) const PAGE: usize = if cfg!(loom) { 1 } else { 512 };

impl Page {
    pub(super) fn zeroed() -> Page {
        #[cfg(not(loom))]
        return Page([const { AtomicU64::new(0) }; PAGE]);
        #[cfg(loom)]
        return Page([AtomicU64::new(0)]);
    }
}

impl Heap {
    /// A new, empty ring of the given layout.
    pub fn new(layout: Layout) -> Self {
        let pages = |len: usize| {
            let count = len.div_ceil(PAGE * WORD);
            (0..count).map(|_| Page::zeroed()).collect()
        };
        let producer = pages(layout.producer_len());
        let heap = Heap(Arc::new(Pages { producer, consumer: pages(layout.consumer_len()) }));
        layout.format(&heap).expect("the heap has what the layout asks for");
        heap
    }
}

// SAFETY: the boxes neither move nor go before the last clone of the `Arc`, and nobody else has
// their address. They hold atomics, which are written through shared references.
unsafe impl Memory for Heap {
    fn areas(&self) -> Areas {
        let area = |pages: &[Page]| Area {
            base: NonNull::from(pages).cast(),
            len: pages.len() * PAGE * WORD,
        };
        Areas { producer: area(&self.0.producer), consumer: area(&self.0.consumer) }
    }
}

/// What a thread stores, one by one, while somebody listens: so that a test can let a side die
/// between any two stores.
#[cfg(all(test, not(loom)))]
pub(super) mod trace {
    use std::cell::RefCell;

    use super::*;

    /// A store: the address of the area, the index of the word, the value.
    pub(in super::super) type Store = (usize, usize, u64);

    thread_local! {
        static STORES: RefCell<Option<Vec<Store>>> = const { RefCell::new(None) };
    }

    /// All that `work` stores.
    #[cfg(not(miri))]
    pub(in super::super) fn of(work: impl FnOnce()) -> Vec<Store> {
        STORES.set(Some(Vec::new()));
        work();
        STORES.take().expect("nobody else takes it")
    }

    pub(super) fn stored(base: NonNull<AtomicU64>, at: usize, value: u64) {
        STORES.with_borrow_mut(|stores| {
            if let Some(stores) = stores {
                stores.push((base.as_ptr().addr(), at, value));
            }
        });
    }

    pub(super) fn copied(base: NonNull<AtomicU64>, at: usize, bytes: &[u8]) {
        for (n, chunk) in bytes.chunks(WORD).enumerate() {
            let mut word = [0; WORD];
            word[..chunk.len()].copy_from_slice(chunk);
            stored(base, at + n, u64::from_ne_bytes(word));
        }
    }
}
