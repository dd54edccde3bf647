//! The status page, in a browser.

use std::time::Duration;

use tests::{AGENT, Browser, Daemon, HOST4, Open, Pair, at, config, listen, turned_away};

const PAGE: &str = "http://127.0.0.1:10150/";

#[test]
fn page_says_what_is_wrong_on_any_screen_and_asks_for_nothing_else() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    turned_away(&pair.peer, at(HOST4, 50051), Duration::from_millis(500));
    daemon.verdict(AGENT, "refused", Some("no-listener"));
    let mut browser = Browser::start(&pair.host);
    browser.open(PAGE, 1280, 900);
    let text = |browser: &mut Browser, what: &str| {
        let expression = format!("document.querySelector('{what}').innerText");
        browser.evaluate(&expression).as_str().unwrap().to_owned()
    };
    let title = browser.evaluate("document.title");
    assert!(title.as_str().unwrap().ends_with(": 1 discrepancy – backupflow"), "{title}");
    let refresh = "document.querySelector('meta[http-equiv=refresh]').content";
    assert_eq!(browser.evaluate(refresh), "15");
    let version = concat!(", by backupflow ", env!("CARGO_PKG_VERSION"));
    assert!(text(&mut browser, "header p").ends_with(version));
    let first =
        "[...document.querySelectorAll('dt')].map(name => name.innerText).slice(0, 3).join()";
    assert_eq!(browser.evaluate(first), "cause,try,what");
    let columns =
        "[...document.querySelectorAll('thead th')].map(name => name.innerText).slice(5).join()";
    assert_eq!(browser.evaluate(columns), "Last worked,Last packet,Traffic, last 10 min");
    let card = text(&mut browser, "article");
    for expected in [
        "REFUSED ibm-backup-recovery: agent-50051, from cluster to this host, port 50051/tcp",
        "10.20.0.2 port 50051: 1 SYN seen on eth0, this host answers with RST",
        "no-listener",
        "Start the service that should listen on the port.",
    ] {
        assert!(card.contains(expected), "{expected:?} is not in\n{card}");
    }
    assert_eq!(browser.evaluate("document.querySelectorAll('tbody tr').length"), 6);
    let row = "tbody tr:has(.refused)";
    assert!(text(&mut browser, row).starts_with("agent-50051"), "{}", text(&mut browser, row));
    // Every link can be reached by keyboard, in order.
    for target in ["/runbooks/no-listener.md", "/api/v1/report", "/metrics"] {
        browser.tab();
        assert_eq!(browser.evaluate("document.activeElement.getAttribute('href')"), target);
    }
    browser.open(PAGE, 360, 640);
    let narrow = "document.documentElement.scrollWidth <= document.documentElement.clientWidth";
    assert_eq!(browser.evaluate(narrow), true);
    assert_eq!(browser.evaluate("window.innerWidth"), 360);
    assert_eq!(browser.requests, [PAGE, PAGE]);
    assert_eq!(browser.complaints.len(), 0, "{:?}", browser.complaints);
    drop(browser);
    let runbook = daemon.ask("/runbooks/no-listener.md", "").unwrap();
    assert!(runbook.text().starts_with("# no-listener\n"), "{}", runbook.text());
    assert_eq!(daemon.ask("/runbooks/nothing.md", "").unwrap().status, 404);

    let open = Open::new(&pair.peer, &listen(&pair.host, at(HOST4, 50051)), at(HOST4, 50051));
    open.send(1000, 1000);
    open.close();
    daemon.verdict(AGENT, "ok", None);
    let page = daemon.ask("/", "").unwrap();
    assert!(page.head.contains("default-src 'none'"), "{}", page.head);
    assert!(page.text().contains("<p>None.</p>"), "{}", page.text());
}
