//! Apple's property lists, in XML and in binary: the few texts that somebody asks for by name.
//!
//! Nothing is built up from a list: XML is passed over once, and of a binary list only the dictionaries on the
//! way to a text are looked at. So objects that contain themselves or share others a million times cost
//! nothing, and what a list may hold besides (a picture, a tree of settings) is never taken apart.
//!
//! XML: `PropertyList-1.0.dtd`, and CoreFoundation's `CFPropertyList.c` for what it leaves open. A list that declares
//! entities of its own is refused; Apple's programs write none. Binary: CoreFoundation's
//! `CFBinaryPList.c` and `ForFoundationOnly.h` (`CFBinaryPlistTrailer`). The third form, that of NeXTSTEP, is not
//! read: no program has written it into a bundle since Mac OS X 10.0.

use std::borrow::Cow;

use super::plist_binary;

/// Deepest nesting of elements in XML; CoreFoundation's own limit is 512, and an `Info.plist` has six.
const DEPTH_MAX: usize = 512;

/// Longest name of an entity with the semicolon behind it, as in `&#x10ffff;`.
const ENTITY_MAX: usize = 10;

/// The texts at some places of a list, where they are there.
pub type Texts<const N: usize> = [Option<String>; N];

/// A property list that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlistError {
    /// Neither XML nor binary.
    #[error("not a property list")]
    Unknown,
    /// It breaks off, or breaks the rules of its form.
    #[error("the property list is damaged")]
    Damaged,
    /// It declares entities, with which a few bytes can stand for gigabytes.
    #[error("the property list declares entities of its own")]
    Entities,
}

/// The texts at these places: the names of the dictionaries' keys that lead to them, as in `["Manifest",
/// "start_url"]`. Whole numbers are texts too; anything else at such a place is nothing.
///
/// # Errors
/// If the list cannot be read. One that is damaged behind everything that was asked for may go unnoticed.
pub fn texts<const N: usize>(bytes: &[u8], places: &[&[&str]; N]) -> Result<Texts<N>, PlistError> {
    if bytes.starts_with(plist_binary::MAGIC) {
        return plist_binary::texts(bytes, places);
    }
    let text = decode(bytes);
    if !text.trim_start().starts_with('<') {
        return Err(PlistError::Unknown);
    }
    let mut found = [const { None }; N];
    let mut scan = Scan { rest: &text, open: Vec::new(), content: String::new() };
    while let Some(value) = scan.next_text()? {
        let is_here = |place: &&[&str]| scan.is_at(place);
        if let Some(slot) = places.iter().position(is_here).and_then(|at| found.get_mut(at)) {
            slot.get_or_insert(value);
            if found.iter().all(Option::is_some) {
                break;
            }
        }
    }
    Ok(found)
}

/// Lists are in UTF-8, in rare cases in UTF-16 with a mark. Old ones have a stray letter in another
/// encoding in a text for people, which is no reason to refuse the rest.
fn decode(bytes: &[u8]) -> Cow<'_, str> {
    let wide = |unit: fn([u8; 2]) -> u16, rest: &[u8]| {
        let units = rest.as_chunks().0.iter().map(|pair| unit(*pair));
        char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    };
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest),
        [0xff, 0xfe, rest @ ..] => Cow::Owned(wide(u16::from_le_bytes, rest)),
        [0xfe, 0xff, rest @ ..] => Cow::Owned(wide(u16::from_be_bytes, rest)),
        _ => String::from_utf8_lossy(bytes),
    }
}

/// One pass over the XML.
#[derive(Debug)]
struct Scan<'a> {
    rest: &'a str,
    /// The elements that are open, each with the name of the key that came last in it.
    open: Vec<(&'a str, Option<String>)>,
    /// The characters in the innermost element so far.
    content: String,
}

