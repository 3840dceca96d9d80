//! What passes over the relay's socket: a stream of frames, both ways.
//!
//! ```text
//!   0            4
//!  +------------+---------------------+
//!  | length LE  | length bytes: JSON  |
//!  +------------+---------------------+
//!
//!  daemon → relay   Item
//!  relay  → daemon  Verdict, one for each item, in any order
//! ```
//!
//! The length is of the JSON alone, 1 to [`MAX_FRAME`]. A reader skips keys that it does not know, so that one end can be
//! upgraded before the other. The stream may end between two frames; an end within one is an error.

use std::{
    fmt,
    io::{self, Read},
};

use serde::{Serialize, de::DeserializeOwned};

/// The largest JSON in a frame, in bytes.
pub const MAX_FRAME: usize = 1024 * 1024;

/// Bytes before the JSON.
pub const HEADER: usize = 4;

/// Why bytes are not a frame, or a value has none.
#[derive(Debug)]
pub enum FrameError {
    /// The JSON would have this many bytes, more than [`MAX_FRAME`], or none.
    Length(usize),
    /// The stream ended within a frame.
    Truncated,
    /// Not the JSON of what was expected; where and why, without the text itself, which may hold secrets.
    Json {
        /// Line of the JSON, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// Kind of mistake.
        problem: &'static str,
    },
    /// Reading failed.
    Io(io::Error),
}

impl fmt::Display for FrameError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(length) => write!(out, "frame of {length} bytes, 1 to {MAX_FRAME} expected"),
            Self::Truncated => out.write_str("frame cut short"),
            Self::Json { line, column, problem } => {
                write!(out, "frame with {problem} at line {line}, column {column}")
            }
            Self::Io(error) => error.fmt(out),
        }
    }
}

impl std::error::Error for FrameError {}

impl From<serde_json::Error> for FrameError {
    fn from(error: serde_json::Error) -> Self {
        let problem = match error.classify() {
            serde_json::error::Category::Io => "unreadable JSON",
            serde_json::error::Category::Syntax => "malformed JSON",
            serde_json::error::Category::Data => "unexpected JSON",
            serde_json::error::Category::Eof => "incomplete JSON",
        };
        Self::Json { line: error.line(), column: error.column(), problem }
    }
}

impl From<io::Error> for FrameError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof { Self::Truncated } else { Self::Io(error) }
    }
}

/// The frame of an item or a verdict.
///
/// # Errors
/// [`FrameError::Length`] if it does not fit.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, FrameError> {
    let mut frame = vec![0; HEADER];
    serde_json::to_writer(&mut frame, value)?;
    let length = frame.len() - HEADER;
    let header = u32::try_from(length).ok().filter(|_| length <= MAX_FRAME);
    frame[..HEADER].copy_from_slice(&header.ok_or(FrameError::Length(length))?.to_le_bytes());
    Ok(frame)
}

/// How many bytes of JSON follow this header.
///
/// # Errors
/// [`FrameError::Length`]: what follows is no frame, and where the next one begins is not known.
pub fn length(header: [u8; HEADER]) -> Result<usize, FrameError> {
    match u32::from_le_bytes(header) as usize {
        length @ 1..=MAX_FRAME => Ok(length),
        length => Err(FrameError::Length(length)),
    }
}

/// What the JSON of a frame says.
///
/// # Errors
/// [`FrameError::Json`]
pub fn decode<T: DeserializeOwned>(json: &[u8]) -> Result<T, FrameError> {
    Ok(serde_json::from_slice(json)?)
}

/// The JSON of the next frame; `None` at the end of the stream. Memory is taken as bytes arrive, not as the header
/// promises them.
///
/// # Errors
/// Those of the stream, and of a frame that is cut short or too long.
pub fn read(stream: &mut impl Read) -> Result<Option<Vec<u8>>, FrameError> {
    let mut header = [0; HEADER];
    let mut filled = 0;
    while filled < HEADER {
        match stream.read(&mut header[filled..]) {
            Ok(0) if filled == 0 => return Ok(None),
            Ok(0) => return Err(FrameError::Truncated),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    let length = length(header)?;
    let mut json = Vec::new();
    stream.take(length as u64).read_to_end(&mut json)?;
    if json.len() == length { Ok(Some(json)) } else { Err(FrameError::Truncated) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Item, Outcome, Verdict};

    #[test]
    fn frames_follow_one_another() {
        let verdicts = [
            Verdict { id: "msg_1".into(), outcome: Outcome::Delivered },
            Verdict { id: "msg_2".into(), outcome: Outcome::Gone { error: "410".into() } },
        ];
        let stream: Vec<u8> = verdicts.iter().flat_map(|verdict| encode(verdict).unwrap()).collect();
        let mut stream = stream.as_slice();
        for verdict in verdicts {
            assert_eq!(decode::<Verdict>(&read(&mut stream).unwrap().unwrap()).unwrap(), verdict);
        }
        assert!(read(&mut stream).unwrap().is_none());
    }

    #[test]
    fn an_end_within_a_frame_is_an_error() {
        let frame = encode(&Verdict { id: "msg_1".into(), outcome: Outcome::Delivered }).unwrap();
        for end in 1..frame.len() {
            assert!(matches!(read(&mut &frame[..end]), Err(FrameError::Truncated)), "{end}");
        }
    }

    #[test]
    fn lengths_are_bounded_both_ways() {
        let promised = |length: u32| super::length(length.to_le_bytes());
        assert!(matches!(promised(0), Err(FrameError::Length(0))));
        assert!(matches!(promised(1), Ok(1)));
        assert!(matches!(promised(MAX_FRAME as u32), Ok(MAX_FRAME)));
        assert!(promised(MAX_FRAME as u32 + 1).is_err() && promised(u32::MAX).is_err());
        assert!(encode(&"x".repeat(MAX_FRAME - 2)).is_ok());
        assert!(matches!(encode(&"x".repeat(MAX_FRAME - 1)), Err(FrameError::Length(_))));
    }

    #[test]
    fn an_error_does_not_repeat_the_text() {
        let error = decode::<Item>(br#"{"id": 7, "secret": "whsec_c2VjcmV0"}"#).unwrap_err().to_string();
        assert_eq!(error, "frame with unexpected JSON at line 1, column 8");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = read(&mut bytes.as_slice());
            let _ = decode::<Item>(&bytes);
            let _ = decode::<Verdict>(&bytes);
        }

        #[test]
        fn whatever_is_sent_arrives_whole(texts: Vec<String>) {
            let mut stream = Vec::new();
            for text in &texts {
                stream.extend(encode(text).unwrap());
            }
            let mut stream = stream.as_slice();
            for text in texts {
                prop_assert_eq!(decode::<String>(&read(&mut stream).unwrap().unwrap()).unwrap(), text);
            }
            prop_assert!(read(&mut stream).unwrap().is_none());
        }
    }
}
