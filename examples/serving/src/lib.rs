//! The HTTP edge that every server of the book shares: deadlines, limits, a graceful end, clear errors.
