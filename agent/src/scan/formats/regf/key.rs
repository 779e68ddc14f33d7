//! Keys and values of a hive.

use std::io::{self, Read, Seek};

use super::super::registry_value::{TEXT_MAX, Value};
use super::{Hive, malformed, u16_at, u32_at};

/// Longest name of a key or value in bytes: 255 and 16,383 characters by the documentation of the registry;
/// of the latter only so many are compared.
const NAME_MAX: usize = 1024;

/// Most subkeys among which one is looked for. The keys on the paths that are read have some hundred; a
/// user's hive may claim anything.
const SUBKEYS_MAX: usize = 65_536;

/// Most values among which one is looked for.
const VALUES_MAX: usize = 4096;

/// Most that a value holds in one cell; larger ones are cut into pieces of this size.
const SEGMENT: usize = 16_344;

/// No offset.
const NOWHERE: u32 = u32::MAX;

/// A subkey with its name, or what is wrong with it.
pub type Subkey<'k, 'h, R> = io::Result<(&'k str, &'k Key<'h, R>)>;

/// A key.
#[derive(Debug)]
pub struct Key<'h, R> {
    hive: &'h Hive<R>,
    cell: Vec<u8>,
}

/// What a list says of a key's name, so that not every key has to be read.
#[derive(Debug)]
enum Hint {
    Nothing,
    Start(u32),
    Hash(u32),
}

impl Hint {
    fn may_be(&self, name: &str) -> bool {
        match self {
            Self::Nothing => true,
            // The first four characters, in the case of the key; a zero if they are not of Latin-1.
            Self::Start(start) => {
                let start = start.to_le_bytes();
                let mut pairs = start.iter().zip(name.bytes().chain([0; 4]));
                start.first() == Some(&0) || pairs.all(|(a, b)| a.eq_ignore_ascii_case(&b))
            }
            Self::Hash(hash) => {
                let sum =
                    |hash: u32, c: u8| hash.wrapping_mul(37).wrapping_add(c.to_ascii_uppercase().into());
                *hash == name.bytes().fold(0, sum)
            }
        }
    }
}

impl<'h, R: Read + Seek> Key<'h, R> {
    pub(super) fn at(hive: &'h Hive<R>, offset: u32) -> io::Result<Self> {
        let cell = hive.cell(offset, 76 + NAME_MAX)?;
        if cell.starts_with(b"nk") { Ok(Self { hive, cell }) } else { Err(malformed()) }
    }

    /// Its name, without those of the keys that it is in.
    ///
    /// # Errors
    /// `InvalidData` if it has none.
    pub fn name(&self) -> io::Result<String> {
        let length = u16_at(&self.cell, 72).ok_or_else(malformed)?;
        let latin = u16_at(&self.cell, 2).is_some_and(|flags| flags & 0x20 != 0);
        name(self.cell.get(76..), length.into(), latin)
    }

