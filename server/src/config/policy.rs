//! How policies are published.

use super::layers::Section;
use super::problem::Problem;
use crate::domain::published::Publication;

pub(super) fn publication(main: &mut Section, problems: &mut Vec<Problem>) -> Option<Publication> {
    let four_eyes = main.boolean(problems, "policy.four_eyes")?;
    Some(if four_eyes { Publication::FourEyes } else { Publication::Alone })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::config::{Config, Overrides};
    use crate::domain::published::Publication;

    #[test]
    fn two_have_to_agree_where_that_is_set() {
        let load = |value: Option<&str>| {
            let set = value.map(|value| ("OFFCHANNEL_SERVER_POLICY_FOUR_EYES".to_owned(), value.to_owned()));
            let environment: BTreeMap<String, String> = set.into_iter().collect();
            Config::load_from(None, environment, &Overrides::default())
                .map(|loaded| loaded.config.publication)
                .map_err(|errors| errors.to_string())
        };
        assert_eq!(load(None), Ok(Publication::Alone));
        assert_eq!(load(Some("true")), Ok(Publication::FourEyes));
        assert!(
            load(Some("perhaps")).unwrap_err().contains("expected true or false"),
            "{:?}",
            load(Some("perhaps"))
        );
    }
}
