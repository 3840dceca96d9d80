//! `ListNotifications` and `RetryNotifications`.

use lockdown_dbus_api::{Error, options, views::Notification};

use crate::{
    bus::caller::Caller,
    core::Core,
    domain::event::{Action, Event},
    host::clock,
    store::{StoreError, outbox},
};

/// Messages that have not arrived, oldest first.
///
/// # Errors
/// `Failed`
pub async fn list(core: &Core, filter: options::NotificationFilter) -> Result<Vec<Notification>, Error> {
    Ok(core.store.read(move |connection| Ok::<_, StoreError>(outbox::list(connection, &filter)?)).await?)
}

/// Has messages tried again at once; how many.
///
/// # Errors
/// `Failed`
pub async fn retry(core: &Core, caller: &Caller, options: options::RetryNotifications) -> Result<u32, Error> {
    let mut event = Event::new(clock::now(), Action::NotificationsRetried, "");
    caller.sign(&mut event);
    let retried: Result<u32, StoreError> = core
        .store
        .write(move |change| {
            let count = outbox::retry(change, options.ids.as_deref(), event.time)?;
            event.input.insert("count", count.to_string());
            change.record(event)?;
            Ok(count)
        })
        .await;
    let count = retried?;
    core.retry_asked.notify_one();
    Ok(count)
}
