//! `lockdownctl restore`

use std::io::{self, BufRead, BufReader, Read};

use lockdown_dbus_api::{
    options::{self, MAX_TEXT},
    tags::Tags,
    views::Restored,
};

use super::{Context, tags};
use crate::{
    client::Client,
    exit::Failure,
    output::{
        Show, json,
        table::{Colour, Table, coloured, paint},
        text::escape,
        views::{lock_end, property_list, remedy},
    },
    target,
    terminal::Terminal,
};

/// Take a lockdown back
///
/// Activates the account again. Locks that others have set stay in force, and are named.
///
/// The account gets a new password: on a terminal it is asked for, unless --password-stdin, --recovery-code or --undo is
/// given; an account of a directory has its password there and needs none. Keys and jobs stay in quarantine unless
/// --tokens says otherwise, now or in a later call. It prints what the user should look at.
///
/// With --undo, everything that was kept is put back as it was before the lockdown: for a false alarm. What --undo and
/// --tokens need is kept for a time that is configured (lockdown.undo_window, seven days if nothing is configured).
///
/// With --json, prints an object; a recovery code is in "recovery_code".
#[derive(clap::Args, Debug, PartialEq)]
#[command(after_long_help = "\
Examples:
  lockdownctl restore alice
  lockdownctl restore alice --recovery-code --reason 'laptop was found'
  lockdownctl restore alice --undo --reason 'false alarm'
  pwgen -s 20 1 | lockdownctl restore alice --password-stdin --tokens")]
pub struct Args {
    /// Account to restore
    #[arg(value_name = "USER", value_parser = target::user)]
    user: String,

    /// Make a one-time code, with which the user sets a new password at the next login
    ///
    /// It is shown once, and ends after a time that is configured (lockdown.recovery_code_lifetime).
    #[arg(long, group = "how")]
    recovery_code: bool,

    /// Read the new password from standard input, one line
    #[arg(long, group = "how")]
    password_stdin: bool,

    /// Put everything back as it was: it was a false alarm
    #[arg(long, group = "how")]
    undo: bool,

    /// Put keys and jobs back, too
    #[arg(long)]
    tokens: bool,

    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    #[command(flatten)]
    tags: tags::Tagged,
}

impl Args {
    /// What would have to be asked for. An account of a directory needs no password: the daemon knows whether it is one.
    #[must_use]
    pub fn missing(&self) -> Option<&'static str> {
        (self.asks() && !self.tokens).then_some("--recovery-code, --password-stdin or --undo")
    }

    /// Whether the new password comes on standard input.
    #[must_use]
    pub fn reads_password(&self) -> bool {
        self.password_stdin
    }

    fn asks(&self) -> bool {
        !(self.recovery_code || self.password_stdin || self.undo)
    }

    fn options(&self, password: Option<String>, tags: Option<Tags>) -> options::Restore {
        options::Restore {
            reason: self.reason.clone(),
            undo: self.undo.then_some(true),
            recovery_code: self.recovery_code.then_some(true),
            password,
            tokens: self.tokens.then_some(true),
            tags,
        }
    }
}

/// Runs it.
///
/// # Errors
///
/// There is no lockdown to take back, or something could not be put back.
pub async fn run(args: &Args, context: &mut Context) -> Result<(), Failure> {
    let tags = args.tags.option()?;
    let piped = if args.password_stdin { Some(password(io::stdin().lock())?) } else { None };
    if let Some(how) = args.missing().filter(|_| !Terminal::is_there()) {
        return Err(Failure::Usage(format!("without a terminal to ask on, give {how}")));
    }
    let asks = args.asks();
    let client = Client::connect().await?;
    let mut terminal = if asks { Terminal::of_process()? } else { None };
    if terminal.is_some() && args.tokens && is_restored(&args.user, &client).await? {
        terminal = None;
    }
    let password = match &mut terminal {
        Some(terminal) => ask(&args.user, terminal).await?,
        None => piped,
    };
    let options = args.options(password, tags);
    let answer = client.restore(&args.user, &options);
    let restored = match &mut terminal {
        Some(terminal) => {
            let then = "what has begun goes on in lockdownd: see `lockdownctl status`";
            terminal.unless_interrupted(then, answer).await?
        }
        None => answer.await?,
    };
    context.answer(|| json::object(&restored), |show| text(&restored, show))?;
    if restored.success {
        return Ok(());
    }
    let error = restored.error.unwrap_or_else(|| "failed, and the daemon does not say why".to_owned());
    Err(Failure::Incomplete(error))
}

/// Whether no lockdown stands any more: what an earlier call left in quarantine comes back without a new password.
async fn is_restored(user: &str, client: &Client) -> Result<bool, Failure> {
    let previews = client.preview_lockdown(&[user.to_owned()]).await?;
    Ok(!previews.iter().any(|preview| preview.locked_down))
}

async fn ask(user: &str, terminal: &mut Terminal) -> Result<Option<String>, Failure> {
    let first = format!("New password of {} (empty: leave it as it is): ", escape(user));
    let password = terminal.ask_new_password(&first, "The same again: ").await?;
    Ok(Some(password).filter(|password| !password.is_empty()))
}

