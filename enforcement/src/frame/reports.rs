//! What a login path reports, as fields of a frame.

use super::fields::{Fields, Writer, tag};
use super::{
    AttemptOutcome, AttemptReport, DenialReport, FrameError, Login, Phase, SessionReport, TriggerReport,
};
use crate::tally::TallyLock;

impl Login {
    fn write(&self, frame: &mut Writer) {
        frame.text(tag::ACCOUNT, &self.account);
        frame.field(tag::UID, &self.uid.to_le_bytes());
        frame.text(tag::SERVICE, &self.service);
        frame.field(tag::PID, &self.pid.to_le_bytes());
        frame.optional_text(tag::TTY, self.tty.as_deref());
        frame.optional_text(tag::REMOTE_HOST, self.remote_host.as_deref());
        frame.optional_text(tag::REMOTE_USER, self.remote_user.as_deref());
    }

    fn from(fields: &Fields<'_>) -> Result<Self, FrameError> {
        Ok(Self {
            account: fields.text(tag::ACCOUNT)?,
            uid: fields.number(tag::UID, u32::from_le_bytes)?,
            service: fields.text(tag::SERVICE)?,
            pid: fields.number(tag::PID, u32::from_le_bytes)?,
            tty: fields.optional_text(tag::TTY)?,
            remote_host: fields.optional_text(tag::REMOTE_HOST)?,
            remote_user: fields.optional_text(tag::REMOTE_USER)?,
        })
    }
}

impl SessionReport {
    pub(super) fn write(&self, mut frame: Writer) -> Vec<u8> {
        self.login.write(&mut frame);
        frame.optional_text(tag::LOGIND_SESSION, self.logind_session.as_deref());
        frame.optional_text(tag::AUTH_INFO, self.auth_info.as_deref());
        frame.0
    }

    pub(super) fn from(fields: &Fields<'_>) -> Result<Self, FrameError> {
        Ok(Self {
            login: Login::from(fields)?,
            logind_session: fields.optional_text(tag::LOGIND_SESSION)?,
            auth_info: fields.optional_text(tag::AUTH_INFO)?,
        })
    }
}

impl DenialReport {
    pub(super) fn write(&self, mut frame: Writer) -> Vec<u8> {
        self.login.write(&mut frame);
        frame.optional_text(tag::AUTH_INFO, self.auth_info.as_deref());
        frame.field(tag::PHASE, &[self.phase.code()]);
        frame.denial_kind(&self.kind);
        frame.0
    }

    pub(super) fn from(fields: &Fields<'_>) -> Result<Self, FrameError> {
        Ok(Self {
            login: Login::from(fields)?,
            auth_info: fields.optional_text(tag::AUTH_INFO)?,
            phase: Phase::of(fields.number(tag::PHASE, u8::from_le_bytes)?)?,
            kind: fields.denial_kind()?,
        })
    }
}

impl AttemptReport {
    pub(super) fn write(&self, mut frame: Writer) -> Vec<u8> {
        self.login.write(&mut frame);
        match self.outcome {
            AttemptOutcome::Failed { number, counted, lock } => {
                frame.field(tag::OUTCOME, &[1]);
                frame.field(tag::COUNT, &number.to_le_bytes());
                frame.field(tag::FLAGS, &[u8::from(counted) | TallyLock::flags(lock)]);
                frame.optional_time(tag::EXPIRES_AT, lock.and_then(|lock| lock.until));
            }
            AttemptOutcome::Refused { until } => {
                frame.field(tag::OUTCOME, &[2]);
                frame.optional_time(tag::EXPIRES_AT, until);
            }
            AttemptOutcome::Succeeded { cleared } => {
                frame.field(tag::OUTCOME, &[3]);
                frame.field(tag::COUNT, &cleared.to_le_bytes());
            }
        }
        frame.0
    }

    pub(super) fn from(fields: &Fields<'_>) -> Result<Self, FrameError> {
        let until = fields.optional_number(tag::EXPIRES_AT, i64::from_le_bytes)?;
        let outcome = match fields.number(tag::OUTCOME, u8::from_le_bytes)? {
            1 => {
                let flags = fields.number(tag::FLAGS, u8::from_le_bytes)?;
                AttemptOutcome::Failed {
                    number: fields.number(tag::COUNT, u64::from_le_bytes)?,
                    counted: flags & 1 != 0,
                    lock: TallyLock::from_flags(flags, until),
                }
            }
            2 => AttemptOutcome::Refused { until },
            3 => AttemptOutcome::Succeeded { cleared: fields.number(tag::COUNT, u64::from_le_bytes)? },
            _ => return Err(FrameError::Value(tag::OUTCOME)),
        };
        Ok(Self { login: Login::from(fields)?, outcome })
    }
}

impl TriggerReport {
    pub(super) fn write(&self, mut frame: Writer) -> Vec<u8> {
        self.login.write(&mut frame);
        frame.field(tag::PHASE, &[self.phase.code()]);
        frame.0
    }

    pub(super) fn from(fields: &Fields<'_>) -> Result<Self, FrameError> {
        Ok(Self {
            login: Login::from(fields)?,
            phase: Phase::of(fields.number(tag::PHASE, u8::from_le_bytes)?)?,
        })
    }
}

impl Phase {
    fn code(self) -> u8 {
        match self {
            Self::Account => 1,
            Self::Session => 2,
            Self::Auth => 3,
        }
    }

    fn of(code: u8) -> Result<Self, FrameError> {
        match code {
            1 => Ok(Self::Account),
            2 => Ok(Self::Session),
            3 => Ok(Self::Auth),
            _ => Err(FrameError::Value(tag::PHASE)),
        }
    }
}
