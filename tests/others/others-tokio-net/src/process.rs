//! Tests of ours of tokio's `process`, with workers of this product; tokio's own start `sh`.
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

fn worker(arguments: &[&str]) -> Command {
    let mut command = Command::new("/bin/hello-worker");
    command.args(arguments);
    command
}

#[tokio::test]
async fn status_is_awaited() {
    for status in [0, 5] {
        let ended = worker(&["status", &status.to_string()]).status().await.unwrap();
        assert_eq!(ended.code(), Some(status));
    }
}

#[tokio::test]
async fn what_is_not_there_is_an_error_at_once() {
    let error = Command::new("/bin/nothing").spawn().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn output_is_read_again_and_again() {
    for round in 0..10 {
        let word = format!("round {round}");
        let output = worker(&["show", &word]).output().await.unwrap();
        assert!(output.status.success(), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains(&word), "{output:?}");
    }
}

#[tokio::test]
async fn much_goes_through_both_pipes_at_once() {
    let sent: Vec<u8> = (0..300_000_u32).map(|at| (at % 251) as u8).collect();
    let mut command = worker(&["copy"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let copy = sent.clone();
    let sending = tokio::spawn(async move { input.write_all(&copy).await });
    let mut received = Vec::new();
    output.read_to_end(&mut received).await.unwrap();
    sending.await.unwrap().unwrap();
    assert!(child.wait().await.unwrap().success());
    assert!(received == sent, "{} bytes of {}", received.len(), sent.len());
}

#[tokio::test]
async fn two_that_run_on_are_killed() {
    let mut children = [spawned(worker(&["forever"])).await, spawned(worker(&["forever"])).await];
    for child in &mut children {
        assert!(tokio::time::timeout(Duration::from_millis(100), child.wait()).await.is_err());
        assert!(child.try_wait().unwrap().is_none());
        child.kill().await.unwrap();
        assert_eq!(child.wait().await.unwrap().signal(), Some(9));
    }
}

/// One of the two instances may run still, as whoever was dropped ends after its drop.
async fn spawned(mut command: Command) -> Child {
    for _ in 0..500 {
        match command.spawn() {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            other => return other.unwrap(),
        }
    }
    panic!("no instance gets free");
}

#[tokio::test]
async fn one_that_is_dropped_is_killed_and_waited_for() {
    for _ in 0..4 {
        let mut command = worker(&["forever"]);
        command.kill_on_drop(true);
        drop(spawned(command).await);
        let mut other = spawned(worker(&["status", "3"])).await;
        assert_eq!(other.wait().await.unwrap().code(), Some(3));
    }
}
