//! A table of what a product has.

use catalog::Product;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};

/// One block for a product, at most `width` columns wide where that is possible. Ids, in the first column, are never
/// broken: they are there to be copied.
pub(super) fn block<const COLUMNS: usize>(
    product: &Product,
    header: [&str; COLUMNS],
    rows: impl Iterator<Item = [String; COLUMNS]>,
    width: u16,
) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width)
        .set_header(header);
    let mut longest = 0;
    for row in rows {
        longest = longest.max(row.first().map_or(0, String::len));
        table.add_row(row);
    }
    if let (Some(column), Ok(longest)) = (table.column_mut(0), u16::try_from(longest + 2)) {
        column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(longest)));
    }
    let mut text = format!("[{}] {}\n", product.id, product.name);
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
