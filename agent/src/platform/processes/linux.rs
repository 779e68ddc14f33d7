//! Processes as Linux tells them in `/proc` (proc(5)).
//!
//! Two questions for each: what file it runs, and the first lines of `status`. A library that asks for all that is told
//! costs more than twice as much (ADR 0012).

use std::fs::{File, read_dir, read_link};
use std::io::{self, Read};
use std::path::Path;

use super::Process;
use crate::lines::{Lines, split_once};

/// How much of `status` is read: what is needed stands in its first ten lines (proc_pid_status(5)), and the longest
/// names, those of the kernel's own threads, have 63 bytes.
const STATUS_MAX: usize = 512;

/// What `status` says that matters here.
#[derive(Debug, Default, PartialEq, Eq)]
struct Status<'a> {
    name: &'a [u8],
    state: Option<u8>,
    parent: Option<u32>,
    uid: Option<u32>,
}

/// All processes that run a program.
pub(super) fn running() -> io::Result<Vec<Process>> {
    let all = running_in(Path::new("/proc"))?;
    // This very process is always there: without it this is a folder on which nothing is mounted.
    if all.is_empty() { Err(io::Error::new(io::ErrorKind::NotFound, "/proc is empty")) } else { Ok(all) }
}

/// The host's own name.
pub(super) fn host_name() -> Option<String> {
    Some(rustix::system::uname().nodename().to_string_lossy().into_owned())
}

fn running_in(proc: &Path) -> io::Result<Vec<Process>> {
    let mut all = Vec::new();
    for entry in read_dir(proc)? {
        let entry = entry?;
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
        all.extend(pid.and_then(|pid| process(pid, &entry.path())));
    }
    Ok(all)
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
    let status = match File::open(dir.join("status")).and_then(|mut file| file.read(&mut bytes)) {
        Ok(length) => status(bytes.get(..length)?),
        // With `hidepid=1`, which shows that there are others' processes and nothing of them.
        Err(error) if is_closed(&error) => Status::default(),
        Err(_) => return None,
    };
    // To others than root the kernel's own threads are closed: kthreadd, which is process 2, and its children. In a
    // container process 2 is a program like others, and the kernel starts some programs itself.
    let in_kernel = program.is_none() && (pid == 2 || status.parent == Some(2));
    if in_kernel || matches!(status.state, Some(b'Z' | b'X' | b'x')) {
        return None;
    }
    let name = String::from_utf8_lossy(status.name).into_owned();
    Some(Process { program, name, uid: status.uid, user: None })
}

/// EACCES and EPERM.
fn is_closed(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

fn status(text: &[u8]) -> Status<'_> {
    let mut status = Status::default();
    for line in Lines(text) {
        let Some((key, value)) = split_once(line, b'\t') else { continue };
        match key {
            b"Name:" => status.name = value,
            b"State:" => status.state = value.first().copied(),
            b"PPid:" => status.parent = number(value),
            // The real one, before the effective, the saved and that of the file system.
            b"Uid:" => {
                status.uid = split_once(value, b'\t').and_then(|(real, _)| number(real));
                break;
            }
            _ => {}
        }
    }
    status
}

fn number(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::process::{Command, Stdio};

    use proptest::prelude::*;

    use super::*;

    const STATUS: &str = "Name:\tWeb Content\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t812\nNgid:\t0\nPid:\t812\n\
        PPid:\t644\nTracerPid:\t0\nUid:\t1000\t0\t0\t0\nGid:\t1000\t1000\t1000\t1000\nFDSize:\t64\n";

    #[test]
    fn what_matters_of_a_status_is_read() {
        let expected = Status { name: b"Web Content", state: Some(b'S'), parent: Some(644), uid: Some(1000) };
        assert_eq!(status(STATUS.as_bytes()), expected);
        // Names are whatever a program calls itself; a line break in one is written as two characters.
        let evil = STATUS.replace("Web Content", "Uid:\\n5\tPPid:\t2");
        let evil = status(evil.as_bytes());
        assert_eq!((evil.parent, evil.uid), (Some(644), Some(1000)));
    }

    #[test]
    fn only_what_runs_a_program_is_told() {
        let proc = tempfile::tempdir().unwrap();
        let make = |pid: u32, program: Option<&str>, state: &str, parent: u32| {
            let dir = proc.path().join(pid.to_string());
            std::fs::create_dir(&dir).unwrap();
            std::fs::write(
                dir.join("status"),
                format!("Name:\tp{pid}\nState:\t{state}\nPPid:\t{parent}\nUid:\t7\t7\t7\t7\n"),
            )
            .unwrap();
            program.into_iter().for_each(|program| symlink(program, dir.join("exe")).unwrap());
        };
        make(1, Some("/sbin/init"), "S (sleeping)", 0);
        // As in a container, where the first programs have the numbers that the kernel's threads have elsewhere.
        make(2, Some("/usr/bin/slack"), "S (sleeping)", 1);
        make(3, Some("/usr/bin/signal-desktop (deleted)"), "R (running)", 2);
        make(4, None, "I (idle)", 2);
        make(5, Some("/usr/bin/dead"), "Z (zombie)", 1);
        std::fs::create_dir(proc.path().join("6")).unwrap();
        std::fs::create_dir(proc.path().join("sys")).unwrap();
        // The status of another kernel.
        make(7, Some("/usr/bin/gajim"), "S", 1);
        std::fs::write(proc.path().join("7/status"), "nothing of this kind\n").unwrap();
        let mut told: Vec<_> = running_in(proc.path())
            .unwrap()
            .into_iter()
            .map(|process| (process.name, process.program.unwrap().display().to_string(), process.uid))
            .collect();
        told.sort();
        let told: Vec<_> =
            told.iter().map(|(name, program, uid)| (name.as_str(), program.as_str(), *uid)).collect();
        let expected = [
            ("", "/usr/bin/gajim", None),
            ("p1", "/sbin/init", Some(7)),
            ("p2", "/usr/bin/slack", Some(7)),
            ("p3", "/usr/bin/signal-desktop (deleted)", Some(7)),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_process_that_has_ended_is_told_from_one_that_is_closed() {
        for (error, closed) in [(1, true), (13, true), (2, false), (3, false)] {
            let error = io::Error::from_raw_os_error(error);
            assert_eq!(is_closed(&error), closed, "{error}");
        }
        // No process has this number (proc_sys_kernel(5): pid_max is at most 2^22).
        assert_eq!(process(1 << 23, Path::new("/proc/8388608")), None);
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

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let _ = status(&bytes);
            let _ = status(&[b"Name:\t", bytes.as_slice(), b"\nUid:\t"].concat());
        }
    }
}
