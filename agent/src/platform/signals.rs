//! How the system, or the program that started this one, asks it to end.

use std::io;

/// Completes when the system or a person asks this program to end.
///
/// # Errors
/// If the system does not let signals be heard.
pub async fn stop() -> io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

/// Completes when standard input ends; what is written to it is ignored.
///
/// A program that starts this one with a pipe as its standard input takes it along however it ends,
/// also by `SIGKILL`: the system closes the pipe then.
///
/// # Errors
/// If the system gives no thread.
pub async fn input_end() -> io::Result<()> {
    let (ended, end) = tokio::sync::oneshot::channel();
    // A thread of its own, blocked for as long as the pipe is open: as one of the runtime's it would take
    // the place of a scan. It ends with the process.
    std::thread::Builder::new().name("input-end".to_owned()).spawn(move || {
        // An input that cannot be read has ended as well.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        // Nobody listens any more if the program ends for another reason.
        let _ = ended.send(());
    })?;
    // A thread that ended without a word has ended its input, too.
    let _ = end.await;
    Ok(())
}
