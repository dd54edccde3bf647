//! What each section says of a flow, and which of that concerns a machine.

use std::collections::BTreeSet;

use crate::{Flow, Ports, Product, Source, Transport};

/// What one section says of a flow: the source's lists, and the flow's where the source has none.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Where the document says so.
    pub source: &'a Source,
    /// Roles that open the connection.
    pub from: &'a [String],
    /// Roles that are connected to.
    pub to: &'a [String],
    /// Transports.
    pub transport: &'a [Transport],
    /// Destination ports.
    pub ports: &'a [Ports],
    /// Scenarios in which it is so; empty for all of them.
    pub scenarios: &'a [String],
}

/// What of a product applies to a deployment of it.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// Ids of the sections to keep to; empty for all.
    pub sections: &'a [String],
    /// Id of the scenario; `None` for all.
    pub scenario: Option<&'a str>,
    /// Ids of the options that are on.
    pub options: &'a [String],
}

fn own_or<'a, T>(own: &'a [T], flow: &'a [T]) -> &'a [T] {
    if own.is_empty() { flow } else { own }
}

impl Flow {
    /// What each of its sources says of it.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.sources.iter().map(|source| Row {
            source,
            from: own_or(&source.from, &self.from),
            to: own_or(&source.to, &self.to),
            transport: own_or(&source.transport, &self.transport),
            ports: own_or(&source.ports, &self.ports),
            scenarios: own_or(&source.scenarios, &self.scenarios),
        })
    }
}

impl Product {
    /// The rows of a flow that apply in a scope.
    pub fn rows_in<'a>(
        &'a self,
        flow: &'a Flow,
        scope: Scope<'a>,
    ) -> impl Iterator<Item = Row<'a>> {
        let is_on = |option| scope.options.iter().any(|on| on == option);
        let is_used = flow.option.as_ref().is_none_or(is_on);
        flow.rows().filter(move |row| {
            let in_section = scope.sections.is_empty()
                || scope.sections.iter().any(|section| self.means(section, &row.source.section));
            let in_scenario = row.scenarios.is_empty()
                || scope
                    .scenario
                    .is_none_or(|scenario| row.scenarios.iter().any(|id| id == scenario));
            is_used && in_section && in_scenario
        })
    }

    /// Whether a section is another, or refers to it.
    fn means(&self, section: &str, other: &str) -> bool {
        section == other
            || self.documents.iter().any(|document| {
                document.refers.get(section).is_some_and(|to| to.iter().any(|id| id == other))
            })
    }

    /// The role that is meant by the id of one, which can be another name for it.
    pub fn meant<'a>(&'a self, role: &'a str) -> &'a str {
        self.role(role).and_then(|role| role.same_as.as_deref()).unwrap_or(role)
    }

    /// Some roles, all that a machine of these plays too, and their other names.
    pub fn with_included(&self, roles: &[String]) -> BTreeSet<&str> {
        let mut all = BTreeSet::new();
        let mut open: Vec<&str> = roles.iter().map(String::as_str).collect();
        while let Some(id) = open.pop() {
            let Some(role) = self.role(id) else { continue };
            if all.insert(role.id.as_str()) {
                open.extend(role.includes.iter().chain(&role.same_as).map(String::as_str));
                let names =
                    self.roles.iter().filter(|name| name.same_as.as_ref() == Some(&role.id));
                open.extend(names.map(|name| name.id.as_str()));
            }
        }
        all
    }
}
