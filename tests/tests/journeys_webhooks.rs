//! Webhooks on a bad day: nothing that was queued is lost, and what was given up can be seen and retried.

use offchannel_tests::device::dpkg;
use offchannel_tests::{Device, Mode, Site, wait_for};
use serde_json::Value;

/// Reports a prohibited app from a device without an agent.
fn breach(site: &Site) {
    let client = site.client();
    let device = Device::enrol(&client, &site.token());
    device.send(&client, &device.report(1, vec![dpkg("telegram", "telegram-desktop", "4.6.5")]));
}

fn deliveries(site: &Site, options: &[&str]) -> Vec<Value> {
    let list = site.json(&[&["delivery", "list"], options].concat());
    list["deliveries"].as_array().expect("a list of deliveries").clone()
}

/// Waits until the only delivery is as wanted.
fn wait_for_delivery(site: &Site, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    wait_for(what, || match deliveries(site, &["--all"]).as_slice() {
        [delivery] if wanted(delivery) => Ok(delivery.clone()),
        other => Err(format!("the deliveries are {other:#?}")),
    })
}

#[test]
fn a_receiver_that_was_down_hears_everything_when_it_is_back() {
    let mut site = Site::serving();
    site.receiver.down();
    breach(&site);
    let failed = wait_for_delivery(&site, "the first attempt to fail", |delivery| delivery["attempts"] == 1);
    assert_eq!(failed["state"], "pending", "{failed:#}");
    assert!(failed["last_error"].as_str().is_some_and(|error| !error.is_empty()), "{failed:#}");
    assert!(failed["due_at"].is_string(), "{failed:#}");

    site.receiver.up();
    let heard = site.receiver.wait_for("alert.opened", "telegram");
    assert_eq!(heard.id, failed["id"].as_str().expect("an id"), "the same delivery");
    let delivered =
        wait_for_delivery(&site, "the delivery to be done", |delivery| delivery["state"] == "delivered");
    assert_eq!(delivered["attempts"], 2, "{delivered:#}");
    assert_eq!(deliveries(&site, &[]), Vec::<Value>::new(), "nothing is left to do");
}

#[test]
fn a_receiver_that_fails_is_asked_again_with_the_same_id() {
    let site = Site::serving();
    site.receiver.answer(Mode::Fails);
    breach(&site);
    let first = site.receiver.wait_for("alert.opened", "telegram");
    site.receiver.answer(Mode::Takes);
    let second = site.receiver.wait("the second attempt", |heard| heard.get(1).cloned());
    assert_eq!((&second.id, &second.data), (&first.id, &first.data));
    wait_for_delivery(&site, "the delivery to be done", |delivery| delivery["state"] == "delivered");
}

#[test]
fn a_delivery_that_was_given_up_is_visible_and_can_be_retried() {
    let site = Site::serving();
    site.receiver.answer(Mode::Gone);
    breach(&site);
    let dead =
        wait_for_delivery(&site, "the delivery to be given up", |delivery| delivery["state"] == "dead");
    assert!(dead["last_error"].as_str().is_some_and(|error| error.contains("410")), "{dead:#}");
    assert_eq!(deliveries(&site, &["--dead"]).as_slice(), std::slice::from_ref(&dead));

    site.receiver.answer(Mode::Takes);
    let id = dead["id"].as_str().expect("an id");
    let retried = site.run(&["delivery", "retry", id]);
    assert_eq!(retried.code, 0, "{retried:#?}");
    let heard = site.receiver.wait("the retried delivery", |heard| {
        heard.iter().find(|heard| heard.answered == Mode::Takes).cloned()
    });
    assert_eq!(heard.id, id);
    wait_for_delivery(&site, "the delivery to be done", |delivery| delivery["state"] == "delivered");
    assert_eq!(deliveries(&site, &["--dead"]), Vec::<Value>::new());

    let again = site.run(&["delivery", "retry", "msg_00000000000000000000000000"]);
    assert!(again.failure().contains("there is no dead delivery"), "{again:#?}");
}

#[test]
fn what_could_not_be_delivered_yet_survives_the_collector() {
    let mut site = Site::serving();
    site.receiver.down();
    breach(&site);
    wait_for_delivery(&site, "the first attempt to fail", |delivery| delivery["attempts"] == 1);
    site.kill();
    site.receiver.up();
    site.start();
    site.receiver.wait_for("alert.opened", "telegram");
}
