//! The config, with its reasons as comments.

use std::fmt::Write as _;

use crate::config::DEFAULT_PATH;

use super::{Evidence, Proposal, words::counted};

/// Columns of a comment.
const WIDTH: usize = 100;

/// More addresses are not written into a comment.
const MOST_ADDRESSES: usize = 8;

/// The text of a config file.
pub fn render(evidence: &Evidence, proposals: &[Proposal]) -> String {
    let mut text = String::new();
    let listeners = counted(evidence.listeners.len() as u64, "listening socket");
    let flows = counted(evidence.flows.len() as u64, "flow");
    let packets = match evidence.watched {
        Some(seconds) => format!("packets were watched for {seconds} s"),
        None => "no packets were watched (as root, `--watch 10m` sees more)".to_owned(),
    };
    let next = format!(
        "Proposed by `backupflow suggest`. Correct what is wrong, save it as {DEFAULT_PATH}, and run \
         `backupflow check`."
    );
    comment(&mut text, "", &next);
    let seen = format!("Seen: {listeners}, {flows} on documented ports; {packets}.");
    comment(&mut text, "", &seen);
    for proposal in proposals {
        text.push('\n');
        system(&mut text, proposal);
    }
    text
}

fn system(text: &mut String, proposal: &Proposal) {
    comment(text, "", &proposal.name);
    if let Some(doubt) = &proposal.doubt {
        comment(text, "", doubt);
    }
    _ = writeln!(text, "[[system]]\nproduct = {}", quoted(&proposal.product));

    for role in &proposal.roles {
        comment(text, "", &format!("{}: {}, because", role.role, role.name));
        for because in &role.because {
            comment(text, "- ", because);
        }
    }
    if !proposal.alternatives.is_empty() {
        comment(
            text,
            "",
            "Other roles use the same ports. If this host is one of these, write that instead:",
        );
        for (id, name) in &proposal.alternatives {
            comment(text, "- ", &format!("{id}: {name}"));
        }
    }
    let roles: Vec<&str> = proposal.roles.iter().map(|role| role.role.as_str()).collect();
    _ = writeln!(text, "roles = {}", list(&roles));

    if let Some(scenario) = &proposal.scenario {
        if proposal.scenario_alternatives.is_empty() {
            comment(text, "", "It fits what is seen better than the other scenarios.");
        } else {
            comment(text, "", "A guess, to be confirmed: what is seen fits others as well:");
            for (id, name) in &proposal.scenario_alternatives {
                comment(text, "- ", &format!("{id}: {name}"));
            }
        }
        _ = writeln!(text, "scenario = {}", quoted(scenario));
    }
    if !proposal.options.is_empty() {
        for option in &proposal.options {
            comment(text, "", &format!("A guess: {}, since {}.", option.name, option.because));
        }
        let options: Vec<&str> =
            proposal.options.iter().map(|option| option.option.as_str()).collect();
        _ = writeln!(text, "options = {}", list(&options));
    }
    peers(text, proposal);
}

fn peers(text: &mut String, proposal: &Proposal) {
    if !proposal.peers.is_empty() {
        comment(
            text,
            "",
            "The machines that were seen. Others in these roles will be unexpected: add them, by \
             address, name, or network such as \"192.0.2.0/24\".",
        );
    }
    for (role, machines) in &proposal.peers {
        _ = writeln!(text, "peers.{role} = [");
        for (address, seen) in machines {
            let seen: Vec<&str> = seen.iter().map(String::as_str).collect();
            let address = quoted(&address.to_string());
            let line = format!("    {address}, # {}", seen.join("; "));
            if line.len() > WIDTH {
                for seen in seen {
                    _ = writeln!(text, "    # {seen}");
                }
                _ = writeln!(text, "    {address},");
            } else {
                _ = writeln!(text, "{line}");
            }
        }
        text.push_str("]\n");
    }
    for undecided in &proposal.undecided {
        let all: Vec<String> = undecided.addresses.iter().map(ToString::to_string).collect();
        let some = all.get(..MOST_ADDRESSES).unwrap_or(&all);
        let more = match all.len() - some.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        comment(text, "", &format!("Left out: {}{more}: {}", some.join(", "), undecided.because));
    }
    if !proposal.open.is_empty() {
        let open = proposal.open.join(", ");
        comment(
            text,
            "",
            &format!("Nobody was seen as {open}: these stay open until they are named here too."),
        );
    }
}

fn comment(text: &mut String, mark: &str, words: &str) {
    let first = format!("# {mark}");
    let next = format!("# {}", " ".repeat(mark.len()));
    let options = textwrap::Options::new(WIDTH)
        .initial_indent(&first)
        .subsequent_indent(&next)
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    for line in textwrap::wrap(words, options) {
        text.push_str(&line);
        text.push('\n');
    }
}

/// Ids and addresses hold nothing that TOML would want escaped.
fn quoted(word: &str) -> String {
    format!("\"{word}\"")
}

fn list(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().copied().map(quoted).collect();
    format!("[{}]", words.join(", "))
}
