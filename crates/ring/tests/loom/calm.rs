//! The handshake of sleepers and notifiers, with its changes between *calm* and *fenced*, on a
//! machine with store buffers, in every interleaving.
//!
//! No loom in here: it knows no `membarrier`, so the half of the waiting machinery that rests on it
//! is rebuilt by hand and explored whole. The machine is x86-TSO (P. Sewell et al., "x86-TSO: a
//! rigorous and usable programmer's model for x86 multiprocessors", CACM 53(7), 2010):
//!
//! ```text
//!   thread --store--> buffer, first in first out --at any time later--> memory
//!   thread --load---> its own buffer, newest first, else memory
//!   fence             waits until its own buffer is empty
//!   heavy             as fence, and then empties the others' buffers, one after the other
//! ```
//!
//! Three programs run on it, the shape of `wait/waiters.rs` and of the calls that use it: waiters
//! that want one message each, notifiers, and whoever turns *fenced* back to *calm*. Where the code
//! decides by traffic, the model takes both ways. A state in which nothing can go on, a message
//! lies there and a waiter sleeps is a lost wake-up.
//!
//! What this proves: the protocol, for the sizes below, on processors of this kind. What it does
//! not: that the code is the protocol (it was written by hand from it), nor anything of processors
//! that reorder more, where the argument is that of `wait/fence.rs`. Each [`Fault`] is a protocol
//! that is wrong, and must be found so: that is the proof of the explorer.
use std::collections::HashSet;

const FENCED: u8 = 1;
const WAITING: u8 = 2;
const CLOSED: u8 = 4;

const THREADS: usize = 4;
/// The most stores that one of the programs has under way.
const BUFFER: usize = 5;

/// A protocol that is wrong in one place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    None,
    /// A waiter in calm fences for itself only.
    NoHeavy,
    /// The change to fenced is made without a heavy fence: notifiers may hold the old state.
    NoHeavyAtChange,
    /// The heavy fence of that change comes behind the lock: a second waiter believes in it early.
    HeavyBehindTheLock,
    /// Notifiers believe FENCED without a fence of their own.
    NoFenceInFenced,
    /// Who was woken behind the attempt that succeeded keeps the wake-up for itself.
    NoPassOn,
}

/// What a store goes to.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Word {
    State,
    Message,
    Lock,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Program {
    Waiter,
    /// Sends so many messages.
    Notifier(u8),
    /// Takes FENCED back so many times.
    Calmer(u8),
    /// Closes, and then looks which messages are there.
    Closer,
    Nothing,
}

