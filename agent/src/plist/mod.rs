//! Apple's property lists, in XML and in binary: the few texts that somebody asks for by name, and what the outermost
//! dictionary says.
//!
//! Bundles are described in them, which scans read, and preferences kept, which may be settings of ours. Nothing is built
//! up from a list: XML is passed over once, and of a binary list only the dictionaries on the way to a text are looked at. So objects that contain themselves or share others a million times cost
//! nothing, and what a list may hold besides (a picture, a tree of settings) is never taken apart.
//!
//! XML: `PropertyList-1.0.dtd`, and CoreFoundation's `CFPropertyList.c` for what it leaves open. A list that declares
//! entities of its own is refused; Apple's programs write none. Binary: CoreFoundation's
//! `CFBinaryPList.c` and `ForFoundationOnly.h` (`CFBinaryPlistTrailer`). The third form, that of NeXTSTEP, is not
//! read: no program has written it into a bundle since Mac OS X 10.0.

mod binary;

use std::borrow::Cow;

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
    /// What is outermost in it is something else.
    #[error("the property list is not a dictionary")]
    NoDictionary,
    /// Its texts refer to each other so often that they grow without end.
    #[error("the property list holds too much text")]
    TooLarge,
    /// It declares entities, with which a few bytes can stand for gigabytes.
    #[error("the property list declares entities of its own")]
    Entities,
}

/// A value in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// True or false.
    Flag(bool),
    /// Anything else, in words.
    Other(&'static str),
}

/// The texts at these places: the names of the dictionaries' keys that lead to them, as in `["Manifest",
/// "start_url"]`. Whole numbers are texts too; anything else at such a place is nothing.
///
/// # Errors
/// If the list cannot be read. One that is damaged behind everything that was asked for may go unnoticed.
pub fn texts<const N: usize>(bytes: &[u8], places: &[&[&str]; N]) -> Result<Texts<N>, PlistError> {
    if bytes.starts_with(binary::MAGIC) {
        return binary::texts(bytes, places);
    }
    let text = xml(bytes)?;
    let mut found = [const { None }; N];
    let mut scan = Scan::new(&text);
    while let Some(value) = scan.next()? {
        if !matches!(value, Element { name: "string" | "integer", is_empty: false, .. }) {
            continue;
        }
        let is_here = |place: &&[&str]| scan.is_at(place);
        if let Some(slot) = places.iter().position(is_here).and_then(|at| found.get_mut(at)) {
            slot.get_or_insert(value.content);
            if found.iter().all(Option::is_some) {
                break;
            }
        }
    }
    Ok(found)
}

/// What the outermost dictionary says, in the order in which it stands there.
///
/// # Errors
/// If the list cannot be read, or is no dictionary.
pub fn entries(bytes: &[u8]) -> Result<Vec<(String, Value)>, PlistError> {
    if bytes.starts_with(binary::MAGIC) {
        return binary::entries(bytes);
    }
    let text = xml(bytes)?;
    let mut found = Vec::new();
    let mut is_dictionary = false;
    let mut scan = Scan::new(&text);
    while let Some(element) = scan.next()? {
        match scan.inner() {
            [] => is_dictionary |= element.name == "dict",
            [("dict", Some(key))] => found.push((key.clone(), element.value())),
            _ => {}
        }
    }
    if is_dictionary { Ok(found) } else { Err(PlistError::NoDictionary) }
}

fn xml(bytes: &[u8]) -> Result<Cow<'_, str>, PlistError> {
    let text = decode(bytes);
    if text.trim_start().starts_with('<') { Ok(text) } else { Err(PlistError::Unknown) }
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

/// An element that is no key and has ended.
#[derive(Debug)]
struct Element<'a> {
    name: &'a str,
    /// The characters of a text or a whole number.
    content: String,
    /// Written as one tag.
    is_empty: bool,
}

impl Element<'_> {
    fn value(self) -> Value {
        match self.name {
            "string" => Value::Text(self.content),
            "true" => Value::Flag(true),
            "false" => Value::Flag(false),
            "integer" => Value::Other("a whole number"),
            "real" => Value::Other("a number with a fraction"),
            "date" => Value::Other("a date"),
            "data" => Value::Other("data"),
            "array" => Value::Other("a list"),
            "dict" => Value::Other("a dictionary"),
            _ => Value::Other("an unknown element"),
        }
    }
}

impl<'a> Scan<'a> {
    fn new(text: &'a str) -> Self {
        Self { rest: text, open: Vec::new(), content: String::new() }
    }

    /// The next element that ends; `inner` and `is_at` say where it stands.
    fn next(&mut self) -> Result<Option<Element<'a>>, PlistError> {
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
                    if let Some(element) = self.close(name.trim_end())? {
                        return Ok(Some(element));
                    }
                } else if let Some(tag) = tag.strip_suffix('/') {
                    let name = tag.split_ascii_whitespace().next().unwrap_or_default();
                    if name != "key" {
                        return Ok(Some(Element { name, content: String::new(), is_empty: true }));
                    }
                } else {
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

    /// Answers the element unless it is a key.
    fn close(&mut self, name: &'a str) -> Result<Option<Element<'a>>, PlistError> {
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
            "integer" => Ok(Some(Element { name, content: content.trim().to_owned(), is_empty: false })),
            _ => Ok(Some(Element { name, content, is_empty: false })),
        }
    }

    /// The elements that are open within the root, which may be missing.
    fn inner(&self) -> &[(&'a str, Option<String>)] {
        match self.open.split_first() {
            Some((("plist", _), inner)) => inner,
            _ => self.open.as_slice(),
        }
    }

    /// Whether the open elements are just the dictionaries that these keys lead through.
    fn is_at(&self, place: &[&str]) -> bool {
        let all = self.inner();
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
mod tests;
