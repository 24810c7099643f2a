//! Wrong tokens: so many at once, then one a second, from each address.
//!
//! Who has spent them is answered with 429 until the next is due, whatever token he brings: were
//! the right one let through, guessing would go on. A login that stands already is not touched,
//! so whoever shares the address, behind a proxy say, and has logged in, goes on.
//!
//! Memory is bounded: addresses beyond those that are remembered share one account.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Wrong tokens that may come in a row.
const AT_ONCE: u32 = 20;

/// Until one of them is forgotten.
const EACH: Duration = Duration::from_secs(1);

/// Addresses that are remembered.
const ADDRESSES_MAX: usize = 4096;

#[derive(Default)]
pub(super) struct Guesses(Mutex<State>);

#[derive(Default)]
struct State {
    by_address: HashMap<IpAddr, Account>,
    /// Of all for whom there was no room.
    others: Account,
}

/// What an address has spent, as the time at which all of it will be forgotten.
#[derive(Debug, Clone, Copy, Default)]
struct Account {
    clear: Option<Instant>,
}

impl Guesses {
    /// How long somebody at this address has to wait before he may bring a token.
    pub(super) fn wait(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let state = self.lock();
        state.by_address.get(&network(address)).unwrap_or(&state.others).wait(now)
    }

    /// Notes that a token from there was wrong.
    pub(super) fn note(&self, address: IpAddr, now: Instant) {
        let (mut state, address) = (self.lock(), network(address));
        if state.by_address.len() >= ADDRESSES_MAX && !state.by_address.contains_key(&address) {
            state.by_address.retain(|_, account| !account.is_clear(now));
        }
        let has_room = state.by_address.len() < ADDRESSES_MAX;
        match state.by_address.get_mut(&address) {
            Some(account) => account.note(now),
            None if has_room => state.by_address.entry(address).or_default().note(now),
            None => state.others.note(now),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    fn note(&mut self, now: Instant) {
        let from = self.clear.map_or(now, |clear| clear.max(now));
        self.clear = Some((from + EACH).min(now + EACH * AT_ONCE));
    }

    /// Over once there is room for one more.
    fn wait(&self, now: Instant) -> Option<Duration> {
        let spent = self.clear?.saturating_duration_since(now);
        spent.checked_sub(EACH * (AT_ONCE - 1)).filter(|wait| !wait.is_zero())
    }

    fn is_clear(&self, now: Instant) -> bool {
        self.clear.is_none_or(|clear| clear <= now)
    }
}

/// Who has one address of IPv6 has the 64 bits behind it as well.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn who_has_guessed_too_often_waits_and_others_do_not() {
        let (guesses, start) = (Guesses::default(), Instant::now());
        let (one, another) = (address("192.0.2.1"), address("192.0.2.2"));
        for _ in 1..AT_ONCE {
            guesses.note(one, start);
            assert_eq!(guesses.wait(one, start), None);
        }
        guesses.note(one, start);
        assert_eq!(guesses.wait(one, start), Some(EACH));
        assert_eq!(guesses.wait(another, start), None);
        assert_eq!(guesses.wait(one, start + EACH), None, "one is forgotten");
        guesses.note(one, start + EACH);
        assert_eq!(guesses.wait(one, start + EACH), Some(EACH), "and spent again");
        // However many came at the same time, the wait is no longer.
        (0..1000).for_each(|_| guesses.note(one, start + EACH));
        assert_eq!(guesses.wait(one, start + EACH), Some(EACH));
    }

    #[test]
    fn one_network_is_one_address() {
        let (guesses, start) = (Guesses::default(), Instant::now());
        for at in 0..u128::from(AT_ONCE) {
            let near = address("2001:db8::").to_canonical();
            let IpAddr::V6(near) = near else { panic!("version 6") };
            guesses.note(Ipv6Addr::from_bits(near.to_bits() + at).into(), start);
        }
        assert!(guesses.wait(address("2001:db8::ffff"), start).is_some());
        assert_eq!(guesses.wait(address("2001:db8:0:1::"), start), None);
        (0..AT_ONCE).for_each(|_| guesses.note(address("::ffff:192.0.2.1"), start));
        assert!(guesses.wait(address("192.0.2.1"), start).is_some());
    }

    #[test]
    fn however_many_guess_memory_does_not_grow() {
        let (guesses, start) = (Guesses::default(), Instant::now());
        let nth = |n: u32| IpAddr::from((0x0a00_0000 + n).to_be_bytes());
        (0..ADDRESSES_MAX as u32 + AT_ONCE).for_each(|n| guesses.note(nth(n), start));
        assert_eq!(guesses.lock().by_address.len(), ADDRESSES_MAX);
        let unheard = nth(0x00ff_ffff);
        assert!(guesses.wait(unheard, start).is_some(), "those without room share one account");
        guesses.note(unheard, start + EACH);
        assert_eq!(guesses.lock().by_address.len(), 1, "the others are forgotten");
    }
}
