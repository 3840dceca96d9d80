//! A frame by its fields: how they are written and read, whatever they mean.

use std::borrow::Cow;

use super::{FrameError, MAX_FRAME};
use crate::verdict::DenialKind;

pub(super) const VERSION: u8 = 1;
pub(super) const MAX_TEXT: usize = 1024;
pub(super) const MAX_LONG_TEXT: usize = 8 * 1024;
pub(super) const CUT_MARK: &str = "…";

pub(super) mod kind {
    pub(in crate::frame) const SESSION_OPENED: u8 = 1;
    pub(in crate::frame) const SESSION_CLOSED: u8 = 2;
    pub(in crate::frame) const DENIED: u8 = 3;
    pub(in crate::frame) const ASK: u8 = 4;
    pub(in crate::frame) const TRIGGER: u8 = 5;
    pub(in crate::frame) const ATTEMPT: u8 = 6;
    pub(in crate::frame) const ALLOW: u8 = 128;
    pub(in crate::frame) const DENY: u8 = 129;
}

pub(super) mod tag {
    pub(in crate::frame) const ACCOUNT: u8 = 1;
    pub(in crate::frame) const UID: u8 = 2;
    pub(in crate::frame) const SERVICE: u8 = 3;
    pub(in crate::frame) const PID: u8 = 4;
    pub(in crate::frame) const TTY: u8 = 5;
    pub(in crate::frame) const REMOTE_HOST: u8 = 6;
    pub(in crate::frame) const REMOTE_USER: u8 = 7;
    pub(in crate::frame) const LOGIND_SESSION: u8 = 8;
    pub(in crate::frame) const AUTH_INFO: u8 = 9;
    pub(in crate::frame) const PHASE: u8 = 10;
    pub(in crate::frame) const DENIAL: u8 = 11;
    pub(in crate::frame) const LOCK: u8 = 12;
    pub(in crate::frame) const OWNER: u8 = 13;
    pub(in crate::frame) const AUTHENTICATOR: u8 = 14;
    pub(in crate::frame) const VALID_UNTIL: u8 = 15;
    pub(in crate::frame) const EXPIRES_AT: u8 = 16;
    pub(in crate::frame) const MESSAGE: u8 = 17;
    pub(in crate::frame) const OUTCOME: u8 = 18;
    pub(in crate::frame) const COUNT: u8 = 19;
    pub(in crate::frame) const FLAGS: u8 = 20;
    /// The last one known.
    pub(in crate::frame) const LAST: u8 = FLAGS;
}

/// A frame as it grows.
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn new(kind: u8) -> Self {
        let mut frame = Vec::with_capacity(512);
        frame.extend([VERSION, kind]);
        Self(frame)
    }

    /// `value` has at most [`MAX_LONG_TEXT`] bytes.
    pub(super) fn field(&mut self, tag: u8, value: &[u8]) {
        self.0.push(tag);
        self.0.extend((value.len() as u16).to_le_bytes());
        self.0.extend(value);
    }

    pub(super) fn text(&mut self, tag: u8, text: &str) {
        self.field(tag, cut(text, max_text(tag), tag == tag::AUTH_INFO).as_bytes());
    }

    pub(super) fn optional_text(&mut self, tag: u8, text: Option<&str>) {
        if let Some(text) = text {
            self.text(tag, text);
        }
    }

    pub(super) fn optional_time(&mut self, tag: u8, seconds: Option<i64>) {
        if let Some(seconds) = seconds {
            self.field(tag, &seconds.to_le_bytes());
        }
    }

    pub(super) fn denial_kind(&mut self, kind: &DenialKind) {
        match kind {
            DenialKind::Locked { lock, owner, authenticator } => {
                self.field(tag::DENIAL, &[1]);
                self.field(tag::LOCK, &lock.to_le_bytes());
                self.text(tag::OWNER, owner);
                self.optional_text(tag::AUTHENTICATOR, authenticator.as_deref());
            }
            DenialKind::Expired { valid_until } => {
                self.field(tag::DENIAL, &[2]);
                self.field(tag::VALID_UNTIL, &valid_until.to_le_bytes());
            }
            DenialKind::RecordUnreadable => self.field(tag::DENIAL, &[3]),
        }
    }
}

