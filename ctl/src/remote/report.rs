//! What came of a command on several hosts.

use std::io::{Write, stderr};

use serde_json::{Value, json};

use super::Ending;
use crate::{
    commands::Context,
    exit::{self, Failure},
    output::{
        Show,
        table::{Colour, Table, coloured},
        text::escape,
    },
};

/// What came from one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// How it ended.
    pub ending: Ending,
    /// What it printed.
    pub stdout: String,
    /// What it, or ssh, printed on stderr.
    pub stderr: String,
}

impl Answer {
    /// The exit code that `--host` has with this host alone.
    fn code(&self) -> u8 {
        match self.ending {
            Ending::Exit(code) => code,
            Ending::Unreachable | Ending::NotInstalled | Ending::Killed => exit::UNREACHABLE,
        }
    }

    fn is_changed(&self, is_detailed: bool) -> bool {
        is_detailed && self.ending == Ending::Exit(exit::CHANGED)
    }

    fn is_failed(&self, is_detailed: bool) -> bool {
        self.ending != Ending::Exit(exit::DONE) && !self.is_changed(is_detailed)
    }

    /// In a word or two.
    fn result(&self, is_detailed: bool) -> String {
        match self.ending {
            Ending::Exit(exit::CHANGED) if is_detailed => "changed".to_owned(),
            Ending::Exit(code) => {
                exit::meaning(code).map_or_else(|| format!("exit code {code}"), str::to_owned)
            }
            Ending::Unreachable => "unreachable".to_owned(),
            Ending::NotInstalled => "no lockdownctl".to_owned(),
            Ending::Killed => "ssh was killed".to_owned(),
        }
    }
}

/// Shows what a host has printed, once it is done there. What is shown is not kept.
///
/// # Errors
///
/// It cannot be printed.
pub fn group(host: &str, answer: &mut Answer, context: &mut Context) -> Result<(), Failure> {
    if context.json {
        return Ok(());
    }
    let lines = |text: &str| text.lines().map(escape).collect::<Vec<_>>();
    let stdout = std::mem::take(&mut answer.stdout);
    if !context.quiet && !stdout.is_empty() {
        // Indented, so that no host can speak for another.
        let indent = |line: String| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") };
        let shown: String = lines(&stdout).into_iter().map(indent).collect();
        context.print(&format!("{}:\n{shown}\n", escape(host)))?;
        // Before what follows it on stderr.
        context.flush()?;
    }
    for line in lines(&std::mem::take(&mut answer.stderr)) {
        let _ = writeln!(stderr(), "{}: {line}", escape(host));
    }
    Ok(())
}

/// Shows the result of each, and sums up: a failure of several, or whether something changed.
///
/// # Errors
///
/// It failed on one or more of them, or was interrupted; those are without an answer.
pub fn conclude(
    hosts: &[String],
    answers: &[Option<Answer>],
    is_detailed: bool,
    is_interrupted: bool,
    context: &mut Context,
) -> Result<(), Failure> {
    let rows: Vec<_> = hosts.iter().zip(answers).collect();
    context.answer(
        || Ok(rows.iter().map(|(host, answer)| object(host, answer.as_ref(), is_detailed)).collect()),
        |show| table(&rows, is_detailed, show),
    )?;
    if is_interrupted {
        return Err(Failure::Interrupted("what has begun on a host goes on there".to_owned()));
    }
    let answered = || rows.iter().filter_map(|(host, answer)| Some((*host, answer.as_ref()?)));
    let failed = answered().filter(|(_, answer)| answer.is_failed(is_detailed)).map(|(host, answer)| {
        let failure = Failure::Elsewhere { code: answer.code(), result: answer.result(is_detailed) };
        (host.clone(), failure)
    });
    let failed: Vec<_> = failed.collect();
    if !failed.is_empty() {
        return Err(Failure::Several { total: hosts.len(), failed });
    }
    if answered().any(|(_, answer)| answer.is_changed(is_detailed)) {
        context.exit = exit::CHANGED;
    }
    Ok(())
}

/// What has not come to an end.
const UNFINISHED: &str = "not finished";