/// The next step of a thread.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum At {
    Start,
    Lock,
    Register,
    HeavyInside(u8),
    Unlock,
    Barrier,
    Heavy(u8),
    Look,
    Asleep,
    PassOn,
    PassOnLocked,
    Leave,
    LeaveLocked,
    LookAgain,
    Load,
    Fence,
    Reload,
    WakeLock,
    WakeLocked,
    Wake,
    Done,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Thread {
    program: Program,
    at: At,
    buffer: [(Word, u8); BUFFER],
    stores: u8,
    /// A loaded state, or whether an ordinary fence is enough.
    local: u8,
    /// Whom to wake, as a set.
    wake: u8,
    /// A notifier's messages so far that met a close, as a set.
    refused: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Machine {
    state: u8,
    /// Published, as a set of numbers.
    messages: u8,
    taken: u8,
    locked: u8,
    /// The queue of waiters; only the holder of the lock touches it.
    queue: [u8; 2],
    waiting: u8,
    woken: u8,
    /// What the closer saw.
    cut: u8,
    threads: [Thread; THREADS],
}

impl Machine {
    fn new(state: u8, programs: [Program; THREADS]) -> Machine {
        let threads = programs.map(|program| Thread {
            program,
            at: if program == Program::Nothing { At::Done } else { At::Start },
            buffer: [(Word::State, 0); BUFFER],
            stores: 0,
            local: 0,
            wake: 0,
            refused: 0,
        });
        Machine {
            state,
            messages: 0,
            taken: 0,
            locked: 0,
            queue: [0; 2],
            waiting: 0,
            woken: 0,
            cut: 0,
            threads,
        }
    }

    fn store(&mut self, thread: usize, word: Word, value: u8) {
        let thread = &mut self.threads[thread];
        thread.buffer[thread.stores as usize] = (word, value);
        thread.stores += 1;
    }

    fn load_state(&self, thread: usize) -> u8 {
        let thread = &self.threads[thread];
        let own = thread.buffer[..thread.stores as usize].iter().rev();
        own.filter(|(word, _)| *word == Word::State)
            .map(|(_, value)| *value)
            .next()
            .unwrap_or(self.state)
    }

    /// The oldest store of a thread reaches memory.
    fn flush(&mut self, thread: usize) {
        let thread = &mut self.threads[thread];
        let (word, value) = thread.buffer[0];
        thread.buffer.copy_within(1.., 0);
        thread.stores -= 1;
        // Buffers that hold the same are the same.
        thread.buffer[thread.stores as usize..].fill((Word::State, 0));
        match word {
            Word::State => self.state = value,
            Word::Message => self.messages |= value,
            Word::Lock => self.locked = value,
        }
    }

    fn is_drained(&self, thread: usize) -> bool {
        self.threads[thread].stores == 0
    }

    fn drain(&mut self, thread: usize) {
        while !self.is_drained(thread) {
            self.flush(thread);
        }
    }

    /// Takes the lock, if it is free. A read-modify-write: the own buffer is empty first.
    fn lock(&mut self, thread: usize) -> bool {
        if !self.is_drained(thread) || self.locked != 0 {
            return false;
        }
        self.locked = 1;
        true
    }

    fn unlock(&mut self, thread: usize) {
        self.store(thread, Word::Lock, 0);
    }

    /// Takes a message, if one is to be seen.
    fn take(&mut self) -> bool {
        let there = self.messages & !self.taken;
        self.taken |= there & there.wrapping_neg();
        there != 0
    }

    /// Under the lock: the first waiter leaves the queue, to be woken.
    fn pop(&mut self, thread: usize) -> u8 {
        if self.waiting == 0 {
            return 0;
        }
        let first = self.queue[0];
        self.remove(thread, 0);
        1 << first
    }

    fn remove(&mut self, thread: usize, index: usize) {
        self.queue.copy_within(index + 1.., index);
        self.waiting -= 1;
        self.queue[self.waiting as usize..].fill(0);
        if self.waiting == 0 {
            let was = self.load_state(thread);
            self.store(thread, Word::State, was & !WAITING);
        }
    }

    fn place(&self, thread: usize) -> Option<usize> {
        self.queue[..self.waiting as usize].iter().position(|waiter| *waiter as usize == thread)
    }

    /// Where one step of `thread` can lead. Nowhere: it waits, or it is done.
    fn step(&self, thread: usize, fault: Fault) -> Vec<Machine> {
        match self.threads[thread].program {
            Program::Waiter => self.waiter(thread, fault),
            Program::Notifier(count) => self.notifier(thread, count, fault),
            Program::Calmer(count) => self.calmer(thread, count),
            Program::Closer => self.closer(thread),
            Program::Nothing => Vec::new(),
        }
    }

    fn waiter(&self, thread: usize, fault: Fault) -> Vec<Machine> {
        let mut next = *self;
        let at = match self.threads[thread].at {
            At::Start | At::LookAgain => {
                if next.take() {
                    At::Done
                } else {
                    At::Lock
                }
            }
            At::Lock if next.lock(thread) => At::Register,
            At::Register => return self.register(thread, fault),
            At::HeavyInside(other) => next.heavy(thread, other, At::HeavyInside, At::Unlock),
            At::Unlock => {
                next.unlock(thread);
                At::Barrier
            }
            At::Barrier if self.threads[thread].local == 0 => At::Heavy(0),
            At::Barrier if self.is_drained(thread) => At::Look,
            At::Heavy(other) => next.heavy(thread, other, At::Heavy, At::Look),
            At::Look => match next.take() {
                true if fault == Fault::NoPassOn => At::Leave,
                true => At::PassOn,
                false => At::Asleep,
            },
            At::Asleep if self.woken & 1 << thread != 0 => {
                next.woken &= !(1 << thread);
                At::Leave
            }
            At::PassOn if next.lock(thread) => At::PassOnLocked,
            At::PassOnLocked => {
                match self.place(thread) {
                    Some(index) => next.remove(thread, index),
                    None => next.threads[thread].wake = next.pop(thread),
                }
                next.unlock(thread);
                At::Wake
            }
            At::Wake => {
                next.woken |= self.threads[thread].wake;
                At::Done
            }
            At::Leave if next.lock(thread) => At::LeaveLocked,
            At::LeaveLocked => {
                if let Some(index) = self.place(thread) {
                    next.remove(thread, index);
                }
                next.unlock(thread);
                let served = fault == Fault::NoPassOn && self.threads[thread].wake == 1;
                if served { At::Done } else { At::LookAgain }
            }
            _ => return Vec::new(),
        };
        if fault == Fault::NoPassOn && at == At::Leave && self.threads[thread].at == At::Look {
            next.threads[thread].wake = 1;
        }
        next.threads[thread].at = at;
        vec![next]
    }

    /// Under the lock: into the queue, with either mode for the next notifiers.
    fn register(&self, thread: usize, fault: Fault) -> Vec<Machine> {
        [0, FENCED]
            .map(|mode| {
                let mut next = *self;
                next.queue[next.waiting as usize] = thread as u8;
                next.waiting += 1;
                let was = self.load_state(thread);
                next.store(thread, Word::State, was & CLOSED | WAITING | mode);
                let change = mode & !was != 0;
                let inside = change && !matches!(fault, Fault::HeavyBehindTheLock);
                let own = &mut next.threads[thread];
                // Whether a fence of its own is enough, behind the lock.
                own.local = u8::from(was & mode != 0 || inside);
                match fault {
                    Fault::NoHeavy if mode == 0 => own.local = 1,
                    Fault::NoHeavyAtChange if change => own.local = 1,
                    _ => {}
                }
                let skips = fault == Fault::NoHeavyAtChange;
                own.at = if inside && !skips { At::HeavyInside(0) } else { At::Unlock };
                next
            })
            .to_vec()
    }

    /// One part of the heavy fence: its own buffer first, then the others' in turn.
    fn heavy(&mut self, thread: usize, other: u8, more: fn(u8) -> At, then: At) -> At {
        if !self.is_drained(thread) {
            self.drain(thread);
            return more(other);
        }
        if other as usize == THREADS {
            return then;
        }
        self.drain(other as usize);
        more(other + 1)
    }

    fn notifier(&self, thread: usize, count: u8, fault: Fault) -> Vec<Machine> {
        let mut next = *self;
        let own = &self.threads[thread];
        // Each notifier has numbers of its own.
        let number = |left: u8| 1u8 << ((thread as u8 * 2 + left - 1) % 8);
        let at = match own.at {
            At::Start => {
                next.store(thread, Word::Message, number(count));
                At::Load
            }
            At::Load => {
                let state = self.load_state(thread);
                next.threads[thread].local = state;
                let fences = state & FENCED != 0 && fault != Fault::NoFenceInFenced;
                if fences { At::Fence } else { At::WakeLock }
            }
            At::Fence if self.is_drained(thread) => At::Reload,
            At::Reload => {
                next.threads[thread].local = self.load_state(thread);
                At::WakeLock
            }
            At::WakeLock => {
                if own.local & CLOSED != 0 {
                    next.threads[thread].refused |= number(count);
                }
                if own.local & WAITING == 0 {
                    return vec![next.sent(thread, count)];
                }
                if !next.lock(thread) {
                    return Vec::new();
                }
                At::WakeLocked
            }
            At::WakeLocked => {
                next.threads[thread].wake = next.pop(thread);
                next.unlock(thread);
                At::Wake
            }
            At::Wake => {
                next.woken |= own.wake;
                return vec![next.sent(thread, count)];
            }
            _ => return Vec::new(),
        };
        next.threads[thread].at = at;
        vec![next]
    }

    /// One message less to send.
    fn sent(mut self, thread: usize, count: u8) -> Machine {
        let own = &mut self.threads[thread];
        own.wake = 0;
        own.local = 0;
        own.at = if count > 1 { At::Start } else { At::Done };
        if count > 1 {
            own.program = Program::Notifier(count - 1);
        }
        self
    }

    fn calmer(&self, thread: usize, count: u8) -> Vec<Machine> {
        let mut next = *self;
        let at = match self.threads[thread].at {
            At::Start if self.load_state(thread) & FENCED != 0 => At::Lock,
            At::Lock if next.lock(thread) => At::Register,
            At::Register => {
                let was = self.load_state(thread);
                next.store(thread, Word::State, was & !FENCED);
                next.unlock(thread);
                next.threads[thread].program = Program::Calmer(count - 1);
                if count > 1 { At::Start } else { At::Done }
            }
            _ => return Vec::new(),
        };
        next.threads[thread].at = at;
        vec![next]
    }

    fn closer(&self, thread: usize) -> Vec<Machine> {
        let mut next = *self;
        let at = match self.threads[thread].at {
            At::Start if next.lock(thread) => At::Register,
            At::Register => {
                let was = self.load_state(thread);
                next.threads[thread].local = was & FENCED;
                next.store(thread, Word::State, was | CLOSED);
                next.unlock(thread);
                At::Barrier
            }
            At::Barrier if self.threads[thread].local == 0 => At::Heavy(0),
            At::Barrier if self.is_drained(thread) => At::Look,
            At::Heavy(other) => next.heavy(thread, other, At::Heavy, At::Look),
            At::Look => {
                next.cut = self.messages;
                At::Done
            }
            _ => return Vec::new(),
        };
        next.threads[thread].at = at;
        vec![next]
    }

    /// Nothing can go on; what is wrong with that, if anything is.
    fn verdict(&self) -> Option<&'static str> {
        let asleep = self.threads.iter().any(|thread| thread.at == At::Asleep);
        let stuck = self.threads.iter().any(|thread| {
            let may_rest = matches!(thread.program, Program::Calmer(_)) && thread.at == At::Start;
            !matches!(thread.at, At::Done | At::Asleep) && !may_rest
        });
        let refused = self.threads.iter().fold(0, |all, thread| all | thread.refused);
        let closed = self.state & CLOSED != 0;
        if stuck {
            Some("deadlock")
        } else if asleep && self.messages & !self.taken != 0 && !closed {
            Some("a message is there, and a waiter sleeps")
        } else if closed && self.messages & !(self.cut | refused) != 0 {
            Some("a message is neither before the cut nor refused")
        } else {
            None
        }
    }
}

