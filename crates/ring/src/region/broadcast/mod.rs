//! One ring, one publisher, and any number of subscribers that come and go: each reads all records,
//! at its own pace.
//!
//! As in the ring between two ([`region`](super)), the memory holds no pointer, no side trusts what
//! another writes, and any of them may die at any instruction.
//!
//! ```
//! use chaski_ring::region::broadcast::{Layout, Policy, Publisher, Subscriber};
//! use chaski_ring::region::{Fence, HeapExtent};
//!
//! let layout = Layout::new(64 * 1024)?;
//! let area = HeapExtent::new(layout.publisher_len()); // or a mapping, see `Extent`
//! let mut publisher = Publisher::new(area.clone(), layout, 100, Fence::Both)?;
//! publisher.try_publish(0, b"before anyone came")?;
//!
//! // A subscriber makes its page; the publisher says where to begin.
//! let page = HeapExtent::new(layout.subscriber_len());
//! layout.format_subscriber(&page)?;
//! let (key, start) = publisher.subscribe(page.clone(), Policy::DropOldest, 1)?;
//! let mut subscriber = Subscriber::attach(area, page, layout, start, Fence::Both)?;
//!
//! publisher.try_publish(7, b"news")?;
//! if publisher.must_wake(key) { /* write to its eventfd */ }
//!
//! let mut payload = Vec::new();
//! assert_eq!(subscriber.try_recv(&mut payload)?.unwrap().sequence, 0);
//! assert_eq!(payload, b"before anyone came");
//! assert_eq!(subscriber.try_recv(&mut payload)?.unwrap().tag, 7);
//! assert_eq!(subscriber.try_recv(&mut payload)?, None);
//! publisher.unsubscribe(key);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Who writes what
//!
//! The publisher's area (header, records) is written by the publisher alone. Each subscriber has a
//! page with its cursor, counters and waiting words, written by it alone. Each side maps what it
//! does not write read-only, and no subscriber needs to see the page of another. Every byte is
//! drawn in `docs/design/broadcast.md`.
//!
//! # What publishing costs
//!
//! A record, as in a ring between two, is published by its header, a word that was zero until then:
//! no cursor of anybody is touched, and subscribers that may lose records are not looked at,
//! however many they are. Only where the ring comes round to bytes that are still kept, the
//! publisher gives up the oldest records, an eighth of the ring at a time; and only if some
//! subscriber may not lose any, it looks at the cursors of those that may not.
//!
//! | [`Policy`] | when it is a lap behind | costs the publisher |
//! |---|---|---|
//! | `DropOldest` | loses the oldest, and learns how many: [`RecvError::Lagged`] | nothing |
//! | `Disconnect` | is cut off: [`Publisher::cut_off`] | a look at its cursor, a few times a lap |
//! | `Block` | [`PublishError::Full`] until it has read | the same, and waiting |
//!
//! A subscriber can count on seven eighths of the ring, less a 64th and what the next record and
//! its pad take, before it loses anything; one that may lose nothing, on all but a 64th and one
//! record before it is in the way, counted from what it has shown of its cursor.
//!
//! # Being written over
//!
//! The publisher announces that it gives up records before it writes over them: it moves the word
//! `oldest`, then a fence, then the bytes. A subscriber copies a record out, then a fence, and then
//! looks at `oldest`: if its position is still not before it, every word it has read is of that
//! record; else none of them counts, and not even their being nonsense. (This is the sequence lock,
//! with a position for a number; H. Boehm, "Can seqlocks get along with programming language memory
//! models?", MSPC 2012.) It then goes on at the oldest record that is still whole. Records carry
//! numbers, so it can tell to the last one what it has lost. Each look is bounded: a subscriber
//! that is lapped again and again is told so each time, and never loops.
//!
//! # Waiting
//!
//! As in the ring between two, for each subscriber by its [`Key`]: [`Subscriber::announce`],
//! [`Subscriber::is_ready`], sleep, [`Subscriber::awake`]; after publishing,
//! [`Publisher::must_wake`]. With [`Fence::Sleeper`](super::Fence::Sleeper) the question is two
//! loads; with many subscribers, even those are worth asking only of those that sleep: let each
//! announce its sleep, then set its bit on a [board](super::board) of the publisher's, then look.
//!
//! A publisher that waits for room announces that too ([`Publisher::announce`],
//! [`Publisher::has_room`]), and those whom it waits for ask [`Subscriber::must_wake`].
//!
//! # Distrust
//!
//! | a hostile subscriber | costs |
//! |---|---|
//! | moves its cursor back, beyond the tail, off the grid | its place; others notice nothing |
//! | claims to have read what it has not | itself the records |
//! | never reads | as its policy says: so give `Block` to those you trust |
//! | keeps its doze odd and changing | a needless wake for each publication |
//!
//! | a hostile publisher | costs its subscribers |
//! |---|---|
//! | writes headers, numbers, positions that cannot be | [`RecvError::Corrupt`], for good |
//! | changes a payload while it is copied | garbage, of the length that was checked |
//! | claims that records were lost | a number that is a lie |

mod error;
#[cfg(not(loom))]
#[doc(hidden)]
pub mod exercise;
mod layout;
mod members;
mod observer;
mod publisher;
mod starts;
mod subscriber;
#[cfg(all(test, not(loom)))]
mod tests;

pub use error::{PublishError, RecvError};
pub use layout::Layout;
pub use members::{CutOff, Key, Policy};
pub use observer::{Observer, Stats, SubscriberObserver, SubscriberStats};
pub use publisher::Publisher;
pub use starts::Start;
pub use subscriber::{Record, Subscriber};
