//! `recording.json.gz`, without its gzip and with it.

use hangscope_collector::evidence::recording::Recording;

pub fn any(bytes: &[u8]) {
    let _ = Recording::read(bytes);
    if let Ok(recording) = Recording::from_json(bytes) {
        let found = recording.analyse();
        assert!(!found.class.as_str().is_empty());
    }
}
