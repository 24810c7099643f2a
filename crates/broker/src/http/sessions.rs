//! Logins of browsers: a random name in a cookie stands for a role.
//!
//! They are kept in memory, so a restart of the broker ends them. What goes on for longer than one
//! request hangs on its login ([`Sessions::hold`]), and ends with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use uuid::Uuid;

use super::auth::Role;

/// Logins at the same time; the one longest unused makes room.
const LOGINS_MAX: usize = 1000;

/// A login unused for so long has ended. While something hangs on it, it is used.
const IDLE_MAX: Duration = Duration::from_secs(12 * 60 * 60);

struct Login {
    role: Role,
    used: Instant,
    /// Goes with the login, which those at the other end notice.
    alive: watch::Sender<()>,
    /// When something that hung on it last let go.
    let_go: LetGo,
}

type LetGo = Arc<Mutex<Option<Instant>>>;

/// What hangs on a login has one; what hangs on none has an empty one.
#[derive(Debug, Clone, Default)]
pub(super) struct Hold(Option<Held>);

#[derive(Debug, Clone)]
struct Held {
    alive: watch::Receiver<()>,
    let_go: LetGo,
}

#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<String, Login>>);

impl Sessions {
    /// Begins one; returns its name, which nobody can guess.
    pub(super) fn begin(&self, role: Role, now: Instant) -> String {
        let mut logins = self.lock();
        logins.retain(|_, login| !login.is_over(now));
        if logins.len() >= LOGINS_MAX
            && let Some(oldest) = logins.iter().min_by_key(|(_, login)| login.used)
        {
            let oldest = oldest.0.clone();
            logins.remove(&oldest);
        }
        // Each has 122 random bits from the system.
        let name = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let (alive, let_go) = (watch::Sender::new(()), LetGo::default());
        logins.insert(name.clone(), Login { role, used: now, alive, let_go });
        name
    }

    /// The role of a login, which counts as used.
    pub(super) fn role(&self, name: &str, now: Instant) -> Option<Role> {
        let mut logins = self.lock();
        let login = logins.get_mut(name).filter(|login| !login.is_over(now))?;
        login.used = now;
        Some(login.role)
    }

    /// Lasts as long as the login does: not at all if it has ended by now.
    pub(super) fn hold(&self, name: &str) -> Hold {
        let logins = self.lock();
        let held = match logins.get(name) {
            Some(login) => {
                Held { alive: login.alive.subscribe(), let_go: Arc::clone(&login.let_go) }
            }
            // It has ended: its sender is gone.
            None => Held { alive: watch::channel(()).1, let_go: LetGo::default() },
        };
        Hold(Some(held))
    }

    pub(super) fn end(&self, name: &str) {
        self.lock().remove(name);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Login>> {
        lock(&self.0)
    }
}

impl Hold {
    /// Ends when the login has; without one, never.
    pub(super) async fn ended(&self) {
        match self.0.clone() {
            // Nothing is ever sent: an error says that the sender is gone.
            Some(mut held) => while held.alive.changed().await.is_ok() {},
            None => std::future::pending().await,
        }
    }
}

impl Drop for Held {
    /// What hung on the login has used it until now.
    fn drop(&mut self) {
        *lock(&self.let_go) = Some(Instant::now());
    }
}

impl Login {
    fn is_over(&self, now: Instant) -> bool {
        let last = lock(&self.let_go).map_or(self.used, |let_go| let_go.max(self.used));
        let idle = now.saturating_duration_since(last);
        self.alive.receiver_count() == 0 && idle > IDLE_MAX
    }
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;

    #[test]
    fn a_login_lasts_while_it_is_used() {
        let (sessions, start) = (Sessions::default(), Instant::now());
        let name = sessions.begin(Role::Read, start);
        let later = start + IDLE_MAX;
        assert_eq!(sessions.role(&name, later), Some(Role::Read));
        assert_eq!(sessions.role(&name, later + IDLE_MAX), Some(Role::Read), "it was used");
        let too_late = later + IDLE_MAX * 2 + Duration::from_secs(1);
        assert_eq!(sessions.role(&name, too_late), None);
        assert_eq!(sessions.role("made up", start), None);
        let name = sessions.begin(Role::Admin, start);
        sessions.end(&name);
        assert_eq!(sessions.role(&name, start), None);
    }

    /// Whether it has ended by now.
    fn has_ended(hold: &Hold) -> bool {
        let mut ended = std::pin::pin!(hold.ended());
        let mut context = Context::from_waker(Waker::noop());
        ended.as_mut().poll(&mut context).is_ready()
    }

    #[test]
    fn what_hangs_on_a_login_ends_with_it() {
        let (sessions, start) = (Sessions::default(), Instant::now());
        let (mine, other) = (sessions.begin(Role::Read, start), sessions.begin(Role::Read, start));
        let (held, others, none) = (sessions.hold(&mine), sessions.hold(&other), Hold::default());
        assert!(!has_ended(&held));
        sessions.end(&mine);
        assert!(has_ended(&held));
        assert!(!has_ended(&others) && !has_ended(&none));
        assert!(has_ended(&sessions.hold(&mine)), "it came too late");
        for at in 0..=LOGINS_MAX as u64 {
            sessions.begin(Role::Read, start + Duration::from_millis(at));
        }
        assert!(has_ended(&others), "it made room");
    }

    #[test]
    fn a_login_lasts_while_something_hangs_on_it() {
        let (sessions, start) = (Sessions::default(), Instant::now());
        let name = sessions.begin(Role::Read, start);
        let held = sessions.hold(&name);
        let much_later = start + IDLE_MAX * 2;
        assert_eq!(sessions.role(&name, much_later), Some(Role::Read));
        drop(held);
        assert_eq!(sessions.role(&name, much_later + IDLE_MAX * 2), None);
    }

    #[test]
    fn what_hung_on_a_login_has_used_it() {
        let (sessions, start) = (Sessions::default(), Instant::now());
        let (mine, other) = (sessions.begin(Role::Read, start), sessions.begin(Role::Read, start));
        let held = sessions.hold(&mine);
        std::thread::sleep(Duration::from_millis(2));
        drop(held);
        let later = start + IDLE_MAX + Duration::from_millis(1);
        assert_eq!(sessions.role(&mine, later), Some(Role::Read));
        assert_eq!(sessions.role(&other, later), None);
    }

    #[test]
    fn there_are_only_so_many() {
        let (sessions, start) = (Sessions::default(), Instant::now());
        let first = sessions.begin(Role::Admin, start);
        for at in 1..=LOGINS_MAX as u64 {
            sessions.begin(Role::Read, start + Duration::from_millis(at));
        }
        assert_eq!(sessions.lock().len(), LOGINS_MAX);
        assert_eq!(sessions.role(&first, start), None, "the oldest made room");
    }
}
