//! What the pages say of costs comes from the data.

use figures::{one_thread, outputs, root, Book};
use mdbook_markdown::pulldown_cmark::{Event, HeadingLevel, Tag, TagEnd};
use mdbook_markdown::{new_cmark_parser, MarkdownOptions};
use regex::Regex;
use std::{fs, path::Path};

/// The sections whose figures are measured, by page and heading.
const SECTIONS: [(&str, &str); 12] = [
    ("polling/index.md", COSTS),
    ("long-polling/index.md", COSTS),
    ("sse/index.md", COSTS),
    ("websocket/index.md", COSTS),
    ("choosing/index.md", "Measured"),
    ("choosing/index.md", "Many clients, one thread"),
    ("choosing/index.md", "Over HTTP/2 and TLS"),
    ("choosing/index.md", "Beside other servers"),
    ("choosing/index.md", "How many readers"),
    ("choosing/cases.md", "The bills"),
    ("foundations/round-trips.md", "Measured across a distance"),
    ("foundations/http-versions.md", "One lost packet stops all"),
];
const COSTS: &str = "What it costs, measured";

/// The text of a section's paragraphs, items and rows, as it is in the source: what an include
/// brings is not in it.
fn blocks(page: &str, heading: &str) -> Vec<String> {
    // An include would end a row or stand as text.
    let include = Regex::new(r"\{\{#include [^}]*\}\}").unwrap();
    let page = include.replace_all(page, "INCLUDED");
    let mut level: Option<HeadingLevel> = None;
    let (mut found, mut text, mut has_source, mut title) = (Vec::new(), String::new(), false, None);
    let mut in_code = false;
    for event in new_cmark_parser(&page, &MarkdownOptions::default()) {
        match event {
            Event::Start(Tag::Heading { level, .. }) => title = Some((level, String::new())),
            Event::End(TagEnd::Heading(_)) => {
                let (this, name) = title.take().unwrap();
                match level {
                    Some(of_section) if this <= of_section => return found,
                    None if name == heading => level = Some(this),
                    _ => {}
                }
            }
            Event::Start(Tag::CodeBlock(_)) => in_code = true,
            Event::End(TagEnd::CodeBlock) => in_code = false,
            Event::Start(Tag::Link { dest_url, .. }) => {
                has_source |= dest_url.contains("facts.md#fact-");
            }
            Event::Text(piece) if !in_code => match &mut title {
                Some((_, title)) => title.push_str(&piece),
                None => text.push_str(&piece),
            },
            Event::Html(html) if html.contains("figcaption") => text.push_str(&html),
            Event::SoftBreak => text.push(' '),
            Event::End(
                TagEnd::Paragraph
                | TagEnd::Item
                | TagEnd::TableRow
                | TagEnd::TableHead
                | TagEnd::HtmlBlock,
            ) => {
                let block = std::mem::take(&mut text);
                if level.is_some() && !std::mem::take(&mut has_source) && !block.is_empty() {
                    found.push(block);
                }
            }
            _ => {}
        }
    }
    found
}

/// A number that stands in a sentence by hand stays when the figures move. What somebody else has
/// measured has its source beside it.
#[test]
fn no_figure_of_ours_stands_in_prose_by_hand() {
    let names = Regex::new(r"HTTP/[123](?:\.1)?|Figure \d+|99 (?:of|in) 100").unwrap();
    for (page, heading) in SECTIONS {
        let text = fs::read_to_string(root().join("src").join(page)).unwrap();
        let blocks = blocks(&text, heading);
        assert!(blocks.len() >= 2, "{page}: {heading} has {blocks:?}");
        for block in blocks {
            let rest = names.replace_all(&block, "");
            let number = rest.chars().any(|letter| letter.is_ascii_digit());
            assert!(!number, "{page}, {heading}: by hand in {block:?}");
        }
    }
}

