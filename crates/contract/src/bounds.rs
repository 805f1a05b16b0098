//! What a JSON value must be so that every reader can read it.
//!
//! An event is passed on as it was published, in one document with others. What one
//! reader's parser refuses would cost it the whole page, the cursor of the next one
//! included.

use thiserror::Error;

/// How deep arrays and objects may nest in an event's data. A page puts three levels
/// around it, and parsers give up from 64 levels on (.NET's `System.Text.Json`), or run
/// out of stack.
pub const MAX_DEPTH: usize = 32;

/// How many digits a number may have, its exponent's included. An integer of 256 bits
/// has 78; Python refuses to read integers of more than 4,300.
pub const MAX_DIGITS: usize = 100;

/// Why a JSON value is not taken, although it is JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OutOfBounds {
    /// More than [`MAX_DEPTH`] levels of arrays and objects.
    #[error("arrays and objects nest more than {MAX_DEPTH} deep")]
    Depth,
    /// A number of more than [`MAX_DIGITS`] digits.
    #[error("a number has more than {MAX_DIGITS} digits")]
    Digits,
    /// A number that no double holds (IEEE 754, RFC 7493 §2.2).
    #[error("a number is beyond the range of a double")]
    Range,
    /// Half of a surrogate pair, which is no character (RFC 7493 §2.1).
    #[error("a \\u escape is half of a surrogate pair")]
    Surrogate,
}

/// Checks a text that is known to be one JSON value. It does not recurse, and looks at
/// each byte once.
pub(crate) fn check(json: &str) -> Result<(), OutOfBounds> {
    let mut depth = 0_usize;
    let mut rest = json.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = match byte {
            b'[' | b'{' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(OutOfBounds::Depth);
                }
                after
            }
            b']' | b'}' => {
                depth = depth.saturating_sub(1);
                after
            }
            b'"' => string(after)?,
            b'-' | b'0'..=b'9' => number(rest)?,
            // Space, punctuation and the three names.
            _ => after,
        };
    }
    Ok(())
}

/// What follows the string whose first quote was read.
fn string(mut rest: &[u8]) -> Result<&[u8], OutOfBounds> {
    // The first half of a pair was read, and its second is due now.
    let mut due = false;
    loop {
        let (unit, after) = match rest {
            [b'\\', b'u', a, b, c, d, after @ ..] => {
                (Some(unit([*a, *b, *c, *d])), after)
            }
            [b'\\', _, after @ ..] => (None, after),
            [b'"', after @ ..] if !due => return Ok(after),
            [b'"', ..] => return Err(OutOfBounds::Surrogate),
            [_, after @ ..] => (None, after),
            [] => return Ok(rest),
        };
        due = match (due, unit) {
            (false, Some(0xD800..=0xDBFF)) => true,
            (true, Some(0xDC00..=0xDFFF)) => false,
            (true, _) | (false, Some(0xDC00..=0xDFFF)) => {
                return Err(OutOfBounds::Surrogate)
            }
            (false, _) => false,
        };
        rest = after;
    }
}

/// The UTF-16 code unit of an escape.
fn unit(digits: [u8; 4]) -> u32 {
    let value = |digit: u8| char::from(digit).to_digit(16).unwrap_or(0);
    digits
        .iter()
        .fold(0, |unit, digit| unit * 16 + value(*digit))
}

/// What follows the number at the beginning of `text`.
fn number(text: &[u8]) -> Result<&[u8], OutOfBounds> {
    let part =
        |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    let length = text.iter().take_while(|byte| part(byte)).count();
    let (number, rest) = text.split_at(length);
    if number.iter().filter(|byte| byte.is_ascii_digit()).count() > MAX_DIGITS {
        return Err(OutOfBounds::Digits);
    }
    let double = std::str::from_utf8(number)
        .ok()
        .and_then(|number| number.parse::<f64>().ok());
    match double {
        Some(double) if double.is_finite() => Ok(rest),
        _ => Err(OutOfBounds::Range),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn nested(depth: usize) -> String {
        format!("{}{}", "[".repeat(depth), "]".repeat(depth))
    }

    #[test]
    fn what_every_reader_can_read_is_taken() {
        for right in [
            "null",
            r#""""#,
            r#""\\ud800""#,
            r#""\ud83d\ude00 and \u00e9 and \"\\""#,
            r#"{"[[[[":"]]]]","1e999":"-"}"#,
            "[1,-0.5,1e308,-1.5E+10,2e-400]",
            &"9".repeat(MAX_DIGITS),
            &nested(MAX_DEPTH),
            &format!("[{}]", "[],".repeat(1000) + "{}"),
        ] {
            assert_eq!(check(right), Ok(()), "{right}");
        }
    }

    #[test]
    fn what_some_reader_cannot_read_is_refused() {
        use OutOfBounds::{Depth, Digits, Range, Surrogate};
        let deep = nested(MAX_DEPTH + 1);
        let objects = r#"{"a":"#.repeat(MAX_DEPTH + 1);
        let digits = "9".repeat(MAX_DIGITS + 1);
        for (wrong, why) in [
            (&*deep, Depth),
            (&nested(100_000), Depth),
            (&objects, Depth),
            (&digits, Digits),
            (&format!("0.{digits}"), Digits),
            (&format!("[1e{digits}]"), Digits),
            ("1e400", Range),
            (r#"{"a":[-1e309]}"#, Range),
            (r#""\ud800""#, Surrogate),
            (r#""\udc00""#, Surrogate),
            (r#""\ud800 \udc00""#, Surrogate),
            (r#""\ud800\ud800\udc00""#, Surrogate),
            (r#""\uD83D\n""#, Surrogate),
            (r#"{"\udfff":1}"#, Surrogate),
        ] {
            assert_eq!(check(wrong), Err(why), "{wrong:.60}");
        }
    }

    /// How deep a value nests, and whether it is anything that a text can spell.
    fn depth(value: &Value) -> usize {
        match value {
            Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
            Value::Object(members) => {
                1 + members.values().map(depth).max().unwrap_or(0)
            }
            _ => 0,
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            r#"[\[\]{}"\\0-9eE+.-]{0,8}"#.prop_map(Value::from),
        ];
        leaf.prop_recursive(40, 120, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::hash_map(any::<String>(), inner, 0..3)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn only_depth_matters_of_what_serde_writes(value in value()) {
            let expected = match depth(&value) > MAX_DEPTH {
                true => Err(OutOfBounds::Depth),
                false => Ok(()),
            };
            prop_assert_eq!(check(&value.to_string()), expected);
            prop_assert_eq!(check(&serde_json::to_string_pretty(&value).unwrap()), expected);
        }

        /// serde_json's reader of strings refuses half a pair, and of numbers what is
        /// out of range.
        #[test]
        fn strings_and_numbers_are_judged_as_by_a_reader_of_them(
            units in prop::collection::vec(prop_oneof![
                Just(0xD800_u16), Just(0xDBFF), Just(0xDC00), Just(0xDFFF), any::<u16>(),
            ], 0..6),
            number in "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,4})?",
        ) {
            let text: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
            let text = format!("\"{text}\"");
            let read = serde_json::from_str::<String>(&text).is_ok();
            prop_assert_eq!(check(&text).is_ok(), read, "{}", text);
            let read = serde_json::from_str::<f64>(&number).is_ok();
            prop_assert_eq!(check(&number).is_ok(), read, "{}", number);
        }

        #[test]
        fn whatever_comes_it_ends(text in any::<String>()) {
            let _ = check(&text);
        }
    }
}
