//! The only source of randomness in the collector.

use offchannel_shared::ids::{Id, Kind};

/// The system gave no random bytes; nothing can be identified or signed without them.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random bytes")]
pub struct RandomError(#[source] getrandom::Error);

/// Random bytes from the operating system.
///
/// # Errors
/// [`RandomError`] if the system has none to give.
pub fn bytes<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(RandomError)?;
    Ok(bytes)
}

/// A new id.
///
/// # Errors
/// [`RandomError`].
pub fn id<K: Kind>() -> Result<Id<K>, RandomError> {
    Ok(Id::from_random(bytes()?))
}
