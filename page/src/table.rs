//! Tables whose headings say of which cells they are.

use maud::{Markup, Render, html};

/// Rows under a heading. The first cell of a row is its heading.
#[derive(Debug, Clone)]
pub struct Table {
    /// What is in the table, for readers who do not see it.
    pub caption: String,
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows, each with a cell for every column.
    pub rows: Vec<Row>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its heading.
    pub name: String,
    /// Whether it has numbers, which are aligned right.
    pub is_number: bool,
}

/// A row.
#[derive(Debug, Clone)]
pub struct Row {
    /// The cells; the first one is the row's heading.
    pub cells: Vec<Markup>,
    /// Whether the row sums others up.
    pub is_total: bool,
}

impl Column {
    /// A column of texts.
    #[must_use]
    pub fn text(name: impl Into<String>) -> Self {
        Self { name: name.into(), is_number: false }
    }

    /// A column of numbers.
    #[must_use]
    pub fn number(name: impl Into<String>) -> Self {
        Self { name: name.into(), is_number: true }
    }
}

impl Render for Table {
    fn render(&self) -> Markup {
        html! {
            div class="wide" {
                table {
                    caption { (self.caption) }
                    thead {
                        tr {
                            @for Column { name, is_number } in &self.columns {
                                th scope="col" class=[is_number.then_some("n")] { (name) }
                            }
                        }
                    }
                    tbody { @for row in &self.rows { (self.row(row)) } }
                }
            }
        }
    }
}

impl Table {
    fn row(&self, Row { cells, is_total }: &Row) -> Markup {
        let columns = self.columns.iter().map(|column| column.is_number);
        html! {
            tr class=[is_total.then_some("total")] {
                @for (place, (cell, is_number)) in cells.iter().zip(columns).enumerate() {
                    @if place == 0 {
                        th scope="row" { (cell) }
                    } @else {
                        td class=[is_number.then_some("n")] { (cell) }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_say_of_which_cells_they_are() {
        let table = Table {
            caption: "left".to_owned(),
            columns: vec![Column::text("site"), Column::number("epsilon")],
            rows: vec![Row { cells: vec![html! { "va" }, html! { "<1" }], is_total: true }],
        };
        assert_eq!(
            table.render().into_string(),
            "<div class=\"wide\"><table><caption>left</caption><thead><tr><th scope=\"col\">site</th>\
             <th scope=\"col\" class=\"n\">epsilon</th></tr></thead><tbody><tr class=\"total\">\
             <th scope=\"row\">va</th><td class=\"n\">&lt;1</td></tr></tbody></table></div>"
        );
    }
}
