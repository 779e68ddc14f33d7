//! Aligned columns for people.

use std::io;

use super::words::one_line;

/// Writes rows with every column as wide as its widest cell; the last column is not padded.
pub fn columns<const N: usize>(out: &mut dyn io::Write, rows: &[[String; N]]) -> io::Result<()> {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in rows {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count()) + 2));
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Writes values behind their labels, which take the room of the longest; the lines of a value stand below each other.
/// A label that was written just before is not repeated. What a terminal would take for orders is left out.
pub fn labelled(out: &mut dyn io::Write, indent: &str, rows: &[(&str, String)]) -> io::Result<()> {
    let width = rows.iter().map(|(label, _)| label.chars().count()).max().unwrap_or_default();
    let mut before = "";
    for (label, value) in rows {
        let mut shown = if *label == before { "" } else { label };
        before = label;
        for line in value.lines() {
            writeln!(out, "{indent}{shown:width$}  {}", one_line(line))?;
            shown = "";
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{columns, labelled};

    #[test]
    fn labels_are_written_once_and_lines_stand_below_each_other() {
        let mut out = Vec::new();
        let rows =
            [("pam", "un\ndau".to_owned()), ("pam", "tri \x1b[2J".to_owned()), ("canfuwyd", "x".to_owned())];
        labelled(&mut out, " ", &rows).unwrap();
        let expected = " pam       un\n           dau\n           tri  [2J\n canfuwyd  x\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn columns_are_aligned_by_characters() {
        let mut out = Vec::new();
        let row = |a: &str, b: &str| [a.to_owned(), b.to_owned()];
        columns(&mut out, &[row("APP", "KIND"), row("Tox über", "x"), row("", "y")]).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "APP       KIND\nTox über  x\n          y\n");
    }
}
