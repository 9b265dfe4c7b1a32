//! Tests of what few descriptors mean.

use super::*;

#[test]
fn peers_and_strangers_leave_something_to_the_others() {
    let usual = Limits::default();
    for files in [64, 200, 256, 1_024, 4_096, 16_384, 1_048_576] {
        let limits = limits_within(Some(files));
        let files = usize::try_from(files).unwrap();
        assert!(limits.peers + limits.pending_inbound <= files - files / OTHERS_SHARE, "{files}");
        assert!(limits.peers >= files / OTHERS_SHARE || limits.peers == usual.peers, "{files}");
        assert!(limits.pending_inbound > 0, "{files}");
    }
}

#[test]
fn where_there_are_enough_the_limits_are_the_usual_ones() {
    assert_eq!(limits_within(None), Limits::default());
    assert_eq!(limits_within(Some(16_384)), Limits::default());
}
