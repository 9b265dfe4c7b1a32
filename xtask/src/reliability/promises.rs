//! What is promised, what holds it, and what is not proven. The page is made of this; the words are the reader's.

/// One promise.
pub(super) struct Promise {
    pub(super) words: &'static str,
    /// Tests by name and file. Tidy refuses one that is not there.
    pub(super) tests: &'static [(&'static str, &'static str)],
    /// What the last run has to show for it.
    pub(super) figures: &'static [Figure],
}

/// A figure that a proof writes.
pub(super) struct Figure {
    /// The file without its ending.
    pub(super) group: &'static str,
    /// Its name in there.
    pub(super) what: &'static str,
}

/// Files with many tests that are named here.
const SIMULATION: &str = "node/src/simulation/tests.rs";
const SLOW_READERS: &str = "rpc/tests/plugins/slow_readers.rs";
const QUEUE: &str = "node/src/send_queue/tests.rs";
const STRESS: &str = "node/src/send_queue/tests/stress.rs";
const LOOM: &str = "node/src/send_queue/loom_tests.rs";
const HOSTILE: &str = "node/tests/peers/hostile.rs";
const LIMITS: &str = "node/tests/peers/limits.rs";
const TAKEOVER: &str = "node/tests/peers/takeover.rs";
const ONIONS: &str = "node/tests/peers/onions.rs";
const EVENTS: &str = "node/src/events/tests.rs";
const PLUGINS: &str = "rpc/tests/plugins/hostile.rs";
const MISBEHAVIOUR: &str = "rpc/tests/socket/misbehaviour.rs";
const DAEMON: &str = "rpc/tests/daemon.rs";
const KILLS: &str = "rpc/tests/faults/kills.rs";
const DISK: &str = "rpc/tests/faults/disk.rs";
const STOP: &str = "rpc/tests/faults/stop.rs";
const SECRECY: &str = "rpc/tests/faults/secrecy.rs";
const WIPING: &str = "wire-core/tests/wiping.rs";

