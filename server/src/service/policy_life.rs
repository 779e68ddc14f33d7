//! The life of a policy: draft, proposal, publication, taking force, being cancelled or published again.

use jiff::Timestamp;
use offchannel_shared::catalogue::Catalogue;
use offchannel_shared::ids::DraftId;
use offchannel_shared::policy::diff::{Change, diff};
use offchannel_shared::policy::{self, Known, Parsed, Policy, Problem};

use super::{Service, ServiceError};
use crate::domain::alert::check_name;
use crate::domain::policy_draft::{Draft, Proposal};
use crate::domain::published::{PolicyVersion, Publication, VersionState};
use crate::random;
use crate::store::StoreError;

/// Longest name of a draft and comment, in characters.
const WORDS_MAX: usize = 1_000;

/// Who does something to a policy, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    /// Who.
    pub author: String,
    /// Why.
    pub comment: String,
}

/// A policy that is to be published.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublishRequest {
    /// The file.
    pub source: String,
    /// Who publishes it, and why.
    pub words: Words,
    /// Only if this is the newest version that was not cancelled; 0 for none.
    pub expected: Option<u64>,
    /// When it is to take force; at once, if not given.
    pub effective_from: Option<Timestamp>,
    /// The draft that it is made of, which is deleted.
    pub draft: Option<DraftId>,
}

/// What came of a publication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    /// It is a version now.
    Version {
        /// The version.
        policy: PolicyVersion,
        /// Scheduled versions that will never take force now, because this one is newer.
        overtaken: Vec<u64>,
        /// What is odd about it.
        warnings: Vec<Problem>,
    },
    /// It waits for somebody else to approve it.
    Proposed {
        /// The proposal.
        draft: Draft,
        /// What is odd about it.
        warnings: Vec<Problem>,
    },
}

impl Service {
    /// As [`Service::check_policy`], now and here: with warnings of units and labels that there are not.
    pub(super) async fn check_here(&self, source: &str) -> Result<Parsed, ServiceError> {
        let parsed = Self::check_policy(source, self.now())?;
        let scopes = || parsed.policy.rules.iter().map(|rule| &rule.scope);
        let mut known = Known::default();
        if scopes().any(|scope| !scope.unit.is_empty()) {
            known.units = self.units().await?.units().map(|unit| unit.id.clone()).collect();
        }
        if scopes().any(|scope| !scope.label.is_empty()) {
            known.labels = self.0.store.labels().await?;
        }
        policy::check_where(source, self.now(), &known).map_err(ServiceError::Policy)
    }

    /// Publishes a policy as the next version, or proposes it where two have to agree.
    ///
    /// # Errors
    /// [`ServiceError::Policy`], a conflict in [`ServiceError::Store`], [`ServiceError::Invalid`] and others.
    pub async fn publish(&self, mut request: PublishRequest) -> Result<Published, ServiceError> {
        let now = self.now();
        let warnings = self.check_here(&request.source).await?.warnings;
        request.words.author = author(&request.words.author)?;
        check_length("comment", &request.words.comment)?;
        if let Some(from) = request.effective_from.filter(|from| *from <= now) {
            return Err(ServiceError::Invalid(format!(
                "{from} is not in the future: leave it out for a policy that takes force at once"
            )));
        }
        if self.0.publication == Publication::FourEyes {
            let draft = self.propose(request, now).await?;
            return Ok(Published::Proposed { draft, warnings });
        }
        let PublishRequest { source, words, expected, effective_from, draft } = request;
        let policy = PolicyVersion {
            effective_from,
            ..PolicyVersion::at_once(&source, &words.author, &words.comment, now)
        };
        self.published(policy, expected, draft.as_ref(), warnings).await
    }

    /// Publishes a policy that takes force at once, where nobody has to approve it.
    ///
    /// # Errors
    /// As [`Service::publish`]; [`ServiceError::Invalid`] where somebody has to.
    pub async fn publish_policy(
        &self,
        source: &str,
        author: &str,
        comment: &str,
        expected: Option<u64>,
    ) -> Result<(PolicyVersion, Vec<Problem>), ServiceError> {
        if self.0.publication == Publication::FourEyes {
            return Err(ServiceError::Invalid("somebody else has to approve it".to_owned()));
        }
        let words = Words { author: author.to_owned(), comment: comment.to_owned() };
        let request =
            PublishRequest { source: source.to_owned(), words, expected, ..PublishRequest::default() };
        match self.publish(request).await? {
            Published::Version { policy, warnings, .. } => Ok((policy, warnings)),
            Published::Proposed { .. } => {
                Err(ServiceError::Invalid("somebody else has to approve it".to_owned()))
            }
        }
    }

