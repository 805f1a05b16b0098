//! Writes every capture of the book anew: `cargo xtask captures`. It needs `curl` and `nghttp`.

use captures::CAPTURES;
use std::fs;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    for capture in CAPTURES {
        let text = capture.take().await?;
        fs::write(capture.path(), text)?;
        println!("{}", capture.path().display());
    }
    Ok(())
}
