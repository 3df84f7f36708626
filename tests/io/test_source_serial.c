/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>

#include "serial_rig.h"

Test(source_serial, readings_arrive_with_name_and_time) {
    struct pty pty;
    struct rig rig = rig_on(&pty);
    uint64_t before_us;
    uint64_t after_us;

    begin(&rig, 1);
    wait_for_question(&rig, &pty);
    (void)sd_event_now(rig.loop, CLOCK_BOOTTIME, &before_us);
    pty_send(&pty, HELLO);
    send_reading(&pty, 1, 1);
    WAIT_FOR(&rig, rig.count == 1);
    (void)sd_event_now(rig.loop, CLOCK_BOOTTIME, &after_us);
    cr_assert_str_eq(rig.readings[0].sensor, "kitchen");
    cr_assert_eq(rig.readings[0].count, 2);
    cr_assert_geq(rig.readings[0].taken_us, before_us);
    cr_assert_leq(rig.readings[0].taken_us, after_us);
    cr_assert_eq(state_of(&rig, 0), SENSOR_OK);
    cr_assert_eq(status_of(&rig).sensors[0].node, 1);
    cr_assert_geq(rig.changes, 1);
    cr_assert_eq(entries_saying("hello"), 1);
    end(&rig);
}

Test(source_serial, rest_of_a_line_is_no_damage) {
    struct pty pty;
    struct rig rig = rig_on(&pty);

    begin(&rig, 1);
    wait_for_question(&rig, &pty);
    pty_write(&pty, "24,rh=45.0,t=21.5*A5DD\r\n", 24);
    send_reading(&pty, 1, 1);
    WAIT_FOR(&rig, rig.count == 1);
    cr_assert_eq(status_of(&rig).damaged, 0);
    cr_assert_eq(status_of(&rig).lost_frames, 0);
    end(&rig);
}

Test(source_serial, port_not_heard_yet_shows_its_sensor) {
    struct pty pty;
    struct rig rig = rig_on(&pty);

    begin(&rig, 1);
    wait_for_question(&rig, &pty);
    cr_assert_eq(status_of(&rig).sensor_count, 1);
    cr_assert_str_eq(status_of(&rig).sensors[0].sensor->name, "kitchen");
    cr_assert_str_eq(status_of(&rig).sensors[0].device, pty.path);
    cr_assert_eq(state_of(&rig, 0), SENSOR_STARTING);
    cr_assert_eq(status_of(&rig).sensors[0].node, 0);
    end(&rig);
}

Test(source_serial, absent_at_start_is_said_once_and_looked_for) {
    struct link link = { .path = "" };
    struct pty pty = pty_new();
    struct rig rig = { .changes = 0 };

    link_to(&link, NULL);
    rig.settings[0] = kitchen_on(link.path);
    begin(&rig, 1);
    WAIT_FOR(&rig, cause_of(&rig, 0) == CAUSE_DEVICE_ABSENT);
    cr_assert_eq(state_of(&rig, 0), SENSOR_ABSENT);
    run_for(&rig, 5000);
    cr_assert_eq(entries_with("device-absent"), 1);
    link_to(&link, pty.path);
    wait_for_question(&rig, &pty);
    cr_assert_eq(entries_saying("is open"), 1);
    cr_assert_eq(entries[entry_count - 1].priority, entries[0].priority);
    remove_link(&link);
    end(&rig);
}

Test(source_serial, unplugged_board_is_found_again_where_its_link_leads) {
    struct link link = { .path = "" };
    struct pty first = pty_new();
    struct pty second = pty_new();
    struct rig rig = { .changes = 0 };

    link_to(&link, first.path);
    rig.settings[0] = kitchen_on(link.path);
    begin(&rig, 1);
    wait_for_question(&rig, &first);
    send_reading(&first, 1, 1);
    WAIT_FOR(&rig, rig.count == 1);

    link_to(&link, NULL);
    pty_unplug(&first);
    WAIT_FOR(&rig, state_of(&rig, 0) == SENSOR_ABSENT);
    cr_assert_eq(cause_of(&rig, 0), CAUSE_DEVICE_LOST);
    run_for(&rig, 5000);
    cr_assert_eq(entries_with("device-lost"), 1);
    cr_assert_eq(entries_with("device-absent"), 0);

    link_to(&link, second.path);
    wait_for_question(&rig, &second);
    send_reading(&second, 1, 2);
    WAIT_FOR(&rig, rig.count == 2);
    cr_assert_eq(state_of(&rig, 0), SENSOR_OK);
    remove_link(&link);
    end(&rig);
}

