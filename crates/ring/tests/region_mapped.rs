//! A ring in two sealed files, each mapped twice: to be written by one side, and read-only for the
//! other, which would die of a store there. And sleep on real futexes, whose waiter sees the word
//! through the read-only mapping.
#![cfg(all(target_os = "linux", not(loom), not(miri)))]

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU32;
use std::thread;

use chaski_ring::region::broadcast::{self, Policy, PublishError, Publisher, Subscriber};
use chaski_ring::region::{
    Area, Areas, Consumer, Extent, Fence, Layout, Memory, Observer, Producer, SendError,
};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::thread::{MembarrierCommand, futex, membarrier};

/// Part of a file, mapped.
struct Mapping(Area);

// SAFETY: a mapping belongs to no thread.
unsafe impl Send for Mapping {}

impl Mapping {
    fn new(file: BorrowedFd<'_>, len: usize, protection: ProtFlags) -> Mapping {
        // SAFETY: a new mapping, where the kernel likes.
        let base = unsafe { mmap(ptr::null_mut(), len, protection, MapFlags::SHARED, file, 0) };
        Mapping(Area { base: NonNull::new(base.unwrap()).unwrap().cast(), len })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`, and whoever used it kept it alive.
        unsafe { munmap(self.0.base.as_ptr().cast(), self.0.len) }.unwrap();
    }
}

// SAFETY: the mapping lives as long as this value, does not move with it, and is writable where it
// is given to who writes. The file cannot shrink.
unsafe impl Extent for Mapping {
    fn area(&self) -> Area {
        self.0
    }
}

struct Mapped {
    producer: Mapping,
    consumer: Mapping,
}

// SAFETY: the mappings live as long as this value, do not move with it, and are writable where
// the side that gets them writes, as `Files` says. The files cannot shrink.
unsafe impl Memory for Mapped {
    fn areas(&self) -> Areas {
        Areas { producer: self.producer.0, consumer: self.consumer.0 }
    }
}

/// A file that can neither shrink nor grow.
fn sealed(len: usize) -> OwnedFd {
    let flags = MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC;
    let file = memfd_create("region-test", flags).unwrap();
    ftruncate(&file, len as u64).unwrap();
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW).unwrap();
    file
}

fn map(file: &OwnedFd, len: usize, writable: bool) -> Mapping {
    let write = if writable { ProtFlags::WRITE } else { ProtFlags::empty() };
    Mapping::new(file.as_fd(), len, ProtFlags::READ | write)
}

struct Files {
    layout: Layout,
    producer: OwnedFd,
    consumer: OwnedFd,
}

impl Files {
    fn new(layout: Layout) -> Files {
        let (producer, consumer) = (sealed(layout.producer_len()), sealed(layout.consumer_len()));
        let files = Files { layout, producer, consumer };
        layout.format(&files.map(true, true)).unwrap();
        files
    }

    /// Both areas, each writable or not.
    fn map(&self, producer: bool, consumer: bool) -> Mapped {
        Mapped {
            producer: map(&self.producer, self.layout.producer_len(), producer),
            consumer: map(&self.consumer, self.layout.consumer_len(), consumer),
        }
    }

    fn producer(&self, fence: Fence) -> Producer<Mapped> {
        Producer::attach(self.map(true, false), self.layout, fence).unwrap()
    }

    fn consumer(&self, fence: Fence) -> Consumer<Mapped> {
        Consumer::attach(self.map(false, true), self.layout, fence).unwrap()
    }
}

/// The word at an address that a side has given.
fn word<'a>(address: *const u32) -> &'a AtomicU32 {
    // SAFETY: the mapping outlives its use by the kernel, which is all that is done with it.
    unsafe { AtomicU32::from_ptr(address.cast_mut()) }
}

/// Wakes all who sleep there: one in a ring, perhaps some in a broadcast.
fn wake(address: *const u32) {
    futex::wake(word(address), futex::Flags::empty(), i32::MAX as u32).unwrap();
}

/// Sleeps until the word is no longer `seen`. That takes a peer microseconds; that it takes longer
/// than this is a wake-up that was lost.
fn sleep(address: *const u32, seen: u32) {
    let long = futex::Timespec { tv_sec: 60, tv_nsec: 0 };
    match futex::wait(word(address), futex::Flags::empty(), seen, Some(&long)) {
        Ok(()) | Err(Errno::AGAIN | Errno::INTR) => {}
        Err(error) => panic!("lost wake-up: {error}"),
    }
}

fn send(producer: &mut Producer<Mapped>, payload: &[u8]) {
    loop {
        let sent = producer.try_send(payload);
        if producer.must_wake() {
            wake(producer.wake_word());
        }
        match sent {
            Ok(()) => return,
            Err(SendError::Full) => {}
            Err(error) => panic!("{error}"),
        }
        let seen = producer.announce();
        if !producer.has_room(payload.len()).unwrap() {
            sleep(producer.sleep_word(), seen);
        }
        producer.awake();
    }
}

fn recv(consumer: &mut Consumer<Mapped>, payload: &mut Vec<u8>) {
    loop {
        let received = consumer.try_recv(payload).unwrap();
        if consumer.must_wake() {
            wake(consumer.wake_word());
        }
        if received.is_some() {
            return;
        }
        let seen = consumer.announce();
        let ready = consumer.is_ready().unwrap();
        if consumer.must_wake() {
            wake(consumer.wake_word());
        }
        if !ready {
            sleep(consumer.sleep_word(), seen);
        }
        consumer.awake();
    }
}

/// Requests and answers, and then a stream that finds the ring full and empty; always with sleep.
fn talk(fence: Fence) {
    let layout = Layout::new(1024).unwrap();
    let (there, back) = (Files::new(layout), Files::new(layout));
    let (mut requests, mut answers) = (there.producer(fence), back.consumer(fence));
    let (mut served, mut replies) = (there.consumer(fence), back.producer(fence));
    let (echoed, streamed) = (2_000_u32, 50_000_u32);
    let server = thread::spawn(move || {
        let mut payload = Vec::new();
        for _ in 0..echoed {
            recv(&mut served, &mut payload);
            send(&mut replies, &payload);
        }
        for n in 0..streamed {
            recv(&mut served, &mut payload);
            assert_eq!(payload[..4], n.to_ne_bytes());
        }
    });
    let mut payload = Vec::new();
    for n in 0..echoed {
        send(&mut requests, &n.to_ne_bytes());
        recv(&mut answers, &mut payload);
        assert_eq!(payload, n.to_ne_bytes());
    }
    for n in 0..streamed {
        let mut payload = n.to_ne_bytes().to_vec();
        payload.resize(4 + n as usize % 200, 7);
        send(&mut requests, &payload);
    }
    server.join().unwrap();
    let observer = Observer::attach(there.map(false, false)).unwrap();
    let stats = observer.stats();
    assert_eq!(observer.layout(), layout);
    assert_eq!(stats.sent, u64::from(echoed + streamed));
    assert_eq!((stats.received, stats.depth), (stats.sent, 0));
    assert_eq!(stats.received_bytes, stats.sent_bytes);
}

#[test]
fn two_mappings_talk_and_sleep() {
    talk(Fence::Both);
}

#[test]
fn two_mappings_talk_and_the_sleeper_pays() {
    membarrier(MembarrierCommand::RegisterGlobalExpedited).unwrap();
    talk(Fence::Sleeper(|| membarrier(MembarrierCommand::GlobalExpedited).unwrap()));
}

/// Reads `count` records, all of them, and sleeps while there is none.
fn read_all(mut subscriber: Subscriber<Mapping>, count: u32) {
    let mut payload = Vec::new();
    for n in 0..count {
        while subscriber.try_recv(&mut payload).unwrap().is_none() {
            let seen = subscriber.announce();
            if !subscriber.is_ready().unwrap() {
                sleep(subscriber.sleep_word(), seen);
            }
            subscriber.awake();
        }
        assert_eq!(payload[..4], n.to_ne_bytes());
        assert_eq!(payload.len(), 4 + n as usize % 200);
    }
}

/// A publisher that cannot write the pages, subscribers that cannot write the ring.
#[test]
fn a_broadcast_needs_no_memory_that_two_can_write() {
    const COUNT: u32 = 30_000;
    let layout = broadcast::Layout::new(4096).unwrap();
    let (ring_len, page_len) = (layout.publisher_len(), layout.subscriber_len());
    let ring = sealed(ring_len);
    let mut publisher = Publisher::new(map(&ring, ring_len, true), layout, 0, Fence::Both).unwrap();
    let mut keys = Vec::new();
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let file = sealed(page_len);
            let page = map(&file, page_len, true);
            layout.format_subscriber(&page).unwrap();
            let theirs = map(&file, page_len, false);
            let (key, start) = publisher.subscribe(theirs, Policy::Block, 0).unwrap();
            keys.push(key);
            let ring = map(&ring, ring_len, false);
            let subscriber = Subscriber::attach(ring, page, layout, start, Fence::Both).unwrap();
            thread::spawn(move || read_all(subscriber, COUNT))
        })
        .collect();
    for n in 0..COUNT {
        let mut payload = n.to_ne_bytes().to_vec();
        payload.resize(4 + n as usize % 200, 7);
        while publisher.try_publish(0, &payload) == Err(PublishError::Full) {
            thread::yield_now();
        }
        for key in &keys {
            if publisher.must_wake(*key) {
                wake(publisher.wake_word());
            }
        }
    }
    readers.into_iter().for_each(|reader| reader.join().unwrap());
    let stats = broadcast::Observer::attach(map(&ring, ring_len, false)).unwrap().stats();
    assert_eq!((stats.records, stats.subscribers), (u64::from(COUNT), 3));
}
