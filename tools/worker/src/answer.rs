//! An answer, as the worker's script reads it.

use axum::{body::Body, response::Response};
use http_body_util::BodyExt as _;
use js_sys::{Array, Uint8Array};
use signal::Signal;
use std::cell::RefCell;
use wasm_bindgen::{prelude::wasm_bindgen, JsError, JsValue};

/// The head of an answer, and its body piece by piece.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Answer {
    status: u16,
    headers: Array,
    /// Away while a piece is waited for, and gone when there is no more.
    body: RefCell<Option<Body>>,
    stopped: Signal,
}

impl Answer {
    pub(crate) fn new(response: Response) -> Self {
        let (head, body) = response.into_parts();
        let texts = head.headers.iter().flat_map(|(name, value)| {
            let value: String = value
                .as_bytes()
                .iter()
                .map(|&byte| char::from(byte))
                .collect();
            [name.as_str().into(), JsValue::from(value)]
        });
        Self {
            status: head.status.as_u16(),
            headers: texts.collect(),
            body: RefCell::new(Some(body)),
            stopped: Signal::new(),
        }
    }
}

#[wasm_bindgen]
impl Answer {
    /// Its status.
    #[wasm_bindgen(getter)]
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Names and values in turn.
    #[wasm_bindgen(getter)]
    #[must_use]
    pub fn headers(&self) -> Array {
        self.headers.clone()
    }

    /// The next piece of the body; `undefined` at its end. To be called when there is room for
    /// one, as hyper does.
    ///
    /// # Errors
    /// Where the body breaks off.
    pub async fn next(&self) -> Result<Option<Uint8Array>, JsError> {
        let Some(mut body) = self.body.take() else {
            return Ok(None);
        };
        loop {
            let frame = tokio::select! {
                // Nobody reads it any more: what is left of it is dropped.
                () = self.stopped.raised() => return Ok(None),
                frame = body.frame() => frame.transpose()?,
            };
            let Some(frame) = frame else {
                return Ok(None);
            };
            // Not the trailers, which no browser shows.
            if let Ok(bytes) = frame.into_data() {
                self.body.replace(Some(body));
                return Ok(Some(Uint8Array::from(&*bytes)));
            }
        }
    }

    /// Nobody reads it any more.
    pub fn stop(&self) {
        self.stopped.raise();
        self.body.take();
    }
}
