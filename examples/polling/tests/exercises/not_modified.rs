// Reading `If-None-Match` by hand.

// ANCHOR: skeleton
// ANCHOR: solution
/// Whether a `GET` with this `If-None-Match` may be answered with 304, where `etag` is the tag of what
/// would be sent, in its quotation marks. A value that is no list of tags matches nothing.
fn not_modified(if_none_match: &str, etag: &str) -> bool {
    // ANCHOR_END: solution
    // Your code.
    // ANCHOR_END: skeleton
    // ANCHOR: solution
    let mut rest = if_none_match.trim();
    if rest == "*" {
        return true;
    }
    // The weak comparison: whether a tag is weak does not count, on either side.
    let opaque = |tag: &'_ str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    let mut matches = false;
    loop {
        // Not split at commas: a comma may stand inside a tag.
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return matches;
        }
        let quoted = rest.strip_prefix("W/").unwrap_or(rest);
        let Some((tag, after)) = quoted
            .strip_prefix('"')
            .and_then(|tag| tag.split_once('"'))
        else {
            return false;
        };
        matches |= format!("\"{tag}\"") == opaque(etag);
        rest = after.trim_start_matches([' ', '\t']);
        if !rest.is_empty() && !rest.starts_with(',') {
            return false;
        }
    }
    // ANCHOR: skeleton
}
// ANCHOR_END: skeleton
// ANCHOR_END: solution

#[test]
fn not_modified_for_lists_weak_tags_and_commas() {
    let etag = r#""k3f9x2.17""#;
    for may in [
        r#""k3f9x2.17""#,
        r#"W/"k3f9x2.17""#,
        r#""k3f9x2.16", "k3f9x2.17""#,
        r#""k3f9x2.17","k3f9x2.18""#,
        "W/\"a\" ,\tW/\"k3f9x2.17\" ,",
        r#""a,b", "k3f9x2.17""#,
        "*",
        " * ",
    ] {
        assert!(not_modified(may, etag), "{may}");
    }
    for may_not in [
        "",
        ",",
        r#""k3f9x2.1""#,
        r#""k3f9x2.170""#,
        "k3f9x2.17",
        r#""k3f9x2.17"#,
        r#"w/"k3f9x2.17""#,
        r#"W/ "k3f9x2.17""#,
        r#""a" "k3f9x2.17""#,
        r#""K3F9X2.17""#,
    ] {
        assert!(!not_modified(may_not, etag), "{may_not}");
    }
    assert!(not_modified(r#""v1""#, r#"W/"v1""#), "a weak tag of ours");
    assert!(!not_modified(r#""a,v1,b""#, r#""v1""#), "inside of a tag");
    assert!(not_modified(r#""a,b""#, r#""a,b""#), "a comma in a tag");
}
