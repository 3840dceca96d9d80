//! An HTTP server that answers as it is told, and remembers what it was asked.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Duration,
};

use rustls::ServerConfig;

use crate::tls;

/// What it was asked.
pub struct Request {
    pub line: String,
    /// By lower-case names.
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
    /// Which connection it came over, from 0.
    pub connection: usize,
}

/// A server on a loopback port. Its threads end with the test.
pub struct HttpServer {
    pub address: SocketAddr,
    pub requests: Receiver<Request>,
}

impl HttpServer {
    /// Answers every request with these bytes; without any, never.
    pub fn start(answer: impl Into<Vec<u8>>) -> Self {
        Self::start_with(answer.into(), None)
    }

    pub fn start_tls(answer: impl Into<Vec<u8>>, config: Arc<ServerConfig>) -> Self {
        Self::start_with(answer.into(), Some(config))
    }

    fn start_with(answer: Vec<u8>, config: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = channel();
        thread::spawn(move || {
            for (connection, stream) in listener.incoming().flatten().enumerate() {
                let (answer, sender, config) = (answer.clone(), sender.clone(), config.clone());
                thread::spawn(move || serve(stream, connection, &answer, &sender, config));
            }
        });
        Self { address, requests }
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub fn request(&self) -> Request {
        self.requests.recv_timeout(Duration::from_secs(30)).unwrap()
    }
}

/// An answer with this status line, these header lines and no body.
pub fn answer(status: &str, headers: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: 0\r\n\r\n")
}

fn serve(
    stream: TcpStream,
    connection: usize,
    answer: &[u8],
    sender: &Sender<Request>,
    config: Option<Arc<ServerConfig>>,
) {
    match config {
        Some(config) => converse(tls::accept(stream, &config), connection, answer, sender),
        None => converse(stream, connection, answer, sender),
    }
}

fn converse(stream: impl Read + Write, connection: usize, answer: &[u8], sender: &Sender<Request>) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream, connection) {
        let _ = sender.send(request);
        if answer.is_empty() {
            thread::sleep(Duration::from_secs(600));
        }
        if stream.get_mut().write_all(answer).and_then(|()| stream.get_mut().flush()).is_err() {
            return;
        }
    }
}

fn read(stream: &mut impl BufRead, connection: usize) -> Option<Request> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let headers: HashMap<_, _> = lines[1..]
        .iter()
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut body = vec![0; headers["content-length"].parse().unwrap()];
    stream.read_exact(&mut body).ok()?;
    Some(Request { line: lines[0].clone(), headers, body, connection })
}
