// The nine bytes that begin every frame.

// ANCHOR: frame
/// What a frame's header says (RFC 9113, section 4.1).
#[derive(Debug, PartialEq)]
struct Header {
    /// The length of the payload that follows, in bytes.
    length: u32,
    /// 0x1 is HEADERS, 0x5 is PUSH_PROMISE.
    kind: u8,
    /// 0x4 is END_HEADERS.
    flags: u8,
    stream: u32,
}
// ANCHOR_END: frame

// ANCHOR: skeleton
// ANCHOR: solution
/// Reads a header. The first three bytes are the length, then come a byte for the type
/// and one for the flags, and the last four are the stream. Of these the topmost bit is
/// reserved: it has to be ignored.
fn header(bytes: [u8; 9]) -> Header {
    // ANCHOR_END: solution
    // Your code.
    // ANCHOR_END: skeleton
    // ANCHOR: solution
    let [a, b, c, kind, flags, s1, s2, s3, s4] = bytes;
    Header {
        length: u32::from_be_bytes([0, a, b, c]),
        kind,
        flags,
        stream: u32::from_be_bytes([s1, s2, s3, s4]) & 0x7fff_ffff,
    }
    // ANCHOR: skeleton
}
// ANCHOR_END: skeleton
// ANCHOR_END: solution

#[test]
fn header_of_a_promise() {
    let bytes = [0x00, 0x00, 0x1c, 0x05, 0x04, 0x80, 0x00, 0x00, 0x01];
    let expected = Header {
        length: 28,
        kind: 5,
        flags: 4,
        stream: 1,
    };
    assert_eq!(header(bytes), expected);
    let long = header([0x01, 0x02, 0x03, 0, 0, 0x01, 0, 0, 0x02]);
    assert_eq!((long.length, long.stream), (66_051, 16_777_218));
}
