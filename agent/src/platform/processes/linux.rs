//! Processes as Linux tells them in `/proc` (proc(5)).
//!
//! Two questions for each: what file it runs, and the first lines of `status`. A library that reads all of
//! `stat`, `status` and the folder's own entry costs seven times as much, at every look of an agent that should not be noticed.

use std::fs::{File, read_dir, read_link};
use std::io::{self, Read};
use std::path::Path;

use super::Process;
use crate::lines::{Lines, split_once};

/// How much of `status` is read: what is needed stands in its first ten lines (proc_pid_status(5)), and a name has at
/// most 15 bytes, each of which may be escaped.
const STATUS_MAX: usize = 512;

/// What `status` says that matters here.
#[derive(Debug, PartialEq, Eq)]
struct Status<'a> {
    name: &'a [u8],
    state: u8,
    parent: u32,
    uid: u32,
}

/// All processes that run a program.
pub(super) fn running() -> io::Result<Vec<Process>> {
    let mut all = Vec::new();
    for entry in read_dir("/proc")? {
        let Ok(entry) = entry else { continue };
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
        all.extend(pid.and_then(|pid| process(pid, &entry.path())));
    }
    // This very process is always there: without it this is a folder on which nothing is mounted.
    if all.is_empty() { Err(io::Error::new(io::ErrorKind::NotFound, "/proc is empty")) } else { Ok(all) }
}

/// The host's own name (proc_sys_kernel(5)).
pub(super) fn host_name() -> Option<String> {
    std::fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim_end().to_owned())
}

/// `None` if this is no program, or none any more: programs start and end all the time, and that is nothing to
/// complain of.
fn process(pid: u32, dir: &Path) -> Option<Process> {
    let program = match read_link(dir.join("exe")) {
        Ok(path) => Some(path),
        Err(error) if is_closed(&error) => None,
        // To root, the kernel's own threads and what waits for its parent are without a program.
        Err(_) => return None,
    };
    let mut bytes = [0; STATUS_MAX];
    let length = match File::open(dir.join("status")).and_then(|mut file| file.read(&mut bytes)) {
        Ok(length) => length,
        Err(error) => {
            let closed = Process { program: None, name: String::new(), uid: None, user: None };
            return is_closed(&error).then_some(closed);
        }
    };
    let status = status(bytes.get(..length)?)?;
    // To others they are closed. These threads are kthreadd, which is process 2, and its children.
    if pid == 2 || status.parent == 2 || matches!(status.state, b'Z' | b'X') {
        return None;
    }
    let name = String::from_utf8_lossy(status.name).into_owned();
    Some(Process { program, name, uid: Some(status.uid), user: None })
}

/// EACCES and EPERM.
fn is_closed(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

/// `None` if this is not what the kernel writes.
fn status(text: &[u8]) -> Option<Status<'_>> {
    let (mut name, mut state, mut parent) = (None, None, None);
    for line in Lines(text) {
        let Some((key, value)) = split_once(line, b'\t') else { continue };
        match key {
            b"Name:" => name = name.or(Some(value)),
            b"State:" => state = value.first().copied(),
            b"PPid:" => parent = number(value),
            // The real one, before the effective, the saved and that of the file system.
            b"Uid:" => {
                let uid = number(split_once(value, b'\t')?.0)?;
                return Some(Status { name: name?, state: state?, parent: parent?, uid });
            }
            _ => {}
        }
    }
    None
}

fn number(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use proptest::prelude::*;

    use super::*;

    const STATUS: &str = "Name:\tWeb Content\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t812\nNgid:\t0\nPid:\t812\n\
        PPid:\t644\nTracerPid:\t0\nUid:\t1000\t0\t0\t0\nGid:\t1000\t1000\t1000\t1000\nFDSize:\t64\n";

    #[test]
    fn what_matters_of_a_status_is_read() {
        let expected = Status { name: b"Web Content", state: b'S', parent: 644, uid: 1000 };
        assert_eq!(status(STATUS.as_bytes()), Some(expected));
        // Names are whatever a program calls itself; a line break in one is written as two characters.
        let evil = STATUS.replace("Web Content", "Uid:\\n5\tPPid:\t2");
        assert_eq!(status(evil.as_bytes()).map(|status| (status.parent, status.uid)), Some((644, 1000)));
        for cut in [0, 5, 40, 100] {
            assert_eq!(status(&STATUS.as_bytes()[..cut]), None);
        }
    }

    #[test]
    fn a_program_of_this_user_is_told_with_its_file_and_one_that_ended_is_not() {
        let mut child = Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn().unwrap();
        let find = |pid| process(pid, &Path::new("/proc").join(pid.to_string()));
        // Between the two calls that start a program it still runs this test's.
        let mut told = std::iter::repeat_with(|| find(child.id())).take(1_000_000).flatten();
        let sleep = told.find(|process| process.name == "sleep").unwrap();
        assert!(sleep.program.unwrap().is_absolute());
        assert_eq!(sleep.uid, Some(rustix::process::getuid().as_raw()));
        child.kill().unwrap();
        // Not waited for: it is a zombie once it is dead.
        let gone =
            std::iter::repeat_with(|| find(child.id())).take(1_000_000).any(|process| process.is_none());
        assert!(gone);
        child.wait().unwrap();
        assert_eq!(find(child.id()), None);
    }

    #[test]
    fn the_kernel_s_own_threads_are_no_programs() {
        assert!(running().unwrap().iter().all(|process| !process.name.starts_with("kthreadd")));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let _ = status(&bytes);
            let _ = status(&[b"Name:\t", bytes.as_slice(), b"\nUid:\t"].concat());
        }
    }
}
