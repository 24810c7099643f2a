//! Who may enter: the credentials of the other side, by the kernel's word, and the policy on them.
//!
//! Both sides ask. A server looks at who connected, a client at who listens; neither can lie about
//! it, because the kernel notes the credentials when `connect` and `listen` are called
//! (`SO_PEERCRED`, `SO_PEERGROUPS`, see unix(7)).

use std::fmt;
use std::sync::Arc;

use rustix::process::geteuid;

/// The process at the other end, as the kernel knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// Its process id at the time it connected or began to listen; 0 when it is in a process
    /// namespace that cannot be seen from here. Good for messages to a person, not for decisions:
    /// the number may be in use again.
    pub pid: u32,
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
    /// Its supplementary groups.
    pub groups: Arc<[u32]>,
}

impl Peer {
    /// Whether it runs as the same user as this process, or as root, who could enter anyway.
    #[must_use]
    pub fn is_same_user_or_root(&self) -> bool {
        is_same_user_or_root(self.uid)
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} of user {}", self.pid, self.uid)
    }
}

fn is_same_user_or_root(uid: u32) -> bool {
    uid == 0 || uid == geteuid().as_raw()
}

/// Who may enter: for a server, who may connect; for a client, whose server it believes.
///
/// By default the same user and root. The others widen that:
///
/// ```
/// use chaski_shm::Admit;
///
/// let family = Admit::users([1000, 1001]).or(Admit::groups([27]));
/// let one_program = Admit::by(|peer| {
///     std::fs::read_link(format!("/proc/{}/exe", peer.pid)).is_ok_and(|path| path.ends_with("ps"))
/// });
/// # let _ = (family, one_program);
/// ```
///
/// # What it does to files
///
/// | policy | directory | socket |
/// |---|---|---|
/// | the same user | 0700 when it is made here, else left alone | 0600 |
/// | one group and no more | gets `--x` for group and others | 0660, of that group |
/// | any other | gets `--x` for group and others | 0666 |
///
/// The directory is changed only if it belongs to the server's user, and is not narrowed again: it
/// may hold other services. That strangers can reach a socket of mode 0666 lets them connect and be
/// turned away by their credentials before a byte of theirs is read. Where the group cannot be
/// given to the socket because the server is not in it, the mode is 0666.
#[derive(Clone, Default)]
pub struct Admit {
    users: Vec<u32>,
    groups: Vec<u32>,
    by: Option<Arc<Predicate>>,
}

type Predicate = dyn Fn(&Peer) -> bool + Send + Sync;

/// How far a policy opens the files of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    User,
    Group(u32),
    Everyone,
}

impl Admit {
    /// The same user and root.
    #[must_use]
    pub fn same_user() -> Admit {
        Admit::default()
    }

    /// Also these users, by number.
    #[must_use]
    pub fn users(users: impl IntoIterator<Item = u32>) -> Admit {
        Admit { users: users.into_iter().collect(), ..Admit::default() }
    }

    /// Also the members of these groups, by number: as the effective or a supplementary group of
    /// the process.
    #[must_use]
    pub fn groups(groups: impl IntoIterator<Item = u32>) -> Admit {
        Admit { groups: groups.into_iter().collect(), ..Admit::default() }
    }

    /// Also those for whom the function returns true. It is called on a thread that serves all
    /// endpoints of the process, so it must not block; if it panics, the answer is no.
    #[must_use]
    pub fn by(decide: impl Fn(&Peer) -> bool + Send + Sync + 'static) -> Admit {
        Admit { by: Some(Arc::new(decide)), ..Admit::default() }
    }

    /// Whom either of the two admits.
    #[must_use]
    pub fn or(mut self, other: Admit) -> Admit {
        self.users.extend(other.users);
        self.groups.extend(other.groups);
        self.by = match (self.by, other.by) {
            (Some(one), Some(two)) => Some(Arc::new(move |peer: &Peer| one(peer) || two(peer))),
            (one, two) => one.or(two),
        };
        self
    }

    /// Whether this one may enter.
    pub(crate) fn admits(&self, peer: &Peer) -> bool {
        peer.is_same_user_or_root()
            || self.users.contains(&peer.uid)
            || self.groups.iter().any(|group| peer.gid == *group || peer.groups.contains(group))
            || self.by.as_ref().is_some_and(|by| decide(&**by, peer))
    }

    /// Whether a server of this user might be admitted. With groups or a function nobody can tell
    /// before it is met.
    pub(crate) fn may_admit_user(&self, uid: u32) -> bool {
        is_same_user_or_root(uid)
            || self.users.contains(&uid)
            || !self.groups.is_empty()
            || self.by.is_some()
    }

    pub(crate) fn reach(&self) -> Reach {
        match (&self.users[..], &self.groups[..], &self.by) {
            ([], [], None) => Reach::User,
            ([], [group], None) => Reach::Group(*group),
            _ => Reach::Everyone,
        }
    }
}

fn decide(by: &Predicate, peer: &Peer) -> bool {
    let asked = std::panic::AssertUnwindSafe(|| by(peer));
    std::panic::catch_unwind(asked).unwrap_or(false)
}

impl fmt::Debug for Admit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admit")
            .field("users", &self.users)
            .field("groups", &self.groups)
            .field("by", &self.by.is_some())
            .finish()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A peer of any user that is neither this one nor root.
    pub(crate) fn stranger() -> Peer {
        let uid = geteuid().as_raw() + 1;
        Peer { pid: 1, uid, gid: 77, groups: Arc::new([4, 5]) }
    }

    #[test]
    fn the_same_user_and_root_always_enter() {
        let me = Peer { uid: geteuid().as_raw(), ..stranger() };
        let root = Peer { uid: 0, ..stranger() };
        for admit in [Admit::same_user(), Admit::users([]), Admit::by(|_| false)] {
            assert!(admit.admits(&me) && admit.admits(&root), "{admit:?}");
            assert!(!admit.admits(&stranger()), "{admit:?}");
        }
    }

    #[test]
    fn lists_and_functions_widen() {
        let one = stranger();
        assert!(Admit::users([one.uid]).admits(&one));
        assert!(!Admit::users([one.uid + 1]).admits(&one));
        assert!(Admit::groups([77]).admits(&one), "the effective group");
        assert!(Admit::groups([5]).admits(&one), "a supplementary group");
        assert!(!Admit::groups([6]).admits(&one));
        assert!(Admit::by(|peer| peer.gid == 77).admits(&one));
        assert!(Admit::groups([6]).or(Admit::users([one.uid])).admits(&one));
        assert!(Admit::by(|_| false).or(Admit::by(|_| true)).admits(&one));
        assert!(!Admit::by(|_| panic!("undecided")).admits(&one));
    }

    #[test]
    fn files_open_no_further_than_needed() {
        assert_eq!(Admit::same_user().reach(), Reach::User);
        assert_eq!(Admit::groups([7]).reach(), Reach::Group(7));
        assert_eq!(Admit::groups([7, 8]).reach(), Reach::Everyone);
        assert_eq!(Admit::groups([7]).or(Admit::users([1])).reach(), Reach::Everyone);
        assert_eq!(Admit::by(|_| true).reach(), Reach::Everyone);
    }
}
