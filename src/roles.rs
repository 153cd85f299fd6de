//! What a process does.

use crate::failure::Failure;

/// The roles of one process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Roles {
    /// Serves visitors.
    pub(crate) ingress: bool,
    /// May own lines.
    pub(crate) admission: bool,
    /// May own lanes.
    pub(crate) booker: bool,
    /// Compares Redis with the ledger from outside.
    pub(crate) reconciler: bool,
}

impl Roles {
    /// Their names.
    pub(crate) const NAMES: [&str; 4] = ["ingress", "admission", "booker", "reconciler"];
    /// Every role.
    pub(crate) const ALL: Self = Self { ingress: true, admission: true, booker: true, reconciler: true };
    /// Those of `dev`: its owners reconcile their own lanes, and nobody else is there to be watched.
    pub(crate) const EMBEDDED: Self = Self { reconciler: false, ..Self::ALL };

    /// The roles of these names; without a name, or with `all`, every one.
    ///
    /// # Errors
    /// A name that is no role's.
    pub(crate) fn parse(names: &[String]) -> Result<Self, Failure> {
        if let Some(unknown) = names.iter().find(|name| !Self::NAMES.contains(&name.as_str()) && *name != "all") {
            return Err(Failure::usage(
                format!("role {unknown:?}"),
                "there is none of this name",
                format!("there is {}", Self::NAMES.join(", ")),
            ));
        }
        let all = names.is_empty() || names.iter().any(|name| name == "all");
        let has = |role: &str| all || names.iter().any(|name| name == role);
        Ok(Self {
            ingress: has("ingress"),
            admission: has("admission"),
            booker: has("booker"),
            reconciler: has("reconciler"),
        })
    }

    /// Whether other processes have to be able to reach this one.
    pub(crate) const fn owns(self) -> bool {
        self.admission || self.booker
    }

    /// Whether this process serves without any other one.
    pub(crate) const fn stand_alone(self) -> bool {
        self.ingress && self.admission && self.booker
    }

    /// Names of these.
    pub(crate) fn names(self) -> Vec<&'static str> {
        let has = [self.ingress, self.admission, self.booker, self.reconciler];
        Self::NAMES.into_iter().zip(has).filter_map(|(name, has)| has.then_some(name)).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parse(names: &[&str]) -> Result<Roles, Failure> {
        Roles::parse(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn the_help_of_serve_names_every_role() {
        use clap::CommandFactory as _;
        let mut cli = crate::cli::Cli::command();
        let help = cli.find_subcommand_mut("serve").unwrap().render_long_help().to_string();
        for role in Roles::NAMES {
            assert!(help.contains(role), "{role} is missing in {help}");
        }
    }

    #[test]
    fn any_subset_is_roles_and_none_is_all() {
        assert_eq!(parse(&[]).unwrap(), Roles::ALL);
        assert_eq!(parse(&["all"]).unwrap(), Roles::ALL);
        assert_eq!(parse(&["booker"]).unwrap().names(), ["booker"]);
        assert_eq!(parse(&["booker", "ingress"]).unwrap().names(), ["ingress", "booker"]);
        assert!(!parse(&["ingress"]).unwrap().owns());
        assert!(parse(&["cook"]).unwrap_err().to_string().contains("role \"cook\""));
    }
}
