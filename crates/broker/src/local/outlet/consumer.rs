//! One consumer as the outlet has it: what it asks, and what it is answered.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;

use chaski_local::consumer::wire::{
    Answer, PACKET_MAX, PARTITIONS_MAX, Place, Reason, Request, VERSION,
};
use chaski_log::store::Watcher;
use chaski_shm::packets::{Connection, Received};

use super::board::{Board, NoCell};
use super::errand::Errand;
use super::waker::Waker;
use crate::client::{Client, ClientError, Cursor, Position, ReadError, watch_key};
use crate::cluster::Topic;
use crate::local::LocalStats;
use crate::local::readers::Listed;

/// Packets of one consumer before others have their turn.
const PACKETS_A_TURN: usize = 16;

/// What may wait for a consumer that does not take its answers, as the kernel counts it: some
/// twenty small packets. As many descriptors may be under way.
const UNRECEIVED_MAX: usize = 16 << 10;

/// What all consumers are served from.
pub(super) struct House {
    pub(super) client: Client,
    pub(super) board: Board,
    /// The records are in memory, where only this process can read them.
    pub(super) is_memory: bool,
}

impl House {
    fn stats(&self) -> &LocalStats {
        &self.client.broker().local
    }

    /// A consumer says that it has read a partition up to there.
    fn reached(&self, open: &Open, offset: i64) {
        let passed = open.listed.reached(offset, &*self.client.broker().store);
        self.stats().read_records.add(passed);
    }
}

/// A consumer that is connected.
pub(super) struct Consumer {
    connection: Arc<Connection>,
    waker: Arc<Waker>,
    /// The same.
    watcher: Arc<dyn Watcher>,
    /// Of all its watches: it has one a partition.
    key: u64,
    errand: Errand,
    is_greeted: bool,
    open: HashMap<u32, Open>,
    next_handle: u32,
}

/// A partition that it reads.
struct Open {
    cursor: Cursor,
    listed: Listed,
}

/// An answer, and the segment that goes along.
type Answered = (Answer, Option<File>);

impl Consumer {
    pub(super) fn new(connection: Connection, house: &House) -> io::Result<Consumer> {
        connection.bound_unreceived(UNRECEIVED_MAX)?;
        let connection = Arc::new(connection);
        let waker = Arc::new(Waker::new(connection.clone(), house.stats().wakes.clone()));
        Ok(Consumer {
            errand: Errand::new(connection.clone()),
            connection,
            watcher: waker.clone(),
            waker,
            key: watch_key(),
            is_greeted: false,
            open: HashMap::new(),
            next_handle: 0,
        })
    }

    /// Answers what it has asked; false: it is to be let go.
    pub(super) fn serve(&mut self, house: &mut House) -> bool {
        let mut buffer = [0; PACKET_MAX];
        for _ in 0..PACKETS_A_TURN {
            let connection = self.connection.clone();
            let packet = match connection.receive(&mut buffer) {
                // What descriptors it sends are closed here.
                Received::Packet(packet, _) => packet,
                Received::Nothing => return true,
                Received::Oversized | Received::Gone => return false,
            };
            let Some((number, request)) = Request::decode(packet) else {
                if connection.answer_survey(packet) {
                    return false;
                }
                let _ = self.send(number_of(packet), &refused("a request that is none"), None);
                return false;
            };
            if !self.hear(house, number, request) {
                return false;
            }
        }
        true
    }

    /// Tells it that there is no room, before it is let go.
    pub(super) fn turn_away(&self, why: &str) {
        let mut buffer = [0; PACKET_MAX];
        // What it has sent is taken first: who is hung up on with packets unread is told of that
        // before it is told why.
        let number = match self.connection.receive(&mut buffer) {
            Received::Packet(packet, _) => number_of(packet),
            _ => 0,
        };
        let _ = self.send(number, &failed(Reason::Busy, why), None);
    }

    /// Lets go of all it reads, and hangs up.
    pub(super) fn leave(mut self, house: &mut House) {
        let handles: Vec<u32> = self.open.keys().copied().collect();
        handles.into_iter().for_each(|handle| self.close(house, handle));
        self.errand.give_up(&house.client);
        // A watch that is being called has the connection too, and so has an errand.
        self.connection.hang_up();
    }

    fn hear(&mut self, house: &mut House, number: u32, request: Request<'_>) -> bool {
        match request {
            Request::Hello { version } => return self.greet(house, number, version),
            _ if !self.is_greeted => {
                let _ = self.send(number, &refused("a request before the first"), None);
                return false;
            }
            Request::Sleep(places) => {
                self.sleep(house, number, &places);
                return true;
            }
            Request::Close { handle } => {
                self.close(house, handle);
                return true;
            }
            _ => {}
        }
        let (answer, segment) = match request {
            Request::Open { topic, topic_id, partition, at } => {
                (self.open(house, topic, topic_id, partition, at), None)
            }
            Request::Locate { handle, offset } => self.locate(house, handle, offset),
            Request::Seek { handle, to } => (self.seek(house, handle, to), None),
            Request::Commit { group, offsets } => {
                match self.commit(house, number, group, &offsets) {
                    Ok(()) => return true,
                    Err(answer) => (answer, None),
                }
            }
            Request::Committed { handle, group } => {
                match self.committed(house, number, handle, group) {
                    Ok(()) => return true,
                    Err(answer) => (answer, None),
                }
            }
            Request::Hello { .. } | Request::Sleep(_) | Request::Close { .. } => return true,
        };
        self.send(number, &answer, segment.as_ref().map(AsFd::as_fd))
    }

