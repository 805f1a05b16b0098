//! The cheat sheet, on paper. The driver of WebKitGTK (2.50) cannot print.

use browser::{page::Page, suite::Suite};
use fantoccini::wd::{PrintConfiguration, PrintSize};
use flate2::read::ZlibDecoder;
use std::{io::Read as _, sync::Arc};

/// How many pages a PDF has. Firefox keeps their dictionaries in compressed streams.
fn pages(pdf: &[u8]) -> usize {
    let mut text = pdf.to_vec();
    let mut rest = pdf;
    while let Some(start) = find(rest, b"stream") {
        rest = &rest[start + b"stream".len()..];
        let body = rest.trim_ascii_start();
        // What is no such stream, such as what follows "endstream", brings nothing.
        let _ = ZlibDecoder::new(body).read_to_end(&mut text);
    }
    let mut count = 0;
    let mut rest = &text[..];
    while let Some(start) = find(rest, b"/Type") {
        rest = rest[start + b"/Type".len()..].trim_ascii_start();
        count += usize::from(rest.starts_with(b"/Page") && !rest.starts_with(b"/Pages"));
    }
    count
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

pub(crate) async fn it_is_one_side_of_paper_and_another_page_is_more(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let site = suite.site().await?;
    for size in [PrintSize::A4, PrintSize::US_LETTER] {
        let print = async |name: &str| {
            page.open(&site.at(name)).await?;
            let paper = PrintConfiguration::builder().size(size.clone()).build();
            let paper = paper.map_err(|error| anyhow::anyhow!("{error}"))?;
            let pdf = page.client().print(paper).await?;
            anyhow::Ok(pages(&pdf))
        };
        assert_eq!(print("cheat-sheet.html").await?, 1, "{size:?}");
        // Else nothing would be counted.
        assert!(print("glossary.html").await? > 1, "{size:?}");
    }
    Ok(())
}
