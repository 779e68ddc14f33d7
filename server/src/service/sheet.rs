//! Reading CSV files (RFC 4180) as spreadsheets write them: UTF-8, commas, the names of the columns in the first line.

use std::collections::BTreeMap;

use csv::{ByteRecord, ReaderBuilder};
use offchannel_shared::nearest::nearest;

use crate::domain::sheet::{BadRow, Row, Sheet};

/// Longest file that is read, in bytes.
pub const FILE_MAX: usize = 32 << 20;
/// Most rows that are taken in at once.
const ROWS_MAX: usize = 200_000;

/// Reads a file with these columns, of which one of `needed` must be there.
pub(super) fn read(file: &[u8], known: &'static [&'static str], needed: &[&str]) -> Sheet {
    let mut sheet = Sheet::default();
    if file.len() > FILE_MAX {
        let message = format!("the file has more than {FILE_MAX} bytes, which is the most that is read");
        sheet.bad.push(BadRow { line: None, column: None, message });
        return sheet;
    }
    if is_utf_16(file) {
        let message = "expected UTF-8, found UTF-16: save the file as \"CSV UTF-8\"".to_owned();
        sheet.bad.push(BadRow { line: None, column: None, message });
        return sheet;
    }
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(file);
    let mut record = ByteRecord::new();
    let mut first = true;
    let mut lines = Lines { file, at: 0, line: 1 };
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                let line = error.position().map(csv::Position::line);
                sheet.bad.push(BadRow { line, column: None, message: error.to_string() });
                break;
            }
        }
        let line = lines.of(record.position().map_or(0, csv::Position::byte));
        if first {
            first = false;
            head(&mut sheet, &record, line, known, needed);
            if !sheet.bad.is_empty() {
                // Nobody knows what the rows mean.
                return sheet;
            }
        } else if sheet.rows.len() >= ROWS_MAX {
            let message = format!("the file has more than {ROWS_MAX} rows: part it");
            sheet.bad.push(BadRow { line: Some(line), column: None, message });
            break;
        } else {
            row(&mut sheet, &record, line);
        }
    }
    if first {
        let message =
            format!("the file is empty: expected a first line with columns of {}", known.join(", "));
        sheet.bad.push(BadRow { line: None, column: None, message });
    }
    sheet
}

/// Whether it is what spreadsheets and PowerShell call Unicode: it begins with the mark of UTF-16, or with a character of
/// which one byte is 0, as in no text in UTF-8.
pub fn is_utf_16(file: &[u8]) -> bool {
    let zero = |at: usize| file.get(at).is_some_and(|byte| *byte == 0);
    matches!(file, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) || (file.len() > 1 && zero(0) != zero(1))
}

/// Counts lines as an editor does. The reader's own count lags where lines end with two characters, and it says where a
/// record begins before it has passed the empty lines above it.
struct Lines<'a> {
    file: &'a [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line of the record that begins at this byte or after the ends of lines that follow it.
    fn of(&mut self, byte: u64) -> u64 {
        let from = usize::try_from(byte).unwrap_or(usize::MAX);
        while let Some(found) = self.file.get(self.at) {
            let next = self.file.get(self.at + 1);
            let ends = *found == b'\n' || (*found == b'\r' && next != Some(&b'\n'));
            if self.at >= from && !ends && *found != b'\r' {
                break;
            }
            self.line += u64::from(ends);
            self.at += 1;
        }
        self.line
    }
}

/// Reads the names of the columns.
fn head(sheet: &mut Sheet, record: &ByteRecord, line: u64, known: &'static [&'static str], needed: &[&str]) {
    let mut bad = |message: String| sheet.bad.push(BadRow { line: Some(line), column: None, message });
    for name in record {
        let name = String::from_utf8_lossy(name).trim().to_ascii_lowercase();
        match known.iter().find(|column| **column == name) {
            Some(column) if sheet.columns.contains(column) => bad(format!("column {name} is there twice")),
            Some(column) => sheet.columns.push(column),
            None => {
                let name: String = name.chars().take(80).collect();
                let other = [(';', "semicolons"), ('\t', "tabs")];
                let other = other.iter().find(|(between, _)| record.len() == 1 && name.contains(*between));
                let hint = if let Some((_, found)) = other {
                    format!("expected commas between the columns, not {found}")
                } else {
                    let near = nearest(&name, known.iter().copied());
                    near.map_or(format!("expected columns of {}", known.join(", ")), |near| {
                        format!("did you mean {near:?}?")
                    })
                };
                bad(format!("unknown column {name:?}; {hint}"));
            }
        }
    }
    if sheet.bad.is_empty() && !needed.iter().any(|column| sheet.columns.contains(column)) {
        let message = format!("expected a column {}", needed.join(" or "));
        sheet.bad.push(BadRow { line: Some(line), column: None, message });
    }
}