#[test]
fn a_figure_by_hand_is_found() {
    let page =
        "# A\n\n## Measured\n\nIt takes 5 ms.\n\nIt takes 6 ms ([source](facts.md#fact-a)).\n\n\
                - {{#include a.md:p50}} is late\n\n## Next\n\n7\n";
    assert_eq!(
        blocks(page, "Measured"),
        ["It takes 5 ms.", "INCLUDED is late"]
    );
}

/// Every page of the book.
fn pages() -> String {
    fn collect(directory: &Path, text: &mut String) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, text);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                text.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut text = String::new();
    collect(&root().join("src"), &mut text);
    text
}

#[test]
fn some_page_shows_each_part_and_each_chart() {
    let pages = pages();
    for (path, text) in outputs(&Book::read(root()).unwrap()).unwrap() {
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.ends_with(".svg") {
            assert!(
                pages.contains(&format!("measured/{name}}}}}")),
                "no page shows {name}"
            );
        }
        for part in text.split("\nANCHOR: ").skip(1) {
            let part = part.lines().next().unwrap();
            let include = format!("measured/{name}:{part}}}}}");
            assert!(
                pages.contains(&include),
                "no page includes {part} of {name}"
            );
        }
    }
}

/// What the prose says in words.
#[test]
fn what_the_prose_says_of_the_figures_is_so() {
    let Book { compare: data, .. } = Book::read(root()).unwrap();
    let intervals = data.intervals();
    let [short, long] = [&intervals[0], intervals.last().unwrap()];
    let [short, long] = [short, long].map(|interval| format!("polling:{interval}ms"));
    let median = |measurement: &str, method: &str, figure: &str| {
        data.median(measurement, method, figure).unwrap()
    };
    // "With a longer interval each event costs the server less."
    let cpu = |method| median("delivery", method, "server CPU");
    assert!(cpu(&long) < cpu(&short));
    // "An answer takes along what has gathered", and not less than one event.
    assert!(median("traffic", "long-polling", "requests") < 1.0);
    for method in ["sse", "websocket"] {
        // "Nothing goes up."
        assert_eq!(median("traffic", method, "bytes up"), 0.0);
        // "Times the processor time of a loop."
        assert!(
            data.row("delivery", method, "server CPU")
                .unwrap()
                .ratio_median
                > Some(1.0)
        );
    }
    // "A poll waits for its interval; the others wait for the server."
    for method in ["long-polling", "sse", "websocket"] {
        let p50 = median("delivery", method, "delay p50");
        assert!(p50 < median("delivery", &long, "delay p50"), "{method}");
    }
}

#[test]
fn what_the_prose_says_of_bytes_over_tls_is_so() {
    let Book { compare: data, .. } = Book::read(root()).unwrap();
    let intervals = data.intervals();
    let polling = format!("polling:{}ms", intervals.last().unwrap());
    let both = |measurement: &str, method: &str, figure: &str| {
        let plain = data.median(measurement, method, figure).unwrap();
        (plain, data.over_tls(measurement, method, figure).unwrap())
    };
    // "A poll that finds nothing is a good deal smaller."
    let (plain, over_tls) = both("idle", &polling, "bytes an hour");
    assert!(over_tls < 0.9 * plain, "{over_tls}, {plain}");
    // "A single event becomes a little larger": a frame and a record.
    for method in ["sse", "websocket"] {
        let (plain, over_tls) = both("traffic", method, "bytes down");
        assert!((plain..plain + 60.0).contains(&over_tls), "{method}");
    }
    // "A connection also costs more to open."
    for method in [&*polling, "long-polling", "sse", "websocket"] {
        let (plain, over_tls) = both("traffic", method, "opening down");
        assert!(over_tls > plain, "{method}: {over_tls}, {plain}");
    }
}

