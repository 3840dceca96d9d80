//! `TestNotification`: rules are tried out, past the outbox, so that whoever asks hears at once what is wrong.

use futures_util::{StreamExt, stream};
use lockdown_config::Rule;
use lockdown_dbus_api::{
    Error,
    views::{self, NotificationTest},
};
use lockdown_delivery::{Outcome, still_visible};
use lockdown_enforcement::escape::escape;

use super::{item, settle::MAX_ERROR};
use crate::{
    bus::caller::Caller,
    core::Core,
    domain::event::{Action, Event},
    host::{clock, random, relay},
    store::{StoreError, events, outbox::Message},
};

/// Rules that are tried at the same time.
const AT_ONCE: usize = 8;

/// Sends a test by the rule with this name, or with an empty name by all; what became of each.
///
/// # Errors
/// `InvalidArgument` if there is no such rule, `Failed`.
pub async fn test(core: &Core, caller: &Caller, name: &str) -> Result<Vec<NotificationTest>, Error> {
    let rules = core.store.rules();
    let chosen: Vec<Rule> =
        rules.all().filter(|rule| name.is_empty() || rule.name == name).cloned().collect();
    if chosen.is_empty() {
        let names: Vec<_> = rules.all().map(|rule| rule.name.as_str()).collect();
        return Err(Error::InvalidArgument(match names.as_slice() {
            [] => "there are no rules: see [[notify]] in lockdown.toml(5), then `systemctl reload lockdownd`"
                .to_owned(),
            names => format!("no rule is called {}: there are {}", escape(name), names.join(", ")),
        }));
    }
    let event = record(core, caller, name).await?;
    let tests = chosen.into_iter().map(|rule| {
        let event = event.clone();
        async move {
            let outcome = attempt(core, &rule, event).await.unwrap_or_else(|outcome| outcome);
            NotificationTest {
                rule: rule.name,
                transport: rule.transport.name().to_owned(),
                success: outcome == Outcome::Delivered,
                error: outcome.error().map(|error| still_visible(error, MAX_ERROR)),
            }
        }
    });
    Ok(stream::iter(tests.collect::<Vec<_>>()).buffered(AT_ONCE).collect().await)
}

/// The event that the test tells of, as it is in the trail.
async fn record(core: &Core, caller: &Caller, name: &str) -> Result<views::Event, Error> {
    let mut event = Event::new(clock::now(), Action::NotificationTest, "");
    caller.sign(&mut event);
    if !name.is_empty() {
        event.target = format!("rule:{name}");
    }
    "This is a test. Nothing has happened.".clone_into(&mut event.reason);
    let recorded: Result<Option<views::Event>, StoreError> = core
        .store
        .write(move |change| {
            change.record(event)?;
            let id = change.last_event();
            Ok(events::numbered(change.connection(), id.as_slice())?.pop())
        })
        .await;
    recorded?.ok_or_else(|| Error::Failed("the event of the test cannot be found".to_owned()))
}

async fn attempt(core: &Core, rule: &Rule, event: views::Event) -> Result<Outcome, Outcome> {
    let random = random::bytes().map_err(|error| Outcome::retry(error.to_string()))?;
    let message = Message {
        number: 0,
        id: format!("msg_{:032x}", u128::from_ne_bytes(random)),
        rule: rule.name.clone(),
        severity: rule.severity.unwrap_or(Action::NotificationTest.severity()),
        action: event.action.clone(),
        attempt: 1,
        total: 1,
    };
    let item = item::item(core, rule, &message, vec![event]).await?;
    if item.transport.is_local() {
        return Ok(relay::deliver_locally(&item).await);
    }
    Ok(relay::deliver(&core.relay_socket, &item).await)
}
