//! Every file that fuzzing kept, before the same functions.

#![expect(clippy::tests_outside_test_module, reason = "all of this is a test")]

use std::{fs, path::Path};

use judges::fuzz::TARGETS;

#[test]
fn every_kept_file_is_taken() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    for (name, target) in TARGETS {
        let mut files = 0;
        for entry in fs::read_dir(corpus.join(name)).unwrap() {
            let path = entry.unwrap().path();
            println!("{}", path.display());
            target(&fs::read(&path).unwrap());
            files += 1;
        }
        assert!(files > 0, "{name} has no corpus");
    }
    // Another folder would be replayed by nobody.
    assert_eq!(fs::read_dir(&corpus).unwrap().count(), TARGETS.len());
}
