//! The OpenAPI and the AsyncAPI document against the examples under `vectors/`.
//!
//! Needs python3 with jsonschema and PyYAML, which come with openapi-spec-validator.
//! Without them the test is ignored, with the reason, or fails under `REQUIRE_PARTS=1`.

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::{
    env,
    path::Path,
    process::{Command, ExitCode},
};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trial = Trial::ignorable_test("the_documents_agree_with_the_examples", run);
    libtest_mimic::run(&arguments, vec![trial]).exit_code()
}

fn run() -> Result<Completion, Failed> {
    let required = env::var_os("REQUIRE_PARTS").is_some_and(|value| value == "1");
    let found = python().args(["-c", "import jsonschema, yaml"]).output();
    let missing = match found {
        Ok(found) if found.status.success() => None,
        Ok(found) => Some(String::from_utf8_lossy(&found.stderr).into_owned()),
        Err(error) => Some(format!("no python3: {error}")),
    };
    match missing {
        Some(missing) if required => return Err(missing.into()),
        Some(missing) => return Ok(Completion::ignored_with(missing)),
        None => {}
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schemas.py");
    let output = python().arg(script).output()?;
    match output.status.success() {
        true => Ok(Completion::Completed),
        false => {
            let faults = [output.stdout, output.stderr].concat();
            Err(String::from_utf8_lossy(&faults).into_owned().into())
        }
    }
}

/// python3, which finds what `.ci/run` has installed.
fn python() -> Command {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    let installed = workspace.expect("a folder").join("target/parts/python");
    let mut path = vec![installed];
    path.extend(env::split_paths(
        &env::var_os("PYTHONPATH").unwrap_or_default(),
    ));
    let mut python = Command::new("python3");
    python.env(
        "PYTHONPATH",
        env::join_paths(path).expect("paths without a separator"),
    );
    python
}
