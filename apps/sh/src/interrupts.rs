//! Ctrl-C as the shell hears it: programs of a command end, what comes behind it does nothing.
//!
//! A command that was interrupted is not dropped where it stands: parts of it are tasks and threads of their own, and may be about to start a
//! program. Each builtin and each program of it looks here, and unwinds the command as `exit` would.

use brush_core::ExecutionResult;
use brush_core::results::{ExecutionControlFlow, ExecutionExitCode};
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

static ARE_HEARD: AtomicBool = AtomicBool::new(false);
static HAVE_COME: AtomicBool = AtomicBool::new(false);
static NEWS: Notify = Notify::const_new();

/// From now on an interrupt is the command's, and not the shell's.
///
/// # Errors
/// The system's, where no handler can be set up.
pub fn hear() -> io::Result<()> {
    let mut interrupts = signal(SignalKind::interrupt())?;
    ARE_HEARD.store(true, Ordering::SeqCst);
    tokio::spawn(async move {
        while interrupts.recv().await.is_some() {
            HAVE_COME.store(true, Ordering::SeqCst);
            NEWS.notify_waiters();
        }
    });
    Ok(())
}

/// What came before was meant for a command that is over.
pub fn forget() {
    HAVE_COME.store(false, Ordering::SeqCst);
}

/// Whether the command that runs was interrupted.
#[must_use]
pub fn have_come() -> bool {
    HAVE_COME.load(Ordering::SeqCst)
}

pub(crate) fn are_heard() -> bool {
    ARE_HEARD.load(Ordering::SeqCst)
}

/// Waits for one.
pub async fn come() {
    let mut news = pin!(NEWS.notified());
    // What comes between the question and the wait is heard.
    news.as_mut().enable();
    if !have_come() {
        news.await;
    }
}

/// What a part of a command says that was interrupted: nothing of the command goes on.
pub(crate) fn unwinding() -> ExecutionResult {
    let (next_control_flow, exit_code) = (ExecutionControlFlow::ExitShell, ExecutionExitCode::Interrupted);
    ExecutionResult { next_control_flow, exit_code }
}