/// Every state that can be reached; the first that is wrong. Their number, if none is.
fn explore(state: u8, programs: [Program; THREADS], fault: Fault) -> Result<usize, &'static str> {
    let first = Machine::new(state, programs);
    let mut seen = HashSet::from([first]);
    let mut open = vec![first];
    while let Some(machine) = open.pop() {
        let mut rests = true;
        for thread in 0..THREADS {
            let mut reached = machine.step(thread, fault);
            if !machine.is_drained(thread) {
                let mut next = machine;
                next.flush(thread);
                reached.push(next);
            }
            rests &= reached.is_empty();
            open.extend(reached.into_iter().filter(|next| seen.insert(*next)));
        }
        if rests && let Some(wrong) = machine.verdict() {
            return Err(wrong);
        }
    }
    Ok(seen.len())
}

mod cases {
    use super::Program::{Calmer, Closer, Nothing, Notifier, Waiter};
    use super::*;

    /// From calm and from fenced, both settled.
    fn holds(programs: [Program; THREADS]) {
        for state in [0, FENCED] {
            let states = explore(state, programs, Fault::None).unwrap();
            println!("from {state}: {states} states");
            assert!(states > 100, "explored nothing");
        }
    }

    fn is_found(fault: Fault, programs: [Program; THREADS]) {
        let found = [0, FENCED].map(|state| explore(state, programs, fault));
        assert!(found.iter().any(Result::is_err), "{fault:?} was not found");
    }

