//! Builds the book and serves it, with every example's live server, on one port.
