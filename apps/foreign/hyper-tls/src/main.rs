//! HTTP/1 and HTTP/2 over TLS with hyper and rustls, by a key made at the start; for the scenario `https`.
#![forbid(unsafe_code)]

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// Where it listens, if no argument says so.
const PORT: u16 = 443;
/// Whom the certificate names, if no further argument says so.
const NAME: &str = "localhost";
/// At once; who comes then waits in the listener's backlog.
const CLIENTS: usize = 8;
/// For the handshake, and for each request's head.
const PATIENCE: Duration = Duration::from_secs(30);
/// A whole connection: nobody keeps one of the few for ever.
const LIFE: Duration = Duration::from_secs(300);
const STREAMS: u32 = 16;

type Anything = Box<dyn Error + Send + Sync>;
type Body = BoxBody<Bytes, hyper::Error>;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().and_then(|port| port.parse().ok()).unwrap_or(PORT);
    let name = arguments.next().unwrap_or_else(|| NAME.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map_err(Anything::from).and_then(|runtime| runtime.block_on(serve(port, name))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot serve: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(port: u16, name: String) -> Result<(), Anything> {
    let acceptor = TlsAcceptor::from(Arc::new(identity(name)?));
    let listener = TcpListener::bind(("0.0.0.0", port)).await?;
    println!("listening on {}", listener.local_addr()?);
    let places = Arc::new(Semaphore::new(CLIENTS));
    loop {
        let place = Arc::clone(&places).acquire_owned().await?;
        // What fails here is this one client: it went before it was accepted.
        let Ok((client, _)) = listener.accept().await else { continue };
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            match time::timeout(LIFE, talk(client, acceptor)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => eprintln!("a client is lost: {error}"),
                Err(_) => eprintln!("a client stayed too long"),
            }
            drop(place);
        });
    }
}

/// A key of its own and a certificate for `name`, which is printed: whoever sees the log can know this server again.
fn identity(name: String) -> Result<ServerConfig, Anything> {
    let made = rcgen::generate_simple_self_signed([name])?;
    for line in made.cert.pem().lines() {
        println!("certificate: {line}");
    }
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
    let provider = Arc::new(ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// One connection, in whichever of the two the handshake agreed on.
async fn talk(client: TcpStream, acceptor: TlsAcceptor) -> Result<(), Anything> {
    client.set_nodelay(true)?;
    let client = time::timeout(PATIENCE, acceptor.accept(client)).await??;
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(32 * 1024);
    server.http2().timer(TokioTimer::new()).max_concurrent_streams(STREAMS).keep_alive_interval(PATIENCE);
    server.serve_connection(TokioIo::new(client), service_fn(answer)).await
}

async fn answer(request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let version = request.version();
    let mut response = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/") => text(StatusCode::OK, format!("hello from hyper over {version:?}\n")),
        // As it comes in: neither side ever holds the whole.
        (&Method::POST, "/echo") => Response::new(request.into_body().boxed()),
        (_, "/" | "/echo") => {
            let allowed = if request.uri().path() == "/" { "GET, HEAD" } else { "POST" };
            let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, format!("only {allowed}\n"));
            refusal.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
            refusal
        }
        _ => text(StatusCode::NOT_FOUND, "nothing is here\n".to_string()),
    };
    response.headers_mut().entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/octet-stream"));
    Ok(response)
}

fn text(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}
