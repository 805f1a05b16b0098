//! An event stream, read by the parser of the book's Rust client.

use crate::{count, wrong, Marked};
use event_stream::{Block, Message, Parser, TooLarge};
use serde::Deserialize;

/// What a browser is to make of the stream.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Wanted {
    events: Vec<Event>,
    /// The id with which it would come back.
    last_event_id: Option<String>,
}

/// An event, as far as it counts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Event {
    r#type: Option<String>,
    data: Option<String>,
    last_event_id: Option<String>,
}

/// The events of a stream, and the last id.
fn read(text: &str) -> Result<(Vec<Message>, String), TooLarge> {
    let mut parser = Parser::new();
    let mut blocks = Vec::new();
    parser.push(text.as_bytes(), &mut blocks)?;
    let events = blocks.into_iter().filter_map(|block| match block {
        Block::Event(event) => Some(event),
        Block::Id(_) => None,
    });
    Ok((events.collect(), parser.last_event_id().to_owned()))
}

pub(crate) fn mark(given: &str, wanted: &Wanted) -> Marked {
    let (whole, ended) = match (read(given), read(&format!("{given}\n\n"))) {
        (Ok(whole), Ok(ended)) => (whole, ended),
        (Err(error), _) | (_, Err(error)) => return wrong(format!("Here {error}.")),
    };
    let (events, last) = whole;
    if (&events, &last) != (&ended.0, &ended.1) {
        return wrong("The last block has no end yet. Only an empty line ends it.");
    }
    if events.len() != wanted.events.len() {
        let all = count(events.len() as u64, "event");
        return wrong(format!("A browser dispatches {all} here."));
    }
    for (number, (event, wanted)) in (1..).zip(events.iter().zip(&wanted.events)) {
        for (what, is, wanted) in [
            ("type", &event.kind, &wanted.r#type),
            ("data", &event.data, &wanted.data),
            ("last event id", &event.last_event_id, &wanted.last_event_id),
        ] {
            if wanted.as_ref().is_some_and(|wanted| is != wanted) {
                return wrong(format!("The {what} of event {number} is {is:?} here."));
            }
        }
    }
    match &wanted.last_event_id {
        Some(wanted) if *wanted != last => {
            wrong(format!("Afterwards the last event id is {last:?} here."))
        }
        _ => Ok(()),
    }
}
