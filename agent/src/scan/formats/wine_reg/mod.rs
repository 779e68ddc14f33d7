//! Wine's registry files (`system.reg`, `user.reg`), which are text.
//!
//! The format is that of Wine's `server/registry.c` (`load_keys`, `save_subkeys`) and its escapes those of
//! `server/unicode.c` (`parse_strW`, `dump_strW`). A prefix has some megabytes of it, nearly all about classes:
//! only the wanted keys are kept.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader, Read};

use memchr::memchr;

use super::registry_value::{Value, until_terminator};

/// Longest line that is kept whole. Wine breaks binary values into short lines; a text of 32,767 characters
/// has six bytes for each in the worst case.
const LINE_MAX: usize = 256 * 1024;

/// How much of the wanted keys is kept, in bytes of the file: a prefix with a hundred programs has 100 kB.
const KEPT_MAX: usize = 8 * 1024 * 1024;

/// The keys that were wanted.
#[derive(Debug, Default)]
pub struct Tree {
    keys: BTreeMap<String, Node>,
    malformed: bool,
}

/// A key with values; its path in lower case is what it is found by.
#[derive(Debug)]
struct Node {
    path: String,
    values: BTreeMap<String, Value>,
}

/// A key, with values or merely the beginning of another's path.
#[derive(Debug)]
pub struct Key<'t> {
    tree: &'t Tree,
    path: String,
}

impl Tree {
    /// Reads the keys at and below these paths (`Software\Microsoft`).
    ///
    /// # Errors
    /// `InvalidData` if this is no registry of Wine, `FileTooLarge` if too much is wanted; else what the
    /// reader says.
    pub fn read(reader: impl Read, wanted: &[&str]) -> io::Result<Self> {
        let mut reader = BufReader::with_capacity(64 * 1024, reader);
        let escaped: Vec<String> = wanted.iter().map(|path| path.replace('\\', "\\\\")).collect();
        let (mut tree, mut line, mut kept) = (Self::default(), Vec::new(), 0_usize);
        if !next_line(&mut reader, &mut line)? || line.trim_ascii() != b"WINE REGISTRY Version 2" {
            return Err(io::ErrorKind::InvalidData.into());
        }
        // The key that the lines now are about, if it is wanted.
        let mut current: Option<Node> = None;
        while next_line(&mut reader, &mut line)? {
            let is_key = line.first() == Some(&b'[');
            if is_key {
                tree.keep(current.take());
                current = line
                    .get(1..)
                    .filter(|rest| escaped.iter().any(|path| begins(rest, path)))
                    .and_then(|rest| {
                        let path = quoted(rest, b']').map(|(path, _)| path);
                        tree.malformed |= path.is_none();
                        Some(Node { path: path?, values: BTreeMap::new() })
                    });
            }
            let Some(node) = &mut current else { continue };
            kept += line.len();
            if kept > KEPT_MAX {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            if !matches!(line.first(), Some(b'"' | b'@')) {
                continue;
            }
            while line.ends_with(b"\\") {
                line.pop();
                let mut more = Vec::new();
                if !next_line(&mut reader, &mut more)? || line.len() + more.len() > LINE_MAX {
                    break;
                }
                kept += more.len();
                line.extend_from_slice(more.trim_ascii_start());
            }
            match value(&line) {
                Some((name, value)) => {
                    node.values.insert(name.to_ascii_lowercase(), value);
                }
                None => tree.malformed = true,
            }
        }
        tree.keep(current);
        Ok(tree)
    }

    fn keep(&mut self, node: Option<Node>) {
        if let Some(node) = node {
            self.keys.insert(node.path.to_ascii_lowercase(), node);
        }
    }

    /// Whether some of it could not be understood.
    pub fn is_malformed(&self) -> bool {
        self.malformed
    }

    /// The key that holds all others.
    pub fn root(&self) -> Key<'_> {
        Key { tree: self, path: String::new() }
    }
}

impl<'t> Key<'t> {
    /// The subkey at the end of a path, names separated by `\`, in any case of ASCII.
    pub fn subkey(&self, path: &str) -> Option<Key<'t>> {
        let path = format!("{}{}", self.prefix(), path.to_ascii_lowercase());
        let key = Key { tree: self.tree, path };
        let exists = self.tree.keys.contains_key(&key.path) || key.below().next().is_some();
        exists.then_some(key)
    }

    /// Calls `each` with at most `limit` subkeys and their names.
    pub fn each_subkey(&self, limit: usize, each: &mut dyn FnMut(&str, &Key<'t>)) {
        let start = self.prefix().len();
        let mut seen = BTreeSet::new();
        for (path, node) in self.below() {
            // Wine saves no key that merely holds others.
            let end =
                path.get(start..).and_then(|rest| rest.find('\\')).map_or(path.len(), |end| start + end);
            let (Some(path), Some(name)) = (path.get(..end), node.path.get(start..end)) else { continue };
            if seen.len() < limit && seen.insert(path) {
                each(name, &Key { tree: self.tree, path: path.to_owned() });
            }
        }
    }

    /// The value of this name, in any case of ASCII.
    pub fn value(&self, name: &str) -> Option<&'t Value> {
        self.tree.keys.get(&self.path)?.values.get(&name.to_ascii_lowercase())
    }

    fn prefix(&self) -> String {
        if self.path.is_empty() { String::new() } else { format!("{}\\", self.path) }
    }

    fn below(&self) -> impl Iterator<Item = (&'t String, &'t Node)> + use<'t> {
        let prefix = self.prefix();
        self.tree.keys.range(prefix.clone()..).take_while(move |(path, _)| path.starts_with(&prefix))
    }
}

