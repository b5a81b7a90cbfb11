//! The contract of `Engine`: one suite for every engine.
//!
//! A case is a function over a [`Rig`]; [`CASES`] lists them all. Each runs on the modelled array
//! as a test of its own; the kernel tests run the same list on real LVM and LIO.
//!
//! What an engine refuses, by kind (and nothing has changed afterwards):
//!
//! | wish | kind |
//! |---|---|
//! | a pool, volume or port that is not there | `NotFound` |
//! | the device name of another volume | `AlreadyExists` |
//! | more than is free | `NoSpace`, with the largest size |
//! | a size of 0 or of broken extents, a bad name, a LUN number above 16383 | `InvalidArgument` |
//! | legs that are no legs of the layout, a reserve that lies elsewhere | `InvalidArgument` |
//! | a foreign volume or pool, an ACL of another manager without the initiator's secret | `AccessDenied` |
//! | a volume that is held open or exported, or a mark of another job | `InUse` |
//! | zeroing, copying, replacing or removing a finished volume, showing an unfinished one | `InUse` |
//! | a volume that snapshots need, to be resized, erased or removed | `HasDependents` |
//! | a snapshot of one that keeps what changes, another size, no relation or erasing for it | `InvalidArgument` |
//! | room for a snapshot of a thin volume, or none for one of another | `InvalidArgument` |
//! | copying onto the same volume or a smaller one | `InvalidArgument` |
//! | a disk that is not free, a pool that is not empty | `InUse` |
//! | a target that the configuration names | `AccessDenied` |
//! | a target of somebody else's, by its name | `AlreadyExists` |
//! | an address that cannot be listened at, a target that something is shown through | `InUse` |
//! | a LUN number that is taken, what another manager does not show as it is said | `InUse` |
//! | a pool that lacks a disk, but to repair or remove what lies in it, or to add disks; a cancelled step | `Unavailable` |
//! | a machine that does not answer | `Timeout` |

mod bench;
mod chap;
mod copies;
mod crashes;
mod disks;
mod erase;
mod growth;
mod lost;
mod maps;
mod moves;
mod pools;
mod raid;
mod replicas;
mod rig;
mod sessions;
mod sim;
mod takeover;
mod targets;
mod thin;
mod volumes;

pub use rig::{Rig, Vg};

/// One case.
pub type Case = fn(&mut dyn Rig);

macro_rules! cases {
    ($($area:ident: $($case:ident)*;)*) => {
        /// Every case by its name.
        #[allow(dead_code, reason = "for rigs that run the list in one process")]
        pub const CASES: &[(&str, Case)] = &[$($(
            (concat!(stringify!($area), "::", stringify!($case)), $area::$case as Case),
        )*)*];

        /// Every case on the modelled array.
        mod on_sim {$(
            mod $area {$(
                #[test]
                fn $case() {
                    super::super::$area::$case(&mut super::super::sim::SimRig::new());
                }
            )*}
        )*}
    };
}

