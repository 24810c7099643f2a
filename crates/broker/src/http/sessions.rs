//! Logins of browsers: a random name in a cookie stands for a role.
//!
//! They are kept in memory, so a restart of the broker ends them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::auth::Role;

/// Logins at the same time; the one longest unused makes room.
const LOGINS_MAX: usize = 1000;

/// A login unused for so long has ended.
const IDLE_MAX: Duration = Duration::from_secs(12 * 60 * 60);

struct Login {
    role: Role,
    used: Instant,
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
        logins.insert(name.clone(), Login { role, used: now });
        name
    }

    /// The role of a login, which counts as used.
    pub(super) fn role(&self, name: &str, now: Instant) -> Option<Role> {
        let mut logins = self.lock();
        let login = logins.get_mut(name).filter(|login| !login.is_over(now))?;
        login.used = now;
        Some(login.role)
    }

    pub(super) fn end(&self, name: &str) {
        self.lock().remove(name);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Login>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Login {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.used) > IDLE_MAX
    }
}

#[cfg(test)]
mod tests {
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
