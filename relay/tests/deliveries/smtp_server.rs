//! An SMTP server that answers as it is told, and remembers what it heard.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Duration,
};

use rustls::ServerConfig;

use crate::tls;

/// How it answers.
#[derive(Clone, Default)]
pub struct Script {
    /// By the beginning of a command (`RCPT TO:<bob`); the longest that fits counts. `greeting` is said first. What is
    /// missing is answered kindly.
    pub replies: HashMap<&'static str, &'static str>,
    /// Lines of EHLO beyond the first, such as `250-STARTTLS`.
    pub extensions: &'static str,
    /// Encryption from the first byte.
    pub tls: Option<Arc<ServerConfig>>,
    /// Encryption after STARTTLS.
    pub starttls: Option<Arc<ServerConfig>>,
}

/// A server on a loopback port. Its threads end with the test.
pub struct SmtpServer {
    pub port: u16,
    /// Commands and, after DATA, mails as one text; `connected` for every connection.
    pub heard: Receiver<String>,
}

impl SmtpServer {
    pub fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, heard) = channel();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (script, sender) = (script.clone(), sender.clone());
                thread::spawn(move || serve(stream, &script, &sender));
            }
        });
        Self { port, heard }
    }

    /// All that has been heard so far.
    pub fn so_far(&self) -> Vec<String> {
        // The end of a connection may be on its way.
        thread::sleep(Duration::from_millis(100));
        self.heard.try_iter().collect()
    }
}

fn serve(stream: TcpStream, script: &Script, sender: &Sender<String>) {
    sender.send("connected".to_owned()).unwrap();
    match &script.tls {
        Some(config) => drop(converse(tls::accept(stream, config), script, sender)),
        None => {
            let Some(stream) = converse(stream, script, sender) else { return };
            let config = script.starttls.as_ref().unwrap();
            let encrypted = Script {
                replies: HashMap::from([("greeting", "")]),
                extensions: "250-AUTH PLAIN\r\n",
                ..script.clone()
            };
            converse(tls::accept(stream, config), &encrypted, sender);
        }
    }
}

/// The stream after STARTTLS.
fn converse<S: Read + Write>(stream: S, script: &Script, sender: &Sender<String>) -> Option<S> {
    let mut stream = BufReader::new(stream);
    say(&mut stream, script.replies.get("greeting").unwrap_or(&"220 mail.example.org\r\n"))?;
    loop {
        let mut command = String::new();
        if stream.read_line(&mut command).ok()? == 0 {
            return None;
        }
        let command = command.trim_end();
        let _ = sender.send(command.to_owned());
        let told = script.replies.iter().filter(|(beginning, _)| command.starts_with(**beginning));
        let told = told.max_by_key(|(beginning, _)| beginning.len()).map(|(_, reply)| (*reply).to_owned());
        let is_told = told.is_some();
        let kind = match command.split(' ').next().unwrap() {
            "EHLO" => format!("250-mail.example.org\r\n{}250 8BITMIME\r\n", script.extensions),
            "DATA" => "354 go on\r\n".to_owned(),
            "AUTH" => "235 welcome\r\n".to_owned(),
            "STARTTLS" => "220 go on\r\n".to_owned(),
            "QUIT" => "221 bye\r\n".to_owned(),
            _ => "250 ok\r\n".to_owned(),
        };
        say(&mut stream, &told.unwrap_or(kind))?;
        if command == "STARTTLS" && !is_told {
            return Some(stream.into_inner());
        }
        if command == "DATA" && !is_told {
            let mail = mail(&mut stream)?;
            let _ = sender.send(mail);
            say(&mut stream, script.replies.get("mail").unwrap_or(&"250 taken\r\n"))?;
        }
    }
}

/// Says it; `hang` says nothing for long.
fn say<S: Read + Write>(stream: &mut BufReader<S>, reply: &str) -> Option<()> {
    if reply == "hang" {
        thread::sleep(Duration::from_secs(600));
    }
    stream.get_mut().write_all(reply.as_bytes()).ok()?;
    stream.get_mut().flush().ok()
}

fn mail(stream: &mut impl BufRead) -> Option<String> {
    let mut mail = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == ".\r\n" {
            return Some(mail);
        }
        mail.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}
