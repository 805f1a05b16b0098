// What was sent and not yet acknowledged.

use std::collections::VecDeque;

// ANCHOR: skeleton
// ANCHOR: solution
/// Messages on their way to the server, each with its `ref`.
#[derive(Default)]
struct Outbox {
    // ANCHOR_END: solution
    // Your fields.
    // ANCHOR_END: skeleton
    // ANCHOR: solution
    /// Oldest first: they are to stand in the log in the order of writing.
    waiting: VecDeque<(String, String)>,
    // ANCHOR: skeleton
}

impl Outbox {
    /// The most that waits for its ack.
    const MOST: usize = 3;

    /// Takes a new message, and gives the text of the frame to send. `None` where too
    /// many wait: a server that acknowledges nothing must not fill our memory.
    fn send(&mut self, reference: &str, data: &str) -> Option<String> {
        // ANCHOR_END: skeleton
        if self.waiting.len() == Self::MOST {
            return None;
        }
        self.waiting
            .push_back((reference.to_owned(), data.to_owned()));
        Some(frame(reference, data))
        // ANCHOR: skeleton
    }

    /// The server has answered, with `ack` or with `error`.
    fn answered(&mut self, reference: &str) {
        // ANCHOR_END: skeleton
        self.waiting.retain(|(waiting, _)| waiting != reference);
        // ANCHOR: skeleton
    }

    /// The frames to send first on a new connection.
    fn again(&self) -> Vec<String> {
        // ANCHOR_END: skeleton
        // With the same refs: what was taken before the break is not taken twice.
        self.waiting
            .iter()
            .map(|(reference, data)| frame(reference, data))
            .collect()
        // ANCHOR: skeleton
    }
}
// ANCHOR_END: skeleton
// ANCHOR_END: solution

// ANCHOR: frame
/// `data` is JSON.
fn frame(reference: &str, data: &str) -> String {
    format!(r#"{{"publish":{{"ref":"{reference}","kind":"message","data":{data}}}}}"#)
}
// ANCHOR_END: frame

#[test]
fn outbox_keeps_what_nobody_has_answered() {
    let mut outbox = Outbox::default();
    let first = outbox.send("a", "1").unwrap();
    assert_eq!(
        first,
        r#"{"publish":{"ref":"a","kind":"message","data":1}}"#
    );
    let second = outbox.send("b", "2").unwrap();
    let third = outbox.send("c", "3").unwrap();
    assert_eq!(outbox.send("d", "4"), None, "there is a limit");

    outbox.answered("b");
    assert_eq!(outbox.again(), [first.clone(), third.clone()], "in order");
    assert_eq!(outbox.again(), [first, third.clone()], "still not answered");
    outbox.answered("a");
    outbox.answered("a"); // the ack of the retry
    assert_eq!(outbox.again(), [third]);
    outbox.answered("c");
    assert!(outbox.again().is_empty());
    assert!(outbox.send("d", "4").is_some(), "there is room again");
    assert!(second.contains(r#""ref":"b""#));
}
