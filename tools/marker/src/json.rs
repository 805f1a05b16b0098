//! A message of the contract, read by the types of `contract`.

use crate::{count, wrong, Marked};
use contract::{socket::ClientMessage, LogPage};
use serde_json::{Error, Value};

/// The answer to a request for events.
pub(crate) fn mark_page(given: &str, wanted: &str) -> Result<Marked, Error> {
    let normal = |text: &str| serde_json::to_value(serde_json::from_str::<LogPage>(text)?);
    Ok(mark(given, normal(given), &normal(wanted)?))
}

/// A message from a WebSocket client.
pub(crate) fn mark_message(given: &str, wanted: &str) -> Result<Marked, Error> {
    let normal =
        |text: &str| serde_json::to_value(ClientMessage::read(text).map_err(|it| it.error)?);
    Ok(mark(given, normal(given), &normal(wanted)?))
}

/// Compares what a type makes of two texts, so that their spaces, the order of members, and members
/// with their default count for nothing.
fn mark(given: &str, read: Result<Value, Error>, wanted: &Value) -> Marked {
    let all: Value = match serde_json::from_str(given) {
        Ok(all) => all,
        Err(error) => return wrong(format!("This is no JSON: {error}.")),
    };
    let read = match read {
        Ok(read) => read,
        Err(error) => return wrong(format!("Its reader refuses it: {error}.")),
    };
    compare("", &read, wanted)?;
    // What a reader leaves out of account is not asked for either, but for a default: `false`.
    for (name, value) in all.as_object().into_iter().flatten() {
        if read.get(name).is_none() && *value != Value::Bool(false) {
            return wrong(format!("`{name}` is not asked for."));
        }
    }
    Ok(())
}

/// Names the first place where two values differ.
fn compare(place: &str, is: &Value, wanted: &Value) -> Marked {
    match (is, wanted) {
        (Value::Object(is), Value::Object(wanted)) => {
            let below = |name: &str| match place {
                "" => name.to_owned(),
                place => format!("{place}.{name}"),
            };
            for (name, wanted) in wanted {
                match is.get(name) {
                    Some(is) => compare(&below(name), is, wanted)?,
                    None => return wrong(format!("A member is missing in {}.", quoted(place))),
                }
            }
            match is.keys().find(|name| !wanted.contains_key(*name)) {
                Some(name) => wrong(format!("`{}` is not asked for.", below(name))),
                None => Ok(()),
            }
        }
        (Value::Array(is), Value::Array(wanted)) => {
            if is.len() != wanted.len() {
                let all = count(is.len() as u64, "item");
                return wrong(format!("{} has {all} here.", quoted(place)));
            }
            for (at, (is, wanted)) in is.iter().zip(wanted).enumerate() {
                compare(&format!("{place}[{at}]"), is, wanted)?;
            }
            Ok(())
        }
        (is, wanted) if is == wanted => Ok(()),
        (is, _) => wrong(format!("{} is {is} here.", quoted(place))),
    }
}

fn quoted(place: &str) -> String {
    match place {
        "" => "the whole".to_owned(),
        place => format!("`{place}`"),
    }
}
