//! The panel of HTTP/2 push, and the page of its server.

use crate::panel::{part, tab_to, ENTER, TAB};
use browser::{driver::Driver, engine::Engine, page::Page, served::Served, suite::Suite};
use serde_json::{json, Value};
use std::sync::Arc;
use testbed::parts::Missing;

const CHAPTER: &str = "http2-push/index.html";
const EXCHANGE: &str = "GET /live/http2-push/exchange";
const PUSHED: &str = "Of the page's 2 parts, 2 were pushed and 0 had to be asked for.";
const ASKED: &str = "Of the page's 2 parts, 0 were pushed and 2 had to be asked for.";

/// Opens the chapter, and waits until its panel can be used.
pub(crate) async fn open(page: &Page, site: &Served) -> anyhow::Result<()> {
    page.open(&site.at(CHAPTER)).await?;
    page.until(
        "the panel's button",
        "return document.querySelector(arguments[0])?.checkVisibility()",
        &[json!(part("ask"))],
    )
    .await
}

/// Waits until the panel shows frames with this text, and gives all of them.
pub(crate) async fn frames_with(page: &Page, text: &str) -> anyhow::Result<String> {
    page.until_some(
        &format!("frames with {text}"),
        "const frames = document.querySelector(arguments[0]);
        return frames.checkVisibility() && frames.textContent.includes(arguments[1]) && frames.textContent",
        &[json!(part("frames")), json!(text)],
    )
    .await
}

/// Waits until the panel says this, from its first word to its last.
async fn told(page: &Page, words: &str) -> anyhow::Result<()> {
    let script = "return document.querySelector(arguments[0]).textContent === arguments[1]";
    let arguments = [json!(part("summary")), json!(words)];
    let Err(error) = page.until(words, script, &arguments).await else {
        return Ok(());
    };
    let script = "return document.querySelector(arguments[0]).textContent";
    let says: String = page.run(script, &[json!(part("summary"))]).await?;
    Err(error.context(format!("the panel says: {says}")))
}

/// What the panel's client was told to do: the queries of its exchanges.
fn wishes(site: &Served) -> Vec<String> {
    let asked = site.asked_for(EXCHANGE).into_iter();
    asked.map(|asked| asked.query).collect()
}

async fn choose(page: &Page, way: &str) -> anyhow::Result<()> {
    let option = format!("{} option[value={way}]", part("way"));
    // The driver of Firefox clicks on the whole choice, which may lie under the bar of the page.
    page.into_view(&part("way")).await?;
    Ok(page.find(&option).await?.click().await?)
}

pub(crate) async fn each_way_shows_its_frames(suite: Arc<Suite>, page: Page) -> anyhow::Result<()> {
    let site = suite.site().await?;
    open(&page, &site).await?;
    page.settle().await?;
    assert_eq!(wishes(&site), Vec::<String>::new());

    page.click(&part("ask")).await?;
    told(&page, PUSHED).await?;
    let frames = frames_with(&page, "server PUSH_PROMISE").await?;
    assert!(frames.contains("client SETTINGS"), "{frames}");
    assert!(frames.contains("ENABLE_PUSH = 1"), "{frames}");

    page.click(&part("accept")).await?;
    page.click(&part("ask")).await?;
    told(&page, ASKED).await?;
    let frames = frames_with(&page, "ENABLE_PUSH = 0").await?;
    assert!(!frames.contains("PUSH_PROMISE"), "{frames}");

    choose(&page, "early-hints").await?;
    page.click(&part("ask")).await?;
    told(&page, &format!("A 103 came before the page. {ASKED}")).await?;
    frames_with(&page, ":status: 103").await?;

    // A client that takes pushes, and a page without any.
    page.click(&part("accept")).await?;
    choose(&page, "plain").await?;
    page.click(&part("ask")).await?;
    told(&page, ASKED).await?;
    let frames = frames_with(&page, ":path: /plain/").await?;
    assert!(!frames.contains("PUSH_PROMISE") && !frames.contains(":status: 103"));

    assert_eq!(
        wishes(&site),
        [
            "way=push&accept=true",
            "way=push&accept=false",
            "way=early-hints&accept=false",
            "way=plain&accept=true"
        ]
    );
    // The link to the push server's own page.
    let link = part("address");
    let address: String = page
        .run(
            "const link = document.querySelector(arguments[0]); return link.checkVisibility() ? link.href : ''",
            &[json!(link)],
        )
        .await?;
    assert_eq!(address, suite.push().await?.address.to_string());
    assert_eq!(page.complaints().await?, Vec::<String>::new());
    Ok(())
}

