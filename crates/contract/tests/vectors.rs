//! The types against the examples under `vectors/`: what is written there is read, and
//! written again byte for byte; what is refused there is refused.
//!
//! The browser's modules are tested against the same files in
//! `crates/web/tests/contract.test.js`, and the OpenAPI and AsyncAPI documents in
//! `schemas.rs`.

use contract::{
    headers, params,
    socket::{
        Ack, Auth, ClientMessage, Close, Publish, Refusal, ServerMessage, SUBPROTOCOL,
    },
    stream::{StreamMessage, DEFAULT_TYPE},
    Accepted, Cursor, Data, End, EndReason, Event, Gap, GapReason, Heartbeat, Hello,
    IdempotencyKey, Kind, LogPage, NewEvent, Position, Problem, ProblemKind, Status,
    PROBLEM_JSON, TYPE_PREFIX,
};
use serde::{de::DeserializeOwned, Deserialize, Serialize};
use serde_json::{json, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    fs,
    path::{Path, PathBuf},
    str::FromStr,
};

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = vectors().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

fn parse<T: DeserializeOwned>(path: &str) -> T {
    serde_json::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The examples of a shape: each file's name, and its text without the last line end.
fn examples(shape: &str) -> Vec<(String, String)> {
    let folder = fs::read_dir(vectors().join(shape)).expect(shape);
    let mut examples: Vec<_> = folder
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_stem().expect("a name").display().to_string();
            (name, read(&path).trim_end().to_owned())
        })
        .collect();
    examples.sort();
    assert!(!examples.is_empty(), "{shape} has no example");
    examples
}

#[derive(Deserialize)]
struct Refused {
    why: String,
    json: Value,
}

/// Checks a shape of JSON that `read` reads.
fn check<T, E>(shape: &str, read: impl Fn(&str) -> Result<T, E>)
where
    T: Serialize,
    E: Display,
{
    for (name, text) in examples(shape) {
        let value =
            read(&text).unwrap_or_else(|error| panic!("{shape}/{name}: {error}"));
        let written = serde_json::to_string(&value).unwrap();
        assert_eq!(written, text, "{shape}/{name}");
    }
    let mut tolerated: BTreeMap<String, Vec<Value>> = parse("tolerated.json");
    for value in tolerated.remove(shape).unwrap_or_default() {
        assert!(read(&value.to_string()).is_ok(), "{shape}: {value}");
    }
    let mut refused: BTreeMap<String, Vec<Refused>> = parse("refused.json");
    for Refused { why, json } in refused.remove(shape).unwrap_or_default() {
        assert!(read(&json.to_string()).is_err(), "{shape}, {why}: {json}");
    }
}

fn json<T: DeserializeOwned>(text: &str) -> serde_json::Result<T> {
    serde_json::from_str(text)
}

#[test]
fn each_shape_is_read_and_written() {
    check("event", json::<Event>);
    check("new-event", json::<NewEvent>);
    check("accepted", json::<Accepted>);
    check("log-page", json::<LogPage>);
    check("status", json::<Status>);
    check("hello", json::<Hello>);
    check("heartbeat", json::<Heartbeat>);
    check("gap", json::<Gap>);
    check("end", json::<End>);
    check("problem", json::<Problem>);
    check("client-message", ClientMessage::read);
    check("server-message", |text| {
        let message = ServerMessage::read(text).map_err(|error| error.to_string())?;
        message.ok_or_else(|| "not known".to_owned())
    });
}

#[test]
fn what_is_not_known_is_ignored() {
    let ignored: BTreeMap<String, Vec<Value>> = parse("ignored.json");
    for value in &ignored["server-message"] {
        let read = ServerMessage::read(&value.to_string());
        assert!(matches!(read, Ok(None)), "{value}: {read:?}");
    }
    for block in &ignored["stream"] {
        let event_type = block["event"].as_str().unwrap();
        let read = StreamMessage::read(event_type, &block["data"].to_string());
        assert!(matches!(read, Ok(None)), "{block}: {read:?}");
    }
}

/// Whichever refused message a publish is in, its publisher learns which one is meant.
#[test]
fn an_unreadable_publish_names_its_attempt() {
    let refused: BTreeMap<String, Vec<Refused>> = parse("refused.json");
    for Refused { why, json } in &refused["client-message"] {
        let error = ClientMessage::read(&json.to_string()).unwrap_err();
        let named = json["publish"]["ref"].as_str();
        let named = named.and_then(|text| text.parse().ok());
        assert_eq!(error.reference, named, "{why}");
    }
}

