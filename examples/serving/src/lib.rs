//! The HTTP edge that every server of the book shares.

mod after;
pub mod assets;
mod body;
pub mod command;
mod config;
mod deadline_io;
mod ending;
mod guard;
mod listener;
mod problem;
mod publish;
mod serve;
mod slots;

pub use after::After;
pub use config::Config;
pub use ending::Ending;
pub use guard::{guard, Allowed, HostName, Origin, ParseHostError, ParseOriginError};
pub use listener::Listener;
pub use problem::{fallbacks, Problem, CONTENT_TYPE, TYPE_PREFIX};
pub use publish::publish_route;
pub use serve::serve;
pub use slots::{Slot, Slots};
