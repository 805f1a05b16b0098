//! A page as an answer.

use crate::LogPage;
use ::http::header;
use axum::response::{IntoResponse, Response};

impl IntoResponse for LogPage {
    fn into_response(self) -> Response {
        let headers = [
            (header::CONTENT_TYPE, "application/json"),
            // It answers one client's question of one moment; whoever asks later must
            // be told of later events.
            (header::CACHE_CONTROL, "no-store"),
        ];
        (headers, self.into_json()).into_response()
    }
}
