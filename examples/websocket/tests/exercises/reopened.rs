// What a client does after a close.

// ANCHOR: skeleton
// ANCHOR: solution
#[derive(Debug, PartialEq)]
enum Next {
    /// All is said. Never come back.
    Stop,
    /// The program is wrong, and would be wrong again. Say so, and never come back.
    GiveUp,
    /// Give up the largest message that has no answer. Then come back, as below.
    DropLargest,
    /// Come back after a while, with the cursor.
    Reconnect,
}

/// What to do after a connection to this chapter's server ended with `code`.
fn next(code: u16) -> Next {
    // ANCHOR_END: solution
    // Your code.
    // ANCHOR_END: skeleton
    // ANCHOR: solution
    match code {
        1000 => Next::Stop,
        // Our frames were broken, or binary, or no UTF-8.
        1002 | 1003 | 1007 => Next::GiveUp,
        // One message was too large. Nothing else that this program says is wrong.
        1009 => Next::DropLargest,
        // The server goes (1001, 1012), has an error (1011) or is busy (1013); a proxy
        // in between has a rule of its own (1008); there was no code (1005) or no close
        // (1006); or the code is new. To come back with a growing wait does no harm.
        _ => Next::Reconnect,
    }
    // ANCHOR: skeleton
}
// ANCHOR_END: skeleton
// ANCHOR_END: solution

#[test]
fn reopened_unless_it_is_over_or_would_fail_again() {
    for (code, wanted) in [
        (1000, Next::Stop),
        (1001, Next::Reconnect),
        (1002, Next::GiveUp),
        (1003, Next::GiveUp),
        (1005, Next::Reconnect),
        (1006, Next::Reconnect),
        (1007, Next::GiveUp),
        (1008, Next::Reconnect),
        (1009, Next::DropLargest),
        (1011, Next::Reconnect),
        (1012, Next::Reconnect),
        (1013, Next::Reconnect),
        (4321, Next::Reconnect),
    ] {
        assert_eq!(next(code), wanted, "{code}");
    }
}