#[test]
fn each_message_of_a_stream_is_read_and_written() {
    let mut types = BTreeSet::new();
    for (name, block) in examples("stream") {
        let field = |field: &str| {
            let mut lines = block.lines();
            lines.find_map(|line| line.strip_prefix(field)?.strip_prefix(": "))
        };
        let event_type = field("event").unwrap_or(DEFAULT_TYPE);
        let data = field("data").expect("each block has data");
        let message = StreamMessage::read(event_type, data).unwrap().expect(&name);
        assert_eq!(message.event_type(), event_type, "{name}");
        assert_eq!(message.data(), data, "{name}");
        // The cursor to come back with.
        let id = match message {
            StreamMessage::Hello(hello) => Some(hello.cursor),
            StreamMessage::Event(event) => Some(event.id),
            StreamMessage::Gap(gap) => Some(gap.resume),
            // Where the stream stands.
            StreamMessage::Heartbeat(_) => field("id").map(|id| id.parse().unwrap()),
            StreamMessage::End(_) => None,
        };
        assert_eq!(
            field("id"),
            id.map(|id| id.to_string()).as_deref(),
            "{name}"
        );
        types.insert(event_type.to_owned());
    }
    assert_eq!(
        types.iter().collect::<Vec<_>>(),
        ["end", "gap", "heartbeat", "hello", "message"]
    );
}

#[derive(Deserialize)]
struct Texts {
    valid: Vec<String>,
    invalid: Vec<String>,
}

fn check_text<T: FromStr + Display>(shape: &str) {
    let Texts { valid, invalid } = parse(&format!("text/{shape}.json"));
    for text in valid {
        let read: Option<T> = text.parse().ok();
        assert_eq!(read.expect(&text).to_string(), text, "{shape}");
    }
    for text in invalid {
        assert!(text.parse::<T>().is_err(), "{shape}: {text:?}");
    }
}

#[test]
fn each_text_is_read_and_written() {
    check_text::<Cursor>("cursor");
    check_text::<Position>("position");
    check_text::<Kind>("kind");
    check_text::<IdempotencyKey>("idempotency-key");
    let Texts { valid, invalid } = parse("data.json");
    for text in valid {
        assert_eq!(Data::from_json(&text).expect(&text).as_str(), text);
    }
    for text in invalid {
        assert!(Data::from_json(&text).is_err(), "{text:.60}");
    }
}

#[test]
fn each_name_is_the_one_that_is_written_down() {
    let names: Value = parse("names.json");
    let expected = json!({
        "headers": {
            "idempotency_key": headers::IDEMPOTENCY_KEY,
            "last_event_id": headers::LAST_EVENT_ID,
            "prefer": headers::PREFER,
            "preference_applied": headers::PREFERENCE_APPLIED,
        },
        "params": {
            "after": params::AFTER,
            "last_event_id": params::LAST_EVENT_ID,
            "connection": params::CONNECTION,
        },
        "subprotocol": SUBPROTOCOL,
        "problem_type_prefix": TYPE_PREFIX,
        "problem_media_type": PROBLEM_JSON,
        "default_event_type": DEFAULT_TYPE,
    });
    assert_eq!(names, expected);
}

#[test]
fn each_close_code_is_the_one_that_is_written_down() {
    let closes: Value = parse("close.json");
    let all = Close::ALL.map(|close| {
        assert_eq!(Close::from_code(close.code()), Some(close));
        json!({ "code": close.code(), "reason": close.reason() })
    });
    assert_eq!(closes, json!(all));
    assert_eq!(Close::from_code(1006), None);
}

#[test]
fn each_problem_has_an_example() {
    let examples = examples("problem");
    let named: BTreeSet<_> = examples.iter().map(|(name, _)| &**name).collect();
    let all = ProblemKind::ALL.iter().map(|kind| kind.name());
    assert_eq!(named, all.collect());
    for (name, text) in &examples {
        let problem: Problem = serde_json::from_str(text).unwrap();
        let kind = ProblemKind::from_name(name).unwrap();
        assert_eq!(problem.kind(), Some(kind));
        assert_eq!(
            (problem.status, &*problem.title),
            (kind.status(), kind.title())
        );
        let gap = problem.to_gap().map(Problem::gap);
        match kind {
            ProblemKind::Expired | ProblemKind::NewLog => {
                assert_eq!(gap, Some(problem))
            }
            _ => assert_eq!(gap, None),
        }
    }
}

/// The names of all members in the examples of a shape, and of objects inside it as
/// `outer.inner`; what is in `data` is the publisher's own.
fn members(value: &Value, under: &str, all: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                let path = format!("{under}{name}");
                if name != "data" {
                    members(value, &format!("{path}."), all);
                }
                all.insert(path);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| members(item, under, all)),
        _ => {}
    }
}

