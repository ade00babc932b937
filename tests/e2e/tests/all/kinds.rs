//! Every kind of hang whose truth is known is hunted: no verdict may be wrong.

use hangscope_test_e2e::kinds::{TABLE, check, check_started_through_loader};

macro_rules! kinds {
    ($($name:ident)*) => {
        $(#[test] fn $name() { check(stringify!($name)); })*

        #[test]
        fn every_row_is_hunted() {
            let hunted = [$(stringify!($name)),*];
            for kind in TABLE.iter().copied().flatten() {
                assert!(hunted.contains(&kind.name), "{} has no test", kind.name);
            }
        }
    };
}

#[test]
fn a_program_that_was_started_through_its_loader() {
    check_started_through_loader("abba");
}

// One line for each file of rows.
kinds! {
    launched_flock launched_timeout launched_with_dso
    abba
    try_lock spin_word_with_tid spin_ticket spin_forgotten queue_lock sequence_left handler_on_own_stack
    ring_double_free ring_write_after_free ring_of_the_allocator no_memory new_handler_frees_nothing
    front_jumps front_calls front_opens front_opens_linker_calls fork_heap_lock fork_table_lock vfork_held vfork_event
    other_namespace proc_of_another_namespace page_never_served main_left main_ended_with_lock dropped_rights
    callback_loops callback_reads callback_locks callback_allocates interposed handler_again handler_stays jumps_out
    own_lock own_event once_twice shared_lock_kept shared_lock_killed read_lock_left readers_overlap inheriting_twice inheriting_ring waits_for_many
    forgotten_works forgotten_sleeps at_exit
    ring_under_signals ring_with_statistics ring_with_short_threads ring_of_timed_locks sleep_ends poll_ends epoll_ends
    pause_until_alarm pipe_of_its_own condition_never_signalled
    renewed_for_ever once_crossed
}
