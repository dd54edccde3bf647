//! The config file, up to the expectations that follow from it.

use monitor::{
    config,
    expect::{Matcher, Names, documented_ports, expectations},
};

/// Takes a config.
pub fn config(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match config::parse("config.toml", &text) {
        Ok(config) => {
            assert!(!config.systems.is_empty(), "a config without a system");
            let expectations = expectations(&config);
            let names = Names::new();
            drop(Matcher::new(&expectations, &names));
            drop(documented_ports(&expectations));
        }
        Err(faults) => {
            assert!(!faults.to_string().is_empty(), "refused without a word");
            drop(faults.render(true));
        }
    }
}
