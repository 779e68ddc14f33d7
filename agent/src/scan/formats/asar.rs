//! Electron's archive format: a header that lists all files, and their contents one after the other.
//!
//! The header is a Chromium pickle that holds its own length, and one that holds a text in JSON
//! (`@electron/asar`, `src/disk.ts`: `readArchiveHeaderSync`). It lists thousands of files and can have
//! megabytes, so it is not taken apart: only the entry of one file at its top is looked for.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use serde::Deserialize;

/// Largest header that is read. A file takes 100 to 400 bytes of it, and large products have ten thousand.
const HEADER_MAX: u32 = 8 * 1024 * 1024;

/// Largest entry of one file in the header: for a file of the size that is read here it has some hundred bytes.
const ENTRY_MAX: usize = 16 * 1024;

/// Longest name of a file that is compared.
const NAME_MAX: usize = 256;

/// Where a file is; nothing of it is here if it was left outside the archive (`unpacked`).
#[derive(Debug, Deserialize)]
struct Place {
    size: u64,
    #[serde(default)]
    offset: Option<String>,
}

/// The content of a file at the top of an archive, if it is there and has at most `limit` bytes.
///
/// # Errors
/// What reading says, and `InvalidData` if this is no archive.
pub fn read_file(archive: &mut (impl Read + Seek), name: &str, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut start = [0; 16];
    archive.read_exact(&mut start).map_err(|_| io::ErrorKind::InvalidData)?;
    let number = |at: usize| -> io::Result<u32> {
        let bytes = start.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map(u32::from_le_bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
    };
    let (own, pickle, payload, text) = (number(0)?, number(4)?, number(8)?, number(12)?);
    let fits = own == 4
        && payload.checked_add(4) == Some(pickle)
        && text.checked_add(4).is_some_and(|needed| needed <= payload)
        && text <= HEADER_MAX;
    if !fits {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let entry = find_entry(&mut BufReader::new(archive.by_ref().take(text.into())), name)?;
    let Some(entry) = entry else { return Ok(None) };
    let place: Place = serde_json::from_slice(&entry).map_err(|_| io::ErrorKind::InvalidData)?;
    let Some(offset) = place.offset.filter(|_| place.size <= limit) else { return Ok(None) };
    let offset: u64 = offset.parse().map_err(|_| io::ErrorKind::InvalidData)?;
    let at = offset.checked_add(8 + u64::from(pickle)).ok_or(io::ErrorKind::InvalidData)?;
    archive.seek(SeekFrom::Start(at))?;
    let mut content = Vec::new();
    archive.take(place.size).read_to_end(&mut content)?;
    Ok(Some(content))
}

/// The text of a file's entry: `{"files":{"package.json":{...}}}`. What stands before it is passed over from
/// mark to mark.
fn find_entry(header: &mut impl BufRead, name: &str) -> io::Result<Option<Vec<u8>>> {
    let mut depth = 0_usize;
    let mut is_wanted = false;
    while let Some(mark) = skip_to_mark(header)? {
        match mark {
            b'"' => is_wanted = string_is(header, name)? && depth == 2,
            b'{' if is_wanted => return object(header),
            b'{' => depth += 1,
            _ => depth = depth.checked_sub(1).ok_or(io::ErrorKind::InvalidData)?,
        }
    }
    if depth == 0 { Ok(None) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// Passes over everything up to a quotation mark or a curly bracket, and that too.
fn skip_to_mark(header: &mut impl BufRead) -> io::Result<Option<u8>> {
    loop {
        let bytes = header.fill_buf()?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let at = memchr::memchr3(b'"', b'{', b'}', bytes);
        let mark = at.and_then(|at| bytes.get(at).copied());
        let count = at.map_or(bytes.len(), |at| at + 1);
        header.consume(count);
        if mark.is_some() {
            return Ok(mark);
        }
    }
}

/// Reads to the end of a string and says whether it is this one, which has nothing to escape.
fn string_is(header: &mut impl BufRead, wanted: &str) -> io::Result<bool> {
    let mut kept = Vec::new();
    let mut is_escaped = false;
    loop {
        let bytes = header.fill_buf()?;
        if bytes.is_empty() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let from = usize::from(std::mem::take(&mut is_escaped));
        let end = bytes.get(from..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)).map(|at| at + from);
        let part = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
        kept.extend(part.iter().take(NAME_MAX.saturating_sub(kept.len())));
        let mark = end.and_then(|end| bytes.get(end).copied());
        let count = end.map_or(bytes.len(), |end| end + 1);
        header.consume(count);
        match mark {
            Some(b'"') => return Ok(kept == wanted.as_bytes()),
            Some(_) => {
                is_escaped = true;
                // Any text with an escape in it is another one.
                kept.truncate(NAME_MAX - 1);
                kept.push(b'\\');
            }
            None => {}
        }
    }
}

/// The rest of an object of which the first bracket was read, with both brackets.
fn object(header: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut text = vec![b'{'];
    let (mut depth, mut in_string, mut is_escaped) = (1_usize, false, false);
    for byte in header.take(ENTRY_MAX as u64).bytes() {
        let byte = byte?;
        text.push(byte);
        match byte {
            _ if std::mem::take(&mut is_escaped) => {}
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            b'{' if !in_string => depth += 1,
            b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return Ok(Some(text));
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    /// As `asar pack` writes it.
    fn archive(header: &str, contents: &str) -> Vec<u8> {
        let text = u32::try_from(header.len()).unwrap();
        let payload = 4 + text.next_multiple_of(4);
        let mut bytes = Vec::new();
        for number in [4, payload + 4, payload, text] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(header.as_bytes());
        bytes.resize(bytes.len() + (payload - 4 - text) as usize, 0);
        bytes.extend(contents.as_bytes());
        bytes
    }

    fn read(bytes: &[u8]) -> io::Result<Option<Vec<u8>>> {
        read_file(&mut Cursor::new(bytes), "package.json", 100)
    }

    #[test]
    fn an_archive_that_asar_made_is_read() {
        let bytes =
            include_bytes!("../../../../tests/fixtures/homes/linux-unpacked/opt/Signal/resources/app.asar");
        let package = read_file(&mut Cursor::new(bytes), "package.json", 1000).unwrap().unwrap();
        assert!(
            package.starts_with(b"{\"name\":\"signal-desktop\","),
            "{}",
            String::from_utf8_lossy(&package)
        );
    }

    #[test]
    fn only_the_file_at_the_top_counts() {
        let header = r#"{"files":{"a\"b":{"files":{"package.json":{"size":1,"offset":"0"}}},
            "link":{"link":"package.json"},"package.json":{"size":3,"offset":"1","integrity":{"hash":"}"}},"z":{"size":1}}}"#;
        assert_eq!(read(&archive(header, "xabcd")).unwrap().unwrap(), b"abc");
        for none in [
            r#"{"files":{}}"#,
            r#"{"files":{"x":{"files":{"package.json":{"size":1,"offset":"0"}}}}}"#,
            r#"{"files":{"package.json":{"size":3,"unpacked":true}}}"#,
            r#"{"files":{"package.json":{"size":101,"offset":"0"}}}"#,
        ] {
            assert_eq!(read(&archive(none, "abc")).unwrap(), None, "{none}");
        }
    }

    #[test]
    fn what_is_no_archive_is_said() {
        for header in [
            "",
            "{",
            "}",
            r#"{"files":{"package.json":{"size":"#,
            r#"{"files":{"package.json":{"size":-1}}}"#,
        ] {
            let error = read(&archive(header, "")).map(|_| ()).err();
            assert_eq!(
                error.map(|error| error.kind()),
                (!header.is_empty()).then_some(io::ErrorKind::InvalidData),
                "{header}"
            );
        }
        let far = archive(r#"{"files":{"package.json":{"size":3,"offset":"18446744073709551615"}}}"#, "abc");
        assert!(read(&far).is_err());
        for bytes in [
            &b"PK\x03\x04"[..],
            &[4, 0, 0, 0],
            &[0xff; 64],
            &[4, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xfb, 0xff, 0xff, 0xff, 0xf0, 0xff, 0xff, 0xff],
        ] {
            assert_eq!(read(bytes).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>, header: String) {
            let _ = read(&bytes);
            let _ = read(&archive(&header, "abc"));
            let _ = read(&archive(&format!("{{\"files\":{{\"package.json\":{{{header}"), "abc"));
        }

        #[test]
        fn a_file_is_read_back(content in "[ -~]{0,100}", before in "[ -~]{0,50}", names in prop::collection::vec("[ -~]{1,9}", 0..9)) {
            let mut files = serde_json::Map::new();
            for name in names {
                files.insert(name, serde_json::json!({"files": {"package.json": {"size": 1, "offset": "0"}}}));
            }
            files.insert("package.json".to_owned(), serde_json::json!({"size": content.len(), "offset": before.len().to_string()}));
            let bytes = archive(&serde_json::json!({"files": files}).to_string(), &format!("{before}{content}"));
            prop_assert_eq!(read(&bytes).unwrap().unwrap(), content.into_bytes());
        }
    }
}