/// Reads a line without its end, its beginning if it is overlong; `false` at the end of the file.
fn next_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let mut any = false;
    loop {
        let buffer = match reader.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            buffer => buffer?,
        };
        if buffer.is_empty() {
            return Ok(any);
        }
        any = true;
        let end = memchr(b'\n', buffer);
        let part = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or_default();
        line.extend_from_slice(
            part.get(..LINE_MAX.saturating_sub(line.len()).min(part.len())).unwrap_or_default(),
        );
        let used = end.map_or(part.len(), |end| end + 1);
        reader.consume(used);
        if end.is_some() {
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            return Ok(true);
        }
    }
}

/// Whether the text of a key's line begins with this path, and no other name does that merely starts alike.
fn begins(rest: &[u8], path: &str) -> bool {
    let Some((start, end)) = rest.split_at_checked(path.len()) else { return false };
    start.eq_ignore_ascii_case(path.as_bytes()) && (end.starts_with(b"]") || end.starts_with(b"\\\\"))
}

/// A text up to its closing character, and what follows.
fn quoted(text: &[u8], close: u8) -> Option<(String, &[u8])> {
    let mut units = Vec::new();
    let mut rest = text;
    loop {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        match byte {
            b'\\' => {
                let (unit, after) = escape(rest)?;
                units.push(unit);
                rest = after;
            }
            byte if byte == close => break,
            byte => units.push(byte.into()),
        }
    }
    Some((until_terminator(units.into_iter()), rest))
}

/// One unit of UTF-16 behind a backslash.
fn escape(text: &[u8]) -> Option<(u16, &[u8])> {
    let (&byte, rest) = text.split_first()?;
    let digits = |text: &[u8], radix: u32, most: usize| {
        let count = text.iter().take(most).take_while(|digit| char::from(**digit).is_digit(radix)).count();
        let number = std::str::from_utf8(text.get(..count)?).ok()?;
        Some((u16::from_str_radix(number, radix).ok()?, count))
    };
    let plain = match byte {
        b'a' => 7,
        b'b' => 8,
        b't' => 9,
        b'n' => 10,
        b'v' => 11,
        b'f' => 12,
        b'r' => 13,
        b'e' => 27,
        b'x' => {
            // Without digits it is the letter.
            let Some((unit, count)) = digits(rest, 16, 4) else { return Some((byte.into(), rest)) };
            return Some((unit, rest.get(count..)?));
        }
        b'0'..=b'7' => {
            let (unit, count) = digits(text, 8, 3)?;
            return Some((unit, text.get(count..)?));
        }
        byte => byte,
    };
    Some((plain.into(), rest))
}

/// The name and the value of a line; the default value's name is empty.
fn value(line: &[u8]) -> Option<(String, Value)> {
    let (name, rest) = match line.split_first()? {
        (b'"', rest) => quoted(rest, b'"')?,
        (_, rest) => (String::new(), rest),
    };
    let data = rest.strip_prefix(b"=")?;
    let text = |data: &[u8]| Some(quoted(data.strip_prefix(b"\"")?, b'"')?.0);
    if data.starts_with(b"\"") {
        return Some((name, Value::Text(text(data)?)));
    }
    let (kind, data) = data.split_at_checked(memchr(b':', data)?)?;
    let data = data.get(1..)?;
    let number = |kind: &[u8], start: &[u8]| {
        let inner = kind.strip_prefix(start)?.strip_suffix(b")")?;
        u32::from_str_radix(std::str::from_utf8(inner).ok()?, 16).ok()
    };
    let value = match kind {
        b"dword" => {
            Value::Number(u32::from_str_radix(std::str::from_utf8(data.trim_ascii()).ok()?, 16).ok()?.into())
        }
        b"hex" => Value::Other,
        kind if kind.starts_with(b"str(") => match number(kind, b"str(")? {
            1 | 2 | 7 => Value::Text(text(data)?),
            _ => Value::Other,
        },
        kind => Value::of(number(kind, b"hex(")?, &bytes(data)?),
    };
    Some((name, value))
}

/// `41,00,42,00`
fn bytes(data: &[u8]) -> Option<Vec<u8>> {
    let parts = data.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|part| !part.is_empty());
    parts.map(|part| u8::from_str_radix(std::str::from_utf8(part).ok()?, 16).ok()).collect()
}