/// One value of each shape, with each member set. A new member does not compile here,
/// and once it is here the examples must have it, and by those the documents and the
/// browser's modules.
#[test]
fn each_member_has_an_example() {
    let cursor: Cursor = "k3f9x2.17".parse().unwrap();
    let kind: Kind = "tick".parse().unwrap();
    let key: IdempotencyKey = "a".parse().unwrap();
    let data = Data::new(&1).unwrap();
    let event = Event {
        id: cursor,
        at: String::new(),
        kind: kind.clone(),
        data: data.clone().into_raw(),
    };
    let gap = Gap {
        reason: GapReason::Expired,
        asked: Some(cursor),
        resume: cursor,
    };
    let hello = Hello { cursor, every: 1 };
    let heartbeat = Heartbeat {
        every: 1,
        cursor: Some(cursor),
    };
    let problem = Problem {
        type_uri: "".into(),
        title: "".into(),
        status: 400,
        detail: Some("".into()),
        asked: Some(cursor),
        resume: Some(cursor),
        retry_after: Some(1),
    };
    // Which members a problem has depends on its kind.
    let mended = Problem {
        asked: None,
        resume: None,
        ..problem.clone()
    };
    let page = LogPage {
        after: cursor,
        events: vec![event.clone()],
        next: cursor,
        more: true,
        finished: true,
    };
    let status = Status {
        earliest: cursor,
        latest: cursor,
        finished: true,
    };
    let new_event = NewEvent {
        kind: kind.clone(),
        data: data.clone(),
    };
    let end = End {
        reason: EndReason::Shutdown,
    };
    let publish = Publish {
        reference: key.clone(),
        kind,
        data,
    };
    let ack = Ack {
        reference: key.clone(),
        id: cursor,
    };
    let refusal = Refusal {
        reference: Some(key),
        problem: mended,
    };
    let server = [
        ServerMessage::Hello(hello),
        ServerMessage::Event(event.clone()),
        ServerMessage::Gap(gap),
        ServerMessage::Heartbeat(heartbeat),
        ServerMessage::Ack(ack),
        ServerMessage::Error(refusal),
    ];
    for message in &server {
        // A message without a value above does not compile.
        match message {
            ServerMessage::Hello(_)
            | ServerMessage::Event(_)
            | ServerMessage::Gap(_)
            | ServerMessage::Heartbeat(_)
            | ServerMessage::Ack(_)
            | ServerMessage::Error(_) => {}
        }
    }
    let auth = Auth { token: "a".into() };
    let client = [ClientMessage::Publish(publish), ClientMessage::Auth(auth)];
    for message in &client {
        match message {
            ClientMessage::Publish(_) | ClientMessage::Auth(_) => {}
        }
    }
    for (shape, full) in [
        ("event", json!(event)),
        ("new-event", json!(new_event)),
        ("accepted", json!(Accepted { id: cursor })),
        ("log-page", json!(page)),
        ("status", json!(status)),
        ("hello", json!(hello)),
        ("heartbeat", json!(heartbeat)),
        ("gap", json!(gap)),
        ("end", json!(end)),
        ("problem", json!(problem)),
        ("server-message", json!(server)),
        ("client-message", json!(client)),
    ] {
        let (mut of_type, mut of_examples) = (BTreeSet::new(), BTreeSet::new());
        members(&full, "", &mut of_type);
        for (_, text) in examples(shape) {
            let value: Value = serde_json::from_str(&text).unwrap();
            members(&value, "", &mut of_examples);
        }
        assert_eq!(of_type, of_examples, "{shape}");
    }
}

/// The page "The wire contract" explains each member, and has a row for each problem
/// and each close code.
#[test]
fn the_page_names_all_of_it() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../src/contract.md");
    let page = fs::read_to_string(path).expect("the page");
    let mut all = BTreeSet::new();
    for shape in [
        "event", "log-page", "status", "gap", "end", "problem", "hello",
    ] {
        for (_, text) in examples(shape) {
            members(&serde_json::from_str(&text).unwrap(), "", &mut all);
        }
    }
    for member in all {
        let name = member.rsplit('.').next().expect("a name");
        assert!(page.contains(&format!("`{name}`")), "`{name}`");
    }
    for kind in ProblemKind::ALL {
        let row = format!("| `{}` | {}", kind.name(), kind.status());
        assert!(page.contains(&row), "{row}");
    }
    for close in Close::ALL {
        let code = close.code().to_string();
        let mut rows = page
            .lines()
            .filter(|line| line.starts_with("| 1") || line.starts_with("| 3"));
        assert!(rows.any(|row| row.contains(&code)), "{code}");
    }
    let names: Value = parse("names.json");
    let lower = page.to_ascii_lowercase();
    for group in ["headers", "params"] {
        for name in names[group].as_object().expect("names").values() {
            let name = name.as_str().expect("a name").to_ascii_lowercase();
            assert!(lower.contains(&name), "{name}");
        }
    }
}
