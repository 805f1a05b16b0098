//! What the tests of the methods share.
