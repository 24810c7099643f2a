//! The subscribers, as the publisher knows them.
//!
//! A page that another process writes is read here and nowhere else: a doze, which costs a needless
//! wake at worst, and a cursor, which is loaded once, checked against what was known before, and
//! kept. A subscriber whose cursor can be none is cut off, and the others never notice.

use super::super::layout::DOZE;
use super::super::memory::Words;
use super::super::record::WORD;
use super::layout::POSITION;
use super::starts::Start;

/// What becomes of a subscriber that does not keep up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// The publisher waits for it: [`PublishError::Full`](super::PublishError::Full). For
    /// subscribers that are trusted to read.
    Block,
    /// Records are written over before it has read them; it learns how many. It costs the publisher
    /// nothing.
    DropOldest,
    /// It loses nothing, and is cut off where it would hold the publisher up.
    Disconnect,
}

/// A subscriber, as its publisher calls it. No two of one publisher have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    slot: u32,
    number: u32,
}

/// Why a subscriber was cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CutOff {
    /// It had the policy [`Policy::Disconnect`] and did not keep up.
    Slow,
    /// Its cursor went backwards, ahead of the records, or off their grid.
    Corrupt,
}

#[derive(Debug)]
struct Member<M> {
    number: u32,
    page: Words,
    policy: Policy,
    /// Up to where it has read, as last seen.
    cursor: u64,
    /// It has written its cursor.
    begun: bool,
    /// Its doze that was answered last.
    answered: u64,
    /// What keeps the page in place.
    _memory: M,
}

impl<M> Member<M> {
    /// Takes the cursor as it was read now; whether it can be one.
    fn moved(&mut self, cursor: u64, tail: u64) -> bool {
        if cursor == 0 && !self.begun {
            // A page as it was formatted.
            return true;
        }
        self.begun = true;
        let sound = (self.cursor..=tail).contains(&cursor) && cursor.is_multiple_of(WORD as u64);
        if sound {
            self.cursor = cursor;
        }
        sound
    }
}

#[derive(Debug)]
pub(super) struct Members<M> {
    slots: Vec<Option<Member<M>>>,
    /// The slots of those that may lose nothing.
    held: Vec<u32>,
    /// The least cursor of those, as last seen; the largest number there is if there are none.
    floor: u64,
    /// The number of the next member.
    number: u32,
    count: u64,
    /// Those that were cut off and not told of.
    cut: Vec<(Key, CutOff)>,
    /// How many were ever cut off.
    cut_count: u64,
}

impl<M> Members<M> {
    pub(super) fn new() -> Self {
        let (slots, held, cut) = (Vec::new(), Vec::new(), Vec::new());
        Members { slots, held, floor: u64::MAX, number: 0, count: 0, cut, cut_count: 0 }
    }

    pub(super) fn add(&mut self, page: Words, memory: M, policy: Policy, start: Start) -> Key {
        let free = self.slots.iter().position(Option::is_none);
        let slot = free.unwrap_or(self.slots.len());
        if free.is_none() {
            self.slots.push(None);
        }
        let key = Key { slot: slot as u32, number: self.number };
        self.number = self.number.wrapping_add(1);
        self.count += 1;
        self.slots[slot] = Some(Member {
            number: key.number,
            page,
            policy,
            cursor: start.position,
            begun: false,
            answered: 0,
            _memory: memory,
        });
        if policy != Policy::DropOldest {
            self.held.push(key.slot);
            self.floor = self.floor.min(start.position);
        }
        key
    }

    /// Whether it was there.
    pub(super) fn remove(&mut self, key: Key) -> bool {
        if self.get(key).is_none() {
            return false;
        }
        self.slots[key.slot as usize] = None;
        self.held.retain(|slot| *slot != key.slot);
        self.count -= 1;
        self.find_floor();
        true
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// How many were ever cut off.
    pub(super) fn cut_count(&self) -> u64 {
        self.cut_count
    }

    /// The position that no member holds on to anything before, as far as was seen.
    #[inline]
    pub(super) fn floor(&self) -> u64 {
        self.floor
    }

    /// One that was cut off and has not been told of.
    pub(super) fn next_cut(&mut self) -> Option<(Key, CutOff)> {
        self.cut.pop()
    }

    /// Whether nobody holds the publisher up who has yet to read something before `position`.
    pub(super) fn lets_pass(&mut self, position: u64, tail: u64) -> bool {
        self.read_cursors(tail);
        self.held().all(|(_, member)| member.policy != Policy::Block || member.cursor >= position)
    }

    /// Makes the floor at least `position`, at the cost of those that may be cut off. If there is
    /// one that must be waited for, none is cut off for being slow, and the answer is false.
    pub(super) fn raise_floor(&mut self, position: u64, tail: u64) -> bool {
        if !self.lets_pass(position, tail) {
            return false;
        }
        let slow = |(key, member): (Key, &Member<M>)| (member.cursor < position).then_some(key);
        let slow: Vec<Key> = self.held().filter_map(slow).collect();
        slow.into_iter().for_each(|key| self.cut_off(key, CutOff::Slow));
        true
    }

    /// Whether the member sleeps, and was not answered yet.
    pub(super) fn must_wake(&mut self, key: Key) -> bool {
        let Some(member) = self.get_mut(key) else { return false };
        let doze = member.page.load(DOZE);
        let sleeps = doze % 2 == 1 && doze != member.answered;
        if sleeps {
            member.answered = doze;
        }
        sleeps
    }

    /// Reads the cursors of those that may lose nothing.
    fn read_cursors(&mut self, tail: u64) {
        let mut corrupt = Vec::new();
        for slot in &self.held {
            let Some(member) = &mut self.slots[*slot as usize] else { continue };
            if !member.moved(member.page.load(POSITION), tail) {
                corrupt.push(Key { slot: *slot, number: member.number });
            }
            // ORDERING: pairs with the release of the cursor: the subscriber's reads of what it has
            // done with come before that is written over.
            member.page.acquired();
        }
        corrupt.into_iter().for_each(|key| self.cut_off(key, CutOff::Corrupt));
        self.find_floor();
    }

    fn cut_off(&mut self, key: Key, why: CutOff) {
        self.remove(key);
        self.cut.push((key, why));
        self.cut_count += 1;
    }

    fn find_floor(&mut self) {
        self.floor = self.held().map(|(_, member)| member.cursor).min().unwrap_or(u64::MAX);
    }

    /// Those that may lose nothing.
    fn held(&self) -> impl Iterator<Item = (Key, &Member<M>)> {
        self.held.iter().filter_map(|slot| {
            let member = self.slots[*slot as usize].as_ref()?;
            Some((Key { slot: *slot, number: member.number }, member))
        })
    }

    fn get(&self, key: Key) -> Option<&Member<M>> {
        self.slots.get(key.slot as usize)?.as_ref().filter(|member| member.number == key.number)
    }

    fn get_mut(&mut self, key: Key) -> Option<&mut Member<M>> {
        self.slots.get_mut(key.slot as usize)?.as_mut().filter(|member| member.number == key.number)
    }
}