    fn greet(&mut self, house: &House, number: u32, version: u32) -> bool {
        let why = if house.is_memory {
            "it keeps its records in memory; a local consumer needs one with a data directory"
        } else if version != VERSION {
            "it speaks another version"
        } else {
            self.is_greeted = true;
            let welcome = Answer::Welcome { version: VERSION, cells: house.board.len() };
            return self.send(number, &welcome, Some(house.board.as_fd()));
        };
        let _ = self.send(number, &refused(why), None);
        false
    }

    fn open(
        &mut self,
        house: &mut House,
        topic: &str,
        topic_id: [u8; 16],
        partition: i32,
        at: Position,
    ) -> Answer {
        if self.open.len() >= PARTITIONS_MAX {
            return failed(Reason::Busy, "the consumer reads as many partitions as it may");
        }
        let client = &house.client;
        let topic = match client.partition(topic, partition) {
            Ok((topic, _)) => topic,
            // It was there before: it is another topic's name now, or nobody's.
            Err(ClientError::UnknownTopic { .. }) if topic_id != [0; 16] => {
                return failed(Reason::Deleted, "");
            }
            Err(error) => return failed(Reason::Unknown, &error.to_string()),
        };
        if topic_id != [0; 16] && topic_id != *topic.id.as_bytes() {
            return failed(Reason::Deleted, "");
        }
        let topic_id = *topic.id.as_bytes();
        let cursor = match client.cursor(topic, partition, at) {
            Ok(cursor) => cursor,
            Err(ClientError::UnknownTopic { .. }) => return failed(Reason::Deleted, ""),
            Err(error) => return failed(Reason::Storage, &error.to_string()),
        };
        let store = &*house.client.broker().store;
        let cell = match house.board.take(store, cursor.id) {
            Ok(cell) => cell,
            Err(NoCell::Full) => {
                return failed(Reason::Busy, "as many partitions are read as may be");
            }
            Err(NoCell::Gone) => return failed(Reason::Deleted, ""),
        };
        let place = place(house, &cursor);
        let handle = self.next_handle;
        self.next_handle = handle.wrapping_add(1);
        let read = (cursor.topic.name.clone(), partition, cursor.id);
        let pid = self.connection.peer().pid;
        let listed = house.stats().readers.add(pid, read, cursor.offset);
        self.open.insert(handle, Open { cursor, listed });
        Answer::Opened { handle, cell, topic_id, place }
    }

    fn locate(&self, house: &House, handle: u32, offset: i64) -> Answered {
        let Some(open) = self.open.get(&handle) else { return (unknown(), None) };
        house.reached(open, offset);
        let located = match open.cursor.locate(house.client.broker(), offset) {
            Ok(located) => located,
            Err(error) => return (of_read(&error), None),
        };
        let offsets = located.offsets;
        let (log_start, high_watermark) = (offsets.log_start, offsets.high_watermark);
        let Some((file, position)) = located.file else {
            return (Answer::Nothing(Place { offset, log_start, high_watermark }), None);
        };
        match read_only(&file) {
            Ok(file) => {
                house.stats().segments.add(1);
                (Answer::Located { position, log_start, high_watermark }, Some(file))
            }
            Err(error) => {
                (failed(Reason::Storage, &format!("cannot open the segment: {error}")), None)
            }
        }
    }

    fn seek(&mut self, house: &House, handle: u32, to: Position) -> Answer {
        let Some(Open { cursor, listed }) = self.open.get_mut(&handle) else { return unknown() };
        match cursor.seek(house.client.broker(), to) {
            Ok(_) => {
                listed.moved(cursor.offset);
                Answer::Moved(place(house, cursor))
            }
            Err(error) => of_read(&error),
        }
    }

    /// Leaves a watch at each partition. Those of the last sleep are replaced, or do no harm: each
    /// wakes once for nothing.
    fn sleep(&self, house: &House, number: u32, places: &[(u32, i64)]) {
        self.waker.fall_asleep(number);
        house.stats().sleeps.add(1);
        let store = &house.client.broker().store;
        let watch = |&(handle, offset): &(u32, i64)| match self.open.get(&handle) {
            Some(open) => {
                house.reached(open, offset);
                store.watch(open.cursor.id, offset, self.key, &self.watcher)
            }
            None => false,
        };
        if !places.iter().all(watch) {
            self.waker.wake();
        }
    }

    fn close(&mut self, house: &mut House, handle: u32) {
        let Some(Open { cursor, .. }) = self.open.remove(&handle) else { return };
        let store = &*house.client.broker().store;
        store.unwatch(cursor.id, self.key);
        house.board.give_back(store, cursor.id);
    }

