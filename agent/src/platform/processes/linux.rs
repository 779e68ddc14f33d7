//! Processes as Linux tells them in `/proc` (proc(5)).
//!
//! Of each what file it runs, and only of those whose file is wanted the first lines of `status` (ADR 0012).

mod programs;

use std::fs::{File, read_link};
use std::io::{self, Read};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::mpsc::{SyncSender, sync_channel};

use super::{Process, Running};
use crate::lines::{Lines, split_once};
pub(super) use programs::Programs as Known;

/// Where processes are told.
const PROC: &str = "/proc";

/// Bytes of stack of the thread of [`apart`]: a look takes a few thousand.
const STACK: usize = 128 * 1024;

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

/// What is asked of the thread of [`apart`], with the way to send the answer.
enum Question {
    Programs(Known, SyncSender<io::Result<Known>>),
    Processes(Vec<u32>, SyncSender<Vec<Process>>),
}

/// Where the thread of [`apart`] takes questions.
static APART: OnceLock<SyncSender<Question>> = OnceLock::new();

/// See [`super::apart`].
pub(super) fn apart() -> io::Result<()> {
    let (ask, asked) = sync_channel(0);
    std::thread::Builder::new().name("processes".to_owned()).stack_size(STACK).spawn(move || {
        for question in asked {
            // Who asked may have gone.
            match question {
                Question::Programs(known, answer) => drop(answer.send(programs(&known))),
                Question::Processes(pids, answer) => drop(answer.send(processes(&pids))),
            }
        }
    })?;
    // A second thread has nobody to ask it, and ends.
    let _ = APART.set(ask);
    Ok(())
}

/// See [`super::running`].
pub(super) fn running(known: &mut Known, wanted: &mut dyn FnMut(&Path) -> bool) -> io::Result<Running> {
    let before = std::mem::take(known);
    *known = match APART.get() {
        None => programs(&before),
        Some(apart) => ask(apart, |answer| Question::Programs(before, answer))?,
    }?;
    known.sift(wanted);
    let pids = known.wanted();
    let processes = match APART.get().filter(|_| !pids.is_empty()) {
        None => processes(&pids),
        Some(apart) => ask(apart, |answer| Question::Processes(pids, answer))?,
    };
    Ok(Running { processes, others: known.others() })
}

/// Asks the thread of [`apart`].
fn ask<T>(apart: &SyncSender<Question>, question: impl FnOnce(SyncSender<T>) -> Question) -> io::Result<T> {
    let (answer, answered) = sync_channel(1);
    let asked = apart.send(question(answer)).ok().and_then(|()| answered.recv().ok());
    asked.ok_or_else(|| io::ErrorKind::BrokenPipe.into())
}

fn programs(before: &Known) -> io::Result<Known> {
    let all = Known::look(Path::new(PROC), before)?;
    // This very process is always there: without it this is a folder on which nothing is mounted.
    if all.is_empty() { Err(io::Error::new(io::ErrorKind::NotFound, "/proc is empty")) } else { Ok(all) }
}

/// What is to be told of these; of those that have ended meanwhile nothing.
fn processes(pids: &[u32]) -> Vec<Process> {
    let proc = Path::new(PROC);
    pids.iter().filter_map(|pid| process(*pid, &proc.join(pid.to_string()))).collect()
}

/// The host's own name.
pub(super) fn host_name() -> Option<String> {
    Some(rustix::system::uname().nodename().to_string_lossy().into_owned())
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
        let mut programs = Known::look(proc.path(), &Known::default()).unwrap();
        programs.sift(&mut |_| true);
        let processes = programs.wanted().into_iter();
        let mut told: Vec<_> = processes
            .filter_map(|pid| process(pid, &proc.path().join(pid.to_string())))
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