#[test]
fn what_the_prose_says_of_distance_and_loss_is_so() {
    let Book { lines: data, .. } = Book::read(root()).unwrap();
    let lines = data.lines();
    let far = lines.iter().map(|line| line.0).fold(0.0, f64::max);
    let most = lines.iter().map(|line| line.1).fold(0.0, f64::max);
    let median = |method: &str, loss: f64, figure: &str| {
        data.across(method, (far, loss), figure).unwrap().median
    };
    for method in ["sse", "websocket"] {
        let both = |figure| (median(method, 0.0, figure), median(method, most, figure));
        // "Half of the events", with losses or without: one way, and what the programs take.
        let (without, with) = both("delay p50");
        assert!(without >= far / 2.0, "{method}: {without}");
        assert!(with < 1.3 * without, "{method}: {with}, {without}");
        // "The last of them are late", by long polling as well.
        let (without, with) = both("delay p99");
        assert!(with > 1.3 * without, "{method}: {with}, {without}");
        // "Held up behind it."
        let (without, with) = both("behind another");
        assert!(with > without, "{method}: {with}, {without}");
        let [without_losses, with_losses] =
            [0.0, most].map(|loss| median("long-polling", loss, "delay p99"));
        assert!(with_losses > without_losses);
        // "Events come together without any loss" by long polling, more than by these.
        assert!(median("long-polling", 0.0, "behind another") > without);
    }
}

#[test]
fn what_the_prose_says_of_ever_more_clients_is_so() {
    let Book { scale, .. } = Book::read(root()).unwrap();
    for method in ["long-polling", "sse", "websocket"] {
        // "With more events in the same time each delivery becomes cheaper."
        let cpu = scale.points("rate", method, "server CPU");
        let [first, .., last] = &cpu[..] else {
            panic!("{method}: two rates at least")
        };
        assert!(last.median < first.median, "{method}");
        // "That an event comes costs more than its size."
        let cpu = scale.points("payload", method, "server CPU");
        assert!(cpu[1].median < 2.0 * cpu[0].median, "{method}");
    }
}

/// A part's first number: "$1,800", "83 kB", "1.8 billion".
fn number(part: &str) -> f64 {
    let files = outputs(&Book::read(root()).unwrap()).unwrap();
    let text = &files[Path::new("src/measured/figures.md")];
    let begin = format!("\nANCHOR: {part}\n");
    let (_, text) = text.split_once(&begin).expect("there is such a part");
    let text = text.lines().next().unwrap().replace(['$', ','], "");
    let (digits, unit) = text.split_once(' ').unwrap_or((&text, ""));
    let one = match unit {
        "kB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "" | "bytes" => 1.0,
        other => panic!("{part}: {other}"),
    };
    digits.parse::<f64>().unwrap() * one
}

#[test]
fn what_worked_choices_says_of_its_sums_is_so() {
    // "Once by hand": as the page had them before anything calculated them.
    assert_eq!(number("case-dashboard-polls"), 20.0);
    assert_eq!(number("case-dashboard-day"), 83e3);
    assert_eq!(number("case-chat-messages"), 42.0);
    assert_eq!(number("case-chat-deliveries"), 2083.0);
    assert_eq!(number("case-chat-polls"), 5000.0);
    assert_eq!(number("case-ticker-polls"), 500_000.0);
    assert_eq!(number("case-ticker-requests-bill"), 1800.0);
    assert_eq!(number("case-job-polls"), 150.0);
    assert_eq!(number("case-tokens"), 20_000.0);
    assert_eq!(number("case-editor-out"), 280_000.0);
    assert_eq!(number("case-hospital-polls"), 12.0);
    // "The stream is leaner by day."
    assert!(number("case-dashboard-stream") < number("case-dashboard-day"));
    // "A poll costs more than the bytes that it brings."
    assert!(number("case-ticker-requests-bill") > number("case-ticker-traffic-bill"));
    // "A fifth."
    let fifth = number("case-ticker-requests-bill") / 5.0;
    assert_eq!(number("case-ticker-seldom-bill"), fifth);
    // "Sends less than 1 MB" for the caches.
    assert!(number("case-ticker-cached") < 1e6);
}