    #[test]
    fn one_waiter_one_notifier() {
        holds([Waiter, Notifier(1), Nothing, Nothing]);
        holds([Waiter, Notifier(2), Calmer(2), Nothing]);
    }

    #[test]
    fn one_waiter_two_notifiers() {
        holds([Waiter, Notifier(1), Notifier(1), Calmer(1)]);
    }

    #[test]
    fn two_waiters_one_notifier() {
        holds([Waiter, Waiter, Notifier(2), Calmer(1)]);
    }

    #[test]
    fn two_waiters_two_notifiers() {
        holds([Waiter, Waiter, Notifier(1), Notifier(1)]);
    }

    /// What the closer does not see is refused, and the other way round.
    #[test]
    fn a_close_against_notifiers() {
        holds([Closer, Notifier(2), Nothing, Nothing]);
        holds([Closer, Notifier(1), Notifier(1), Waiter]);
        holds([Closer, Notifier(1), Waiter, Calmer(1)]);
    }

    #[test]
    fn wrong_protocols_are_found() {
        is_found(Fault::NoHeavy, [Waiter, Notifier(1), Nothing, Nothing]);
        is_found(Fault::NoHeavyAtChange, [Waiter, Notifier(1), Nothing, Nothing]);
        is_found(Fault::NoFenceInFenced, [Waiter, Notifier(1), Nothing, Nothing]);
        is_found(Fault::HeavyBehindTheLock, [Waiter, Waiter, Notifier(1), Notifier(1)]);
        is_found(Fault::NoPassOn, [Waiter, Waiter, Notifier(2), Nothing]);
    }
}
