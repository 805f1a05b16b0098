//! Connections that are cut or frozen, so that a reader can watch what follows.

use crate::between::Between;
use axum::{
    body::{Body, Bytes},
    extract::{RawPathParams, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::{stream, StreamExt};
use http::StatusCode;
use serving::ProblemResponse;
use std::{future::pending, io};
use tokio::{sync::broadcast, time::sleep};
use waiting::Places;

/// What is done to the connections of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// They break.
    Cut,
    /// Nothing comes any more, and they stay open.
    Freeze,
}

/// The orders, and for which key each is.
#[derive(Clone, Debug)]
pub(crate) struct Orders(broadcast::Sender<(Order, String)>);

impl Default for Orders {
    fn default() -> Self {
        Self(broadcast::Sender::new(16))
    }
}

/// The key in a request's path.
fn key(params: &RawPathParams) -> String {
    let mut params = params.iter();
    let found = params.find(|(name, _)| *name == "key");
    found.map(|(_, key)| key.to_owned()).unwrap_or_default()
}

impl Orders {
    pub(crate) fn give(&self, order: Order, params: &RawPathParams) -> StatusCode {
        let _nothing_is_open = self.0.send((order, key(params)));
        StatusCode::NO_CONTENT
    }

    /// The next one for the key of this request. Whoever is too far behind to hear one
    /// stays open.
    pub(crate) fn next(
        &self,
        params: &RawPathParams,
    ) -> impl std::future::Future<Output = Order> + Send + 'static {
        let (mut orders, key) = (self.0.subscribe(), key(params));
        async move {
            loop {
                match orders.recv().await {
                    Ok((order, of)) if of == key => return order,
                    Err(broadcast::error::RecvError::Closed) => pending().await,
                    _ => {}
                }
            }
        }
    }
}

/// What [`breakable`] needs.
#[derive(Clone, Debug)]
pub(crate) struct Breakable {
    pub(crate) orders: Orders,
    /// Of which each connection takes one, until its answer has ended.
    pub(crate) places: Option<Places>,
}

/// Lets an answer break, or stop, in the middle, and a socket.
pub(crate) async fn breakable(
    State(Breakable { orders, places }): State<Breakable>,
    params: RawPathParams,
    mut request: Request,
    next: Next,
) -> Response {
    let place = match places.map(|places| places.acquire()).transpose() {
        Ok(place) => place,
        Err(problem) => return ProblemResponse(problem).into_response(),
    };
    if let Some(between) = Between::enter(request.extensions_mut()).await {
        let response = next.run(request).await;
        between.run(&orders, &params, place);
        return response;
    }
    let mut order = Box::pin(orders.next(&params));
    let response = tokio::select! {
        // What was ordered comes before what is due.
        biased;
        order = &mut order => match order {
            Order::Cut => return broken(),
            Order::Freeze => {
                sleep(crate::FROZEN).await;
                return broken();
            }
        },
        response = next.run(request) => response,
    };
    let (head, body) = response.into_parts();
    let rest = Some((body.into_data_stream(), order, place));
    let body = stream::unfold(rest, |rest| async move {
        let (mut body, mut order, place) = rest?;
        tokio::select! {
            biased;
            // Cancel-safe: it only waits.
            order = &mut order => {
                if order == Order::Freeze {
                    sleep(crate::FROZEN).await;
                }
                Some((Err(axum::Error::new(cut())), None))
            }
            // Cancel-safe: a piece is handed out whole, or stays.
            piece = body.next() => piece.map(|piece| (piece, Some((body, order, place)))),
        }
    });
    // Whoever sends it may ask once more at its end.
    let body = Box::pin(body.fuse());
    Response::from_parts(head, Body::from_stream(body))
}

fn cut() -> io::Error {
    io::Error::other("the connection was cut on request")
}

/// An answer that breaks off in the middle, for a request that had none yet. It has to
/// begin: a browser that finds its connection closed before asks again by itself.
fn broken() -> Response {
    let beginning = stream::iter([Ok(Bytes::from_static(b"\n"))]);
    let end = stream::once(async {
        // Lets what there is be written before the error.
        tokio::task::yield_now().await;
        Err(cut())
    });
    Body::from_stream(beginning.chain(end)).into_response()
}
