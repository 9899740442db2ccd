//! Echo over WebSocket with tokio-tungstenite, whose messages have a limit; for the scenario `websocket`.
#![forbid(unsafe_code)]

use futures_util::{SinkExt, StreamExt};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use std::{error, io};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_async_with_config};

/// Where it listens, if no argument says so.
const PORT: u16 = 81;
/// At once, each with one message at most in memory; who comes then waits in the listener's backlog.
const CLIENTS: usize = 4;
/// The longest message; a longer one ends its connection.
const LONGEST: usize = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(30);

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
    let places = Arc::new(Semaphore::new(CLIENTS));
    loop {
        let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
        // What fails here is this one client: it went before it was accepted.
        let Ok((client, _)) = listener.accept().await else { continue };
        tokio::spawn(async move {
            match talk(client).await {
                Ok(count) => println!("a client is done after {count} messages"),
                Err(error) => eprintln!("a client is lost: {error}"),
            }
            drop(place);
        });
    }
}

/// One client until it closes; how many messages it got back.
async fn talk(client: TcpStream) -> Result<usize, Box<dyn error::Error + Send + Sync>> {
    let config = WebSocketConfig::default().max_message_size(Some(LONGEST)).max_frame_size(Some(LONGEST));
    let mut socket = time::timeout(PATIENCE, accept_async_with_config(client, Some(config))).await??;
    let mut count = 0;
    while let Some(message) = time::timeout(PATIENCE, socket.next()).await? {
        match message {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => {
                time::timeout(PATIENCE, socket.send(message)).await??;
                count += 1;
            }
            // The library answers pings and the closing handshake.
            Ok(_) => {}
            Err(error) => {
                refuse(&mut socket, &error).await;
                return Err(error.into());
            }
        }
    }
    Ok(count)
}

/// Says why, as RFC 6455 (section 7.4.1) has a code for it; whether it arrives makes no difference any more.
async fn refuse(socket: &mut WebSocketStream<TcpStream>, error: &Error) {
    let code = match error {
        Error::Capacity(_) => CloseCode::Size,
        Error::Utf8(_) => CloseCode::Invalid,
        Error::Protocol(_) => CloseCode::Protocol,
        _ => return,
    };
    let frame = CloseFrame { code, reason: "".into() };
    let _told = time::timeout(PATIENCE, socket.close(Some(frame))).await;
}