    /// The subkey at the end of a path, names separated by `\`, in any case. The path is ASCII, as all names
    /// are that Windows gives.
    ///
    /// # Errors
    /// `InvalidData` for damage that stands in the way; else what the reader says.
    pub fn subkey(&self, path: &str) -> io::Result<Option<Key<'h, R>>> {
        let mut key = Self { hive: self.hive, cell: self.cell.clone() };
        for part in path.split('\\') {
            match key.child(part)? {
                Some(child) => key = child,
                None => return Ok(None),
            }
        }
        Ok(Some(key))
    }

    fn child(&self, wanted: &str) -> io::Result<Option<Key<'h, R>>> {
        let (mut found, mut count, mut broken) = (None, 0, None);
        let complete = self.each_child(&mut |offset, hint| {
            count += 1;
            if hint.may_be(wanted) {
                match Self::at(self.hive, offset).and_then(|key| Ok((key.name()?, key))) {
                    Ok((name, key)) if name.eq_ignore_ascii_case(wanted) => found = Some(key),
                    Ok(_) => {}
                    Err(error) => broken = Some(error),
                }
            }
            found.is_none() && count < SUBKEYS_MAX
        });
        match (found, broken) {
            (Some(key), _) => Ok(Some(key)),
            (None, Some(error)) => Err(error),
            (None, None) => {
                complete.and_then(|()| if count < SUBKEYS_MAX { Ok(None) } else { Err(malformed()) })
            }
        }
    }

    /// Calls `each` with at most `limit` subkeys and their names, or with what is wrong with one.
    pub fn each_subkey(&self, limit: usize, each: &mut dyn FnMut(Subkey<'_, 'h, R>)) {
        let mut count = 0;
        if limit == 0 {
            return;
        }
        let complete = self.each_child(&mut |offset, _| {
            match Self::at(self.hive, offset).and_then(|key| Ok((key.name()?, key))) {
                Ok((name, key)) => each(Ok((&name, &key))),
                Err(error) => each(Err(error)),
            }
            count += 1;
            count < limit
        });
        if let Err(error) = complete {
            each(Err(error));
        }
    }

    /// Calls `each` with the offsets of subkeys until it answers `false`.
    fn each_child(&self, each: &mut dyn FnMut(u32, &Hint) -> bool) -> io::Result<()> {
        let (Some(count), Some(list)) = (u32_at(&self.cell, 20), u32_at(&self.cell, 28)) else {
            return Err(malformed());
        };
        if count == 0 || list == NOWHERE {
            return Ok(());
        }
        let cell = self.list(list)?;
        if !cell.starts_with(b"ri") {
            return leaf(&cell, each).map(|_| ());
        }
        // A list of lists, and no deeper.
        for entry in elements(&cell, 4)? {
            if !leaf(&self.list(u32_at(entry, 0).ok_or_else(malformed)?)?, each)? {
                break;
            }
        }
        Ok(())
    }

    /// A list of subkeys: at most 65,535 elements of eight bytes.
    fn list(&self, offset: u32) -> io::Result<Vec<u8>> {
        self.hive.cell(offset, 4 + 8 * usize::from(u16::MAX))
    }

    /// The value of this name, in any case. The name is ASCII.
    ///
    /// # Errors
    /// `InvalidData` for damage that stands in the way; else what the reader says.
    pub fn value(&self, wanted: &str) -> io::Result<Option<Value>> {
        let (Some(count), Some(list)) = (u32_at(&self.cell, 36), u32_at(&self.cell, 40)) else {
            return Err(malformed());
        };
        if count == 0 || list == NOWHERE {
            return Ok(None);
        }
        let count = usize::try_from(count).ok().filter(|count| *count <= VALUES_MAX).ok_or_else(malformed)?;
        let offsets = self.hive.cell(list, count * 4)?;
        let mut broken = None;
        for offset in offsets.chunks_exact(4).filter_map(|offset| u32_at(offset, 0)) {
            match self.value_at(offset, wanted) {
                Ok(None) => {}
                Ok(value) => return Ok(value),
                Err(error) => broken = Some(error),
            }
        }
        broken.map_or(Ok(None), Err)
    }

    fn value_at(&self, offset: u32, wanted: &str) -> io::Result<Option<Value>> {
        let cell = self.hive.cell(offset, 20 + NAME_MAX)?;
        let (Some(length), Some(size), Some(data), Some(kind), Some(flags), true) = (
            u16_at(&cell, 2),
            u32_at(&cell, 4),
            u32_at(&cell, 8),
            u32_at(&cell, 12),
            u16_at(&cell, 16),
            cell.starts_with(b"vk"),
        ) else {
            return Err(malformed());
        };
        if usize::from(length) > NAME_MAX
            || !name(cell.get(20..), length.into(), flags & 1 != 0)?.eq_ignore_ascii_case(wanted)
        {
            return Ok(None);
        }
        // Up to four bytes stand where the offset of others stands.
        let here = size & 0x8000_0000 != 0;
        let size = usize::try_from(size & 0x7fff_ffff).map_err(|_| malformed())?;
        let bytes = match here {
            true => data.to_le_bytes().get(..size).ok_or_else(malformed)?.to_vec(),
            false if size == 0 => Vec::new(),
            false => self.data(data, size)?,
        };
        Ok(Some(Value::of(kind, &bytes)))
    }

    /// At most as much of a value's data as any text has.
    fn data(&self, offset: u32, size: usize) -> io::Result<Vec<u8>> {
        let size_read = size.min(2 * TEXT_MAX);
        let cell = self.hive.cell(offset, size_read)?;
        if size <= SEGMENT || !cell.starts_with(b"db") {
            return if cell.len() == size_read { Ok(cell) } else { Err(malformed()) };
        }
        let count = u16_at(&cell, 2).map_or(0, usize::from);
        let list = self.hive.cell(u32_at(&cell, 4).ok_or_else(malformed)?, count * 4)?;
        let mut data = Vec::with_capacity(size_read);
        for segment in list.chunks_exact(4).filter_map(|offset| u32_at(offset, 0)) {
            if data.len() >= size_read {
                break;
            }
            data.extend(self.hive.cell(segment, SEGMENT.min(size_read - data.len()))?);
        }
        if data.len() == size_read { Ok(data) } else { Err(malformed()) }
    }
}

/// Calls `each` with the elements of a list until it answers `false`; answers what it answered last.
fn leaf(cell: &[u8], each: &mut dyn FnMut(u32, &Hint) -> bool) -> io::Result<bool> {
    let length = if cell.starts_with(b"li") { 4 } else { 8 };
    for element in elements(cell, length)? {
        let hint = match (cell.get(..2), u32_at(element, 4)) {
            (Some(b"lf"), Some(start)) => Hint::Start(start),
            (Some(b"lh"), Some(hash)) => Hint::Hash(hash),
            (Some(b"li"), None) => Hint::Nothing,
            _ => return Err(malformed()),
        };
        if !each(u32_at(element, 0).ok_or_else(malformed)?, &hint) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The elements of a list of any kind; it has as many as it says or is damaged.
fn elements(cell: &[u8], length: usize) -> io::Result<std::slice::ChunksExact<'_, u8>> {
    let count = u16_at(cell, 2).map_or(0, usize::from);
    let elements = cell.get(4..).and_then(|rest| rest.get(..count * length)).ok_or_else(malformed)?;
    Ok(elements.chunks_exact(length))
}

/// A name in Latin-1 or UTF-16LE.
fn name(bytes: Option<&[u8]>, length: usize, latin: bool) -> io::Result<String> {
    let bytes = bytes.and_then(|bytes| bytes.get(..length)).ok_or_else(malformed)?;
    if latin {
        return Ok(bytes.iter().copied().map(char::from).collect());
    }
    let units = bytes.as_chunks().0.iter().map(|unit| u16::from_le_bytes(*unit));
    Ok(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
}
