//! Every limit of the polling server, in one place.

/// What the polling server allows.
#[derive(Clone, Debug, Default)]
pub struct Config {}
