//! The program that serves one method alone.

use crate::{Host, Method, Variants, Waits};
use clap::{
    builder::PossibleValuesParser, value_parser, Arg, ArgMatches, CommandFactory as _,
    FromArgMatches as _, Parser,
};
use serving::command::{self, Count, Heartbeat, MaxAge, Options, TlsFlags};
use std::process::ExitCode;
use waiting::LogFlags;

/// The flags of every method; its own are added to them.
#[derive(Debug, Parser)]
#[command(version)]
struct Flags {
    // The port is set to the method's own.
    #[command(flatten)]
    options: Options<0>,
    #[command(flatten)]
    tls: TlsFlags,
    #[command(flatten)]
    log: LogFlags,
}

/// Serves a method alone, with the flags of this process, until a signal ends it: the
/// `main` of its program.
pub async fn run(method: Method) -> ExitCode {
    let matches = command_line(method).get_matches();
    run_with(method, matches).await
}

/// The same for a method that can be served in several ways.
pub async fn run_variant(variants: Variants) -> ExitCode {
    let matches = variants.command_line().get_matches();
    run_with(variants.chosen(&matches), matches).await
}

async fn run_with(method: Method, matches: ArgMatches) -> ExitCode {
    let flags = Flags::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let Flags { options, tls, log } = flags;
    let waits = method
        .waits
        .map(|waits| (waits.flag, count(&matches, waits)));
    let places = match waits {
        Some((flag, count)) => options.places(flag, count),
        None => Ok(options.edge().places()),
    };
    let places = match places {
        Ok(places) => places,
        Err(error) => return command::fail(method.name, error),
    };
    let heartbeat = matches.try_get_one::<Heartbeat>(HEARTBEAT).ok().flatten();
    let heartbeat = heartbeat.map_or(crate::HEARTBEAT, |heartbeat| heartbeat.0);
    let max_age = matches.try_get_one::<MaxAge>(MAX_AGE).ok().flatten();
    let max_age = max_age.map(|age| age.0);
    let (log, work) = match log.open().await {
        Ok(opened) => opened,
        Err(error) => return command::fail(method.name, error),
    };
    command::run(method.name, &options, &tls, options.edge(), |ending| {
        // Ends with the process: no log needs a goodbye.
        tokio::spawn(work);
        (method.router)(Host {
            places,
            heartbeat,
            max_age,
            ..Host::alone(log, ending)
        })
    })
    .await
}

const HEARTBEAT: &str = "heartbeat";
const MAX_AGE: &str = "max-age";

fn command_line(method: Method) -> clap::Command {
    // Once in the life of a program.
    let port: &str = method.port.to_string().leak();
    let command = Flags::command()
        .name(method.name)
        .about(method.about)
        .mut_arg("port", |argument| argument.default_value(port));
    let Some(waits) = method.waits else {
        return command;
    };
    let command = command.arg(waits.argument("by default nine in ten connections"));
    match waits.silence {
        Some(help) => command.args([
            Arg::new(HEARTBEAT)
                .long(HEARTBEAT)
                .value_name("SECONDS")
                .default_value("15")
                .value_parser(value_parser!(Heartbeat))
                .help(help),
            Arg::new(MAX_AGE)
                .long(MAX_AGE)
                .value_name("SECONDS")
                .value_parser(value_parser!(MaxAge))
                .help(
                    "The longest one is open before its client is told to come back, so that \
                     it may find another server: each half as long at least, drawn; by \
                     default for ever",
                ),
        ]),
        None => command,
    }
}

impl Variants {
    fn command_line(self) -> clap::Command {
        let (default, method) = self.methods[0];
        let names = self.methods.iter().map(|(name, _)| *name);
        command_line(method).arg(
            Arg::new(self.flag)
                .long(self.flag)
                .value_parser(PossibleValuesParser::new(names))
                .default_value(default)
                .help(self.help),
        )
    }

    fn chosen(self, matches: &ArgMatches) -> Method {
        let name: &String = matches.get_one(self.flag).expect("it has a default");
        let chosen = self.methods.iter().find(|(it, _)| it == name);
        chosen.expect("clap takes no other").1
    }
}

impl Waits {
    /// The argument that limits how many there are.
    pub fn argument(self, default: &str) -> Arg {
        Arg::new(self.flag)
            .long(self.flag)
            .value_name("COUNT")
            .value_parser(value_parser!(Count))
            .help(format!("{}; {default}", self.help))
    }
}

/// How many the command line allows, if it says so: the value of [`Waits::argument`].
pub fn count(matches: &ArgMatches, waits: Waits) -> Option<Count> {
    matches.get_one(waits.flag).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use serving::command::Seconds;
    use std::time::Duration;

    const METHOD: Method = Method {
        name: "method",
        title: "a method",
        port: 4199,
        about: "Serves nothing",
        waits: Some(Waits {
            flag: "max-guests",
            help: "Guests at once",
            silence: Some("The longest silence"),
        }),
        cuts: false,
        router: |_| Router::new(),
    };

    fn parse(method: Method, flags: &[&str]) -> Result<ArgMatches, clap::Error> {
        let command = command_line(method);
        command.try_get_matches_from(["method"].iter().chain(flags))
    }

    #[test]
    fn a_method_has_its_own_port_and_flags_beside_those_of_all() {
        command_line(METHOD).debug_assert();
        let matches = parse(METHOD, &["--rate", "2", "--max-guests", "3"]).unwrap();
        let waits = METHOD.waits.unwrap();
        assert_eq!(count(&matches, waits), Some(Count(3)));
        assert_eq!(
            matches.get_one(HEARTBEAT),
            Some(&Heartbeat(crate::HEARTBEAT))
        );
        let flags = Flags::from_arg_matches(&matches).unwrap();
        assert_eq!(flags.options.address().port(), METHOD.port);
        let matches = parse(METHOD, &["--heartbeat", "1", "--port", "0"]).unwrap();
        let second = Heartbeat(Duration::from_secs(1));
        assert_eq!(matches.get_one(HEARTBEAT), Some(&second));
        assert_eq!(count(&matches, waits), None);
        assert_eq!(matches.get_one::<MaxAge>(MAX_AGE), None);
        let matches = parse(METHOD, &["--max-age", "3600"]).unwrap();
        let hour = Seconds(Duration::from_secs(3600));
        assert_eq!(matches.get_one::<MaxAge>(MAX_AGE), Some(&hour));
        assert!(parse(METHOD, &["--max-age", "1"]).is_err());
        // Where nothing waits, neither is a flag.
        let method = Method {
            waits: None,
            ..METHOD
        };
        for flag in ["--max-guests", "--heartbeat", "--max-age"] {
            assert!(parse(method, &[flag, "2"]).is_err(), "{flag}");
        }
    }

    #[test]
    fn a_flag_chooses_among_variants_and_the_first_is_the_default() {
        const OTHER: Method = Method {
            title: "another",
            ..METHOD
        };
        let variants = Variants {
            flag: "sort",
            help: "Which",
            methods: &[("this", METHOD), ("that", OTHER)],
        };
        let parse = |flags: &[&str]| {
            let command = variants.command_line();
            command.try_get_matches_from(["method"].iter().chain(flags))
        };
        for (flags, title) in [
            (&[][..], METHOD.title),
            (&["--sort", "this"], METHOD.title),
            (&["--sort", "that"], OTHER.title),
        ] {
            let chosen = variants.chosen(&parse(flags).unwrap());
            assert_eq!(chosen.title, title, "{flags:?}");
        }
        assert!(parse(&["--sort", "none"]).is_err());
    }
}
