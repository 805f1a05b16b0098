//! WebSocket: frames, both ways, over the [`feed`].
