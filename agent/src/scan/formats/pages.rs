//! What readers of files made of pages share.

use std::io::{self, Read, Seek, SeekFrom};

/// The error of every reader for bytes that its format does not allow.
pub(super) fn malformed() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

/// Fills `into` from this offset of a file; a file that ends before is malformed.
pub(super) fn read_at(file: &mut (impl Read + Seek), at: u64, into: &mut [u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(at))?;
    fill(file, into)
}

/// Fills `into`; a reader that ends before is malformed.
pub(super) fn fill(reader: &mut (impl Read + ?Sized), into: &mut [u8]) -> io::Result<()> {
    reader.read_exact(into).map_err(|error| match error.kind() == io::ErrorKind::UnexpectedEof {
        true => malformed(),
        false => error,
    })
}

/// The bytes of a number at this offset, to be put together in the format's order.
pub(super) fn array<const N: usize>(bytes: &[u8], at: usize) -> io::Result<[u8; N]> {
    bytes.get(at..).and_then(<[u8]>::first_chunk).copied().ok_or_else(malformed)
}

/// A number of two bytes, the higher one first.
pub(super) fn be16(bytes: &[u8], at: usize) -> io::Result<u16> {
    array(bytes, at).map(u16::from_be_bytes)
}

/// A number of four bytes, the highest one first.
pub(super) fn be32(bytes: &[u8], at: usize) -> io::Result<u32> {
    array(bytes, at).map(u32::from_be_bytes)
}

/// A number of four bytes, the lowest one first.
pub(super) fn le32(bytes: &[u8], at: usize) -> io::Result<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}
