//! The catalog as plain lines, to compare it with the documents.

use std::fmt;

use crate::{Endpoint, Flow, Ports, Product, Requirement, Row, Transport};

/// One thing that one document says; printed as a line of tab-separated values, `-` for empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fact {
    /// Id of the product.
    pub product: String,
    /// Id of the document.
    pub document: String,
    /// Id of the section.
    pub section: String,
    /// Role that opens the connection.
    pub from: String,
    /// Role that is connected to.
    pub to: String,
    /// The transport.
    pub transport: Transport,
    /// A port, a range, or `dynamic`.
    pub ports: Ports,
    /// Id of the scenario, or empty where it makes no difference.
    pub scenario: String,
    /// How strongly the document asks for it.
    pub requirement: Requirement,
    /// The document's type of traffic, or empty.
    pub traffic: String,
    /// A machine or network that the document names, or empty.
    pub endpoint: String,
}

impl Fact {
    /// The names of the columns of its [`Display`](fmt::Display) form, with tabs between.
    pub const HEADER: &str = "product\tdocument\tsection\tfrom\tto\ttransport\tport_first\tport_last\tscenario\trequirement\ttraffic\tendpoint";
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
        let (first, last) = match self.ports {
            Ports::Range { first, last } => (first.to_string(), last.to_string()),
            Ports::Dynamic => (self.ports.to_string(), self.ports.to_string()),
        };
        let columns = [
            self.product.clone(),
            self.document.clone(),
            self.section.clone(),
            self.from.clone(),
            self.to.clone(),
            self.transport.to_string(),
            first,
            last,
            or_dash(&self.scenario),
            self.requirement.to_string(),
            or_dash(&self.traffic),
            or_dash(&self.endpoint),
        ];
        f.write_str(&columns.join("\t"))
    }
}

/// The facts of a product, flow by flow, not sorted.
pub(crate) fn of_product(product: &Product) -> impl Iterator<Item = (&Flow, Fact)> {
    product.flows.iter().flat_map(|flow| {
        let facts = flow.rows().flat_map(|row| of_row(product, flow, row));
        facts.map(move |fact| (flow, fact))
    })
}

/// What one section says of a flow: every combination of what it lists.
fn of_row(product: &Product, flow: &Flow, row: Row<'_>) -> Vec<Fact> {
    let mut facts = Vec::new();
    for (from, to) in pairs(flow, row) {
        let places = places(flow, row, from, to);
        for &transport in row.transport {
            for &ports in row.ports {
                facts.extend(places.iter().map(|(scenario, endpoint)| Fact {
                    product: product.id.clone(),
                    document: row.source.document.clone(),
                    section: row.source.section.clone(),
                    from: from.to_owned(),
                    to: to.to_owned(),
                    transport,
                    ports,
                    scenario: (*scenario).to_owned(),
                    requirement: flow.requirement,
                    traffic: row.source.traffic.clone().unwrap_or_default(),
                    endpoint: endpoint.clone(),
                }));
            }
        }
    }
    facts
}

/// Who connects to whom: each to each, and the other way round where the port is open at both ends.
fn pairs<'a>(flow: &Flow, row: Row<'a>) -> impl Iterator<Item = (&'a str, &'a str)> {
    let pairs = row.from.iter().flat_map(move |from| row.to.iter().map(move |to| (from, to)));
    let back = pairs.clone().filter(|_| flow.both_ways).map(|(from, to)| (to, from));
    pairs.chain(back).map(|(from, to)| (from.as_str(), to.as_str()))
}

/// The pairs of scenario and endpoint that a section gives for two roles; both empty where it says
/// nothing of them.
fn places<'a>(flow: &'a Flow, row: Row<'a>, from: &str, to: &str) -> Vec<(&'a str, String)> {
    let is_meant = |endpoint: &&Endpoint| {
        endpoint.section.as_ref().is_none_or(|section| *section == row.source.section)
            && endpoint.role.as_ref().is_none_or(|role| role == from || role == to)
    };
    let endpoints: Vec<&Endpoint> = flow.endpoints.iter().filter(is_meant).collect();
    if endpoints.is_empty() {
        return with_scenarios(row.scenarios, "");
    }
    let pairs = endpoints.into_iter().flat_map(|endpoint| {
        let own = &endpoint.scenarios;
        with_scenarios(if own.is_empty() { row.scenarios } else { own }, &endpoint.label())
    });
    pairs.collect()
}

fn with_scenarios<'a>(scenarios: &'a [String], endpoint: &str) -> Vec<(&'a str, String)> {
    if scenarios.is_empty() {
        return vec![("", endpoint.to_owned())];
    }
    scenarios.iter().map(|scenario| (scenario.as_str(), endpoint.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::of_product;

    const TWO_SECTIONS: &str = r#"
        id = "p"
        name = "P"
        document = [{ id = "d", title = "D", vendor = "V", edition = "1", language = "en", sections = ["s", "t"] }]
        role = [{ id = "a", name = "A" }, { id = "b", name = "B" }]
        scenario = [{ id = "x", name = "X" }, { id = "y", name = "Y" }]
        [[flow]]
        id = "f"
        from = ["a"]
        to = ["a", "b"]
        transport = ["tcp", "udp"]
        ports = ["135-139", "dynamic"]
        requirement = "required"
        purpose = "x"
        scenarios = ["x", "y"]
        endpoints = [
            { addresses = ["10.0.0.0/8"], section = "s", role = "b" },
            { name = "h.example.com", addresses = ["10.0.0.1"], section = "s", role = "b", scenarios = ["y"] },
        ]
        source = [{ document = "d", section = "s" }, { document = "d", section = "t" }]
    "#;

    #[test]
    fn endpoints_stay_with_their_section_role_and_scenario() {
        let product = toml::from_str(TWO_SECTIONS).unwrap();
        let mut lines: Vec<String> = of_product(&product)
            .map(|(_, fact)| fact.to_string())
            .filter(|line| line.contains("\ttcp\t135\t139\t"))
            .map(|line| line.replace("p\td\t", "").replace("\ttcp\t135\t139\t", " "))
            .collect();
        lines.sort();
        assert_eq!(
            lines,
            [
                "s\ta\ta x\trequired\t-\t-",
                "s\ta\ta y\trequired\t-\t-",
                "s\ta\tb x\trequired\t-\t10.0.0.0/8",
                "s\ta\tb y\trequired\t-\t10.0.0.0/8",
                "s\ta\tb y\trequired\t-\th.example.com",
                "t\ta\ta x\trequired\t-\t-",
                "t\ta\ta y\trequired\t-\t-",
                "t\ta\tb x\trequired\t-\t-",
                "t\ta\tb y\trequired\t-\t-",
            ]
        );
        // Nine lines for the range, as many for `dynamic`, and all that for each transport.
        assert_eq!(of_product(&product).count(), 9 * 2 * 2);
    }

    #[test]
    fn port_without_a_number_is_dynamic_in_both_columns() {
        let product = toml::from_str(TWO_SECTIONS).unwrap();
        let (_, fact) =
            of_product(&product).find(|(_, fact)| fact.ports == crate::Ports::Dynamic).unwrap();
        assert_eq!(fact.to_string(), "p\td\ts\ta\ta\ttcp\tdynamic\tdynamic\tx\trequired\t-\t-");
    }
}
