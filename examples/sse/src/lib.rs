//! Server-Sent Events over the feed: server, client and page.
