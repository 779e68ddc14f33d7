//! The pages of a hive: those of its file, and over them what its logs have that is newer.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};

use super::log::{BLOCK, Recovery};
use super::{BASE, WORK_MAX, malformed};

/// How much is read at a time.
const PAGE: usize = 4096;

/// Most pages that are kept, 4 MB: a scan reads some hundred.
const PAGES_MAX: usize = 1024;

/// The data of a hive, by their offset from the end of the base block.
#[derive(Debug)]
pub(super) struct Pages<R> {
    file: R,
    size: u32,
    recovery: Recovery,
    kept: BTreeMap<u32, Box<[u8]>>,
    work: usize,
}

impl<R: Read + Seek> Pages<R> {
    pub(super) fn new(file: R, size: u32, recovery: Recovery) -> Self {
        Self { file, size, recovery, kept: BTreeMap::new(), work: WORK_MAX }
    }

    /// Notes work that is done now.
    ///
    /// # Errors
    /// `FileTooLarge` if that is more than is done for one hive.
    pub(super) fn spend(&mut self, work: usize) -> io::Result<()> {
        self.work = self.work.checked_sub(work).ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(())
    }

    /// Fills `into` from this offset.
    pub(super) fn read(&mut self, offset: u32, into: &mut [u8]) -> io::Result<()> {
        let end = u32::try_from(into.len()).ok().and_then(|length| offset.checked_add(length));
        if end.is_none_or(|end| end > self.size) {
            return Err(malformed());
        }
        let mut at = offset as usize;
        let mut left = into;
        while !left.is_empty() {
            let page = self.page(at / PAGE)?;
            let rest = page.get(at % PAGE..).unwrap_or_default();
            let count = rest.len().min(left.len());
            let (now, later) = left.split_at_mut(count);
            now.copy_from_slice(rest.get(..count).ok_or_else(malformed)?);
            left = later;
            at += count;
        }
        Ok(())
    }

    /// One page; what lies behind the end of the file is zero, and no cell.
    fn page(&mut self, number: usize) -> io::Result<&[u8]> {
        let key = u32::try_from(number).map_err(|_| malformed())?;
        if !self.kept.contains_key(&key) {
            self.spend(PAGE)?;
            let mut page = Vec::with_capacity(PAGE);
            self.file.seek(SeekFrom::Start(BASE + number as u64 * PAGE as u64))?;
            (&mut self.file).take(PAGE as u64).read_to_end(&mut page)?;
            page.resize(PAGE, 0);
            for (block, into) in page.chunks_exact_mut(BLOCK).enumerate() {
                if let Some(newer) = self.recovery.block(number * (PAGE / BLOCK) + block) {
                    into.copy_from_slice(newer);
                }
            }
            if self.kept.len() >= PAGES_MAX {
                self.kept.clear();
            }
            self.kept.insert(key, page.into());
        }
        self.kept.get(&key).map(AsRef::as_ref).ok_or_else(malformed)
    }
}

/// When the hive was written, by its first bin; stands in for a damaged base block's.
pub(super) fn first_timestamp(file: &mut (impl Read + Seek)) -> Option<u64> {
    let mut bin = [0; 32];
    file.seek(SeekFrom::Start(BASE)).ok()?;
    file.read_exact(&mut bin).ok()?;
    let timestamp = bin.get(20..)?.first_chunk()?;
    bin.starts_with(b"hbin").then(|| u64::from_le_bytes(*timestamp))
}