/// The first line, without its end. No message has anything of it.
fn password(input: impl Read) -> Result<String, Failure> {
    let wrong = |what: &str| Failure::Usage(format!("the password on standard input {what}"));
    let mut line = Vec::new();
    // One more for the end of the line, and one to notice what is too long.
    let longest = u64::try_from(MAX_TEXT).unwrap_or(u64::MAX).saturating_add(2);
    BufReader::new(input.take(longest))
        .read_until(b'\n', &mut line)
        .map_err(|error| Failure::Local(format!("cannot read the password from standard input: {error}")))?;
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    match String::from_utf8(line) {
        Ok(line) if line.is_empty() => Err(wrong("is empty: give one line")),
        Ok(line) if line.len() > MAX_TEXT => {
            Err(wrong(&format!("has more than {MAX_TEXT} bytes: give a shorter one")))
        }
        // What no D-Bus string can hold, and no program that takes passwords as C strings.
        Ok(line) if line.contains('\0') => Err(wrong("has a NUL byte: give another one")),
        Ok(line) => Ok(line),
        Err(_) => Err(wrong("is not UTF-8: give another one")),
    }
}

fn text(restored: &Restored, show: &Show) -> String {
    let user = escape(&restored.user);
    let title = match (restored.success, restored.still_locked_by.is_empty()) {
        (true, true) => coloured(&format!("{user} is restored"), Colour::Green),
        (true, false) => coloured(&format!("{user} is restored, but still locked"), Colour::Yellow),
        (false, _) => coloured(&format!("{user} is not wholly restored"), Colour::Red),
    };
    let mut rows = Vec::new();
    let lines = |texts: &[String]| texts.iter().map(|text| escape(text)).collect::<Vec<_>>().join("\n");
    for (name, texts) in [("Put back", &restored.put_back), ("In quarantine", &restored.kept)] {
        if !texts.is_empty() {
            rows.push((name, lines(texts)));
        }
    }
    if !restored.still_locked_by.is_empty() {
        let locks = restored.still_locked_by.iter();
        let each: Vec<_> =
            locks.map(|owner| format!("{}: {}", escape(owner), remedy(owner, &restored.user))).collect();
        rows.push(("Still locked by", each.join("\n")));
    }
    if let Some(code) = &restored.recovery_code {
        let until = restored.recovery_code_expires.map(|end| format!(", ends {}", lock_end(end, show)));
        rows.push((
            "Recovery code",
            format!("{} (shown only this once{})", escape(code), until.unwrap_or_default()),
        ));
    }
    let mut text = paint(&title, show) + "\n" + &property_list(rows, show);
    if !restored.review.is_empty() {
        text.push_str(&format!("\n{user} should look at\n"));
        let mut list = Table::bare();
        for line in &restored.review {
            list.row(["  -".to_owned(), escape(line)]);
        }
        text.push_str(&list.render(show));
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::{
        cli::{Cli, Command},
        output::views::tests::{at, show},
    };

    fn parse(line: &str) -> Result<Args, clap::Error> {
        let words = ["lockdownctl", "restore"].into_iter().chain(line.split(' '));
        Cli::try_parse_from(words).map(|cli| match cli.command {
            Command::Restore(args) => args,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn options_are_those_that_were_given() {
        assert_eq!(parse("alice").unwrap().options(None, None), options::Restore::default());
        let options = parse("alice --undo --tokens --reason x").unwrap().options(None, None);
        assert_eq!((options.undo, options.tokens, options.recovery_code), (Some(true), Some(true), None));
        assert_eq!(options.reason.as_deref(), Some("x"));
        let options = parse("alice --password-stdin").unwrap().options(Some("secret".into()), None);
        assert_eq!(options, options::Restore { password: Some("secret".into()), ..Default::default() });
    }

    #[test]
    fn ways_exclude_each_other() {
        for line in
            ["a --undo --recovery-code", "a --undo --password-stdin", "a --recovery-code --password-stdin"]
        {
            assert_eq!(parse(line).unwrap_err().kind(), clap::error::ErrorKind::ArgumentConflict, "{line}");
        }
    }

    #[test]
    fn a_password_is_one_line_of_text() {
        let longest = "x".repeat(MAX_TEXT);
        for (input, expected) in
            [("a b\n", "a b"), ("a", "a"), ("a\nb\n", "a"), (" a\r\n", " a\r"), (&longest, &longest)]
        {
            assert_eq!(password(input.as_bytes()).unwrap(), expected);
            assert_eq!(password(format!("{expected}\n").as_bytes()).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_no_password_is_wrong_usage_and_not_shown() {
        let long = "secret".repeat(MAX_TEXT);
        for input in ["", "\n", "\nsecret\n", "secret\0\n", &long] {
            let failure = password(input.as_bytes()).unwrap_err();
            assert_eq!(failure.code(), 2, "{input:?}");
            assert!(!failure.line().contains("secret"), "{failure:?}");
        }
        let failure = password(b"secret\xff\n".as_slice()).unwrap_err();
        assert!(failure.code() == 2 && !failure.line().contains("secret"), "{failure:?}");
    }

    #[test]
    fn what_was_put_back_and_what_was_not() {
        let restored = Restored {
            user: "alice".into(),
            success: true,
            put_back: vec!["shadow".into(), "linger".into()],
            kept: vec!["/home/alice/.ssh/authorized_keys".into(), "crontab \u{1b}[2J".into()],
            recovery_code: Some("K7Q2-M9XD-4TRW".into()),
            recovery_code_expires: Some(at(86_400)),
            review: vec!["authorized keys: 3 are in quarantine".into(), "sign-ins since Monday\n".into()],
            ..Restored::default()
        };
        insta::assert_snapshot!("restored", text(&restored, &show()));
        let locked = Restored {
            still_locked_by: vec!["operator".into(), "config:web".into()],
            kept: Vec::new(),
            recovery_code: None,
            recovery_code_expires: None,
            review: Vec::new(),
            ..restored.clone()
        };
        insta::assert_snapshot!("restored-still-locked", text(&locked, &show()));
        let failed = Restored { success: false, put_back: Vec::new(), review: Vec::new(), ..restored };
        assert!(text(&failed, &show()).starts_with("alice is not wholly restored\n"));
    }
}
