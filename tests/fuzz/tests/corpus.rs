//! The kept inputs, without a fuzzer.

use std::path::Path;

use hangscope_test_fuzz::TARGETS;

#[test]
fn every_kept_input_is_read_to_its_end() {
    for (name, any) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let mut inputs = 0;
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            any(&std::fs::read(entry.unwrap().path()).unwrap());
            inputs += 1;
        }
        assert!(inputs > 0, "{} is empty", folder.display());
        println!("{name}: {inputs} inputs");
    }
}
