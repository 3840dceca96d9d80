//! The same call for several accounts: all are attempted, each has its row.

use futures_util::{StreamExt, stream};
use lockdown_dbus_api::views::Account;
use serde_json::{Value, json};

use super::Context;
use crate::{
    client::Client,
    exit::Failure,
    output::{Show, json},
};

/// How many calls are under way at the same time: locks of many accounts should not wait for the sessions of the first
/// to end.
const AT_ONCE: usize = 16;

/// What came of one account.
#[derive(Debug)]
pub struct Row {
    /// The USER argument.
    pub user: String,
    /// The account as it is now, if the call went through.
    pub account: Option<Account>,
    /// What went wrong. With an account: what is left to do.
    pub failure: Option<Failure>,
}

/// Makes the call for each of `users`, and gives the rows in the same order.
pub async fn call(
    client: &Client,
    users: &[String],
    call: impl AsyncFn(&str) -> Result<Account, Failure>,
) -> Vec<Row> {
    // Several questions for a password at once could not be told apart.
    let at_once = if client.asks() { 1 } else { AT_ONCE };
    let call = &call;
    stream::iter(users)
        .map(|user| async move {
            let (account, failure) = match call(user).await {
                Ok(account) => (Some(account), None),
                Err(failure) => (None, Some(failure)),
            };
            Row { user: user.clone(), account, failure }
        })
        .buffered(at_once)
        .collect()
        .await
}

/// Prints the rows and sums their failures up. One account is answered as itself, several as a list.
///
/// # Errors
///
/// One or more of the rows failed.
pub fn conclude(
    mut rows: Vec<Row>,
    context: &mut Context,
    text: impl FnOnce(&[Row], &Show) -> String,
) -> Result<(), Failure> {
    if let [row] = rows.as_mut_slice() {
        if let Some(account) = &row.account {
            context.answer(|| json::object(account), |show| text(std::slice::from_ref(row), show))?;
        }
        return rows.pop().and_then(|row| row.failure).map_or(Ok(()), Err);
    }
    context.answer(|| rows.iter().map(object).collect(), |show| text(&rows, show))?;
    let total = rows.len();
    let failed: Vec<_> =
        rows.into_iter().filter_map(|row| row.failure.map(|failure| (row.user, failure))).collect();
    if failed.is_empty() { Ok(()) } else { Err(Failure::Several { total, failed }) }
}

fn object(row: &Row) -> Result<Value, Failure> {
    let mut object = json!({"user": row.user, "success": row.failure.is_none()});
    if let Some(failure) = &row.failure {
        object["error"] = failure.json();
    }
    if let Some(account) = &row.account {
        object["account"] = json::object(account)?;
    }
    Ok(object)
}

#[cfg(test)]
mod tests {
    use lockdown_dbus_api::Error;

    use super::*;
    use crate::output::views::tests::alice;

    #[test]
    fn a_row_as_json() {
        let failure = Failure::Call(Error::Protected("root is protected".into()));
        let refused = Row { user: "root".into(), account: None, failure: Some(failure) };
        assert_eq!(
            object(&refused).unwrap(),
            json!({
                "user": "root",
                "success": false,
                "error": {"name": "org.lockdown1.Error.Protected", "message": "root is protected"},
            })
        );
        let done = Row { user: "uid:1000".into(), account: Some(alice()), failure: None };
        let done = object(&done).unwrap();
        assert_eq!(
            (&done["success"], &done["account"]["name"], done.get("error")),
            (&json!(true), &json!("alice"), None)
        );
    }
}
