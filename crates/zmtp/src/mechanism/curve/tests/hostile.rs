//! Peers and wires that do not keep to the rules.

use proptest::prelude::*;

use super::{Peers, alice};
use crate::error::HandshakeError;
use crate::mechanism::curve::{CookieKeys, CurveError, exercise};

const COMMANDS: [&str; 4] = ["HELLO", "WELCOME", "INITIATE", "READY"];

/// What the handshake fails with if the command at `place` is changed.
fn failure(place: usize, change: impl Fn(&mut Vec<u8>)) -> HandshakeError {
    let met = Peers::new().meet(|at, body| {
        if at == place {
            change(body);
        }
    });
    met.err().unwrap_or_else(|| panic!("a changed {} passed", COMMANDS[place]))
}

/// How long each command is.
fn lengths() -> Vec<usize> {
    let mut lengths = Vec::new();
    Peers::new().meet(|_, body| lengths.push(body.len())).unwrap();
    lengths
}

#[test]
fn every_changed_byte_of_the_handshake_shows() {
    for (place, len) in lengths().into_iter().enumerate() {
        for at in 0..len {
            failure(place, |body| body[at] ^= 1 << (at % 8));
        }
    }
}

#[test]
fn every_cut_command_shows() {
    for (place, len) in lengths().into_iter().enumerate() {
        for short in 0..len {
            failure(place, |body| body.truncate(short));
        }
        failure(place, |body| body.push(0));
    }
}

#[test]
fn another_version_is_refused_by_name() {
    let error = failure(0, |hello| hello[6] = 2);
    assert_eq!(error, CurveError::Version(2, 0).into());
}

#[test]
fn a_client_with_another_server_key_is_refused() {
    let mut peers = Peers::new();
    peers.client = super::CurveClient::new(alice().public(), alice());
    let hello = peers.hello();
    let error = peers.serve(&hello).err().unwrap();
    assert_eq!(error, CurveError::Hello.into());
}

#[test]
fn a_server_with_another_key_is_refused() {
    let mut peers = Peers::new();
    peers.hello();
    let mut other = Peers::new();
    let hello = other.hello();
    let (_, welcome) = other.serve(&hello).unwrap();
    let error = peers.reply(&welcome).err().unwrap();
    assert_eq!(error, CurveError::Welcome.into());
}

#[test]
fn a_hello_with_a_key_of_low_order_is_refused() {
    let error = failure(0, |hello| hello[80..112].fill(0));
    assert_eq!(error, CurveError::WeakKey.into());
}

#[test]
fn a_replayed_handshake_gets_no_further_than_welcome() {
    let cookies = CookieKeys::new().unwrap();
    let mut seen = Vec::new();
    let honest = Peers::with_cookies(cookies.clone());
    honest.meet(|_, body| seen.push(body.clone())).unwrap();

    let mut replayed = Peers::with_cookies(cookies);
    replayed.serve(&seen[0]).unwrap();
    let error = replayed.serve(&seen[2]).err().unwrap();
    assert_eq!(error, CurveError::Cookie.into());
}

#[test]
fn the_keys_of_a_half_open_connection_live_in_its_cookie_alone() {
    let cookies = CookieKeys::new().unwrap();
    for (rotations, passes) in [(0, true), (1, true), (2, false)] {
        let peers = Peers::with_cookies(cookies.clone());
        let met = peers.meet(|place, _| {
            if place == 2 {
                (0..rotations).for_each(|_| cookies.rotate().unwrap());
            }
        });
        match met {
            Ok(_) => assert!(passes, "an old cookie passed"),
            Err(error) => {
                assert_eq!(error, CurveError::Cookie.into());
                assert!(!passes);
            }
        }
    }
}

#[test]
fn an_initiate_with_the_nonce_of_hello_is_a_replay() {
    let error = failure(2, |initiate| initiate[105..113].copy_from_slice(&1_u64.to_be_bytes()));
    assert_eq!(error, CurveError::Replay("INITIATE").into());
}

#[test]
fn commands_out_of_turn_are_refused() {
    let mut seen = Vec::new();
    Peers::new().meet(|_, body| seen.push(body.clone())).unwrap();
    for command in [1, 2, 3] {
        assert!(Peers::new().serve(&seen[command]).is_err());
    }
    for command in &seen {
        let mut peers = Peers::new();
        peers.hello();
        assert!(peers.reply(command).is_err());
    }
    assert!(Peers::new().serve(b"\x03BAD").is_err());
}

#[test]
fn a_machine_that_failed_takes_nothing_more() {
    let mut peers = Peers::new();
    let hello = peers.hello();
    assert!(peers.serve(&hello[..150]).is_err());
    assert!(matches!(peers.serve(&hello), Err(HandshakeError::Unexpected(_))));
}

#[test]
fn the_attacks_to_start_from_fail() {
    exercise::seeds().iter().for_each(|seed| exercise::attack(seed));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_open_a_handshake(
        place in 0_usize..4,
        bytes in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        failure(place, |body| {
            let name = 1 + COMMANDS[place].len();
            body.truncate(name);
            body.extend_from_slice(&bytes);
        });
    }

    #[test]
    fn no_change_within_a_command_passes(
        place in 0_usize..4,
        at in any::<prop::sample::Index>(),
        patch in prop::collection::vec(1_u8.., 1..40),
    ) {
        failure(place, |body| {
            let at = at.index(body.len());
            for (byte, change) in body[at..].iter_mut().zip(&patch) {
                *byte ^= change;
            }
        });
    }

    #[test]
    fn every_attack_fails(kind in 0_u8..6, program in prop::collection::vec(any::<u8>(), 0..40)) {
        let mut attack = vec![kind];
        attack.extend_from_slice(&program);
        exercise::attack(&attack);
    }
}
