//! The whiteboard.

use browser::{engine::Kind, page::Page, served::Served, suite::Suite};
use contract::Data;
use feed::Feed;
use serde_json::{json, Value};
use std::sync::Arc;

const RIGHT: &str = "\u{e014}";
const DOWN: &str = "\u{e015}";

/// A server, and the log of its whiteboard.
async fn server() -> anyhow::Result<(Served, Feed)> {
    let board = websocket::board();
    let config = websocket::Config {
        demo_cut: true,
        ..websocket::Config::default()
    };
    let server = Served::start(|feed, ending| {
        websocket::router(feed.clone(), board.clone(), config, ending.clone())
    });
    Ok((server.await?, board))
}

fn part(role: &str) -> String {
    format!(".live-panel[data-view=whiteboard] [data-role={role}]")
}

/// Presses Start, and waits until it has worked.
pub(crate) async fn start(page: &Page) -> anyhow::Result<()> {
    page.click(&part("start")).await?;
    page.until(
        "an open whiteboard",
        "return document.querySelector(arguments[0]).dataset.state === 'open'",
        &[json!(part("status"))],
    )
    .await
}

/// Goes to a server's page and starts its whiteboard.
async fn open(page: &Page, server: &Served) -> anyhow::Result<()> {
    page.open(&server.root).await?;
    page.until(
        "the whiteboard",
        "return document.querySelector(arguments[0])?.checkVisibility()",
        &[json!(part("start"))],
    )
    .await?;
    start(page).await
}

/// A stroke as it is drawn: its cursor, its colour, its points in the units of the drawing.
type Line = (String, String, String);

/// The strokes of the log that are drawn, in their order.
async fn lines(page: &Page) -> anyhow::Result<Vec<Line>> {
    let script = "return Array.from(document.querySelectorAll(arguments[0]), (line) =>
        [line.dataset.key, line.dataset.colour, line.getAttribute('points')])";
    page.run(script, &[json!(format!("{} polyline", part("kept")))])
        .await
}

/// Waits until so many strokes of the log are drawn, and none that the log has not.
async fn until_drawn(page: &Page, count: usize) -> anyhow::Result<Vec<Line>> {
    page.until(
        &format!("{count} strokes"),
        "const [kept, others, count] = arguments;
        return document.querySelectorAll(kept).length === count && document.querySelector(others) === null",
        &[
            json!(format!("{} polyline", part("kept"))),
            json!(format!("{0} [data-role=unsent] polyline, {0} [data-role=drawing] polyline", part("board"))),
            json!(count),
        ],
    )
    .await?;
    lines(page).await
}

/// Draws one short stroke by keyboard.
pub(crate) async fn draw(page: &Page) -> anyhow::Result<()> {
    let before = lines(page).await?.len();
    keys(page).await?;
    until_drawn(page, before + 1).await?;
    Ok(())
}

/// Lowers the pen, moves it to the right and down, and lifts it.
async fn keys(page: &Page) -> anyhow::Result<()> {
    let focus = "document.querySelector(arguments[0]).focus()";
    page.run::<Value>(focus, &[json!(part("board"))]).await?;
    page.press(&format!(" {RIGHT}{RIGHT}{DOWN} ")).await
}

/// Where a place on the board is in the window, in CSS pixels; the board is brought into view.
async fn place(page: &Page, x: f64, y: f64) -> anyhow::Result<(f64, f64)> {
    page.run(
        "const board = document.querySelector(arguments[0] + ' svg');
        board.scrollIntoView({ block: 'center', behavior: 'instant' });
        const { left, top, width, height } = board.getBoundingClientRect();
        return [left + arguments[1] * width, top + arguments[2] * height]",
        &[json!(part("board")), json!(x), json!(y)],
    )
    .await
}

/// Where such places are. To look at one does not move the others: the board is in view after the
/// first.
async fn places(page: &Page, wanted: &[(f64, f64)]) -> anyhow::Result<Vec<(f64, f64)>> {
    let mut places = Vec::new();
    for &(x, y) in wanted {
        places.push(place(page, x, y).await?);
    }
    Ok(places)
}

/// Draws with the mouse along places between 0 and 1.
async fn drag(page: &Page, wanted: &[(f64, f64)]) -> anyhow::Result<()> {
    page.drag(&places(page, wanted).await?).await
}

/// Draws with a finger, or with the mouse again where the driver has no finger: WebKitGTK's.
async fn swipe(page: &Page, wanted: &[(f64, f64)]) -> anyhow::Result<()> {
    let places = places(page, wanted).await?;
    match page.kind() {
        Kind::WebKit => page.drag(&places).await,
        Kind::Chromium | Kind::Firefox => page.swipe(&places).await,
    }
}

