//! The tables of what was measured.

use crate::{
    data::Data,
    text::{one_of_each, row, variants, Part, Unit, Variant, ROWS},
};

/// Side by side, and one for each method.
///
/// # Errors
/// If something is not measured.
pub(crate) fn all(data: &Data) -> anyhow::Result<Vec<Part>> {
    let mut parts = vec![(
        "side-by-side".to_owned(),
        table(data, &one_of_each(data), false),
    )];
    for class in ["polling", "long-polling", "sse", "websocket"] {
        let mut own = variants(data);
        own.retain(|variant| variant.class == class);
        parts.push((class.to_owned(), table(data, &own, true)));
    }
    Ok(parts)
}

/// A row for what is measured, a column for each variant, and maybe one for the floors.
fn table(data: &Data, variants: &[Variant], floors: bool) -> String {
    let titles = variants.iter().map(|it| {
        let title = &it.title;
        format!("<span class=\"method-{}\">{title}</span>", it.class)
    });
    let last = floors.then(|| "Its floor".to_owned());
    let mut lines = vec![line(
        ["What is measured".to_owned()]
            .into_iter()
            .chain(titles)
            .chain(last),
    )];
    let columns = variants.len() + 1 + usize::from(floors);
    lines.push(line(std::iter::repeat_n("---".to_owned(), columns)));
    for (measurement, figure, unit, name) in ROWS {
        let rows: Vec<_> = variants
            .iter()
            .map(|variant| row(data, measurement, variant, figure))
            .collect();
        if rows.iter().all(Option::is_none) {
            continue;
        }
        let cells = rows.iter().map(|row| match row {
            Some(row) => unit.spread(row.median, row.low, row.high),
            None => "–".to_owned(),
        });
        let last = floors.then(|| floor(data, &rows, unit));
        lines.push(line([name.to_owned()].into_iter().chain(cells).chain(last)));
    }
    lines.join("\n")
}

/// The floors of some figures, each by its name.
fn floor(data: &Data, rows: &[Option<&crate::Row>], unit: Unit) -> String {
    let mut floors: Vec<(&str, Vec<String>)> = Vec::new();
    for row in rows.iter().flatten() {
        for row in data.with_each_floor(&row.measurement, &row.method, &row.figure) {
            let (Some(name), Some(median)) = (&row.floor, row.floor_median) else {
                continue;
            };
            let text = unit.number(median);
            match floors.iter_mut().find(|(other, _)| other == name) {
                Some((_, texts)) if texts.contains(&text) => {}
                Some((_, texts)) => texts.push(text),
                None => floors.push((name, vec![text])),
            }
        }
    }
    let floors = floors.into_iter().map(|(name, texts)| {
        let name = match name {
            "loop" => "the loop",
            "least frame" => "the least frame",
            "hyper-stream" => "a bare stream of hyper",
            "hyper-answer" => "a bare answer of hyper",
            "axum-socket" => "a bare socket of axum",
            other => other,
        };
        format!("{}: {name}", texts.join(", "))
    });
    let floors: Vec<_> = floors.collect();
    match floors.is_empty() {
        true => "–".to_owned(),
        false => floors.join("; "),
    }
}

pub(crate) fn line(cells: impl Iterator<Item = String>) -> String {
    format!("| {} |", cells.collect::<Vec<_>>().join(" | "))
}
