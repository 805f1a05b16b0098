//! Names that nobody else has drawn, from the system's randomness.
//!
//! The system's, because a generator that starts from a clock gives two machines that
//! start together the same names.

use contract::{Epoch, IdempotencyKey};

/// A name for a log that begins.
///
/// # Panics
/// Where the system has no source of randomness.
pub fn random_epoch() -> Epoch {
    Epoch::from_number(getrandom::u64().expect("the system has a source of randomness"))
}

/// A key for one attempt to publish: 128 bits, in hex. Of two publishers that drew the
/// same, the one's event would be taken for a retry of the other's.
///
/// # Panics
/// Where the system has no source of randomness.
pub fn random_key() -> IdempotencyKey {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).expect("the system has a source of randomness");
    IdempotencyKey::from_number(u128::from_ne_bytes(bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_draws_are_equal() {
        assert_ne!(random_epoch(), random_epoch());
        assert_ne!(random_key(), random_key());
    }
}
