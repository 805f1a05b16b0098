// Reading `If-None-Match` by hand.

// ANCHOR: skeleton
// ANCHOR: solution
/// Whether a `GET` with this `If-None-Match` may be answered with 304, where `etag` is
/// the tag of what would be sent, in its quotation marks. A value that is no list of
/// tags matches nothing.
fn not_modified(if_none_match: &str, etag: &str) -> bool {
    // ANCHOR_END: solution
    // Your code.
    // ANCHOR_END: skeleton
    // ANCHOR: solution
    const BETWEEN: [char; 3] = [',', ' ', '\t'];
    if if_none_match.trim_matches([' ', '\t']) == "*" {
        return true; // alone: a list with a star in it is none
    }
    let mut rest = if_none_match.trim_matches(BETWEEN);
    // The weak comparison: whether a tag is weak does not count, on either side.
    let ours = etag.trim_start_matches("W/");
    let mut found = false;
    while !rest.is_empty() {
        let quoted = rest.strip_prefix("W/").unwrap_or(rest);
        // Up to the next quotation mark, and not to the next comma: a tag may have one
        // inside.
        let text = quoted.strip_prefix('"').unwrap_or_default();
        let Some(length) = text.find('"') else {
            return false;
        };
        let (tag, after) = quoted.split_at(length + 2);
        found |= tag == ours;
        rest = after.trim_start_matches(BETWEEN);
        if after.trim_start_matches([' ', '\t']) == rest && !rest.is_empty() {
            return false; // no comma between two tags
        }
    }
    found
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
        "*,",
        ", *",
        r#""a", *"#,
    ] {
        assert!(!not_modified(may_not, etag), "{may_not}");
    }
    assert!(not_modified(r#""v1""#, r#"W/"v1""#), "a weak tag of ours");
    assert!(!not_modified(r#""a,v1,b""#, r#""v1""#), "inside of a tag");
    assert!(not_modified(r#""a,b""#, r#""a,b""#), "a comma in a tag");
}
