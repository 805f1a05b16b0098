//! Where a log is.

use std::{convert::Infallible, fmt, path::PathBuf, str::FromStr};
use thiserror::Error;

/// Where a log is: the value of `--log`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Address {
    /// In this process, and gone with it.
    #[default]
    Memory,
    /// `nats://host:port/STREAM`, several hosts by commas: a stream of JetStream, by
    /// default `events`.
    Nats(String),
    /// `postgres://user@host/database`: tables of PostgreSQL.
    Postgres(String),
    /// `file:path`: a file of SQLite.
    File(PathBuf),
}

/// This names no log.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("a log is `memory`, or at nats://…, postgres://… or file:…")]
pub struct AddressError;

impl From<Infallible> for AddressError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let Some((scheme, rest)) = text.split_once(':') else {
            return (text == "memory")
                .then_some(Self::Memory)
                .ok_or(AddressError);
        };
        let url = rest.strip_prefix("//").is_some_and(|rest| !rest.is_empty());
        match scheme {
            "nats" | "tls" if url => Ok(Self::Nats(text.to_owned())),
            "postgres" | "postgresql" if url => Ok(Self::Postgres(text.to_owned())),
            "file" if !rest.is_empty() => Ok(Self::File(rest.into())),
            _ => Err(AddressError),
        }
    }
}

/// Without a password, for logs and errors.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Nats(url) | Self::Postgres(url) => {
                let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
                // Whoever the user is: what stands before the `@` may be a secret.
                let rest = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
                let place = rest.split(['?', '#']).next().unwrap_or_default();
                write!(f, "{scheme}://{place}")
            }
        }
    }
}

impl Address {
    /// The engine's name in a sentence.
    pub fn engine(&self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Nats(_) => "NATS JetStream",
            Self::Postgres(_) => "PostgreSQL",
            Self::File(_) => "SQLite",
        }
    }

    /// The feature of cargo that brings the engine.
    pub fn feature(&self) -> &'static str {
        match self {
            Self::Memory => "default",
            Self::Nats(_) => "nats",
            Self::Postgres(_) => "postgres",
            Self::File(_) => "file",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_an_engine() {
        for (text, engine) in [
            ("memory", "memory"),
            ("nats://127.0.0.1:4222", "NATS JetStream"),
            ("nats://a:1,b:2/chat", "NATS JetStream"),
            ("postgres://me@localhost/app", "PostgreSQL"),
            ("postgresql://localhost/app", "PostgreSQL"),
            ("file:log.db", "SQLite"),
            ("file:/var/lib/app/log.db", "SQLite"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().engine(), engine, "{text}");
        }
        for text in ["", "file:", "nats:", "nats://", "mysql://a/b", "log.db"] {
            assert_eq!(text.parse::<Address>(), Err(AddressError), "{text}");
        }
    }

    #[test]
    fn no_password_is_shown() {
        let address: Address = "postgres://me:secret@db/app?sslmode=disable"
            .parse()
            .unwrap();
        assert_eq!(address.to_string(), "postgres://db/app");
        let address: Address = "nats://token@a:4222,b:4222/chat".parse().unwrap();
        assert_eq!(address.to_string(), "nats://a:4222,b:4222/chat");
    }
}
