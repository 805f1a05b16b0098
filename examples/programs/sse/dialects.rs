//! The token streams of others: one parser of the format, and a few lines for each
//! dialect.

use client::event_stream::{Block, Message, Parser};
use serde_json::Value;
use std::error::Error;

// ANCHOR: piece
/// What an event of a token stream says.
#[derive(Debug, PartialEq)]
enum Piece {
    /// More of the text.
    Text(String),
    /// The text is whole.
    Whole,
    /// It will never be whole.
    Failed(String),
    /// Nothing about the text: a sign of life, or what a newer server says.
    Other,
}

/// Reads an event by its type, and where it has none by its data.
fn piece(event: &Message) -> Piece {
    if event.data == "[DONE]" {
        return Piece::Whole; // no JSON
    }
    let Ok(data) = serde_json::from_str::<Value>(&event.data) else {
        return Piece::Other;
    };
    // An error can come as an event of any type, or of none.
    let error = [&data["error"]["message"], &data["message"]];
    let error = error.into_iter().find_map(Value::as_str);
    if event.kind == "error" || data["error"].is_object() {
        return Piece::Failed(error.unwrap_or("it says no more").to_owned());
    }
    let text = match &*event.kind {
        "message" => &data["choices"][0]["delta"]["content"],
        "content_block_delta" => &data["delta"]["text"],
        "response.output_text.delta" => &data["delta"],
        "message_stop" | "response.completed" => return Piece::Whole,
        "response.failed" | "response.incomplete" => {
            return Piece::Failed(event.kind.clone())
        }
        // `ping`, `message_start`, and whatever is added next year.
        _ => return Piece::Other,
    };
    match text.as_str() {
        Some(text) if !text.is_empty() => Piece::Text(text.to_owned()),
        _ => Piece::Other,
    }
}
// ANCHOR_END: piece

// ANCHOR: read
/// The text of an answer that comes in pieces of bytes.
///
/// # Errors
/// With what was read until then, if the text is not whole.
fn read<'a>(
    pieces: impl Iterator<Item = &'a [u8]>,
) -> Result<String, (String, String)> {
    let (mut parser, mut blocks) = (Parser::new(), Vec::new());
    let mut text = String::new();
    for bytes in pieces {
        // A keep-alive can be a comment, of which the parser says nothing: whoever
        // watches for silence watches here, where bytes arrive.
        if let Err(error) = parser.push(bytes, &mut blocks) {
            return Err((text, error.to_string()));
        }
        for block in blocks.drain(..) {
            let Block::Event(event) = block else { continue };
            match piece(&event) {
                Piece::Text(more) => text.push_str(&more),
                Piece::Whole => return Ok(text),
                Piece::Failed(why) => return Err((text, why)),
                Piece::Other => {}
            }
        }
    }
    // A body that ends in good order says nothing about the text.
    Err((text, "it broke off".to_owned()))
}
// ANCHOR_END: read

/// Data alone, and a last word that is no JSON.
const CHAT: &str = concat!(
    ": KEEP ALIVE\n\n",
    "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
    "data: {\"choices\":[{\"delta\":{\"content\":\"“To \"}}]}\n\n",
    "data: {\"choices\":[{\"delta\":{\"content\":\"learn.”\"}}]}\n\n",
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    // Asked for: what it cost. It has no choice to speak of.
    "data: {\"choices\":[],\"usage\":{\"total_tokens\":12}}\n\n",
    "data: [DONE]\n\n",
);

/// Named events, with pings between them.
const MESSAGES: &str = concat!(
    "event: message_start\n",
    "data: {\"type\":\"message_start\",\"message\":{\"content\":[]}}\n\n",
    "event: content_block_start\n",
    "data: {\"type\":\"content_block_start\",\"index\":0}\n\n",
    "event: ping\ndata: {\"type\":\"ping\"}\n\n",
    "event: content_block_delta\n",
    "data: {\"type\":\"content_block_delta\",\"index\":0,",
    "\"delta\":{\"type\":\"text_delta\",\"text\":\"“To \"}}\n\n",
    "event: content_block_delta\n",
    "data: {\"type\":\"content_block_delta\",\"index\":0,",
    "\"delta\":{\"type\":\"text_delta\",\"text\":\"learn.”\"}}\n\n",
    "event: content_block_stop\n",
    "data: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "event: a_type_of_next_year\ndata: {}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

/// Named events with a number each.
const RESPONSES: &str = concat!(
    "event: response.created\n",
    "data: {\"type\":\"response.created\",\"sequence_number\":0}\n\n",
    "event: response.output_text.delta\n",
    "data: {\"type\":\"response.output_text.delta\",\"delta\":\"“To \",",
    "\"sequence_number\":1}\n\n",
    "event: response.output_text.delta\n",
    "data: {\"type\":\"response.output_text.delta\",\"delta\":\"learn.”\",",
    "\"sequence_number\":2}\n\n",
    "event: response.completed\n",
    "data: {\"type\":\"response.completed\",\"sequence_number\":3}\n\n",
);

/// How a stream fails whose status was 200.
const FAILURES: [&str; 3] = [
    "event: error\ndata: {\"type\":\"error\",\"error\":{\"message\":\"overloaded\"}}\n\n",
    "data: {\"error\":{\"message\":\"overloaded\",\"code\":502}}\n\n",
    "event: error\ndata: {\"type\":\"error\",\"message\":\"overloaded\"}\n\n",
];

// ANCHOR: main
fn main() -> Result<(), Box<dyn Error>> {
    for dialect in [CHAT, MESSAGES, RESPONSES] {
        // Whole, with other line ends, and byte by byte.
        for bytes in [dialect.to_owned(), dialect.replace('\n', "\r\n")] {
            for size in [bytes.len(), 1] {
                let text = read(bytes.as_bytes().chunks(size));
                assert_eq!(text, Ok("“To learn.”".to_owned()));
            }
        }
        // Without its last event it is not whole, and nothing else says so.
        let cut = dialect.trim_end().rfind("\n\n").ok_or("one event")? + 2;
        let (text, why) = read([&dialect.as_bytes()[..cut]].into_iter()).unwrap_err();
        assert_eq!((&*text, &*why), ("“To learn.”", "it broke off"));

        for failure in FAILURES {
            let pieces = [&dialect.as_bytes()[..cut], failure.as_bytes()];
            let (_, why) = read(pieces.into_iter()).unwrap_err();
            assert_eq!(why, "overloaded");
        }
    }
    Ok(())
}
// ANCHOR_END: main
