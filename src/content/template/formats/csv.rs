//! Tables of text, as Python's `csv` reads them in its dialect `excel`.

/// Rows of cells. Cells in quotes may hold the delimiter, line breaks and doubled quotes.
pub fn rows(text: &str, delimiter: char) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut row: Vec<String> = Vec::new();
    let mut cell = String::new();
    let mut quoted = false;
    let mut begun = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if quoted {
            match c {
                '"' if chars.next_if_eq(&'"').is_some() => cell.push('"'),
                '"' => quoted = false,
                other => cell.push(other),
            }
            continue;
        }
        match c {
            '"' if cell.is_empty() => {
                quoted = true;
                begun = true;
            }
            '\r' | '\n' => {
                if c == '\r' {
                    chars.next_if_eq(&'\n');
                }
                if begun || !cell.is_empty() || !row.is_empty() {
                    row.push(std::mem::take(&mut cell));
                }
                rows.push(std::mem::take(&mut row));
                begun = false;
            }
            other if other == delimiter => {
                row.push(std::mem::take(&mut cell));
                begun = true;
            }
            other => cell.push(other),
        }
    }
    if begun || !cell.is_empty() || !row.is_empty() {
        row.push(cell);
        rows.push(row);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::rows;

    #[test]
    fn quotes_protect_what_is_in_them() {
        let found = rows("a,\"b,\"\"c\"\"\nd\",e\r\n\nx,\n", ',');
        assert_eq!(found, [vec!["a", "b,\"c\"\nd", "e"], vec![], vec!["x", ""]]);
    }
}