Test(source_serial, port_that_is_gone_costs_one_look_a_second) {
    struct pty pty;
    struct rig rig = rig_on(&pty);
    uint64_t before;
    uint64_t after;

    begin(&rig, 1);
    wait_for_question(&rig, &pty);
    pty_unplug(&pty);
    WAIT_FOR(&rig, state_of(&rig, 0) == SENSOR_ABSENT);
    cr_assert_geq(sd_event_get_iteration(rig.loop, &before), 0);
    for (uint64_t until_ms = real_ms() + 10000 / FAST; real_ms() < until_ms;)
        cr_assert_geq(sd_event_run(rig.loop, 1000000 / FAST), 0);
    cr_assert_geq(sd_event_get_iteration(rig.loop, &after), 0);
    cr_assert_leq(after - before, 25, "%u turns in ten seconds", (unsigned)(after - before));
    end(&rig);
}

static size_t open_files(void) {
    DIR *folder = opendir("/proc/self/fd");
    size_t count = 0;

    while (readdir(folder))
        count++;
    (void)closedir(folder);
    return count;
}

Test(source_serial, two_hundred_hang_ups_leak_nothing, .timeout = 100) {
    struct link link = { .path = "" };
    struct rig rig = { .changes = 0 };
    struct pty pty = pty_new();
    size_t files = 0;

    link_to(&link, pty.path);
    rig.settings[0] = kitchen_on(link.path);
    begin(&rig, 1);
    for (unsigned i = 0; i < 200; i++) {
        WAIT_FOR(&rig, pty_questions(&pty) > 0);
        if (i == 0)
            files = open_files();
        cr_assert_eq(open_files(), files);
        link_to(&link, NULL);
        pty_unplug(&pty);
        WAIT_FOR(&rig, state_of(&rig, 0) == SENSOR_ABSENT);
        pty = pty_new();
        link_to(&link, pty.path);
    }
    remove_link(&link);
    end(&rig);
}

Test(source_serial, held_port_is_busy_until_it_is_let_go) {
    struct pty pty;
    struct rig rig = rig_on(&pty);
    int holder = open(pty.path, O_RDWR | O_NOCTTY);

    cr_assert_eq(flock(holder, LOCK_EX | LOCK_NB), 0);
    begin(&rig, 1);
    WAIT_FOR(&rig, cause_of(&rig, 0) == CAUSE_DEVICE_BUSY);
    run_for(&rig, 3000);
    cr_assert_eq(entries_with("device-busy"), 1);
    cr_assert_eq(pty_questions(&pty), 0);
    (void)close(holder);
    wait_for_question(&rig, &pty);
    end(&rig);
}

/* Root may open everything: then as nobody. */
Test(source_serial, denied_port_is_said_after_five_seconds) {
    struct pty pty;
    struct rig rig = rig_on(&pty);
    uint64_t begun_us;
    uint64_t said_us;

    cr_assert_eq(chmod(pty.path, 0), 0);
    if (geteuid() == 0)
        cr_assert_eq(setresuid(65534, 65534, 65534), 0);
    begin(&rig, 1);
    (void)sd_event_now(rig.loop, CLOCK_BOOTTIME, &begun_us);
    WAIT_FOR(&rig, cause_of(&rig, 0) == CAUSE_DEVICE_DENIED);
    (void)sd_event_now(rig.loop, CLOCK_BOOTTIME, &said_us);
    cr_assert_geq(said_us - begun_us, 5000000);
    run_for(&rig, 3000);
    cr_assert_eq(entry_count, 1);
    cr_assert_eq(entries_with("device-denied"), 1);
    end(&rig);
}

Test(source_serial, what_is_no_port_is_named_so) {
    struct rig rig = { .settings = { kitchen_on("/dev/null") } };

    begin(&rig, 1);
    WAIT_FOR(&rig, cause_of(&rig, 0) == CAUSE_DEVICE_ABSENT);
    cr_assert_eq(entries_saying("no serial port"), 1);
    end(&rig);
}

