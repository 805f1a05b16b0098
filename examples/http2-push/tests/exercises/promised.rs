// Which pushes a client may take.

use http::{Method, Request};

// ANCHOR: skeleton
// ANCHOR: solution
/// Whether a client that asked for something at `authority` (a host and port) may take
/// a push that answers `promised`.
///
/// RFC 9113, section 8.4: the server must be the authority for the request that it
/// makes up, and the method must be safe and cacheable. Of the methods in use those are
/// two.
fn acceptable(promised: &Request<()>, authority: &str) -> bool {
    // ANCHOR_END: solution
    // Your code.
    // ANCHOR_END: skeleton
    // ANCHOR: solution
    let uri = promised.uri();
    uri.scheme_str() == Some("https")
        && uri.authority().is_some_and(|host| host == authority)
        && matches!(*promised.method(), Method::GET | Method::HEAD)
    // ANCHOR: skeleton
}
// ANCHOR_END: skeleton
// ANCHOR_END: solution

#[test]
fn promised_by_the_right_server_for_a_cache() {
    let request = |method: &str, uri: &str| {
        let request = Request::builder().method(method).uri(uri);
        request.body(()).unwrap()
    };
    for (method, uri, expected) in [
        ("GET", "https://book.example/style.css", true),
        ("HEAD", "https://book.example/", true),
        // The authority of another's pages, also under a name that looks alike.
        ("GET", "https://bank.example/style.css", false),
        ("GET", "https://book.example.evil.example/style.css", false),
        ("GET", "https://book.example:8443/style.css", false),
        // Not what was asked under.
        ("GET", "http://book.example/style.css", false),
        // Safe, but nothing that a cache may keep; and not even safe.
        ("OPTIONS", "https://book.example/", false),
        ("POST", "https://book.example/orders", false),
    ] {
        let found = acceptable(&request(method, uri), "book.example");
        assert_eq!(found, expected, "{method} {uri}");
    }
}
