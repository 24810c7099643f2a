//! Random bytes, for keys and nonces.

/// The system has no random bytes to give: an old kernel or a sandbox that forbids `getrandom`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random bytes; let the process call getrandom or read /dev/urandom")]
pub struct NoRandomness;

/// Fills `bytes` with what nobody can foretell.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), NoRandomness> {
    getrandom::fill(bytes).map_err(|_| NoRandomness)
}

/// So many of them.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}
