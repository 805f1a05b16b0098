//! Files from memory.

use axum::{body::Body, response::Response, Router};
use http::Request;
use serving::assets::{self, Asset};
use tower::ServiceExt;

static ASSETS: &[Asset] = &[
    ("deep/cursor.js", b"export {};\n"),
    ("index.html", b"<!doctype html>\n"),
];

async fn ask(method: &str, path: &str, known: Option<&str>) -> (Response<()>, String) {
    let router: Router = assets::router(ASSETS);
    let request = Request::builder().method(method).uri(path);
    let request = match known {
        Some(tag) => request.header("if-none-match", tag),
        None => request,
    };
    let answer = router
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    let (parts, body) = answer.into_parts();
    let body = axum::body::to_bytes(body, 10_000).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    (Response::from_parts(parts, ()), body)
}

#[tokio::test]
async fn a_file_comes_with_its_type() {
    let (answer, body) = ask("GET", "/deep/cursor.js", None).await;
    assert_eq!((answer.status().as_u16(), &*body), (200, "export {};\n"));
    assert_eq!(
        answer.headers()["content-type"],
        "text/javascript; charset=utf-8"
    );
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    assert_eq!(answer.headers()["cache-control"], "no-cache");
    let (answer, body) = ask("GET", "/", None).await;
    assert_eq!(
        (answer.status().as_u16(), &*body),
        (200, "<!doctype html>\n")
    );
    assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
    let (answer, body) = ask("HEAD", "/", None).await;
    assert_eq!((answer.status().as_u16(), &*body), (200, ""));
    assert_eq!(answer.headers()["content-length"], "16");
    assert_eq!(
        ask("GET", "/nothing.js", None).await.0.status().as_u16(),
        404
    );
}

#[tokio::test]
async fn a_known_file_is_not_sent_again() {
    let (answer, _) = ask("GET", "/", None).await;
    let tag = answer.headers()["etag"].to_str().unwrap().to_owned();
    let (weak, listed) = (format!("W/{tag}"), format!("\"other\", {tag}"));
    for known in [tag.as_str(), &weak, &listed, "*"] {
        let (answer, body) = ask("GET", "/", Some(known)).await;
        assert_eq!((answer.status().as_u16(), &*body), (304, ""), "{known}");
        assert_eq!(answer.headers()["etag"], *tag);
        assert_eq!(answer.headers()["cache-control"], "no-cache");
    }
    let unquoted = tag.trim_matches('"');
    for unknown in ["\"other\"", "", unquoted] {
        assert_eq!(
            ask("GET", "/", Some(unknown)).await.0.status().as_u16(),
            200,
            "{unknown}"
        );
    }
    let (other, _) = ask("GET", "/deep/cursor.js", None).await;
    assert_ne!(other.headers()["etag"], *tag);
}
