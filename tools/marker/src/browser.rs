//! What a page calls.

use wasm_bindgen::{prelude::wasm_bindgen, JsError};

/// [`crate::mark`]: what is wrong, and nothing where the answer is right.
///
/// # Errors
/// If the question cannot be asked so.
#[wasm_bindgen]
pub fn mark(checker: &str, given: &str, wanted: &str) -> Result<String, JsError> {
    let wrong = crate::mark(checker, given, wanted)?;
    Ok(wrong.map_or_else(String::new, |wrong| wrong.0))
}
