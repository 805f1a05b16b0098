//! One append-only log of events, with cursors and explicit gaps; no HTTP in it.