fn row(sheet: &mut Sheet, record: &ByteRecord, line: u64) {
    let bad = |column, message: String| BadRow { line: Some(line), column, message };
    if record.iter().all(|cell| cell.trim_ascii().is_empty()) {
        return;
    }
    if record.len() != sheet.columns.len() {
        let (wanted, found) = (sheet.columns.len(), record.len());
        sheet.bad.push(bad(None, format!("expected {wanted} fields as in the first line, found {found}")));
        return;
    }
    let mut cells = BTreeMap::new();
    let mut whole = true;
    for (column, cell) in sheet.columns.iter().zip(record) {
        match std::str::from_utf8(cell) {
            Ok(text) => drop(cells.insert(*column, text.trim().to_owned())),
            Err(_) => {
                let message = "expected UTF-8: save the file as \"CSV UTF-8\"".to_owned();
                sheet.bad.push(bad(Some(column), message));
                whole = false;
            }
        }
    }
    if whole {
        sheet.rows.push(Row { line, cells });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COLUMNS: [&str; 3] = ["id", "name", "parent"];

    fn sheet(text: &[u8]) -> Sheet {
        read(text, &COLUMNS, &["id"])
    }

    fn bad(text: &str) -> Vec<String> {
        sheet(text.as_bytes()).bad.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_file_of_a_spreadsheet_is_read() {
        let read = sheet(
            "\u{feff}Name , ID\r\n\"Payroll, \"\"UK\"\"\",payroll\r\n,,\r\n\r\n Legal ,legal \r\n".as_bytes(),
        );
        assert_eq!(read.bad.iter().map(ToString::to_string).collect::<Vec<_>>(), Vec::<String>::new());
        assert_eq!(read.columns, ["name", "id"]);
        let rows: Vec<_> = read.rows.iter().map(|row| (row.line, row.cell("id"), row.cell("name"))).collect();
        assert_eq!(rows, [(2, Some("payroll"), Some("Payroll, \"UK\"")), (5, Some("legal"), Some("Legal"))]);
        assert_eq!(
            read.rows[0].cell("parent"),
            None,
            "a column that is not there is told from an empty field"
        );
    }

    #[test]
    fn lines_are_counted_as_an_editor_does() {
        for end in ["\n", "\r\n", "\r"] {
            let text = ["id,name", "a,A", "", "b,\"two", "lines\"", "", "c,C", ""].join(end);
            let lines: Vec<u64> = sheet(text.as_bytes()).rows.iter().map(|row| row.line).collect();
            assert_eq!(lines, [2, 4, 7], "with {end:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        assert_eq!(bad(""), ["the file is empty: expected a first line with columns of id, name, parent"]);
        assert_eq!(
            bad("id;name;parent\nx;y;z\n"),
            ["1: unknown column \"id;name;parent\"; expected commas between the columns, not semicolons"]
        );
        assert!(bad("id\tname\n")[0].ends_with("; expected commas between the columns, not tabs"));
        assert_eq!(
            bad("id,nmae,id\n"),
            ["1: unknown column \"nmae\"; did you mean \"name\"?", "1: column id is there twice"]
        );
        assert_eq!(bad("name,parent\n"), ["1: expected a column id"]);
        assert_eq!(
            bad("id,name\nx\ny,Y\nz,Z,top\n"),
            [
                "2: expected 2 fields as in the first line, found 1",
                "4: expected 2 fields as in the first line, found 3"
            ]
        );
        let latin = sheet(b"id,name\nx,M\xfcller\n");
        assert_eq!(latin.bad[0].to_string(), "2: name: expected UTF-8: save the file as \"CSV UTF-8\"");
    }

    #[test]
    fn utf_16_is_called_by_its_name() {
        let text = "id,name\nx,Müller\n";
        let (little, big): (Vec<[u8; 2]>, Vec<[u8; 2]>) =
            text.encode_utf16().map(|unit| (unit.to_le_bytes(), unit.to_be_bytes())).unzip();
        let (little, big) = (little.concat(), big.concat());
        for file in [[&[0xff, 0xfe], &little[..]].concat(), [&[0xfe, 0xff], &big[..]].concat(), little, big] {
            let found: Vec<String> = sheet(&file).bad.iter().map(ToString::to_string).collect();
            assert_eq!(found, ["expected UTF-8, found UTF-16: save the file as \"CSV UTF-8\""]);
        }
    }

    #[test]
    fn files_without_end_are_not_read() {
        assert!(sheet(&vec![b'a'; FILE_MAX + 1]).bad[0].message.contains("more than"));
        let many = format!("id\n{}", "a\n".repeat(ROWS_MAX + 5));
        let read = sheet(many.as_bytes());
        assert_eq!((read.rows.len(), read.bad.len()), (ROWS_MAX, 1));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(head in "(id|name|,|\"|\n)*", bytes: Vec<u8>) {
            let file = [head.as_bytes(), &bytes].concat();
            let read = sheet(&file);
            prop_assert!(read.rows.iter().all(|row| row.cells.len() == read.columns.len()));
        }
    }
}
