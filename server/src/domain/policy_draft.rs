//! Policies that are not published: drafts, and proposals that wait for somebody to approve them.

use jiff::Timestamp;
use offchannel_shared::ids::DraftId;

use super::name::same_person;

/// A draft. It is never changed: what is saved anew under the same name takes the place of the one before, under an id
/// of its own, so that who approves an id approves one text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Its id.
    pub id: DraftId,
    /// What its author calls it; may be empty.
    pub name: String,
    /// The file, byte for byte. It reads as a policy.
    pub source: String,
    /// Who saved or proposed it.
    pub author: String,
    /// Why, in the author's words.
    pub comment: String,
    /// When.
    pub saved_at: Timestamp,
    /// That it is to be published, if it is.
    pub proposal: Option<Proposal>,
}

/// That a draft is to be published as soon as somebody else has approved it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proposal {
    /// The version that it is to follow; 0 for none. Where another one was published meanwhile, it cannot be approved.
    pub based_on: u64,
    /// When it is to take force; when it is approved, if not given.
    pub effective_from: Option<Timestamp>,
}

/// Why a proposal is not published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApprovalError {
    /// It is a draft that nobody has proposed.
    #[error("{0} is a draft that nobody proposed: publish it with `policy publish --draft {0}`")]
    NotProposed(DraftId),
    /// Whoever proposed it cannot approve it.
    #[error("{0:?} proposed it: somebody else has to approve it")]
    SamePerson(String),
    /// An approval has a name to it.
    #[error("an approval needs the name of whoever approves")]
    Nobody,
}

impl Draft {
    /// Whether this person may publish it.
    ///
    /// # Errors
    /// [`ApprovalError`].
    pub fn approve(&self, by: &str) -> Result<Proposal, ApprovalError> {
        let proposal = self.proposal.ok_or_else(|| ApprovalError::NotProposed(self.id.clone()))?;
        if by.trim().is_empty() {
            return Err(ApprovalError::Nobody);
        }
        if same_person(by, &self.author) {
            return Err(ApprovalError::SamePerson(self.author.clone()));
        }
        Ok(proposal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_approves_what_they_proposed_however_they_write_their_name() {
        let proposal = Proposal { based_on: 1, effective_from: None };
        let mut draft = Draft {
            id: DraftId::from_random([1; 16]),
            name: String::new(),
            source: String::new(),
            author: "Ada Lovelace".to_owned(),
            comment: String::new(),
            saved_at: Timestamp::UNIX_EPOCH,
            proposal: Some(proposal),
        };
        for name in ["Ada Lovelace", " ADA  Lovelace", "Ada\u{200b} Lovelace"] {
            assert_eq!(draft.approve(name), Err(ApprovalError::SamePerson("Ada Lovelace".to_owned())));
        }
        assert_eq!(draft.approve(" "), Err(ApprovalError::Nobody));
        assert_eq!(draft.approve("Grace"), Ok(proposal));
        draft.proposal = None;
        assert_eq!(draft.approve("Grace"), Err(ApprovalError::NotProposed(draft.id.clone())));
    }
}