    async fn propose(&self, request: PublishRequest, now: Timestamp) -> Result<Draft, ServiceError> {
        let based_on = self.0.store.policy(None).await?.map_or(0, |newest| newest.version);
        if let Some(expected) = request.expected.filter(|expected| *expected != based_on) {
            return Err(StoreError::Conflict { what: "the policy", expected, found: based_on }.into());
        }
        let mut name = String::new();
        if let Some(id) = &request.draft {
            name = self.draft(id).await?.name;
        }
        let draft = Draft {
            id: random::id()?,
            name,
            source: request.source,
            author: request.words.author,
            comment: request.words.comment,
            saved_at: now,
            proposal: Some(Proposal { based_on, effective_from: request.effective_from }),
        };
        self.0.store.save_draft(draft.clone()).await?;
        if let Some(id) = &request.draft {
            // One with a name is gone already.
            match self.0.store.delete_draft(id).await {
                Ok(_) | Err(StoreError::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(draft)
    }

    /// Publishes a proposal, because somebody else than its author approves it.
    ///
    /// # Errors
    /// [`ServiceError::Approval`], [`ServiceError::Store`], also if another version was published meanwhile.
    pub async fn approve_policy(&self, id: &DraftId, by: &str) -> Result<Published, ServiceError> {
        let now = self.now();
        let draft = self.draft(id).await?;
        let proposal = draft.approve(by).map_err(ServiceError::Approval)?;
        let by = author(by)?;
        let warnings = self.check_here(&draft.source).await?.warnings;
        let policy = PolicyVersion {
            // An instant that has passed meanwhile is now.
            effective_from: proposal.effective_from.filter(|from| *from > now),
            approved_by: Some(by),
            ..PolicyVersion::at_once(&draft.source, &draft.author, &draft.comment, now)
        };
        self.published(policy, Some(proposal.based_on), Some(id), warnings).await
    }

    async fn published(
        &self,
        policy: PolicyVersion,
        expected: Option<u64>,
        draft: Option<&DraftId>,
        warnings: Vec<Problem>,
    ) -> Result<Published, ServiceError> {
        let store = &self.0.store;
        let before = store.policies().await?;
        let policy = match draft {
            Some(draft) => store.publish_draft(draft, policy, expected).await?,
            None => store.publish(policy, expected).await?,
        };
        let in_force = before.iter().filter(|one| one.in_force_since.is_some()).map(|one| one.version).max();
        let in_force = in_force.unwrap_or(0);
        let overtaken = before.iter().filter(|one| one.state(in_force) == VersionState::Scheduled);
        // One that comes later is overtaken by this one's time; one that comes before has its time until then.
        let overtaken = overtaken.filter(|one| one.effective_from >= policy.effective_from);
        let mut overtaken: Vec<u64> = overtaken.map(|one| one.version).collect();
        overtaken.sort_unstable();
        self.load_policy().await?;
        self.nudge();
        Ok(Published::Version { policy, overtaken, warnings })
    }

    /// Puts a version in force whose time has come; returns it, if this call did.
    ///
    /// # Errors
    /// [`ServiceError::Store`] and [`ServiceError::StoredPolicy`].
    pub async fn take_force(&self) -> Result<Option<PolicyVersion>, ServiceError> {
        let taken = self.0.store.take_force(self.now()).await?;
        if let Some(policy) = &taken {
            tracing::info!(version = policy.version, "a policy took force that was scheduled");
            self.load_policy().await?;
            self.nudge();
        }
        Ok(taken)
    }

    /// Cancels a version that has not taken force yet.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] if it has, or never will; [`ServiceError::Store`], also if there is none.
    pub async fn cancel_policy(&self, version: u64, by: &str) -> Result<PolicyVersion, ServiceError> {
        let (policy, cancelled) = self.0.store.cancel_policy(version, &author(by)?, self.now()).await?;
        if !cancelled {
            let in_force = self.0.store.policy_in_force().await?.map_or(0, |policy| policy.version);
            return Err(ServiceError::Invalid(format!(
                "version {version} is {}: only one that is scheduled can be cancelled",
                policy.state(in_force).as_str()
            )));
        }
        Ok(policy)
    }

    /// Publishes an older version again, as a new one.
    ///
    /// # Errors
    /// As [`Service::publish`]; [`ServiceError::Store`] if there is no such version.
    pub async fn republish_policy(
        &self,
        version: u64,
        words: Words,
        expected: Option<u64>,
        effective_from: Option<Timestamp>,
    ) -> Result<Published, ServiceError> {
        let source = self.version(version).await?.source;
        self.publish(PublishRequest { source, words, expected, effective_from, draft: None }).await
    }

    /// The version in force.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn policy_in_force(&self) -> Result<Option<PolicyVersion>, ServiceError> {
        Ok(self.0.store.policy_in_force().await?)
    }

    /// One version.
    ///
    /// # Errors
    /// [`ServiceError::Store`], also if there is none.
    pub async fn version(&self, version: u64) -> Result<PolicyVersion, ServiceError> {
        let missing = || StoreError::NotFound { what: "policy version", id: version.to_string() };
        Ok(self.0.store.policy(Some(version)).await?.ok_or_else(missing)?)
    }

    /// Saves a draft. One without a name stands beside the others; one with a name takes the place of the one before.
    ///
    /// # Errors
    /// [`ServiceError::Policy`]: what cannot be published cannot be saved. And others.
    pub async fn save_draft(
        &self,
        source: &str,
        name: &str,
        words: Words,
    ) -> Result<(Draft, Vec<Problem>), ServiceError> {
        let warnings = self.check_here(source).await?.warnings;
        // Who drafts may leave open who publishes.
        let author = if words.author.trim().is_empty() { String::new() } else { author(&words.author)? };
        check_length("comment", &words.comment)?;
        check_length("name", name)?;
        let draft = Draft {
            id: random::id()?,
            name: name.trim().to_owned(),
            source: source.to_owned(),
            author,
            comment: words.comment,
            saved_at: self.now(),
            proposal: None,
        };
        self.0.store.save_draft(draft.clone()).await?;
        Ok((draft, warnings))
    }

    /// All drafts and proposals, newest first.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn drafts(&self) -> Result<Vec<Draft>, ServiceError> {
        Ok(self.0.store.drafts().await?)
    }

    /// One draft or proposal.
    ///
    /// # Errors
    /// [`ServiceError::Store`], also if there is none.
    pub async fn draft(&self, id: &DraftId) -> Result<Draft, ServiceError> {
        let missing = || StoreError::NotFound { what: "draft", id: id.to_string() };
        Ok(self.0.store.draft(id).await?.ok_or_else(missing)?)
    }

    /// Deletes a draft, or withdraws a proposal.
    ///
    /// # Errors
    /// [`ServiceError::Store`], also if there is none.
    pub async fn delete_draft(&self, id: &DraftId) -> Result<Draft, ServiceError> {
        Ok(self.0.store.delete_draft(id).await?)
    }

    /// What distinguishes two policies, by what they mean.
    ///
    /// # Errors
    /// [`ServiceError::Policy`] if one of them does not read.
    pub fn compare(before: &str, after: &str) -> Result<Vec<Change>, ServiceError> {
        let policy = |source: &str| -> Result<Policy, ServiceError> {
            policy::parse(source).map(|parsed| parsed.policy).map_err(ServiceError::Policy)
        };
        Ok(diff(&policy(before)?, &policy(after)?))
    }

    /// The catalogue of the policy in force, or the built-in one.
    pub fn catalogue(&self) -> Catalogue {
        self.in_force().map_or_else(|_| Catalogue::built_in(), |in_force| in_force.catalogue.clone())
    }
}

/// The name of whoever does something, as it goes into the history.
fn author(name: &str) -> Result<String, ServiceError> {
    let name = name.trim();
    check_name(name).map_err(|error| ServiceError::Invalid(format!("the author {name:?}: {error}")))?;
    Ok(name.to_owned())
}

fn check_length(what: &str, text: &str) -> Result<(), ServiceError> {
    if text.chars().count() > WORDS_MAX {
        return Err(ServiceError::Invalid(format!("the {what} is longer than {WORDS_MAX} characters")));
    }
    Ok(())
}
