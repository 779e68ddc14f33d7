//! Alerts and deliveries as the security team sees them.

use std::collections::BTreeMap;

use offchannel_shared::ids::{AlertId, ChannelName, DeliveryId};
use tokio::task::JoinSet;

use super::background::DerivedIds;
use super::{Service, ServiceError};
use crate::domain::alert::{About, Act, Alert, AlertEvent};
use crate::domain::delivery::Delivery;
use crate::domain::ingest::{self, Context};
use crate::store::{AlertFilter, AlertRecord, DeliveryFilter, RecordedEvent, StoreError};

/// Most alerts that something is done to at the same time.
const AT_ONCE: usize = 64;

/// What became of one alert: its history entries, or why nothing was done.
pub type Acted = Result<Vec<AlertEvent>, ServiceError>;

/// An alert with the names that people know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertView {
    /// The alert.
    pub alert: Alert,
    /// The device's host name, if it is about a device.
    pub hostname: Option<String>,
    /// The app's name, for alerts about apps.
    pub app_name: Option<String>,
}

impl Service {
    /// Alerts, the last changed first.
    ///
    /// # Errors
    /// [`ServiceError::Plan`] if there is no such unit, [`ServiceError::Store`].
    pub async fn alerts(&self, filter: AlertFilter) -> Result<Vec<AlertView>, ServiceError> {
        if let Some(unit) = &filter.unit {
            self.units().await?.find(unit).map_err(|missing| ServiceError::Plan(missing.into()))?;
        }
        let list = self.0.store.alerts(filter).await?;
        Ok(list.into_iter().map(|record| self.alert_view(record)).collect())
    }

    /// One alert with its history, oldest first.
    ///
    /// # Errors
    /// [`ServiceError::Store`], also if there is none.
    pub async fn alert(&self, id: &AlertId) -> Result<(AlertView, Vec<AlertEvent>), ServiceError> {
        let missing = || StoreError::NotFound { what: "alert", id: id.to_string() };
        let (record, history) = self.0.store.alert(id).await?.ok_or_else(missing)?;
        Ok((self.alert_view(record), history))
    }

    /// Takes in what a person does to an alert; returns its history entries, none if it is as wanted already.
    ///
    /// # Errors
    /// [`ServiceError::Refused`] with why it makes no sense, [`ServiceError::Store`], also if there is no such alert.
    pub async fn act_on_alert(
        &self,
        id: &AlertId,
        act: Act,
        by: &str,
        text: Option<&str>,
    ) -> Result<Vec<AlertEvent>, ServiceError> {
        let missing = || StoreError::NotFound { what: "alert", id: id.to_string() };
        let (record, _) = self.0.store.alert(id).await?.ok_or_else(missing)?;
        let device = match &record.alert.about {
            About::Device(device) => device,
            about @ (About::Unit(_) | About::Exception(_)) => {
                return self.act_on_subject(about, id, act, by, text).await;
            }
        };
        let (id, by, text) = (id.clone(), by.to_owned(), text.map(str::to_owned));
        let judge = move |case, context: &Context<'_>, ids: &mut DerivedIds| {
            ingest::act(case, &id, &act, (&by, text.as_deref()), context, ids)
        };
        let decided = self.decide(device, judge).await?;
        Ok(decided.map(|decision| decision.events).unwrap_or_default())
    }

    /// As [`Service::act_on_alert`] for many alerts, several at a time, as the store commits them; in the order of the ids.
    ///
    /// # Errors
    /// [`ServiceError::Judging`]; how it went with each alert is an outcome.
    pub async fn act_on_alerts(
        &self,
        ids: Vec<AlertId>,
        act: &Act,
        by: &str,
        text: Option<&str>,
    ) -> Result<Vec<(AlertId, Acted)>, ServiceError> {
        let mut acting = JoinSet::new();
        let mut done: BTreeMap<usize, (AlertId, Acted)> = BTreeMap::new();
        for (place, id) in ids.into_iter().enumerate() {
            if acting.len() >= AT_ONCE
                && let Some(one) = acting.join_next().await
            {
                done.extend([one.map_err(ServiceError::Judging)?]);
            }
            let (service, act) = (self.clone(), act.clone());
            let (by, text) = (by.to_owned(), text.map(str::to_owned));
            acting.spawn(async move {
                let acted = service.act_on_alert(&id, act, &by, text.as_deref()).await;
                (place, (id, acted))
            });
        }
        while let Some(one) = acting.join_next().await {
            done.extend([one.map_err(ServiceError::Judging)?]);
        }
        Ok(done.into_values().collect())
    }

    /// The history of all alerts after a place in it, oldest first, at most `limit`.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn events(&self, after: u64, limit: u32) -> Result<Vec<RecordedEvent>, ServiceError> {
        Ok(self.0.store.events(after, limit).await?)
    }

    /// Deliveries, newest first.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<Delivery>, ServiceError> {
        Ok(self.0.store.deliveries(filter).await?)
    }

    /// The delivery with this id.
    ///
    /// # Errors
    /// [`ServiceError::Store`], also if there is none.
    pub async fn delivery(&self, id: &DeliveryId) -> Result<Delivery, ServiceError> {
        let missing = || StoreError::NotFound { what: "delivery", id: id.to_string() };
        Ok(self.0.store.delivery(id).await?.ok_or_else(missing)?)
    }

    /// Makes all dead deliveries pending again, or those to one channel; returns how many there were.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn retry_deliveries(&self, channel: Option<ChannelName>) -> Result<u64, ServiceError> {
        let retried = self.0.store.retry_deliveries(channel, self.now()).await?;
        self.nudge();
        Ok(retried)
    }

    /// Makes a dead delivery pending again.
    ///
    /// # Errors
    /// [`ServiceError::Store`], also if there is no such dead delivery.
    pub async fn retry_delivery(&self, id: &DeliveryId) -> Result<Delivery, ServiceError> {
        let delivery = self.0.store.retry_delivery(id, self.now()).await?;
        self.nudge();
        Ok(delivery)
    }

    fn alert_view(&self, record: AlertRecord) -> AlertView {
        let in_force = self.in_force().ok();
        let name = |id: &str| in_force.as_ref()?.catalogue.app(id).map(|app| app.name.to_string());
        let app = record.alert.app.as_ref();
        let app_name = app.map(|id| name(id.as_str()).unwrap_or_else(|| id.to_string()));
        AlertView { alert: record.alert, hostname: record.hostname, app_name }
    }
}
