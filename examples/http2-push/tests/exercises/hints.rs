// What a 103 is good for.

// ANCHOR: skeleton
// ANCHOR: solution
/// The addresses to load ahead of the page, from the values of the `Link` headers of a
/// 103.
///
/// A value looks like `</style.css>; rel=preload; as=style`. Only `rel=preload` counts
/// here, in any order of the parameters and in any case; what `kept` says it has
/// already is not loaded again. Several links in one value are left to a library.
fn to_load<'a>(links: &[&'a str], kept: impl Fn(&str) -> bool) -> Vec<&'a str> {
    // ANCHOR_END: solution
    // Your code.
    // ANCHOR_END: skeleton
    // ANCHOR: solution
    let wanted = links.iter().filter_map(|link| {
        let (address, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let mut parameters = parameters.split(';').map(str::trim);
        let preload = parameters.any(|one| {
            one.split_once('=').is_some_and(|(name, value)| {
                let value = value.trim().trim_matches('"');
                name.trim().eq_ignore_ascii_case("rel")
                    && value.eq_ignore_ascii_case("preload")
            })
        });
        (preload && !kept(address)).then_some(address)
    });
    wanted.collect()
    // ANCHOR: skeleton
}
// ANCHOR_END: skeleton
// ANCHOR_END: solution

#[test]
fn hints_are_heeded_unless_the_client_knows_better() {
    let links = [
        "</style.css>; rel=preload; as=style",
        "</script.js>; as=script; REL=\"Preload\"",
        // Another kind of link, one without an address, and a style sheet that only
        // mentions the word.
        "<https://cdn.example>; rel=preconnect",
        "/no-brackets.css; rel=preload",
        "</later.css>; rel=stylesheet; title=preload",
    ];
    assert_eq!(to_load(&links, |_| false), ["/style.css", "/script.js"]);
    let kept = |address: &str| address == "/style.css";
    assert_eq!(to_load(&links, kept), ["/script.js"]);
    assert_eq!(to_load(&[], |_| false), Vec::<&str>::new());
}