cases! {
    volumes:
        a_created_volume_is_listed_with_its_marks
        creating_twice_makes_one
        an_impossible_volume_is_refused
        a_full_pool_says_how_much_would_fit
        a_volume_may_take_all_that_is_available
        zeroing_reports_progress_up_to_the_size
        zeroing_stops_when_cancelled
        zeroing_rests_and_nobody_waits_for_it
        only_the_job_that_marked_a_volume_touches_it
        a_finished_volume_is_not_removed
        removing_frees_the_room_and_twice_is_once
        marks_come_and_go
        a_foreign_volume_is_left_alone
        a_held_volume_is_left_alone
        an_exported_volume_is_not_removed
        a_rename_changes_the_name_only
        a_volume_that_is_gone_is_not_found
        a_pool_that_is_not_there_is_not_found
        a_pool_that_lacks_a_disk_makes_nothing;
    growth:
        the_new_part_holds_zeros_and_the_old_part_its_data
        growing_twice_is_once
        a_mapped_volume_grows
        only_the_marked_reserve_is_taken
        a_wrong_size_is_refused
        a_lost_reserve_is_an_error;
    maps:
        a_mapped_volume_answers_with_its_identifier
        every_number_of_flat_addressing_leads_to_its_volume
        no_host_reads_old_data
        another_initiator_sees_nothing
        capitals_in_a_name_make_no_difference
        mapping_twice_is_once
        unmapping_takes_that_map_only
        an_impossible_map_is_refused
        a_taken_number_is_refused
        a_foreign_map_is_reported_and_kept
        a_lost_map_is_seen_and_made_again
        a_target_that_was_taken_down_is_seen_and_made_again
        what_another_manager_restored_is_taken_over
        converging_shows_exactly_what_is_listed
        converging_tries_everything
        the_identifier_survives_another_export
        a_stalled_machine_ends_in_a_timeout;
    takeover:
        what_another_manager_shows_is_taken_over_while_it_is_used
        what_was_taken_over_is_hidden_and_removed_like_any_other
        what_was_taken_over_is_left_to_him_again
        the_identifier_is_kept_when_all_is_made_again
        what_he_makes_again_from_older_files_stays_taken_over
        a_target_is_taken_over_with_what_it_shows
        what_is_not_as_it_was_is_not_taken_over;
    sessions:
        a_login_appears_and_a_logout_disappears
        nobody_logs_in_without_a_map
        hiding_the_last_volume_ends_the_session
        hiding_one_of_two_volumes_does_not
        a_session_that_another_manager_lets_in_is_seen
        no_session_outlives_a_reboot;
    chap:
        the_right_secret_and_no_other_lets_in
        the_array_proves_itself_where_it_is_asked
        a_map_that_is_made_later_has_its_secret_at_once
        changed_secrets_hold_after_a_restart
        another_managers_acl_is_given_no_secret;
    targets:
        a_made_target_shows_its_own_maps_only
        a_made_target_listens_where_it_is_told
        a_made_target_is_there_again_after_a_reboot
        a_used_target_stays_and_an_unused_one_goes
        a_target_of_somebody_else_is_left_alone
        an_impossible_target_is_refused
        a_target_that_nobody_told_of_is_reported_and_kept;
    crashes:
        a_creation_cut_anywhere_can_be_undone
        a_creation_cut_anywhere_can_be_completed
        a_growth_cut_anywhere_leaves_old_or_new
        a_removal_cut_anywhere_can_be_completed
        everything_is_the_same_after_a_reboot
        ports_are_closed_until_converged
        every_change_moves_the_fingerprint
        pools_legs_and_thin_volumes_are_the_same_after_a_reboot;
    pools:
        a_group_is_made_from_free_disks
        an_impossible_group_is_refused
        a_group_is_managed_after_a_reboot_only_when_it_is_named
        a_group_that_is_taken_back_leaves_nothing
        undoing_a_group_that_was_not_made_leaves_others_alone
        only_a_marked_empty_group_is_removed
        pools_that_hold_but_a_snapshot_stay
        a_group_of_somebody_else_is_not_renamed_or_removed
        a_group_grows_and_shrinks_by_disks
        a_disk_that_is_used_stays
        a_pool_is_renamed
        a_group_that_is_gone_is_not_found
        every_change_of_a_group_moves_the_fingerprint;
    raid:
        every_leg_lies_on_a_disk_of_its_own
        a_new_volume_holds_zeros_and_then_what_is_written
        an_impossible_layout_is_refused
        growth_keeps_data_and_legs_and_adds_zeros
        a_reserve_on_other_disks_is_refused
        coming_into_step_reports_progress_and_can_be_cancelled
        a_volume_shrinks_and_keeps_its_beginning
        a_volume_that_is_used_does_not_shrink;
    copies:
        a_used_volume_gains_and_loses_copies
        copies_that_are_not_in_step_are_taken_off_again
        impossible_copies_are_refused;
    erase:
        an_overwritten_volume_holds_zeros
        what_is_stopped_half_erased_is_no_healthy_volume
        erasing_rests_and_nobody_waits_for_it
        a_snapshot_is_not_erased_nor_a_volume_that_has_one
        a_discarded_thin_volume_gives_its_room_back
        what_takes_no_discards_or_is_gone_is_nothing_to_erase;
    moves:
        a_used_volume_moves_leg_by_leg
        a_cancelled_move_moves_nothing
        a_volume_takes_the_place_of_one_in_another_pool
        a_thin_pool_moves_with_its_volumes
        a_disk_is_closed_emptied_and_leaves
        an_impossible_move_is_refused;
    thin:
        a_thin_pool_takes_its_room_and_gives_it_back
        an_impossible_thin_pool_is_refused
        only_a_marked_unused_thin_pool_is_removed
        a_thin_volume_takes_what_is_written
        a_thin_volume_grows
        a_removed_thin_volume_gives_its_room_back
        a_full_thin_pool_heals_when_it_grows
        a_thin_pool_grows_within_its_group
        a_thin_pool_is_renamed;
    replicas:
        a_snapshot_keeps_what_its_source_held
        a_thin_snapshot_shares_what_has_not_changed
        a_thin_source_can_go_before_its_snapshot
        snapshots_of_several_are_taken_at_once
        an_impossible_snapshot_is_refused
        a_snapshot_without_room_is_lost
        a_source_stays_as_it_is_while_snapshots_need_it
        a_copy_overwrites_the_whole_new_volume
        a_copy_takes_of_a_thin_pool_what_is_not_zero
        a_copy_brings_back_what_a_snapshot_kept
        a_copy_brings_back_what_a_thin_snapshot_shares
        a_copy_that_is_stopped_leaves_a_torn_volume
        only_marked_and_hidden_volumes_are_copied
        relations_end_and_come_back
        replicas_are_the_same_after_a_reboot;
    disks:
        every_disk_is_listed_with_its_use
        a_missing_disk_touches_what_lies_on_it
        a_group_without_one_of_its_disks_is_not_changed
        a_repair_restores_redundancy
        an_impossible_repair_is_refused
        nothing_missing_is_nothing_to_repair
        a_leg_that_fails_is_put_elsewhere
        a_leg_is_replaced_only_from_others_that_are_in_step
        a_disk_that_came_back_is_opened_anew;
    lost:
        volumes_on_a_dead_disk_are_removed_and_the_disk_is_dropped
        snapshots_and_thin_pools_on_a_dead_disk_are_removed
        a_lost_leg_moves_to_a_disk_that_is_added_then
        a_disk_that_came_back_late_is_taken_back
        a_boot_without_a_disk_shows_what_is_left;
}
