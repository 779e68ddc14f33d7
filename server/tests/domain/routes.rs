//! Which channel is told of which change of an alert.

use jiff::tz::TimeZone;
use offchannel_server::domain::alert::{AlertAction, AlertKind};
use offchannel_server::domain::case::Decision;
use offchannel_server::domain::route::{Quiet, Route, Routes};
use offchannel_shared::ids::{AppId, AudienceId, ChannelName, UnitId};
use offchannel_shared::policy::Severity;

use crate::world::{POLICY, World, at};

fn channel(name: &str) -> ChannelName {
    ChannelName::new(name).unwrap()
}

fn route(name: &str) -> Route {
    Route::usual(channel(name))
}

/// The channels that a decision tells something.
fn told(decision: &Decision) -> Vec<&str> {
    decision.deliveries.iter().map(|delivery| delivery.channel.as_str()).collect()
}

fn world(routes: Vec<Route>) -> World {
    let channels = ["all", "mail", "siem"].map(channel);
    let mut world = World::new(POLICY);
    world.case.device.placement.units = vec![UnitId::new("sales").unwrap(), UnitId::new("company").unwrap()];
    world.routes = Routes::new(&channels, routes);
    world
}

#[test]
fn a_channel_hears_what_its_routes_take_once_and_one_without_routes_what_is_usual() {
    let mut world = world(vec![
        Route { apps: vec![AppId::new("signal").unwrap()], ..route("mail") },
        Route { severity: Severity::Critical, ..route("mail") },
        Route { kinds: vec![AlertKind::ProhibitedApp], ..route("siem") },
        Route { changes: vec![AlertAction::Opened], ..route("siem") },
    ]);
    assert_eq!(told(&world.report(1, &["telegram"])), ["siem", "all"]);
    assert_eq!(told(&world.report(2, &["signal", "telegram"])), ["mail", "siem", "all"]);
    // Everything about the device itself goes by the last route to the SIEM when it opens, and is not taken when it ends.
    assert_eq!(told(&world.evaluate(200)), ["siem", "all"]);
    assert_eq!(told(&world.report(201, &["signal", "telegram"])), ["all"]);
}

#[test]
fn a_unit_means_whatever_is_below_it_and_an_audience_only_what_is_carried_to_it() {
    let mut world = world(vec![
        Route { units: vec![UnitId::new("company").unwrap()], ..route("mail") },
        Route { units: vec![UnitId::new("legal").unwrap()], ..route("siem") },
        Route { to: vec![AudienceId::new("owner").unwrap()], ..route("all") },
    ]);
    world.in_force.policy = offchannel_shared::policy::parse(&format!(
        "{POLICY}[[escalation]]\nid = \"a\"\nafter = \"1m\"\nto = \"analyst\"\n[[escalation]]\nid = \"b\"\nafter = \"2m\"\nto = \"owner\"\n"
    ))
    .unwrap()
    .policy;
    assert_eq!(told(&world.report(1, &["telegram"])), ["mail", "all"]);
    assert_eq!(told(&world.evaluate(2)), ["mail"], "carried to the analyst");
    assert_eq!(told(&world.evaluate(3)), ["mail", "all"], "carried to the owner");
}

#[test]
fn what_comes_in_quiet_hours_is_due_at_their_end_unless_it_is_grave() {
    let quiet = Quiet {
        zone: TimeZone::UTC,
        from: "08:00".parse().unwrap(),
        until: "09:00".parse().unwrap(),
        except: Severity::Critical,
    };
    let grave = Quiet { except: Severity::High, ..quiet.clone() };
    // Minute 0 is 08:00.
    let mut world = world(vec![
        Route { quiet: Some(quiet), ..route("mail") },
        Route { quiet: Some(grave), ..route("siem") },
    ]);
    let decision = world.report(1, &["telegram"]);
    let due = |name: &str| decision.deliveries.iter().find(|d| d.channel.as_str() == name).unwrap().due_at;
    assert_eq!((due("mail"), due("siem"), due("all")), (at(60), at(1), at(1)));
    assert!(decision.deliveries.iter().all(|delivery| delivery.created_at == at(1)));
}