Test(source_serial, another_board_is_said_and_never_published) {
    struct pty pty;
    struct rig rig = rig_on(&pty);

    rig.settings[0].node = 3;
    begin(&rig, 1);
    wait_for_question(&rig, &pty);
    for (unsigned i = 1; i <= 5; i++)
        send_reading(&pty, 7, i);
    WAIT_FOR(&rig, state_of(&rig, 0) == SENSOR_WRONG_BOARD);
    run_for(&rig, 1000);
    cr_assert_eq(rig.count, 0);
    cr_assert_eq(entries_with("wrong-board"), 1);
    cr_assert_eq(status_of(&rig).sensor_count, 1);

    send_reading(&pty, 3, 1);
    WAIT_FOR(&rig, rig.count == 1);
    cr_assert_eq(state_of(&rig, 0), SENSOR_OK);
    cr_assert_str_eq(rig.readings[0].sensor, "kitchen");
    end(&rig);
}

Test(source_serial, two_boards_on_a_line_do_not_take_turns_in_being_wrong) {
    struct pty pty;
    struct rig rig = rig_on(&pty);

    rig.settings[0].node = 3;
    begin(&rig, 1);
    wait_for_question(&rig, &pty);
    for (unsigned i = 1; i <= 10; i++) {
        send_reading(&pty, 3, i);
        send_reading(&pty, 4, i);
    }
    WAIT_FOR(&rig, rig.count == 10);
    cr_assert_eq(state_of(&rig, 0), SENSOR_OK);
    cr_assert_eq(entries_with("wrong-board"), 0);
    cr_assert_eq(entries_saying("another board speaks"), 1);
    end(&rig);
}

Test(source_serial, swapped_boards_are_both_wrong) {
    struct pty first = pty_new();
    struct pty second = pty_new();
    struct rig rig = { .settings = { kitchen_on(first.path), kitchen_on(second.path) } };

    rig.settings[0].node = 1;
    rig.settings[1].node = 2;
    rig.settings[1].name = "cellar";
    begin(&rig, 2);
    wait_for_question(&rig, &first);
    wait_for_question(&rig, &second);
    send_reading(&first, 2, 1);
    send_reading(&second, 1, 1);
    WAIT_FOR(&rig,
             state_of(&rig, 0) == SENSOR_WRONG_BOARD && state_of(&rig, 1) == SENSOR_WRONG_BOARD);
    cr_assert_eq(rig.count, 0);
    end(&rig);
}

Test(source_serial, further_boards_are_numbered_and_named) {
    const struct node_settings nodes[] = { { 1, "bath" }, { 5, "attic" } };
    struct pty pty;
    struct rig rig = rig_on(&pty);

    rig.settings[0].nodes = nodes;
    rig.settings[0].node_count = 2;
    begin(&rig, 1);
    wait_for_question(&rig, &pty);
    cr_assert_eq(status_of(&rig).sensor_count, 2);
    send_reading(&pty, 5, 1);
    send_reading(&pty, 1, 1);
    send_reading(&pty, 9, 1);
    WAIT_FOR(&rig, rig.count == 3);
    cr_assert_str_eq(rig.readings[0].sensor, "attic");
    cr_assert_str_eq(rig.readings[1].sensor, "bath");
    cr_assert_str_eq(rig.readings[2].sensor, "kitchen-9");
    cr_assert_eq(status_of(&rig).sensor_count, 3);
    end(&rig);
}

Test(source_serial, a_seventeenth_board_finds_no_place) {
    struct pty pty;
    struct rig rig = rig_on(&pty);

    begin(&rig, 1);
    wait_for_question(&rig, &pty);
    for (unsigned node = 1; node <= 20; node++) {
        send_reading(&pty, node, 1);
        turn(&rig);
    }
    WAIT_FOR(&rig, entries_saying("than there is room for") == 1);
    run_for(&rig, 1000);
    cr_assert_eq(rig.count, SOURCE_NODES);
    cr_assert_eq(status_of(&rig).sensor_count, SOURCE_NODES);
    end(&rig);
}

Test(source_serial, duplicates_are_dropped_and_losses_counted) {
    struct pty pty;
    struct rig rig = rig_on(&pty);

    begin(&rig, 1);
    wait_for_question(&rig, &pty);
    send_reading(&pty, 1, 1);
    send_reading(&pty, 1, 1);
    send_reading(&pty, 1, 4);
    WAIT_FOR(&rig, rig.count == 2);
    cr_assert_eq(status_of(&rig).lost_frames, 2);
    cr_assert_eq(status_of(&rig).sensors[0].lost_frames, 2);
    end(&rig);
}

