//! The runbooks, as they are in `docs/runbooks`: what to do about a cause, where nothing else can be reached.

/// The text of each page, by its name.
const PAGES: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/runbooks.rs"));

/// The page of a cause or an alert.
pub(super) fn page(name: &str) -> Option<&'static str> {
    PAGES.iter().find(|(of, _)| *of == name).map(|(_, text)| *text)
}

/// Where the page is served.
pub(super) fn path(name: &str) -> String {
    format!("/runbooks/{name}.md")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discrepancy::Cause;

    #[test]
    fn every_cause_has_its_page() {
        for cause in Cause::ALL {
            let text = page(cause.name()).unwrap_or_default();
            assert!(text.starts_with(&format!("# {cause}\n")), "{cause}: {text}");
        }
    }
}
