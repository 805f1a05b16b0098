// Whether the other side still lives.

// ANCHOR: skeleton
// ANCHOR: solution
/// What to do at a beat.
#[derive(Debug, PartialEq)]
enum Beat {
    /// Nothing: the other side has just been heard.
    Rest,
    /// Ask.
    Ping,
    /// It was asked, and a whole beat has passed without a sound.
    Drop,
}

/// Watches one connection. It pings only where it is quiet, so a busy connection
/// carries no pings at all.
#[derive(Default)]
struct Watch {
    // ANCHOR_END: solution
    // Your fields.
    // ANCHOR_END: skeleton
    // ANCHOR: solution
    /// Since the last beat.
    heard: bool,
    /// At the last beat.
    asked: bool,
    // ANCHOR: skeleton
}

impl Watch {
    /// Something came: a message, a ping or a pong.
    fn heard(&mut self) {
        // ANCHOR_END: skeleton
        self.heard = true;
        // ANCHOR: skeleton
    }

    /// A beat of the clock.
    fn beat(&mut self) -> Beat {
        // ANCHOR_END: skeleton
        let beat = match (self.heard, self.asked) {
            (true, _) => Beat::Rest,
            (false, false) => Beat::Ping,
            (false, true) => Beat::Drop,
        };
        self.heard = false;
        self.asked = beat == Beat::Ping;
        beat
        // ANCHOR: skeleton
    }
}
// ANCHOR_END: skeleton
// ANCHOR_END: solution

#[test]
fn alive_as_long_as_it_answers() {
    let mut watch = Watch::default();
    assert_eq!(watch.beat(), Beat::Ping, "nothing was heard");
    watch.heard();
    assert_eq!(watch.beat(), Beat::Rest);
    assert_eq!(watch.beat(), Beat::Ping, "it is quiet again");
    watch.heard();
    watch.heard();
    assert_eq!(watch.beat(), Beat::Rest, "once is as good as twice");
    assert_eq!(watch.beat(), Beat::Ping);
    assert_eq!(watch.beat(), Beat::Drop, "it was asked and is silent");
}