Test(source_serial, board_that_does_not_answer_is_asked_again_but_not_for_ever) {
    struct pty pty;
    struct rig rig = rig_on(&pty);
    unsigned questions = 0;

    begin(&rig, 1);
    WAIT_FOR(&rig, (questions += pty_questions(&pty)) >= 4);
    run_for(&rig, 10000);
    cr_assert_eq(questions + pty_questions(&pty), 4);
    end(&rig);
}

Test(source_serial, board_that_said_hello_is_left_in_peace) {
    struct pty pty;
    struct rig rig = rig_on(&pty);

    begin(&rig, 1);
    wait_for_question(&rig, &pty);
    pty_send(&pty, HELLO);
    WAIT_FOR(&rig, entries_saying("hello") == 1);
    run_for(&rig, 8000);
    cr_assert_leq(pty_questions(&pty), 1, "the first question may cross the hello");
    end(&rig);
}

Test(source_serial, silence_is_three_intervals_and_ends_with_a_reading) {
    struct pty pty;
    struct rig rig = rig_on(&pty);
    uint64_t heard_us;
    uint64_t said_us;

    begin(&rig, 1);
    wait_for_question(&rig, &pty);
    pty_send(&pty, HELLO);
    send_reading(&pty, 1, 1);
    WAIT_FOR(&rig, rig.count == 1);
    heard_us = rig.readings[0].taken_us;
    WAIT_FOR(&rig, state_of(&rig, 0) == SENSOR_SILENT);
    (void)sd_event_now(rig.loop, CLOCK_BOOTTIME, &said_us);
    cr_assert_geq(said_us - heard_us, 6000000);
    cr_assert_eq(cause_of(&rig, 0), CAUSE_NODE_SILENT);
    cr_assert_eq(entries_saying("for 6.0 s"), 1);
    send_reading(&pty, 1, 2);
    WAIT_FOR(&rig, rig.count == 2);
    cr_assert_eq(state_of(&rig, 0), SENSOR_OK);
    cr_assert_eq(entries[entry_count - 1].priority, LOG_WARNING);
    end(&rig);
}

Test(source_serial, noise_without_a_frame_is_silence_with_a_hint) {
    struct pty pty;
    struct rig rig = rig_on(&pty);

    begin(&rig, 1);
    wait_for_question(&rig, &pty);
    pty_write(&pty, "\xff\x80garbage\x01", 10);
    WAIT_FOR(&rig, state_of(&rig, 0) == SENSOR_SILENT);
    cr_assert_eq(entries_saying("`baud` (115200)"), 1);
    end(&rig);
}

Test(source_serial, damage_is_a_state_after_three_and_passes) {
    struct pty pty;
    struct rig rig = rig_on(&pty);

    begin(&rig, 1);
    wait_for_question(&rig, &pty);
    for (unsigned i = 0; i < 3; i++)
        pty_write(&pty, "$SGW1,R,1,2,3524,rh=46.0,t=21.5*67F9\n", 37);
    WAIT_FOR(&rig, state_of(&rig, 0) == SENSOR_DAMAGED);
    cr_assert_eq(status_of(&rig).damaged, 3);
    cr_assert_eq(entries_with("frames-damaged"), 1);
    for (unsigned i = 1; i <= 3; i++)
        send_reading(&pty, 1, i);
    WAIT_FOR(&rig, state_of(&rig, 0) == SENSOR_OK);
    cr_assert_eq(rig.count, 3);
    end(&rig);
}

Test(source_serial, sensor_errors_are_told_and_never_published) {
    struct pty pty;
    struct rig rig = rig_on(&pty);

    begin(&rig, 1);
    wait_for_question(&rig, &pty);
    for (unsigned i = 1; i <= 3; i++)
        pty_send(&pty, "SGW1,E,1,%u,%u,src=dht11,err=noresp,bits=0,n=%u", i, i * 2000, i);
    WAIT_FOR(&rig, state_of(&rig, 0) == SENSOR_FAILING);
    cr_assert_eq(rig.count, 0);
    cr_assert_eq(status_of(&rig).sensors[0].sensor->errors, 3);
    cr_assert_str_eq(status_of(&rig).sensors[0].sensor->last_error, "noresp");
    cr_assert_eq(entries_saying("does not answer"), 1);
    end(&rig);
}

