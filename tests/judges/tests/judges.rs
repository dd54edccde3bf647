//! A bounded number of frames before the judges: `cargo xtask judges` has more.

#![expect(clippy::tests_outside_test_module, reason = "all of this is a test")]

use judges::{kernel, run};

#[test]
fn parser_and_reference_agree() {
    let judged = run::on_host(7, 200_000).unwrap();
    assert_eq!(judged.frames, 200_000);
}

#[test]
fn kernel_counts_what_the_parser_says() {
    // In a thread of its own, whose network namespace goes with it.
    let judged = std::thread::spawn(|| {
        kernel::enter_namespace().unwrap();
        run::everywhere(8, 20_000).unwrap()
    });
    let judged = judged.join().unwrap();
    println!("{judged}");
    // What nothing is counted of proves nothing.
    assert!(judged.in_kernel > 18_000, "{judged}");
    assert!(judged.counted > 5_000 && judged.flows > 100, "{judged}");
    assert!(judged.events > 100 && judged.lost > 1_000, "{judged}");
}
