// A frame, read by hand.

// ANCHOR: frame
/// What the first bytes of a frame say (RFC 6455 §5.2), and its payload, unmasked.
#[derive(Debug, PartialEq)]
struct Frame {
    /// Whether it is the last frame of its message.
    fin: bool,
    /// 1 text, 2 binary, 0 goes on with a message, 8 close, 9 ping, 10 pong.
    opcode: u8,
    payload: Vec<u8>,
}
// ANCHOR_END: frame

// ANCHOR: skeleton
// ANCHOR: solution
/// Reads one frame from the front of `bytes`. `None` where it is not complete yet.
fn read(bytes: &[u8]) -> Option<Frame> {
    // ANCHOR_END: solution
    // Your code.
    // ANCHOR_END: skeleton
    // ANCHOR: solution
    let (&[first, second], rest) = bytes.split_first_chunk()?;
    let (length, rest) = match second & 0b0111_1111 {
        126 => {
            let (length, rest) = rest.split_first_chunk()?;
            (u64::from(u16::from_be_bytes(*length)), rest)
        }
        127 => {
            let (length, rest) = rest.split_first_chunk()?;
            (u64::from_be_bytes(*length), rest)
        }
        short => (u64::from(short), rest),
    };
    // Where there is no mask, one of zeros changes nothing.
    let (mask, rest) = match second & 0b1000_0000 {
        0 => ([0; 4], rest),
        _ => rest.split_first_chunk().map(|(mask, rest)| (*mask, rest))?,
    };
    let payload = rest.get(..usize::try_from(length).ok()?)?;
    let mask = mask.iter().cycle();
    Some(Frame {
        fin: first & 0b1000_0000 != 0,
        opcode: first & 0b0000_1111,
        payload: payload.iter().zip(mask).map(|(a, b)| a ^ b).collect(),
    })
    // ANCHOR: skeleton
}
// ANCHOR_END: skeleton
// ANCHOR_END: solution

#[test]
fn framed_as_the_rfc_has_it() {
    let frame = |fin, opcode, payload: &[u8]| {
        let payload = payload.to_vec();
        Some(Frame {
            fin,
            opcode,
            payload,
        })
    };
    // The examples of RFC 6455 §5.7.
    let whole = [0x81, 5, b'H', b'e', b'l', b'l', b'o'];
    assert_eq!(read(&whole), frame(true, 1, b"Hello"));
    let masked = [
        0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
    ];
    assert_eq!(read(&masked), frame(true, 1, b"Hello"));
    assert_eq!(read(&[0x01, 3, b'H', b'e', b'l']), frame(false, 1, b"Hel"));
    assert_eq!(read(&[0x80, 2, b'l', b'o']), frame(true, 0, b"lo"));
    assert_eq!(read(&[0x89, 0]), frame(true, 9, b""));

    let mut longer = vec![0x82, 126, 1, 0];
    longer.extend([7; 256]);
    assert_eq!(read(&longer), frame(true, 2, &[7; 256]));
    let mut longest = vec![0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0];
    longest.extend([7; 65_536]);
    assert_eq!(read(&longest), frame(true, 2, &[7; 65_536]));

    for part in 0..masked.len() {
        assert_eq!(read(&masked[..part]), None, "the first {part} bytes");
    }
    // A length that nobody could hold is a frame that is not complete, and no panic.
    assert_eq!(
        read(&[0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255]),
        None
    );
}