pub(super) fn max_text(tag: u8) -> usize {
    if matches!(tag, tag::AUTH_INFO | tag::MESSAGE) { MAX_LONG_TEXT } else { MAX_TEXT }
}

/// At most `max` bytes of `text`. What is cut shows it by its end, so that it cannot be taken for another name; of
/// `whole_lines` those that fit are kept, because half a key is another key.
pub(super) fn cut(text: &str, max: usize, whole_lines: bool) -> Cow<'_, str> {
    if text.len() <= max {
        return text.into();
    }
    if whole_lines {
        return text[..text.floor_char_boundary(max)].rsplit_once('\n').map_or("", |(lines, _)| lines).into();
    }
    format!("{}{CUT_MARK}", &text[..text.floor_char_boundary(max - CUT_MARK.len())]).into()
}

/// The fields of a frame, by tag.
pub(super) struct Fields<'a>([Option<&'a [u8]>; tag::LAST as usize + 1]);

impl<'a> Fields<'a> {
    /// The kind of a frame and its fields.
    pub(super) fn read(bytes: &'a [u8]) -> Result<(u8, Self), FrameError> {
        if bytes.len() > MAX_FRAME {
            return Err(FrameError::TooLarge);
        }
        let (kind, mut rest) = match bytes {
            [VERSION, kind, rest @ ..] => (*kind, rest),
            [VERSION] | [] => return Err(FrameError::Truncated),
            [version, ..] => return Err(FrameError::Version(*version)),
        };
        let mut fields = Self([None; tag::LAST as usize + 1]);
        while let [tag, low, high, after @ ..] = rest {
            let length = usize::from(u16::from_le_bytes([*low, *high]));
            let (value, after) = after.split_at_checked(length).ok_or(FrameError::Truncated)?;
            if let Some(field) = fields.0.get_mut(usize::from(*tag))
                && field.replace(value).is_some()
            {
                return Err(FrameError::Duplicate(*tag));
            }
            rest = after;
        }
        if rest.is_empty() { Ok((kind, fields)) } else { Err(FrameError::Truncated) }
    }

    pub(super) fn get(&self, tag: u8) -> Option<&'a [u8]> {
        self.0.get(usize::from(tag)).copied().flatten()
    }

    pub(super) fn optional_text(&self, tag: u8) -> Result<Option<String>, FrameError> {
        let Some(value) = self.get(tag) else { return Ok(None) };
        if value.len() > max_text(tag) {
            return Err(FrameError::Value(tag));
        }
        String::from_utf8(value.to_vec()).map(Some).map_err(|_| FrameError::Value(tag))
    }

    pub(super) fn text(&self, tag: u8) -> Result<String, FrameError> {
        self.optional_text(tag)?.ok_or(FrameError::Missing(tag))
    }

    pub(super) fn optional_number<const WIDTH: usize, T>(
        &self,
        tag: u8,
        from_le_bytes: fn([u8; WIDTH]) -> T,
    ) -> Result<Option<T>, FrameError> {
        let value = self.get(tag).map(<[u8; WIDTH]>::try_from).transpose();
        Ok(value.map_err(|_| FrameError::Value(tag))?.map(from_le_bytes))
    }

    pub(super) fn number<const WIDTH: usize, T>(
        &self,
        tag: u8,
        from_le_bytes: fn([u8; WIDTH]) -> T,
    ) -> Result<T, FrameError> {
        self.optional_number(tag, from_le_bytes)?.ok_or(FrameError::Missing(tag))
    }

    pub(super) fn denial_kind(&self) -> Result<DenialKind, FrameError> {
        match self.number(tag::DENIAL, u8::from_le_bytes)? {
            1 => Ok(DenialKind::Locked {
                lock: self.number(tag::LOCK, i64::from_le_bytes)?,
                owner: self.text(tag::OWNER)?,
                authenticator: self.optional_text(tag::AUTHENTICATOR)?,
            }),
            2 => Ok(DenialKind::Expired { valid_until: self.number(tag::VALID_UNTIL, i64::from_le_bytes)? }),
            3 => Ok(DenialKind::RecordUnreadable),
            _ => Err(FrameError::Value(tag::DENIAL)),
        }
    }
}
