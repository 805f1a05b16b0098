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
            Some(row) => unit.spread(row.median, row.min, row.max),
            None => "–".to_owned(),
        });
        let last = floors.then(|| floor(&rows, unit));
        lines.push(line([name.to_owned()].into_iter().chain(cells).chain(last)));
    }
    lines.join("\n")
}

fn floor(rows: &[Option<&crate::Row>], unit: Unit) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut of = "";
    for row in rows.iter().flatten() {
        let Some(floor) = row.floor_median else {
            continue;
        };
        of = match row.floor.as_deref() {
            Some("loop") => "the loop",
            Some("least frame") => "the least frame",
            Some(other) => other,
            None => "",
        };
        let text = unit.number(floor);
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    match texts.is_empty() {
        true => "–".to_owned(),
        false => format!("{}: {of}", texts.join(", ")),
    }
}

pub(crate) fn line(cells: impl Iterator<Item = String>) -> String {
    format!("| {} |", cells.collect::<Vec<_>>().join(" | "))
}
