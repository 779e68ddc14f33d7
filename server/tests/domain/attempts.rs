//! What becomes of a delivery by how its attempts go.

use offchannel_server::domain::delivery::{Attempt, Delivery, DeliveryState, RETRIES};
use offchannel_server::domain::trial;
use offchannel_shared::ids::{AlertId, ChannelName, DeliveryId};
use offchannel_shared::span::Span;
use proptest::prelude::*;

use crate::world::at;

fn delivery() -> Delivery {
    let (id, alert) = (DeliveryId::from_random([1; 16]), AlertId::from_random([2; 16]));
    trial::delivery(id, alert, ChannelName::new("siem").unwrap(), at(0))
}

fn retry(after: Option<Span>) -> Attempt {
    Attempt::Retry { error: "busy".to_owned(), after }
}

/// Seconds that it waits after an attempt.
fn wait(delivery: &Delivery) -> i64 {
    delivery.due_at.as_second() - at(0).as_second()
}

#[test]
fn a_delivery_is_tried_by_the_schedule_and_then_given_up() {
    let mut delivery = delivery();
    for (number, planned) in RETRIES.iter().enumerate() {
        delivery.attempted(retry(None), at(0), 0.0);
        assert_eq!(wait(&delivery), i64::from(planned.as_seconds()), "after attempt {number}");
        assert_eq!(delivery.state, DeliveryState::Pending);
    }
    delivery.attempted(retry(None), at(0), 0.0);
    assert_eq!((delivery.state, delivery.attempts), (DeliveryState::Dead, 10));
    assert_eq!(delivery.last_error.as_deref(), Some("busy"));
}

#[test]
fn an_end_says_how_it_went_and_forgets_what_went_wrong_before() {
    let part = Attempt::InPart { error: "no such mailbox".to_owned() };
    let never = Attempt::GiveUp { error: "gone".to_owned() };
    for (attempt, state, error) in [
        (Attempt::Delivered, DeliveryState::Delivered, None),
        (Attempt::Accepted, DeliveryState::Accepted, None),
        (part, DeliveryState::Accepted, Some("no such mailbox")),
        (never, DeliveryState::Dead, Some("gone")),
    ] {
        let mut delivery = delivery();
        delivery.attempted(retry(None), at(0), 0.0);
        delivery.attempted(attempt, at(1), 0.0);
        assert_eq!((delivery.state, delivery.attempts), (state, 2));
        assert_eq!(delivery.last_error.as_deref(), error);
    }
}

proptest! {
    /// It waits as long as the schedule and the receiver say, whichever is longer, and up to a tenth more; never less.
    #[test]
    fn a_wait_is_never_shorter_than_planned_and_asked_for(
        tries in 0..RETRIES.len(), asked in prop::option::of(0_u32..200_000), jitter in prop_oneof![
            0.0..=1.0, Just(0.0), Just(1.0), Just(-1.0), Just(50.0), Just(f64::NAN), Just(f64::INFINITY),
        ],
    ) {
        let mut delivery = Delivery { attempts: u32::try_from(tries).unwrap(), ..delivery() };
        delivery.attempted(retry(asked.map(Span::seconds)), at(0), jitter);
        let least = i64::from(RETRIES[tries].as_seconds()).max(i64::from(asked.unwrap_or(0)));
        let waited = wait(&delivery);
        prop_assert!((least..=least + least / 10).contains(&waited), "{} for {}", waited, least);
        if jitter >= 1.0 {
            prop_assert!(waited >= least + least / 10 - 1, "{} for {}: not spread", waited, least);
        }
    }
}