/// A row of the table of the bills: what a month costs from one's own machines, and through a
/// network.
fn bills(way: &str) -> (f64, f64) {
    let files = outputs(&Book::read(root()).unwrap()).unwrap();
    let text = &files[Path::new("src/measured/tables.md")];
    let (_, table) = text.split_once("\nANCHOR: cases-bills\n").unwrap();
    let row = table.lines().find(|line| line.contains(way)).unwrap();
    let cells = row.trim_matches(['|', ' ']).rsplit(" | ");
    let mut dollars = cells.map(|cell| cell.replace(['$', ','], "").parse().unwrap());
    let network = dollars.next().unwrap();
    (dollars.next().unwrap(), network)
}

#[test]
fn what_worked_choices_says_of_its_bills_is_so() {
    let chat = |title: &str| bills(&format!("Chat, {title}</span>"));
    let (stream, through) = chat("<span class=\"method-sse\">SSE");
    let (answers, billed) = chat("<span class=\"method-long-polling\">Long polling");
    // "One method costs about as much as another."
    assert!(
        (0.5..2.0).contains(&(answers / stream)),
        "{answers}, {stream}"
    );
    // "Cheap as a stream, and dear by long polling."
    assert!(billed > 10.0 * through, "{billed}, {through}");
}

#[test]
fn what_the_prose_says_of_bursts_is_so() {
    let Book { compare, many, .. } = Book::read(root()).unwrap();
    let burst =
        |method: &str, figure: &str| one_thread(&compare.rows, "burst", method, figure).unwrap();
    let gain = |method: &str| {
        burst(method, "deliveries a CPU-second")
            .ratio_median
            .unwrap()
    };
    for (method, bare) in [("sse", "hyper-stream"), ("websocket", "axum-socket")] {
        // "So many times as many deliveries", and "the bare servers gain less".
        assert!(gain(method) > 1.0 && gain(method) > gain(bare), "{method}");
        // "The price is delay."
        let [own, bare] = [method, bare].map(|it| burst(it, "delay p99").median);
        assert!(own > bare, "{method}: {own}, {bare}");
    }
    // "A bare stream gains as well."
    let row = one_thread(
        &many.rows,
        "burst",
        "hyper-stream",
        "deliveries a CPU-second",
    );
    assert!(row.unwrap().ratio_median > Some(gain("hyper-stream")));
}

/// What the section on zones says in words.
#[test]
fn what_the_prose_says_of_zones_is_so() {
    use capacity::{measured::HTTP2_TLS, Engine, Load, Machine, Method, Servers};
    let plan = |readers: f64, zones: f64, engine: &Engine| {
        let load = Load {
            readers,
            ..Load::EXAMPLE
        };
        let servers = Servers {
            zones,
            ..Servers::EXAMPLE
        };
        servers.plan(&load, Method::Sse, &HTTP2_TLS.sse, &Machine::RAISED, engine)
    };
    // Readers of a table's row whose connections are more than PostgreSQL accepts.
    let plan_of = plan(1e5, 3.0, &Engine::POSTGRES);
    assert!(plan_of.log_connections > Engine::POSTGRES.most_connections);
    assert!(8.0 * plan_of.log_bytes_per_s < 0.001 * Machine::RAISED.bits_per_s);
    for readers in [1e4, 1e5, 1e6, 1e7] {
        let plan = plan(readers, 3.0, &Engine::JETSTREAM);
        assert!(plan.herd_per_s > Servers::EXAMPLE.accepts_per_s);
        assert!(plan.least_return_s > Servers::EXAMPLE.return_s);
    }
    // Where no server is filled by a part alone: twice, half as many again, a third more.
    let spare = 16_000.0 * 60.0;
    for (zones, wanted) in [(2.0, 120.0), (3.0, 90.0), (4.0, 80.0)] {
        assert_eq!(
            plan(spare, zones, &Engine::JETSTREAM).servers,
            wanted,
            "{zones}"
        );
    }
}