impl<'a> Scan<'a> {
    /// The next text and whole number of the list; `is_at` says where it stands.
    fn next_text(&mut self) -> Result<Option<String>, PlistError> {
        while let Some((characters, markup)) = self.rest.split_once('<') {
            if self.open.last().is_some_and(|(name, _)| is_text(name)) {
                unescape(characters, &mut self.content);
            }
            if let Some(comment) = markup.strip_prefix("!--") {
                self.rest = behind(comment, "-->")?;
            } else if let Some(data) = markup.strip_prefix("![CDATA[") {
                let (data, rest) = data.split_once("]]>").ok_or(PlistError::Damaged)?;
                self.content.push_str(data);
                self.rest = rest;
            } else if let Some(instruction) = markup.strip_prefix('?') {
                self.rest = behind(instruction, "?>")?;
            } else {
                let (tag, rest) = markup.split_once('>').ok_or(PlistError::Damaged)?;
                self.rest = rest;
                if tag.starts_with('!') {
                    // The document type; `[` begins declarations of the list's own.
                    if tag.contains('[') {
                        return Err(PlistError::Entities);
                    }
                } else if let Some(name) = tag.strip_prefix('/') {
                    if let Some(text) = self.close(name.trim_end())? {
                        return Ok(Some(text));
                    }
                } else if !tag.ends_with('/') {
                    self.open(tag)?;
                }
            }
        }
        match self.open.is_empty() {
            true => Ok(None),
            false => Err(PlistError::Damaged),
        }
    }

    fn open(&mut self, tag: &'a str) -> Result<(), PlistError> {
        let name = tag.split_ascii_whitespace().next().ok_or(PlistError::Damaged)?;
        if self.open.len() >= DEPTH_MAX || self.open.last().is_some_and(|(outer, _)| is_text(outer)) {
            return Err(PlistError::Damaged);
        }
        self.content.clear();
        self.open.push((name, None));
        Ok(())
    }

    /// Answers the text if the element was one.
    fn close(&mut self, name: &str) -> Result<Option<String>, PlistError> {
        let (opened, _) = self.open.pop().ok_or(PlistError::Damaged)?;
        if opened != name {
            return Err(PlistError::Damaged);
        }
        let content = std::mem::take(&mut self.content);
        match name {
            "key" => {
                if let Some((_, key)) = self.open.last_mut() {
                    *key = Some(content);
                }
                Ok(None)
            }
            "integer" => Ok(Some(content.trim().to_owned())),
            "string" => Ok(Some(content)),
            _ => Ok(None),
        }
    }

    /// Whether the open elements are just the dictionaries that these keys lead through.
    fn is_at(&self, place: &[&str]) -> bool {
        let all = match self.open.split_first() {
            Some((("plist", _), inner)) => inner,
            _ => self.open.as_slice(),
        };
        let is_key = |((name, key), wanted): (&(&str, Option<String>), &&str)| {
            *name == "dict" && key.as_deref() == Some(*wanted)
        };
        all.len() == place.len() && all.iter().zip(place).all(is_key)
    }
}

fn is_text(name: &str) -> bool {
    matches!(name, "key" | "string" | "integer")
}

fn behind<'a>(text: &'a str, end: &str) -> Result<&'a str, PlistError> {
    text.split_once(end).map(|(_, rest)| rest).ok_or(PlistError::Damaged)
}

/// Adds characters, the five named entities and the numeric ones replaced; others stay as they are.
fn unescape(characters: &str, into: &mut String) {
    let mut rest = characters;
    while let Some((before, entity)) = rest.split_once('&') {
        into.push_str(before);
        // Looked for nearby: a text of nothing but ampersands must not be searched from each of them.
        let end = entity.bytes().take(ENTITY_MAX).position(|byte| byte == b';');
        let known = end.and_then(|end| {
            let (name, after) = entity.split_at_checked(end)?;
            Some((character(name)?, after.get(1..)?))
        });
        let (c, after) = known.unwrap_or(('&', entity));
        into.push(c);
        rest = after;
    }
    into.push_str(rest);
}

