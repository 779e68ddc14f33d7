//! Which program each process of Linux runs, beside what was known of it at the look before.
//!
//! Of a process of which nothing is new one link is read and compared, and that is all it costs. The link is read at every
//! look: a process that starts another program keeps its number and the time of its start, and numbers are given
//! again (ADR 0012).

use std::ffi::{CStr, OsStr};
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::buffer::spare_capacity;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{Mode, OFlags, RawDir, openat, readlinkat_raw};
use rustix::io::Errno;

use super::number;

/// Bytes of the listing that are fetched at a time: about a hundred processes.
const LISTING: usize = 4096;
/// First room for a link; most take a fifth of it.
const LINK: usize = 256;
/// The kernel tells no longer link (`do_proc_readlink` in `fs/proc/base.c` has a page for it).
const LINK_MAX: usize = 4096;

/// What is to be done about a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// Nobody was asked about its program yet.
    New,
    /// Nobody wants its program, whoever runs it.
    PassedOver,
    /// Its program is wanted.
    Wanted,
    /// One may not know its program.
    Closed,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    pid: u32,
    /// Where the path of its program is among all paths.
    start: usize,
    end: usize,
    what: What,
}

impl Entry {
    fn path<'a>(&self, paths: &'a [u8]) -> &'a [u8] {
        paths.get(self.start..self.end).unwrap_or_default()
    }
}

/// The processes that run a program, sorted by their numbers.
#[derive(Debug, Default)]
pub(in super::super) struct Programs {
    entries: Vec<Entry>,
    paths: Vec<u8>,
}