pub(super) const PROMISES: &[Promise] = &[
    Promise {
        words: "A message that was accepted for sending is written to its peer once, or its sender is told that it was not. What was written when a connection breaks, or a process is killed, may have arrived or not: nobody can know.",
        tests: &[
            ("every_promise_holds_in_every_run", SIMULATION),
            ("send_queue::run", "fuzz/src/send_queue.rs"),
            ("every_message_arrives_once_whole_and_in_order", STRESS),
            ("closing_in_the_middle_loses_nothing", STRESS),
            ("closing_returns_what_is_not_completely_written", QUEUE),
            ("a_push_that_races_with_closing_is_returned_exactly_once", LOOM),
            ("a_backlog_that_moves_again_and_again_stays_bounded_and_nothing_is_lost_silently", TAKEOVER),
            ("a_node_that_is_killed_loses_nothing_that_it_promised", KILLS),
            ("what_was_accepted_before_the_signal_arrives", STOP),
        ],
        figures: &[
            Figure { group: "simulation", what: "messages accepted" },
            Figure { group: "simulation", what: "lost without word" },
            Figure { group: "soak", what: "messages accepted" },
            Figure { group: "soak", what: "lost without word" },
            Figure { group: "load", what: "honest messages lost" },
            Figure {
                group: "faults",
                what: "messages out of order, doubled, or told as unsent and seen all the same",
            },
        ],
    },
    Promise {
        words: "Messages to one peer arrive in the order in which they were accepted, also when a newer connection takes over.",
        tests: &[
            ("every_promise_holds_in_every_run", SIMULATION),
            ("each_producers_messages_stay_in_order", LOOM),
            ("send_queue::run", "fuzz/src/send_queue.rs"),
            ("what_waits_on_the_older_connection_moves_in_order", TAKEOVER),
            ("what_comes_late_over_the_kept_connection_stays_behind_newer_messages", TAKEOVER),
            ("ten_thousand_messages_each_way_arrive_in_order", "node/tests/peers/pairs.rs"),
            ("a_node_that_is_killed_loses_nothing_that_it_promised", KILLS),
        ],
        figures: &[
            Figure { group: "soak", what: "changed, twice or in the wrong order" },
            Figure { group: "load", what: "honest messages changed or answered twice" },
        ],
    },
    Promise {
        words: "A frame that was changed, lost, repeated or cut off ends its connection, and nothing of it is delivered.",
        tests: &[
            ("every_promise_holds_in_every_run", SIMULATION),
            ("transport::run", "fuzz/src/transport.rs"),
            ("replayed_lost_and_swapped_frames_are_refused", "wire-core/src/frame/tests.rs"),
            ("an_altered_bit_ends_the_stream_there", "wire-core/src/frame/tests.rs"),
            ("a_wrong_tag_after_good_frames", HOSTILE),
            ("deframer::run", "fuzz/src/deframer.rs"),
        ],
        figures: &[],
    },
    Promise {
        words: "No bytes of a peer, a client or a plugin end the process.",
        tests: &[
            ("decoders::run", "fuzz/src/decoders.rs"),
            ("parameters::run", "fuzz/src/parameters.rs"),
            ("plugin::run", "fuzz/src/plugin.rs"),
            ("handshake::run", "fuzz/src/handshake.rs"),
            ("connection::run", "fuzz/src/connection.rs"),
            ("messages::run", "fuzz/src/messages.rs"),
            ("onion::run", "fuzz/src/onion.rs"),
            ("json_rpc::run", "fuzz/src/json_rpc.rs"),
            ("no_bytes_panic", "wire-core/tests/messages/random.rs"),
            ("a_task_that_panics_leaves_nothing_behind", "node/tests/peers/log_lines.rs"),
            ("leftovers_are_found_outside_tests", "xtask/src/tidy/sources.rs"),
        ],
        figures: &[
            Figure { group: "fuzz", what: "inputs tried" },
            Figure { group: "fuzz", what: "inputs that broke a promise" },
        ],
    },
    Promise {
        words: "Memory is bounded: every queue, buffer and table has a limit, in all and for each who can fill it.",
        tests: &[
            ("every_promise_holds_in_every_run", SIMULATION),
            ("each_is_bounded_and_told_and_nobody_else_notices", SLOW_READERS),
            ("the_limit_is_never_passed_and_every_room_is_given_back", LOOM),
            ("bytes_are_bounded_and_one_large_message_still_arrives", EVENTS),
            ("a_peer_that_never_reads_fills_its_queue_and_is_closed", LIMITS),
            ("the_system_keeps_little_that_it_cannot_send", LIMITS),
            ("ten_thousand_messages_of_one_peer", ONIONS),
            ("the_table_is_bounded_and_forgets_who_is_full", "node/src/onion/bucket.rs"),
            ("the_table_is_bounded_and_forgets_who_has_all", "node/src/handshakes.rs"),
            ("too_long_a_request_is_refused_at_the_limit", "rpc/src/codec/tests.rs"),
            ("thousands_of_requests_without_reading", MISBEHAVIOUR),
            ("one_that_does_not_read", PLUGINS),
            ("hostile_clients_and_strangers_cost_little_memory", DAEMON),
        ],
        figures: &[
            Figure { group: "load", what: "memory of the hub, at most" },
            Figure { group: "slow-readers", what: "memory" },
        ],
    },
    Promise {
        words: "Every wait ends: the handshake, `init`, a peer that is silent or does not read, a plugin, a drain, a stop; whatever the clock on the wall does.",
        tests: &[
            ("every_promise_holds_in_every_run", SIMULATION),
            ("each_phase_has_its_deadline", "wire-core/src/connection/tests/liveness.rs"),
            ("half_an_act_and_silence", HOSTILE),
            ("an_act_one_byte_at_a_time_beyond_the_deadline", HOSTILE),
            ("a_silent_peer_is_pinged_and_then_given_up", HOSTILE),
            ("a_peer_that_asks_for_pongs_and_never_reads", HOSTILE),
            ("closing_ends_every_wait_for_room", LOOM),
            ("waits_for_plugins_have_an_end", "rpc/tests/plugins/lifecycle.rs"),
            ("a_signal_ends_the_server_although_a_request_runs", "rpc/tests/socket/serving.rs"),
            ("neither_peers_nor_plugins_nor_clients_delay_the_end", STOP),
            (
                "a_clock_that_jumps_by_years_changes_nothing_but_the_times_that_are_shown",
                "rpc/tests/faults/clock.rs",
            ),
        ],
        figures: &[Figure { group: "faults", what: "SIGTERM while peer, plugin and clients all hang" }],
    },
    Promise {
        words: "Strangers and hostile peers neither keep honest ones out nor stop them.",
        tests: &[
            ("a_burst_of_honest_peers_beyond_the_cap_is_served", LIMITS),
            ("strangers_beyond_the_cap_push_out_the_oldest", LIMITS),
            ("a_burst_then_the_line_then_nothing", "node/src/handshakes.rs"),
            ("a_program_that_reads_misses_nothing", "node/tests/peers/flood.rs"),
            ("who_sends_much_is_slowed_while_somebody_else_is_in_conversation", "node/src/peer/task.rs"),
            ("who_asks_for_much_is_slowed_likewise", "node/src/peer/task.rs"),
            (
                "a_subscriber_that_does_not_read_slows_who_sends_much_for_seconds_only",
                "node/src/peer/task.rs",
            ),
            ("who_asks_pays_for_it_and_keeps_nobody_waiting_who_sends", "node/src/peer/turn.rs"),
            ("who_asks_once_in_a_while_waits_for_nobody_who_asks_all_the_time", "node/src/peer/task.rs"),
            ("who_is_leaving_keeps_nobody_in_line", "node/src/peer/task.rs"),
            ("newcomers_come_in_by_turns", "node/src/peer/accept.rs"),
            ("those_who_came_at_once_go_one_by_one", "node/src/connections.rs"),
            ("a_loud_peer_does_not_use_up_the_way_to_another", ONIONS),
            ("a_node_without_descriptors_keeps_its_peers_and_recovers", "node/tests/peers/descriptors.rs"),
        ],
        figures: &[
            Figure { group: "load", what: "honest peers connected at the end" },
            Figure { group: "load", what: "latency of honest messages, senders that begin" },
            Figure { group: "load", what: "latency of honest messages, senders that never read" },
            Figure { group: "load", what: "latency of honest messages, silent strangers" },
            Figure { group: "load", what: "latency of honest messages, a byte a second" },
            Figure { group: "load", what: "latency of honest messages, all of these" },
            Figure { group: "load", what: "slowest newcomer, all of these" },
        ],
    },
    Promise {
        words: "A subscriber that is too slow loses only its own copies, and is told how many, in their place.",
        tests: &[
            ("each_is_bounded_and_told_and_nobody_else_notices", SLOW_READERS),
            ("overflow_is_counted_and_told_in_its_place", EVENTS),
            ("a_slow_reader_is_told_how_much_it_missed", "rpc/tests/socket/subscription.rs"),
            ("a_flood_of_messages_leaves_room_for_who_comes_and_goes", EVENTS),
            ("a_program_that_does_not_read_is_not_waited_for_in_the_end", "node/tests/peers/flood.rs"),
        ],
        figures: &[
            Figure { group: "slow-readers", what: "messages of a quiet peer meanwhile" },
            Figure { group: "slow-readers", what: "of these lost" },
            Figure { group: "soak", what: "told as missed to who listened" },
        ],
    },
    Promise {
        words: "A plugin, whatever it does, stops neither the daemon nor peers nor other plugins.",
        tests: &[
            ("one_that_never_answers_is_skipped_from_then_on", PLUGINS),
            ("one_that_answers_nonsense", PLUGINS),
            ("one_that_floods_its_standard_output", PLUGINS),
            ("one_that_is_killed_while_ten_thousand_messages_arrive", PLUGINS),
            ("one_that_exits_in_the_middle_of_a_hook", PLUGINS),
            ("killed_plugins_take_no_message_with_them", "rpc/tests/faults/kills_of_others.rs"),
        ],
        figures: &[Figure { group: "faults", what: "messages that missed their way for it" }],
    },
    Promise {
        words: "What `datastore` has answered is on disk, and the file opens after any kill.",
        tests: &[
            ("a_node_that_is_killed_loses_nothing_that_it_promised", KILLS),
            ("a_first_write_that_is_killed_leaves_a_datastore_that_opens", KILLS),
            ("a_full_disk_costs_what_cannot_be_written_and_nothing_else", DISK),
            ("pipelined_writes_keep_their_order", "rpc/tests/socket/datastore.rs"),
        ],
        figures: &[
            Figure { group: "faults", what: "acknowledged writes, all there after the restart" },
            Figure { group: "faults", what: "acknowledged writes lost" },
        ],
    },
    Promise {
        words: "What fails around the daemon costs what depends on it, is told, and passes: a full disk, no descriptors, a lost socket, killed clients.",
        tests: &[
            ("a_full_disk_costs_what_cannot_be_written_and_nothing_else", DISK),
            ("a_directory_that_may_not_be_written_in_is_told_and_costs_only_what_would_be_there", DISK),
            (
                "without_descriptors_what_is_connected_goes_on_and_the_rest_waits",
                "rpc/tests/faults/descriptors.rs",
            ),
            ("a_socket_that_is_removed_comes_back", "rpc/tests/faults/socket_file.rs"),
            ("of_many_that_start_at_once_in_one_directory_one_comes_up", "rpc/tests/faults/socket_file.rs"),
            ("killed_clients_leave_their_places_to_others", "rpc/tests/faults/kills_of_others.rs"),
        ],
        figures: &[Figure { group: "faults", what: "a node is killed in full swing" }],
    },
    Promise {
        words: "A connection that has ended leaves nothing behind: no entry, no key, no keystream.",
        tests: &[
            ("every_promise_holds_in_every_run", SIMULATION),
            ("no_key_outlives_the_connection", WIPING),
            ("no_ephemeral_key_outlives_the_handshake", WIPING),
            ("no_keystream_outlives_its_frame", WIPING),
            ("a_bundle_of_free_blocks_has_one_owner", LOOM),
        ],
        figures: &[Figure { group: "load", what: "descriptors of the hub at the end" }],
    },
    Promise {
        words: "Keys are in no log and no core dump, and what others say is not printed as it came.",
        tests: &[
            ("nothing_secret_is_printed", "wire-core/src/secret.rs"),
            ("nothing_secret_is_printed", "node/src/identity/tests.rs"),
            ("states_are_small_and_print_no_key", "wire-core/src/noise/tests.rs"),
            ("no_core_is_left_behind", SECRECY),
            ("other_programs_of_the_same_user_do_not_read_its_memory", SECRECY),
            ("the_log_has_neither_secrets_nor_lines_of_others_whatever_is_asked_and_answered", SECRECY),
            ("what_a_peer_complains_of_is_logged_and_does_no_harm_there", "node/tests/peers/log_lines.rs"),
        ],
        figures: &[
            Figure { group: "faults", what: "core of a daemon that is aborted" },
            Figure { group: "faults", what: "secrets in a log at level io" },
            Figure { group: "faults", what: "lines or control characters of others in it" },
        ],
    },
    Promise {
        words: "The specification is kept, line by line, or the ledger says otherwise.",
        tests: &[
            ("a_test_that_is_gone_or_is_none_is_found", "xtask/src/tidy/proofs.rs"),
            ("what_is_left_out_or_out_of_place_is_found", "xtask/src/conformance.rs"),
        ],
        figures: &[],
    },
];

pub(super) const NOT_PROVEN: &[&str] = &[
    "Nobody from outside has reviewed it.",
    "That no secret stays in a register or on the stack after a move: the compiler decides that. What can be named is wiped.",
    "That the code for secrets takes the same time whatever they are: it is written without branches and addresses that depend on \
     them, and no tool measures it.",
    "The order of messages when two nodes dial each other at the same moment, the connection that both would keep breaks for one of \
     them, and that one goes on over the other connection and closes it within two seconds: what was on the first is taken for newer \
     then, as it is when nothing has broken. No simulated run has shown it.",
    "That the 99th percentile of honest messages stays within twice its quiet value in every second and every round: the middle one of \
     three rounds is within it in every part. Single ones pass it, by up to a quarter, while a thousand floods begin, or while all attack at \
     once, on two processors that the node shares with its attackers.",
    "That a peer which honestly sends much keeps its pace beside a hundred that flood: they share one line, a turn each.",
    "Days of running and days of fuzzing: no run is longer than what stands above.",
    "Behaviour on other systems than Linux, and over networks that are not of one machine.",
    "That a message which was written has arrived: the protocol has no acknowledgement. Applications that need one send one.",
];