    /// Has control commit offsets, and answer. Groups know topics by name, so it is control that
    /// makes sure that none has been deleted, and made anew, meanwhile.
    fn commit(
        &mut self,
        house: &House,
        number: u32,
        group: &str,
        offsets: &[(u32, i64)],
    ) -> Result<(), Answer> {
        let mut placed = Vec::with_capacity(offsets.len());
        let mut read = Vec::with_capacity(offsets.len());
        for &(handle, offset) in offsets {
            let open = self.open.get(&handle).ok_or_else(unknown)?;
            house.reached(open, offset);
            let topic = &open.cursor.topic;
            placed.push((topic.clone(), open.cursor.partition, offset));
            read.push((handle, topic.clone()));
        }
        let reply = self.errand.begin(number).ok_or_else(busy)?;
        let client = house.client.clone();
        let tell = move |outcome| {
            reply.send(&match outcome {
                Ok(()) => Answer::Done,
                Err(error) => first_deleted(&client, &read).unwrap_or_else(|| of_client(&error)),
            });
        };
        let asked = house.client.commit_later(group, &placed, tell);
        asked.map(|caller| self.errand.known_as(caller)).map_err(|error| of_client(&error))
    }

    /// Has control answer what a group has committed.
    fn committed(
        &mut self,
        house: &House,
        number: u32,
        handle: u32,
        group: &str,
    ) -> Result<(), Answer> {
        let Open { cursor, .. } = self.open.get(&handle).ok_or_else(unknown)?;
        let reply = self.errand.begin(number).ok_or_else(busy)?;
        let tell = move |outcome| {
            reply.send(&match outcome {
                Ok(offset) => Answer::Committed(offset),
                Err(ClientError::UnknownTopic { .. }) => failed(Reason::Deleted, ""),
                Err(error) => of_client(&error),
            });
        };
        let (topic, partition) = (&cursor.topic, cursor.partition);
        let asked = house.client.committed_later(group, topic, partition, tell);
        asked.map(|caller| self.errand.known_as(caller)).map_err(|error| of_client(&error))
    }

    /// Sends an answer; false: the consumer has gone, or does not take what it was answered.
    fn send(&self, number: u32, answer: &Answer, fd: Option<BorrowedFd<'_>>) -> bool {
        self.connection.send(&answer.encode(number), fd.as_slice()).is_ok()
    }
}

impl AsFd for Consumer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.connection.as_fd()
    }
}

/// The same file, opened anew for reading: with the writer's own descriptor a consumer could write
/// to the log, and with that of another reader move its place. It is the open file that is opened,
/// not its name: that may be gone by now.
fn read_only(file: &File) -> io::Result<File> {
    File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Where a cursor is. The bounds of a partition that is gone are those of an empty one: whoever
/// reads there is told.
fn place(house: &House, cursor: &Cursor) -> Place {
    let offsets = house.client.broker().store.offsets(cursor.id).unwrap_or_default();
    let (log_start, high_watermark) = (offsets.log_start, offsets.high_watermark);
    Place { offset: cursor.offset, log_start, high_watermark }
}

/// The answer to a commit, if one of the topics has been deleted.
fn first_deleted(client: &Client, read: &[(u32, Arc<Topic>)]) -> Option<Answer> {
    let cluster = client.broker().cluster.load();
    let (handle, _) = read.iter().find(|(_, topic)| !cluster.by_id.contains_key(&topic.id))?;
    let offsets = [i64::from(*handle), 0, 0];
    Some(Answer::Failed { reason: Reason::Deleted, offsets, why: String::new() })
}

/// The number of a packet that is no request.
fn number_of(packet: &[u8]) -> u32 {
    let number = packet.get(4..8).and_then(|bytes| bytes.try_into().ok());
    number.map_or(0, u32::from_le_bytes)
}

fn failed(reason: Reason, why: &str) -> Answer {
    Answer::Failed { reason, offsets: [0; 3], why: why.to_owned() }
}

fn refused(why: &str) -> Answer {
    failed(Reason::Refused, why)
}

fn busy() -> Answer {
    failed(Reason::Busy, "the commit before is not done")
}

fn unknown() -> Answer {
    refused("no partition is open as that")
}

fn of_read(error: &ReadError) -> Answer {
    let (reason, offsets, why) = match error {
        ReadError::Stopped => (Reason::Stopped, [0; 3], error.to_string()),
        ReadError::Deleted(_) => (Reason::Deleted, [0; 3], String::new()),
        ReadError::OutOfRange { offset, start, end } => {
            (Reason::OutOfRange, [*offset, *start, *end], String::new())
        }
        ReadError::Damaged { offset, resumes, reason } => {
            (Reason::Damaged, [*offset, *resumes, 0], reason.clone())
        }
        other => (Reason::Storage, [0; 3], other.to_string()),
    };
    Answer::Failed { reason, offsets, why }
}

fn of_client(error: &ClientError) -> Answer {
    let reason = match error {
        ClientError::Stopped => Reason::Stopped,
        ClientError::Busy => Reason::Busy,
        ClientError::Storage(_) => Reason::Storage,
        _ => Reason::Refused,
    };
    failed(reason, &error.to_string())
}