/// Publishes a stroke, or what shall pass for one.
async fn publish(board: &Feed, data: Value) -> anyhow::Result<()> {
    board.publish("stroke".parse()?, Data::new(&data)?).await?;
    Ok(())
}

pub(crate) async fn it_is_one_board_for_all_and_nothing_is_lost_in_a_cut(
    _: Arc<Suite>,
    page: Page,
) -> anyhow::Result<()> {
    // One trial and one browser: what is costly here is to begin.
    through_a_cut(&page).await?;
    in_several_tabs(&page).await
}

/// What one tab draws the other shows, and so does one that comes late.
async fn in_several_tabs(here: &Page) -> anyhow::Result<()> {
    let (server, board) = server().await?;
    open(here, &server).await?;
    let there = here.another().await?;
    open(&there, &server).await?;

    there
        .click(&format!("{} input[value=red]", part("colours")))
        .await?;
    drag(&there, &[(0.1, 0.2), (0.5, 0.2), (0.5, 0.8)]).await?;
    let drawn = until_drawn(&there, 1).await?;
    assert_eq!(drawn[0].1, "red");
    let first: Vec<f64> = drawn[0]
        .2
        .split([' ', ','])
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    // Units of 1500 by 1000; a pixel is less than 5 of them.
    let wanted = [150.0, 200.0, 750.0, 200.0, 750.0, 800.0];
    assert_eq!(first.len(), wanted.len(), "{first:?}");
    for (is, wanted) in first.iter().zip(wanted) {
        assert!((is - wanted).abs() < 5.0, "{first:?}");
    }

    here.to_front().await?;
    assert_eq!(until_drawn(here, 1).await?, drawn);
    // The other way, on a telephone.
    let width = here.resize(390, 844).await?;
    let fits = "return document.documentElement.scrollWidth <= arguments[0]";
    here.until("a page that fits a telephone", fits, &[json!(width)])
        .await?;
    swipe(here, &[(0.2, 0.5), (0.5, 0.6), (0.8, 0.9)]).await?;
    let drawn = until_drawn(here, 2).await?;
    assert_eq!(drawn[1].2.split(' ').count(), 3, "{drawn:?}");
    // Neither what is no stroke nor what is out of all bounds does harm.
    publish(&board, json!({ "points": "<script>" })).await?;
    publish(
        &board,
        json!({ "colour": "url(//elsewhere.test)", "width": 1e9, "points": [[-7, 1e9]] }),
    )
    .await?;
    let drawn = until_drawn(here, 3).await?;
    assert_eq!(drawn[2].1, "ink");
    assert_eq!(drawn[2].2, "0,1000 0,1000");
    there.to_front().await?;
    assert_eq!(until_drawn(&there, 3).await?, drawn);

    let late = there.another().await?;
    open(&late, &server).await?;
    assert_eq!(until_drawn(&late, 3).await?, drawn);
    late.click(&part("clear")).await?;
    for page in [&late, here, &there] {
        page.to_front().await?;
        until_drawn(page, 0).await?;
    }
    Ok(())
}

/// The keyboard draws, and nothing is lost where the connection is cut.
async fn through_a_cut(page: &Page) -> anyhow::Result<()> {
    // More than a board that had stopped at one batch would show.
    const OTHERS: usize = feed::BATCH_EVENTS + 50;
    const BOARD: &str = "GET /board";
    let (server, board) = server().await?;
    open(page, &server).await?;
    keys(page).await?;
    let drawn = until_drawn(page, 1).await?;
    assert_eq!(drawn[0].2, "750,500 765,500 780,500 780,515");

    server.hold(|path| path == "/board");
    page.click(&part("cut")).await?;
    server
        .until("second socket", |asked| {
            asked.iter().filter(|asked| asked.what == BOARD).count() == 2
        })
        .await?;
    // Drawn without a connection: seen at once, and kept until there is one.
    keys(page).await?;
    page.until(
        "a stroke that waits",
        "return document.querySelector(arguments[0])?.getAttribute('points')",
        &[json!(format!("{} polyline", part("unsent")))],
    )
    .await?;
    assert_eq!(lines(page).await?.len(), 1);
    for number in 0..OTHERS {
        publish(
            &board,
            json!({ "colour": "blue", "width": 4, "points": [[number, 0], [number, 9]] }),
        )
        .await?;
    }
    server.release();
    let drawn = until_drawn(page, OTHERS + 2).await?;
    assert_eq!(
        drawn[OTHERS + 1].2,
        "780,515 795,515 810,515 810,530",
        "the pen went on from where it was"
    );
    let parts = ["received", "lost", "doubled", "gaps", "reconnects"].map(part);
    let script =
        "return arguments[0].map((part) => Number(document.querySelector(part).textContent))";
    let counts: [usize; 5] = page.run(script, &[json!(parts)]).await?;
    assert_eq!(counts, [OTHERS + 2, 0, 0, 0, 1]);
    Ok(())
}
