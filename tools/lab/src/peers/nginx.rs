//! Turns into nginx with nchan, on a free port.
//!
//! nginx cannot be asked for any free port, and prints none. So this process opens the listener,
//! and hands it on as nginx hands its own to a new version of itself: by number, in the variable
//! `NGINX` (`ngx_add_inherited_sockets` of `src/core/nginx.c`).

use crate::plan::Workers;
use anyhow::Context as _;
use rustix::io::{fcntl_setfd, FdFlags};
use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    os::{fd::AsRawFd as _, unix::process::CommandExt as _},
    path::PathBuf,
    process::{Command, ExitCode},
};

#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The program
    #[arg(long)]
    nginx: PathBuf,

    /// The module `nchan`
    #[arg(long)]
    module: PathBuf,

    /// Where its configuration and its files are written
    #[arg(long)]
    directory: PathBuf,

    /// Its worker processes
    #[arg(long)]
    workers: Workers,

    /// Connections of each of them
    #[arg(long)]
    connections: u32,
}

const CONFIGURATION: &str = include_str!("../../peers/nchan.conf");

/// Does not return, except with an error.
pub fn run(options: Options) -> anyhow::Result<ExitCode> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let workers = match options.workers {
        Workers::All => "auto".to_owned(),
        some @ Workers::Some(_) => some.to_string(),
    };
    let configuration = CONFIGURATION
        .replace("MODULE", &options.module.display().to_string())
        .replace("WORKERS", &workers)
        .replace("CONNECTIONS", &options.connections.to_string())
        .replace("ADDRESS", &address.to_string());
    let directory = fs::canonicalize(&options.directory)?;
    let file = directory.join("nchan.conf");
    fs::write(&file, configuration)?;
    // Kept open when this process becomes nginx.
    fcntl_setfd(&listener, FdFlags::empty())?;
    println!("nchan: http://{address}/");
    let error = Command::new(&options.nginx)
        .arg("-p")
        .arg(&directory)
        .arg("-c")
        .arg(&file)
        .args(["-e", "stderr"])
        .env("NGINX", format!("{};", listener.as_raw_fd()))
        .exec();
    Err(error).with_context(|| options.nginx.display().to_string())
}
