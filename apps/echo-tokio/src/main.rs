//! Echo over TCP with tokio: all clients on one thread, each with a time-out, and one task that counts them all.
#![forbid(unsafe_code)]

use std::io;
use std::process::ExitCode;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time;

/// Where it listens, if no argument says so.
const PORT: u16 = 8;
const SILENCE: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(PORT);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(serve(port))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot serve: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(port: u16) -> io::Result<()> {
    let listener = TcpListener::bind(("0.0.0.0", port)).await?;
    println!("listening on {}", listener.local_addr()?);
    let before = time::Instant::now();
    time::sleep(Duration::from_millis(30)).await;
    println!("slept at least 30 ms: {}", before.elapsed() >= Duration::from_millis(30));
    let (tell, mut told) = mpsc::channel::<usize>(8);
    let (mut clients, mut total) = (0_usize, 0_usize);
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (client, _) = accepted?;
                let tell = tell.clone();
                tokio::spawn(async move {
                    let bytes = echo(client).await.unwrap_or(0);
                    // The one who counts lives as long as this does.
                    let _counted = tell.send(bytes).await;
                });
            }
            Some(bytes) = told.recv() => {
                (clients, total) = (clients + 1, total + bytes);
                println!("{clients} clients sent {total} bytes");
            }
        }
    }
}

/// Everything back until the client has finished; how many bytes.
async fn echo(mut client: TcpStream) -> io::Result<usize> {
    let (mut buffer, mut total) = (vec![0; 4096], 0);
    loop {
        match time::timeout(SILENCE, client.read(&mut buffer)).await?? {
            0 => return Ok(total),
            length => {
                client.write_all(&buffer[..length]).await?;
                total += length;
            }
        }
    }
}
