//! The flags of a log, which the command line of every server shares.

use crate::ticker::{self, Rate};
use engines::{Address, OpenError, Opened};
use feed::{Feed, Retention};
use futures_util::future::join;
use std::{future::Future, num::NonZeroU64};

/// What the log of a server keeps, and the invented ticks in it.
///
/// A binary flattens them into its own, beside those of the edge.
#[derive(Clone, Debug, clap::Args)]
pub struct LogFlags {
    /// Where the log is kept: `memory`, or an engine that several servers may share, at
    /// nats://…, postgres://… or file:…, each of which a feature of cargo brings
    #[arg(long, value_name = "ADDRESS", default_value_t)]
    pub log: Address,

    /// Invented stock ticks a second; 0 for none
    // A negative number is a wrong rate, and clap would report it as an unknown flag.
    #[arg(
        long,
        value_name = "PER_SECOND",
        default_value = "1",
        allow_negative_numbers = true
    )]
    pub rate: Rate,

    /// Seed of the ticks: the same seed gives the same prices
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// Events that the log keeps; of an engine's, those that this server has in memory
    #[arg(long, value_name = "COUNT", default_value = "10000", value_parser = count)]
    pub keep_events: usize,

    /// Events that the engine keeps, where there is one; the same at all its servers
    #[arg(long, value_name = "COUNT", default_value_t = engines::KEPT)]
    pub keep_in_engine: NonZeroU64,

    /// Bytes of events, as for `--keep-events`; whichever is reached first
    #[arg(long, value_name = "BYTES", default_value = "16777216", value_parser = count)]
    pub keep_bytes: usize,
}

fn count(text: &str) -> Result<usize, &'static str> {
    let count = text.parse().ok().filter(|count| *count >= 1);
    count.ok_or("a whole number, 1 or more")
}

impl LogFlags {
    /// How much the log keeps.
    pub fn retention(&self) -> Retention {
        Retention {
            max_events: self.keep_events,
            max_bytes: self.keep_bytes,
        }
    }

    /// The log, and what is to be done for it: to fill it from its engine, and to
    /// publish the ticks. That is a task for the runtime, which ends with the process.
    ///
    /// # Errors
    /// Where the engine cannot be reached, or this program was built without it.
    pub async fn open(
        &self,
    ) -> Result<(Feed, impl Future<Output = ()> + Send + 'static), OpenError> {
        let Opened { feed, filling } =
            engines::open(&self.log, self.retention(), self.keep_in_engine).await?;
        let ticks = ticker::run(feed.clone(), self.rate, self.seed);
        let work = async {
            let filled = async {
                if let Some(filling) = filling {
                    filling.await;
                }
            };
            // The log refuses no tick but after its end, and that ends the ticker.
            join(filled, ticks).await.1.ok();
        };
        Ok((feed, work))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        log: LogFlags,
    }

    fn parse(flags: &[&str]) -> Result<LogFlags, String> {
        let parsed = Command::try_parse_from(["server"].iter().chain(flags));
        parsed
            .map(|command| command.log)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_log_keeps_what_the_flags_say() {
        let flags = parse(&[]).unwrap();
        assert_eq!(flags.retention(), Retention::default());
        assert_eq!(flags.rate.per_second(), 1.0);
        let flags = parse(&["--rate", "0", "--keep-events", "7"]).unwrap();
        assert_eq!(flags.retention().max_events, 7);
        assert_eq!(flags.rate, Rate::NONE);
        assert_eq!(flags.log, Address::Memory);
        for (flags, words) in [
            (["--rate", "-1"], "--rate"),
            (["--rate", "often"], "events a second"),
            (["--keep-events", "0"], "1 or more"),
            (["--keep-bytes", "much"], "1 or more"),
            (["--log", "mysql://a/b"], "nats://"),
        ] {
            let error = parse(&flags).unwrap_err();
            assert!(error.contains(words), "{flags:?}: {error}");
        }
    }
}
