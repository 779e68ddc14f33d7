//! Policies and drafts as [`super::model`] has the rest: naively, in memory, step by step beside the store.

use std::sync::Arc;

use offchannel_server::domain::policy_draft::{Draft, Proposal};
use offchannel_server::domain::published::{PolicyVersion, VersionState};
use offchannel_server::store::Store;
use offchannel_shared::ids::DeviceId;
use proptest::prelude::*;

use super::fixtures::{at, enrolled, id, policy};

/// Something that is done to policies. Small numbers, so that commands meet.
#[derive(Debug, Clone)]
pub enum Command {
    Publish { expected: Option<u64>, from: Option<i64>, at: i64, draft: Option<u64> },
    TakeForce { now: i64 },
    Cancel { version: u64, now: i64 },
    Save { name: u8, proposed: bool, at: i64 },
    Delete { draft: u64 },
}

/// Any sequence of commands.
pub fn commands() -> impl Strategy<Value = Vec<Command>> {
    let time = || 0_i64..200;
    let maybe = || prop::option::weighted(0.3, 0_u64..5);
    let command = prop_oneof![
        4 => (maybe(), prop::option::of(time()), time(), maybe())
            .prop_map(|(expected, from, at, draft)| Command::Publish { expected, from, at, draft }),
        3 => time().prop_map(|now| Command::TakeForce { now }),
        2 => (0_u64..6, time()).prop_map(|(version, now)| Command::Cancel { version, now }),
        3 => (0_u8..3, any::<bool>(), time()).prop_map(|(name, proposed, at)| Command::Save { name, proposed, at }),
        1 => (0_u64..5).prop_map(|draft| Command::Delete { draft }),
    ];
    prop::collection::vec(command, 1..40)
}

struct Model {
    policies: Vec<PolicyVersion>,
    drafts: Vec<Draft>,
    device: DeviceId,
    due: Option<i64>,
}

/// Runs commands on a store and on the model, and compares after each.
pub async fn run(store: Arc<dyn Store>, commands: Vec<Command>) {
    let device = enrolled(&store, 1).await.id;
    let mut model = Model { policies: Vec::new(), drafts: Vec::new(), device, due: None };
    for (place, command) in commands.iter().enumerate() {
        model.step(&store, place as u64, command.clone()).await;
        model.compare(&store, command).await;
    }
}

impl Model {
    fn in_force(&self) -> u64 {
        self.policies
            .iter()
            .filter(|one| one.in_force_since.is_some())
            .map(|one| one.version)
            .max()
            .unwrap_or(0)
    }

    fn head(&self) -> Option<&PolicyVersion> {
        self.policies.iter().rev().find(|one| one.cancelled.is_none())
    }

    fn make_due(&mut self, at: i64) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    fn draft(&self, place: u64) -> Option<Draft> {
        self.drafts.get(place as usize).cloned()
    }

    async fn step(&mut self, store: &Arc<dyn Store>, number: u64, command: Command) {
        match command {
            Command::Publish { expected, from, at: when, draft } => {
                let wanted = PolicyVersion { effective_from: from.map(at), ..policy("", when) };
                let draft = draft.map(|place| self.draft(place).map_or(id(999), |draft| draft.id));
                let published = match &draft {
                    Some(draft) => store.publish_draft(draft, wanted.clone(), expected).await.ok(),
                    None => store.publish(wanted.clone(), expected).await.ok(),
                };
                let fits = expected
                    .is_none_or(|expected| self.head().map_or(0, |head| head.version) == expected)
                    && draft.as_ref().is_none_or(|id| self.drafts.iter().any(|draft| draft.id == *id));
                let in_force_since = from.is_none().then(|| at(when));
                let version = self.policies.len() as u64 + 1;
                let expected = fits.then_some(PolicyVersion { version, in_force_since, ..wanted });
                assert_eq!(published, expected);
                self.policies.extend(published);
                if fits {
                    self.drafts.retain(|one| Some(&one.id) != draft.as_ref());
                    if from.is_none() {
                        self.make_due(when);
                    }
                }
            }
            Command::TakeForce { now } => {
                let in_force = self.in_force();
                let due = self.policies.iter_mut().rev().find(|one| {
                    one.version > in_force
                        && one.state(in_force) == VersionState::Scheduled
                        && one.effective_from.is_some_and(|from| from <= at(now))
                });
                let taken = due.map(|one| {
                    one.in_force_since = Some(at(now));
                    one.clone()
                });
                let mut all = Vec::new();
                for _ in 0..2 {
                    all.push(store.take_force(at(now)).await.unwrap());
                }
                if taken.is_some() {
                    self.make_due(now);
                }
                assert_eq!(all, [taken, None], "a version takes force once");
            }
            Command::Cancel { version, now } => {
                let in_force = self.in_force();
                let known = self.policies.iter_mut().find(|one| one.version == version);
                let outcome = known.map(|one| {
                    let scheduled = one.state(in_force) == VersionState::Scheduled;
                    if scheduled {
                        one.cancelled = Some((at(now), "eve".to_owned()));
                    }
                    (one.clone(), scheduled)
                });
                assert_eq!(store.cancel_policy(version, "eve", at(now)).await.ok(), outcome);
            }
            Command::Save { name, proposed, at: when } => {
                let name = ["", "winter", "spring"][usize::from(name)].to_owned();
                let proposal = Proposal { based_on: number, effective_from: Some(at(when + 7)) };
                let draft = Draft {
                    id: id(number),
                    source: "schema = 1\n# bytes: \u{e9}\r\n".to_owned(),
                    author: "ada".to_owned(),
                    comment: "why".to_owned(),
                    saved_at: at(when),
                    proposal: proposed.then_some(proposal),
                    name,
                };
                store.save_draft(draft.clone()).await.unwrap();
                self.drafts
                    .retain(|one| one.name.is_empty() || one.name != draft.name || one.proposal.is_some());
                self.drafts.push(draft);
            }
            Command::Delete { draft } => {
                let known = self.draft(draft);
                let id = known.as_ref().map_or(id(999), |draft| draft.id.clone());
                assert_eq!(store.delete_draft(&id).await.ok(), known);
                self.drafts.retain(|one| one.id != id);
            }
        }
    }

    async fn compare(&self, store: &Arc<dyn Store>, after: &Command) {
        let context = format!("after {after:?}");
        let mut policies = self.policies.clone();
        policies.reverse();
        assert_eq!(store.policies().await.unwrap(), policies, "{context}");
        assert_eq!(store.policy(None).await.unwrap().as_ref(), self.head(), "{context}");
        let in_force = store.policy_in_force().await.unwrap().map_or(0, |policy| policy.version);
        assert_eq!(in_force, self.in_force(), "{context}");
        let mut drafts = self.drafts.clone();
        drafts.sort_by(|a, b| (b.saved_at, &a.id).cmp(&(a.saved_at, &b.id)));
        assert_eq!(store.drafts().await.unwrap(), drafts, "{context}");
        for draft in &drafts {
            assert_eq!(store.draft(&draft.id).await.unwrap().as_ref(), Some(draft), "{context}");
        }
        let due = store.device(&self.device).await.unwrap().unwrap().evaluate_at;
        assert_eq!(due, self.due.map(at), "{context}");
    }
}
