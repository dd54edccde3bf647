//! What is generated from the data: `docs/catalog.md` and the JSON Schema of the format.
//!
//! `BLESS=1` writes the files anew: look at the difference.

#![expect(clippy::unwrap_used, clippy::tests_outside_test_module, reason = "all of this is a test")]

use std::{fmt::Write as _, fs, path::Path};

use catalog::{Flow, Product, Source, bundled};
use serde_json::Value;

fn compare(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(file);
    blessed::compare(&path, text, "cargo test -p catalog --test docs");
}

#[test]
fn documented_catalog_is_this() {
    let mut text = String::from(
        "# The catalog\n\nMade from `catalog/products`. Every flow has the document and the section that say so; what is \
         doubtful there is told with how it is read here. `backupflow catalog show FLOW` says more of each. \
         What is `daily` carries the data of every regular backup. Datagrams that are `one-way`, or \
         `multicast` to many machines at once, need no answer.\n",
    );
    for product in &bundled().products {
        of_product(&mut text, product);
    }
    compare("catalog.md", &text);
}

fn of_product(text: &mut String, product: &Product) {
    writeln!(text, "\n## {} (`{}`)\n", product.name, product.id).unwrap();
    for document in &product.documents {
        let date = document.date.as_ref().map_or(String::new(), |date| format!(", {date}"));
        writeln!(
            text,
            "- `{}`: *{}*, {}, {} ({}{date})",
            document.id, document.title, document.vendor, document.edition, document.language
        )
        .unwrap();
    }
    for scenario in &product.scenarios {
        writeln!(text, "- scenario `{}`: {}", scenario.id, scenario.name).unwrap();
    }
    for option in &product.options {
        writeln!(text, "- option `{}`: {}", option.id, option.name).unwrap();
    }
    text.push_str("\n| role | what it is | plays too |\n|---|---|---|\n");
    for role in &product.roles {
        writeln!(text, "| `{}` | {} | {} |", role.id, role.name, role.includes.join(", ")).unwrap();
    }
    text.push_str(
        "\n| flow | from → to | port | requirement | scenarios | purpose | sections |\n|---|---|---|---|---|---|---|\n",
    );
    for flow in &product.flows {
        let mut sections: Vec<String> = Vec::new();
        for source in &flow.sources {
            let section = format!("`{}`", source.section);
            if !sections.contains(&section) {
                sections.push(section);
            }
        }
        writeln!(
            text,
            "| `{}` | {} → {} | {} | {} | {} | {} | {} |",
            flow.id,
            flow.from.join(", "),
            flow.to.join(", "),
            ports(flow),
            requirement(flow),
            flow.scenarios.join(", "),
            flow.purpose,
            sections.join(", "),
        )
        .unwrap();
    }
    doubts(text, product);
    empty_sections(text, product);
}

fn ports(flow: &Flow) -> String {
    let ports: Vec<String> = flow.ports.iter().map(ToString::to_string).collect();
    let transports: Vec<String> = flow.transport.iter().map(ToString::to_string).collect();
    format!("{}/{}", ports.join(", "), transports.join("+"))
}

fn requirement(flow: &Flow) -> String {
    let daily = if flow.daily { ", daily" } else { "" };
    let one_way = if flow.multicast {
        ", multicast"
    } else if flow.one_way {
        ", one-way"
    } else {
        ""
    };
    let condition = flow.condition.as_ref().map_or(String::new(), |text| format!(": {text}"));
    format!("{}{daily}{one_way}{condition}", flow.requirement)
}

fn doubts(text: &mut String, product: &Product) {
    let mut lines: Vec<String> = Vec::new();
    for flow in &product.flows {
        for Source { section, doubt, reading, .. } in &flow.sources {
            if let (Some(doubt), Some(reading)) = (doubt, reading) {
                let line = format!("| `{}` | `{section}` | {doubt} | {reading} |", flow.id);
                if !lines.contains(&line) {
                    lines.push(line);
                }
            }
        }
    }
    if !lines.is_empty() {
        writeln!(
            text,
            "\n| flow | section | what is doubtful | how it is read |\n|---|---|---|---|"
        )
        .unwrap();
        writeln!(text, "{}", lines.join("\n")).unwrap();
    }
}

fn empty_sections(text: &mut String, product: &Product) {
    let mut lines: Vec<String> = Vec::new();
    for document in &product.documents {
        for section in &document.sections {
            let Some(reason) = document.no_entry.get(section) else { continue };
            let meant = document
                .refers
                .get(section)
                .map(|to| format!(" It stands for `{}`.", to.join("`, `")));
            lines.push(format!("| `{section}` | {reason}{} |", meant.unwrap_or_default()));
        }
    }
    if !lines.is_empty() {
        writeln!(text, "\n| section without a port | why |\n|---|---|\n{}", lines.join("\n"))
            .unwrap();
    }
}

#[test]
fn format_has_this_schema() {
    let schema = schemars::schema_for!(Product);
    compare(
        "catalog.schema.json",
        &format!("{}\n", serde_json::to_string_pretty(&schema).unwrap()),
    );
}

#[test]
fn schema_takes_the_data_and_refuses_what_the_program_refuses() {
    let schema = serde_json::to_value(schemars::schema_for!(Product)).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for product in &bundled().products {
        let file =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("products/{}.toml", product.id));
        let text = fs::read_to_string(file).unwrap();
        let value: Value = toml::from_str(&text).unwrap();
        let errors: Vec<String> =
            validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert_eq!(errors, [""; 0], "{}", product.id);
        for (from, to) in [
            ("requirement = \"required\"", "requirement = \"wanted\""),
            ("transport = [\"tcp\"]", "transport = [\"sctp\"]"),
            ("purpose = ", "porpose = "),
            ("ports = [", "ports = [0, "),
            ("ports = [", "ports = [\"any\", "),
        ] {
            let broken = text.replacen(from, to, 1);
            assert_ne!(broken, text, "{from}");
            let value: Value = toml::from_str(&broken).unwrap();
            assert!(!validator.is_valid(&value), "{to}");
            if !to.ends_with("[0, ") {
                toml::from_str::<Product>(&broken).unwrap_err();
            }
        }
    }
}