impl Programs {
    /// All that run now. What was passed over before still is, where the same process runs the same program.
    pub(super) fn look(proc: &Path, before: &Self) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let proc = openat(rustix::fs::CWD, proc, flags, Mode::empty())?;
        let mut now = Self {
            entries: Vec::with_capacity(before.entries.len()),
            paths: Vec::with_capacity(before.paths.len() + LINK),
        };
        let mut buffer = [MaybeUninit::uninit(); LISTING];
        let mut listing = RawDir::new(&proc, &mut buffer);
        while let Some(entry) = listing.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            let Some(pid) = number(name) else { continue };
            let start = now.paths.len();
            let what = match read_program(proc.as_fd(), name, &mut now.paths) {
                Ok(()) if before.passed_over(pid, now.paths.get(start..).unwrap_or_default()) => {
                    What::PassedOver
                }
                Ok(()) => What::New,
                Err(Errno::ACCESS | Errno::PERM) => What::Closed,
                // The kernel's own threads, what waits for its parent, and what has ended meanwhile.
                Err(_) => continue,
            };
            now.entries.push(Entry { pid, start, end: now.paths.len(), what });
        }
        // As the kernel tells them they are sorted already.
        if !now.entries.is_sorted_by_key(|entry| entry.pid) {
            now.entries.sort_unstable_by_key(|entry| entry.pid);
        }
        Ok(now)
    }

    /// Whether this process ran this program before, which nobody wanted.
    fn passed_over(&self, pid: u32, path: &[u8]) -> bool {
        let place = self.entries.binary_search_by_key(&pid, |entry| entry.pid);
        let before = place.ok().and_then(|place| self.entries.get(place));
        before.is_some_and(|before| before.what == What::PassedOver && before.path(&self.paths) == path)
    }

    /// Asks about every program that was not passed over before whether it is wanted.
    pub(super) fn sift(&mut self, wanted: &mut dyn FnMut(&Path) -> bool) {
        for entry in &mut self.entries {
            if entry.what == What::New {
                let is_wanted = wanted(Path::new(OsStr::from_bytes(entry.path(&self.paths))));
                entry.what = if is_wanted { What::Wanted } else { What::PassedOver };
            }
        }
    }

    /// The numbers of those that are wanted, and of those of which it cannot be known.
    pub(super) fn wanted(&self) -> Vec<u32> {
        let wanted = self.entries.iter().filter(|entry| matches!(entry.what, What::Wanted | What::Closed));
        wanted.map(|entry| entry.pid).collect()
    }

    /// How many are passed over.
    pub(super) fn others(&self) -> u64 {
        self.entries.iter().filter(|entry| entry.what == What::PassedOver).count() as u64
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// Adds the path of the program that this process runs; nothing, where that cannot be told.
fn read_program(proc: BorrowedFd<'_>, pid: &[u8], paths: &mut Vec<u8>) -> Result<(), Errno> {
    // The largest number has seven digits (proc_sys_kernel(5), pid_max).
    let mut link = [0; 16];
    let (name, rest) = link.split_at_mut_checked(pid.len()).ok_or(Errno::NAMETOOLONG)?;
    name.copy_from_slice(pid);
    rest.get_mut(..4).ok_or(Errno::NAMETOOLONG)?.copy_from_slice(b"/exe");
    let link = CStr::from_bytes_until_nul(&link).map_err(|_| Errno::NAMETOOLONG)?;
    let start = paths.len();
    for room in [LINK, LINK_MAX] {
        paths.reserve(room);
        readlinkat_raw(proc, link, spare_capacity(paths))?;
        // A link that fills its room may be longer.
        if paths.len() < paths.capacity() {
            return Ok(());
        }
        paths.truncate(start);
    }
    Err(Errno::NAMETOOLONG)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A folder that looks as `/proc` does.
    struct Proc(tempfile::TempDir);

    impl Proc {
        fn new() -> Self {
            let proc = Self(tempfile::tempdir().unwrap());
            std::fs::create_dir(proc.0.path().join("sys")).unwrap();
            proc
        }

        fn run(&self, pid: u32, program: &str) {
            let dir = self.0.path().join(pid.to_string());
            self.end(pid);
            std::fs::create_dir(&dir).unwrap();
            symlink(program, dir.join("exe")).unwrap();
        }

        fn end(&self, pid: u32) {
            let _ = std::fs::remove_dir_all(self.0.path().join(pid.to_string()));
        }

        /// Looks; says which programs were asked about, which numbers are wanted and how many were passed over.
        fn look(&self, known: &mut Programs) -> (Vec<String>, Vec<u32>, u64) {
            let mut asked = Vec::new();
            let mut now = Programs::look(self.0.path(), known).unwrap();
            now.sift(&mut |program| {
                asked.push(program.display().to_string());
                program.ends_with("slack")
            });
            *known = now;
            (asked, known.wanted(), known.others())
        }
    }

    #[test]
    fn a_program_that_nobody_wants_is_asked_about_once() {
        let (proc, mut known) = (Proc::new(), Programs::default());
        proc.run(1, "/sbin/init");
        proc.run(20, "/usr/bin/slack");
        let all = ["/sbin/init", "/usr/bin/slack"].map(str::to_owned);
        assert_eq!(proc.look(&mut known), (all.to_vec(), vec![20], 1));
        assert_eq!(proc.look(&mut known), (vec!["/usr/bin/slack".to_owned()], vec![20], 1));
        proc.end(20);
        assert_eq!(proc.look(&mut known), (vec![], vec![], 1));
    }

    #[test]
    fn another_program_under_the_same_number_is_noticed() {
        let (proc, mut known) = (Proc::new(), Programs::default());
        for pid in [7, 8, 9] {
            proc.run(pid, "/usr/bin/bash");
        }
        proc.look(&mut known);
        for (program, wanted) in
            [("/usr/bin/slack", vec![8]), ("/usr/bin/bas", vec![]), ("/usr/bin/bash", vec![])]
        {
            // As after an exec, or after the end of the one and the start of another one.
            proc.run(8, program);
            assert_eq!(
                proc.look(&mut known),
                (vec![program.to_owned()], wanted.clone(), 3 - wanted.len() as u64)
            );
        }
        proc.end(7);
        proc.run(6, "/usr/bin/slack");
        assert_eq!(proc.look(&mut known), (vec!["/usr/bin/slack".to_owned()], vec![6], 2));
    }

    #[test]
    fn paths_of_any_length_are_told_whole() {
        let (proc, mut known) = (Proc::new(), Programs::default());
        let long = |length: usize| format!("/{}", "x".repeat(length - 1));
        let lengths = [1, LINK - 1, LINK, LINK + 1, 600, 4000, LINK_MAX - 1];
        for (pid, length) in (1..).zip(lengths) {
            proc.run(pid, &long(length));
        }
        let (asked, ..) = proc.look(&mut known);
        assert_eq!(asked.iter().map(String::len).collect::<Vec<_>>(), lengths);
        assert_eq!(asked, lengths.map(long));
        assert_eq!(proc.look(&mut known), (vec![], vec![], lengths.len() as u64));
    }
}