pub(crate) async fn the_keyboard_is_enough(suite: Arc<Suite>, page: Page) -> anyhow::Result<()> {
    // Chooses the next way, where the book would turn the page.
    const RIGHT: &str = "\u{e014}";
    const SPACE: &str = " ";
    let site = suite.site().await?;
    open(&page, &site).await?;
    // From the heading before it, as a reader without a mouse would go on.
    page.run::<Value>(
        "document.querySelector('main h2#try-it a, h2#try-it a').focus()",
        &[],
    )
    .await?;
    tab_to(&page, "way", TAB).await?;
    page.press(RIGHT).await?;
    tab_to(&page, "accept", TAB).await?;
    page.press(SPACE).await?;
    tab_to(&page, "ask", TAB).await?;
    page.press(ENTER).await?;
    told(&page, &format!("A 103 came before the page. {ASKED}")).await?;
    assert_eq!(wishes(&site), ["way=early-hints&accept=false"]);
    // The frames are longer than their box, and are scrolled by keys.
    tab_to(&page, "frames", TAB).await?;
    let address: String = page.run("return location.href", &[]).await?;
    assert_eq!(address, site.at(CHAPTER), "the arrow key turned the page");
    Ok(())
}

pub(crate) async fn it_says_in_words_that_no_push_server_runs(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let site = suite.site_with(None).await?;
    open(&page, &site).await?;
    page.click(&part("ask")).await?;
    told(&page, "The push server is not running: its port was taken.").await?;
    let shown: [bool; 2] = page
        .run(
            "return arguments[0].map((part) => document.querySelector(part).checkVisibility())",
            &[json!(["frames", "own"].map(part))],
        )
        .await?;
    assert_eq!(shown, [false, false]);
    Ok(())
}

pub(crate) async fn the_page_of_the_push_server_tells_what_it_saw(
    suite: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    let engine = Engine::find(page.kind()).map_err(Missing)?;
    let driver = Driver::start(engine.with_any_certificate()).await?;
    let own = driver.browser().await?;
    let page = Page::only(&own).await?;
    let root = suite.push().await?.address.to_string();

    page.open(&root).await?;
    let seen = verdict(&page).await?;
    // Chromium takes no pushes, and says so.
    let [enable_push, promises, refused, hints, style, script] =
        seen.each_ref().map(String::as_str);
    assert_eq!(
        [enable_push, promises, refused, hints],
        ["0", "0", "0", "0"]
    );
    assert_eq!([style, script], ["link", "script"]);
    let frames: String = page
        .run("return document.getElementById('frames').textContent", &[])
        .await?;
    assert!(frames.contains("client SETTINGS"), "{frames}");
    assert!(frames.contains(":path: /style.css"), "{frames}");

    page.click("nav a[href='early-hints/']").await?;
    loaded(&page, &format!("{root}early-hints/")).await?;
    let seen = verdict(&page).await?;
    assert_eq!(seen[3], "1");
    page.click("nav a[href='../plain/']").await?;
    loaded(&page, &format!("{root}plain/")).await?;
    // The connection is the same, and so is its record.
    assert_eq!(verdict(&page).await?[3], "1");
    page.click("nav a[href='../.']").await?;
    loaded(&page, &root).await?;
    assert_eq!(page.complaints().await?, Vec::<String>::new());
    own.close().await;
    Ok(())
}

async fn loaded(page: &Page, address: &str) -> anyhow::Result<()> {
    page.until(
        address,
        "return location.href === arguments[0] && document.readyState === 'complete'",
        &[json!(address)],
    )
    .await
}

/// Waits until the page has asked its server, and gives what it then says, in the order in which it
/// stands there.
async fn verdict(page: &Page) -> anyhow::Result<[String; 6]> {
    page.until_some(
        "the server's record",
        "const verdict = document.getElementById('verdict');
        return verdict?.dataset.state === 'told' && Array.from(verdict.querySelectorAll('dd'), (dd) => dd.textContent)",
        &[],
    )
    .await
}
