//! Colours, and the shapes beside them: no colour says anything alone.

use crate::source::Outcome;

/// Text.
pub(crate) const INK: &str = "var(--fg, #1f2328)";
/// What lies behind everything.
pub(crate) const PAPER: &str = "var(--bg, #ffffff)";

/// A method of the book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Polling,
    LongPolling,
    Sse,
    WebSocket,
    Http2Push,
}

impl Method {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "polling" => Self::Polling,
            "long-polling" => Self::LongPolling,
            "sse" => Self::Sse,
            "websocket" => Self::WebSocket,
            "http2-push" => Self::Http2Push,
            _ => return None,
        })
    }

    /// As a reader knows it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Polling => "Polling",
            Self::LongPolling => "Long polling",
            Self::Sse => "SSE",
            Self::WebSocket => "WebSocket",
            Self::Http2Push => "HTTP/2 push",
        }
    }

    /// The fallback is the light theme's, for a drawing that is opened by itself.
    pub(crate) fn colour(self) -> &'static str {
        match self {
            Self::Polling => "var(--polling, #8f5200)",
            Self::LongPolling => "var(--long-polling, #7440b0)",
            Self::Sse => "var(--sse, #006f78)",
            Self::WebSocket => "var(--websocket, #b0226c)",
            Self::Http2Push => "var(--http2-push, #59626e)",
        }
    }

    /// A shape 12 wide and high around a centre, in the current fill.
    pub(crate) fn shape(self, x: f64, y: f64) -> String {
        let colour = self.colour();
        let path = match self {
            Self::Polling => {
                return format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5.5\" fill=\"{colour}\"/>")
            }
            Self::LongPolling => {
                return format!(
                    "<g fill=\"{colour}\" stroke=\"{colour}\" stroke-width=\"1.5\"><circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"none\"/><path d=\"M{x:.1} {:.1}a5 5 0 0 0 0 10z\"/></g>",
                    y - 5.0
                )
            }
            Self::Sse => format!("M{x:.1} {:.1}l6.5 11.5h-13z", y - 6.5),
            Self::WebSocket => format!("M{x:.1} {:.1}l6.5 6.5l-6.5 6.5l-6.5 -6.5z", y - 6.5),
            Self::Http2Push => format!("M{:.1} {:.1}h10v10h-10z", x - 5.0, y - 5.0),
        };
        format!("<path d=\"{path}\" fill=\"{colour}\"/>")
    }
}

impl Outcome {
    pub(crate) fn colour(self) -> &'static str {
        match self {
            Self::Fails => "var(--fails, #b3261e)",
            Self::Mends => "var(--mends, #1b7535)",
        }
    }

    /// A cross or a tick, 10 wide and high around a centre.
    pub(crate) fn shape(self, x: f64, y: f64) -> String {
        let path = match self {
            Self::Fails => format!("M{:.1} {:.1}l9 9m0 -9l-9 9", x - 4.5, y - 4.5),
            Self::Mends => format!("M{:.1} {:.1}l3.5 4l6 -8", x - 5.0, y + 0.5),
        };
        let colour = self.colour();
        format!("<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2.2\" stroke-linecap=\"round\" stroke-linejoin=\"round\"/>")
    }
}
