//! Columns under each other.

use super::wrap::columns;
use crate::text::escape;

/// Rows as columns, two spaces between them; the last column is as long as it is. Names of a process may hold
/// anything: what would move the cursor is escaped.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let clean =
        |row: &Vec<String>| row.iter().map(|cell| escape::line(cell).into_owned()).collect::<Vec<_>>();
    let rows: Vec<Vec<String>> = rows.iter().map(clean).collect();
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |n: usize| rows.iter().filter_map(|row| row.get(n)).map(|cell| columns(cell)).max();
    let widths: Vec<usize> = (0..count).filter_map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line += cell;
            line += &" ".repeat(width + 2 - columns(cell));
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn columns_stand_under_each_other_in_both_languages() {
        let rows = |cells: [[&str; 3]; 2]| table(&cells.map(|row| row.map(str::to_owned).to_vec()));
        assert_eq!(
            rows([["tid", "state", "call"], ["12", "S", "futex"]]),
            "tid  state  call\n12   S      futex\n"
        );
        assert_eq!(rows([["tid", "状態", "呼び出し"], ["12", "S", ""]]), "tid  状態  呼び出し\n12   S\n");
    }
}
