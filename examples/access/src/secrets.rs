//! Tickets and tokens: random, and kept as hashes.

use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// What is kept of a secret. Who reads the server's memory, or its store, can show none
/// of them; and a look-up by it says nothing about the secret by how long it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Digest([u8; 32]);

impl Digest {
    pub(crate) fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }
}

/// 256 bits of the system's randomness, in letters that need no escape anywhere. There
/// is nothing in it to read, to sign or to verify: what it stands for is kept here.
pub(crate) fn draw() -> String {
    let mut bits = [0; 32];
    getrandom::fill(&mut bits).expect("the system has a source of randomness");
    bits.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a text takes it");
        text
    })
}
