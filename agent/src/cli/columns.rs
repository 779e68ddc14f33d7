//! Aligned columns for people.

use std::io;

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

#[cfg(test)]
mod tests {
    use super::columns;

    #[test]
    fn columns_are_aligned_by_characters() {
        let mut out = Vec::new();
        let row = |a: &str, b: &str| [a.to_owned(), b.to_owned()];
        columns(&mut out, &[row("APP", "KIND"), row("Tox über", "x"), row("", "y")]).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "APP       KIND\nTox über  x\n          y\n");
    }
}