fn character(entity: &str) -> Option<char> {
    match entity {
        "amp" => Some('&'),
        "apos" => Some('\''),
        "gt" => Some('>'),
        "lt" => Some('<'),
        "quot" => Some('"'),
        _ => {
            let number = entity.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            code.ok().and_then(char::from_u32)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \
        \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n<plist version=\"1.0\">\n";

    fn one(text: &str) -> Result<Option<String>, PlistError> {
        texts(text.as_bytes(), &[&["A"]]).map(|[a]| a)
    }

    fn is(text: &str) -> Result<Option<String>, PlistError> {
        Ok(Some(text.to_owned()))
    }

    #[test]
    fn texts_are_found_where_they_stand() {
        let list = format!(
            "{HEAD}<dict><key>Other</key><dict><key>A</key><string>inner</string></dict>\n\
            <key>List</key><array><dict><key>A</key><string>listed</string></dict><string>x</string></array>\n\
            <key>Empty</key><string/><key>On</key><true/><key>A</key><string>1 &lt; 2 &#38; &#x33;<![CDATA[<&>]]></string>\n\
            <key>Build</key><integer> 42 </integer></dict></plist>"
        );
        let places: [&[&str]; 6] = [&["A"], &["Other", "A"], &["List", "A"], &["Build"], &["Other"], &["On"]];
        let texts = texts(list.as_bytes(), &places).unwrap();
        let found = texts.each_ref().map(Option::as_deref);
        assert_eq!(found, [Some("1 < 2 & 3<&>"), Some("inner"), None, Some("42"), None, None]);
    }

    #[test]
    fn other_encodings_and_a_missing_root_are_read() {
        let list = "<?xml version='1.0'?><dict><key>A</key><string>\u{201c}\u{1f4ac}</string></dict>";
        let bytes = |unit: fn(u16) -> [u8; 2]| list.encode_utf16().flat_map(unit).collect::<Vec<u8>>();
        for encoded in [
            list.as_bytes().to_vec(),
            [&b"\xef\xbb\xbf"[..], list.as_bytes()].concat(),
            [&b"\xff\xfe"[..], &bytes(u16::to_le_bytes)].concat(),
            [&b"\xfe\xff"[..], &bytes(u16::to_be_bytes)].concat(),
        ] {
            assert_eq!(texts(&encoded, &[&["A"]]), Ok([Some("\u{201c}\u{1f4ac}".to_owned())]));
        }
        let latin = b"<dict><key>C</key><string>\xa9 2004</string><key>A</key><string>x</string></dict>";
        assert_eq!(texts(latin, &[&["A"]]), Ok([Some("x".to_owned())]));
    }

    #[test]
    fn entities_of_its_own_are_refused_and_unknown_ones_stay() {
        let laughs = "<?xml version='1.0'?><!DOCTYPE plist [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;'>]>\
            <plist><dict><key>A</key><string>&b;</string></dict></plist>";
        assert_eq!(one(laughs), Err(PlistError::Entities));
        let outside = "<!DOCTYPE plist SYSTEM 'file:///etc/passwd'><dict><key>A</key><string>&x; &#0; & &;</string></dict>";
        assert_eq!(one(outside), is("&x; \0 & &;"));
    }

    #[test]
    fn deep_ones_and_damaged_ones_are_refused() {
        let deep = |depth: usize| format!("{}{}", "<array>".repeat(depth), "</array>".repeat(depth));
        assert_eq!(one(&deep(DEPTH_MAX)), Ok(None));
        assert_eq!(one(&deep(1_000_000)), Err(PlistError::Damaged));
        for damaged in [
            "<dict><key>A</key>",
            "<dict><key>A</string></dict>",
            "</dict>",
            "<dict",
            "<!-- ",
            "<dict><string><array>",
            "< >",
        ] {
            assert_eq!(one(damaged), Err(PlistError::Damaged), "{damaged}");
        }
        for unknown in ["", "{ A = x; }", "bplist", "A"] {
            assert_eq!(one(unknown), Err(PlistError::Unknown), "{unknown}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>, text: String) {
            let _ = texts(&bytes, &[&["A"], &["A", "B"]]);
            let _ = one(&format!("<dict><key>A</key>{text}</dict>"));
            let _ = one(&format!("<{text}>"));
        }

        #[test]
        fn a_text_is_read_back(key in "[A-Za-z][A-Za-z .-]{0,20}", text: String) {
            let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let list = format!("{HEAD}<dict>\n\t<key>{key}</key>\n\t<string>{escaped}</string>\n</dict>\n</plist>\n");
            prop_assert_eq!(texts(list.as_bytes(), &[&[&key]]), Ok([Some(text)]));
        }
    }
}
