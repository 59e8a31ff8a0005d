//! Lines whose words stand below each other.

use anstyle::Style;

/// A word with its colour.
#[derive(Debug, Clone, Default)]
pub struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A word in this style.
    pub fn styled(text: impl Into<String>, style: Style) -> Self {
        Cell { text: text.into(), style }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Cell { text: text.into(), style: Style::new() }
    }
}

/// Rows of cells; a row may be shorter than others.
#[derive(Debug, Default)]
pub struct Columns(Vec<Vec<Cell>>);

impl Columns {
    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.0.push(cells.into_iter().collect());
    }

    /// The rows as lines, each after `indent` spaces, two between columns, none at the end.
    pub fn render(&self, indent: usize) -> String {
        let count = self.0.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.0.iter().filter_map(|row| row.get(column)).map(|cell| cell.text.chars().count()).max()
        };
        let widths: Vec<usize> = (0..count).map(|column| width(column).unwrap_or(0)).collect();
        let mut text = String::new();
        for row in &self.0 {
            text.push_str(&" ".repeat(indent));
            for (index, (cell, width)) in row.iter().zip(&widths).enumerate() {
                text.push_str(&format!("{}{}{}", cell.style.render(), cell.text, cell.style.render_reset()));
                if index + 1 < row.len() {
                    text.push_str(&" ".repeat(width - cell.text.chars().count() + 2));
                }
            }
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_word() {
        let mut columns = Columns::default();
        columns.row(["a".into(), "bb".into(), "c".into()]);
        columns.row(["größer".into(), "b".into()]);
        assert_eq!(columns.render(1), " a       bb  c\n größer  b\n");
    }
}