fn object(host: &str, answer: Option<&Answer>, is_detailed: bool) -> Value {
    let Some(answer) = answer else {
        return json!({"host": host, "exit": null, "result": UNFINISHED, "output": null, "stderr": ""});
    };
    let output = match answer.stdout.as_str() {
        "" => Value::Null,
        text => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
    };
    json!({
        "host": host,
        "exit": answer.code(),
        "result": answer.result(is_detailed),
        "output": output,
        "stderr": answer.stderr,
    })
}

fn table(rows: &[(&String, &Option<Answer>)], is_detailed: bool, show: &Show) -> String {
    let mut table = Table::new(["HOST", "RESULT"]).unbroken(&[0, 1]);
    for (host, answer) in rows {
        let result = answer.as_ref().map_or_else(
            || coloured(UNFINISHED, Colour::Red),
            |answer| {
                let colour = match answer {
                    answer if answer.is_failed(is_detailed) => Colour::Red,
                    answer if answer.is_changed(is_detailed) => Colour::Yellow,
                    _ => Colour::Green,
                };
                coloured(&answer.result(is_detailed), colour)
            },
        );
        table.row([escape(host), result]);
    }
    table.render(show)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{commands, output::views::tests::show};

    fn answer(ending: Ending) -> Answer {
        Answer { ending, stdout: String::new(), stderr: String::new() }
    }

    /// The exit code, with and without `--detailed-exitcode`.
    fn codes(endings: &[Ending]) -> [u8; 2] {
        let hosts: Vec<_> = (0..endings.len()).map(|number| format!("web{number}")).collect();
        let answers: Vec<_> = endings.iter().map(|ending| Some(answer(*ending))).collect();
        [true, false].map(|is_detailed| {
            let mut context = commands::tests::context();
            match conclude(&hosts, &answers, is_detailed, false, &mut context) {
                Ok(()) => context.exit,
                Err(failure) => failure.code(),
            }
        })
    }

    #[test]
    fn the_exit_code_of_several() {
        use Ending::{Exit, Killed, NotInstalled, Unreachable};
        assert_eq!(codes(&[Exit(0), Exit(0)]), [0, 0]);
        assert_eq!(codes(&[Exit(0), Exit(2)]), [2, 1]);
        assert_eq!(codes(&[Exit(2), Exit(2)]), [2, 2]);
        // A change does not hide a failure.
        assert_eq!(codes(&[Exit(1), Exit(2)]), [1, 1]);
        assert_eq!(codes(&[Exit(2), Unreachable]), [1, 1]);
        assert_eq!(codes(&[Exit(0), Exit(6)]), [1, 1]);
        // All for the same reason: that reason.
        assert_eq!(codes(&[Exit(6), Exit(6)]), [6, 6]);
        assert_eq!(codes(&[Unreachable, Exit(5), NotInstalled, Killed]), [5, 5]);
    }

    #[test]
    fn results_as_a_table_and_as_json() {
        let hosts: Vec<_> = (1..=9).map(|number| format!("web{number}")).collect();
        let endings = (0..=6).map(Ending::Exit).chain([Ending::Unreachable]);
        let mut answers: Vec<_> = endings.map(|ending| Some(answer(ending))).collect();
        answers.push(None);
        let rows: Vec<_> = hosts.iter().zip(&answers).collect();
        insta::assert_snapshot!("hosts", table(&rows, false, &show()));
        let parsed = Answer { stdout: "{\"a\": 1}\n".into(), ..answer(Ending::Exit(0)) };
        let text = Answer { stdout: "a\n".into(), stderr: "b".into(), ..answer(Ending::NotInstalled) };
        assert_eq!(
            [
                object("web1", Some(&parsed), true),
                object("web2", Some(&text), true),
                object("web3", None, true)
            ],
            [
                json!({"host": "web1", "exit": 0, "result": "done", "output": {"a": 1}, "stderr": ""}),
                json!({"host": "web2", "exit": 5, "result": "no lockdownctl", "output": "a\n", "stderr": "b"}),
                json!({"host": "web3", "exit": null, "result": "not finished", "output": null, "stderr": ""}),
            ]
        );
    }
}
