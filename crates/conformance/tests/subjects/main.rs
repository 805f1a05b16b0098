//! Servers and clients that share no code with the book's, tested by the suite: the
//! servers to copy, and the programs in plain Node.
//!
//! They are one program so that they run at once, however few processors there are:
//! they wait for delays most of the time, and the copies are compiled meanwhile.

mod copies;
mod node;

use libtest_mimic::Arguments;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut trials = copies::trials();
    trials.extend(node::trials());
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(trials.len());
    libtest_mimic::run(&arguments, trials).exit_code()
}