Test(source_serial, restart_by_the_watchdog_is_said) {
    struct pty pty;
    struct rig rig = rig_on(&pty);
    uint64_t began_us = 0;
    uint64_t ended_us = 0;
    uint64_t minutes;

    begin(&rig, 1);
    wait_for_question(&rig, &pty);
    pty_send(&pty, HELLO);
    send_reading(&pty, 1, 20);
    pty_send(&pty, "SGW1,H,1,0,0,fw=0.1.0,sens=dht11,int=2000,rst=W");
    WAIT_FOR(&rig, entries_saying("restarted by its watchdog") == 1);
    (void)sd_event_now(rig.loop, CLOCK_BOOTTIME, &began_us);
    for (unsigned i = 0; i < 50; i++) {
        send_reading(&pty, 1, 20);
        pty_send(&pty, "SGW1,H,1,0,0,fw=0.1.0,sens=dht11,int=2000,rst=W");
        turn(&rig);
    }
    run_for(&rig, 1000);
    (void)sd_event_now(rig.loop, CLOCK_BOOTTIME, &ended_us);
    minutes = (ended_us - began_us) / 60000000 + 2; /* begun; on a loaded machine many */
    cr_assert_leq(entries_saying("restarted by its watchdog"), 4 * minutes,
                  "a boot loop floods the journal");
    end(&rig);
}

/* A child writes what it can to one port; the other's readings still come through. */
Test(source_serial, flood_on_one_port_does_not_starve_the_other) {
    struct pty flooded = pty_new();
    struct pty quiet = pty_new();
    struct rig rig = { .settings = { kitchen_on(flooded.path), kitchen_on(quiet.path) } };
    pid_t child;

    rig.settings[1].name = "cellar";
    begin(&rig, 2);
    wait_for_question(&rig, &flooded);
    wait_for_question(&rig, &quiet);
    child = fork();
    if (child == 0) {
        char garbage[512];

        memset(garbage, 'x', sizeof(garbage));
        for (size_t i = 0; i < sizeof(garbage); i += 7)
            garbage[i] = '$';
        (void)fcntl(flooded.master, F_SETFL, 0);
        while (write(flooded.master, garbage, sizeof(garbage)) > 0)
            continue;
        _exit(0);
    }
    for (unsigned i = 1; i <= 20; i++) {
        send_reading(&quiet, 1, i);
        WAIT_FOR(&rig, rig.count == i);
    }
    cr_assert_str_eq(rig.readings[0].sensor, "cellar");
    WAIT_FOR(&rig, status_of(&rig).damaged > 1000);
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
    cr_assert_leq(entries_with("frames-damaged"), 1);
    end(&rig);
}

Test(source_serial, reload_leaves_unchanged_ports_open) {
    struct pty stays = pty_new();
    struct pty goes = pty_new();
    struct rig rig = { .settings = { kitchen_on(stays.path), kitchen_on(goes.path) } };
    struct source_settings next[] = { kitchen_on(stays.path) };
    const struct sources_settings reloaded = { next, 1 };
    int taken;

    rig.settings[1].name = "cellar";
    begin(&rig, 2);
    wait_for_question(&rig, &stays);
    wait_for_question(&rig, &goes);
    send_reading(&stays, 1, 1);
    cr_assert_eq(sources_reload(rig.sources, &reloaded), 0);
    memset(rig.settings, 0, sizeof(rig.settings));
    WAIT_FOR(&rig, rig.count == 1);
    cr_assert_eq(status_of(&rig).sensor_count, 1);
    cr_assert_eq(entries_saying("is open"), 2, "none was opened anew");
    taken = open(goes.path, O_RDWR | O_NOCTTY | O_NONBLOCK);
    cr_assert_eq(flock(taken, LOCK_EX | LOCK_NB), 0);
    (void)close(taken);
    end(&rig);
}

Test(source_serial, drivers_are_known_by_name) {
    cr_assert(source_driver_exists("serial"));
    cr_assert_not(source_driver_exists("Serial"));
    cr_assert_not(source_driver_exists(""));
}
