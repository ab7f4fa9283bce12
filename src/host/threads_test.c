/* The loop, jobs, the resolver and the run directory: what other threads and processes have a part
 * in. */
#define _GNU_SOURCE 1 /* what only Linux has */
#include "tests/support/test.h"

#include "host/clock.h"
#include "host/jobs.h"
#include "host/loop.h"
#include "host/resolve.h"
#include "host/run_directory.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static size_t called;
static struct loop loop;
static struct wake wake, other;

static void count(void *context, unsigned events)
{
    CHECK((events & LOOP_READ) != 0);
    wake_clear(context);
    called++;
}

static void remove_other(void *context, unsigned events)
{
    (void)events;
    wake_clear(context);
    loop_remove(&loop, context == &wake ? &other.source : &wake.source);
    called++;
}

TEST(a_wake_up_is_seen_once)
{
    called = 0;
    CHECK(loop_init(&loop));
    CHECK(wake_init(&wake, count, &wake));
    CHECK(loop_add(&loop, &wake.source, LOOP_READ));
    CHECK_EQUAL(loop_turn(&loop, 0), 0);
    wake_up(&wake);
    wake_up(&wake);
    CHECK_EQUAL(loop_turn(&loop, NEVER_MS), 1);
    CHECK_EQUAL(called, 1);
    CHECK_EQUAL(loop_turn(&loop, 0), 0);
    wake_fini(&wake);
    loop_fini(&loop);
}

TEST(a_source_that_was_removed_in_this_turn_is_not_called)
{
    called = 0;
    CHECK(loop_init(&loop));
    CHECK(wake_init(&wake, remove_other, &wake));
    CHECK(wake_init(&other, remove_other, &other));
    CHECK(loop_add(&loop, &wake.source, LOOP_READ));
    CHECK(loop_add(&loop, &other.source, LOOP_READ));
    wake_up(&wake);
    wake_up(&other);
    CHECK_EQUAL(loop_turn(&loop, 0), 2);
    CHECK_EQUAL(called, 1);
    wake_fini(&wake);
    wake_fini(&other);
    loop_fini(&loop);
}

TEST(a_signal_is_an_event)
{
    struct signals signals;
    const int numbers[] = {SIGUSR1};

    CHECK(signals_init(&signals, numbers, 1, count, NULL));
    CHECK_EQUAL(signals_next(&signals), 0);
    CHECK_EQUAL(kill(getpid(), SIGUSR1), 0);
    CHECK_EQUAL(signals_next(&signals), SIGUSR1);
    CHECK_EQUAL(signals_next(&signals), 0);
    signals_fini(&signals);
}

TEST(the_clock_does_not_go_back)
{
    uint64_t before = clock_now_ms();

    CHECK(before > 0);
    CHECK(clock_now_ms() >= before);
    CHECK(clock_date_ms() > 1700000000000ULL);
}

static void square(void *job)
{
    unsigned *number = job;

    *number *= *number;
}

static void drop(void *job)
{
    (void)job;
    called++;
}

TEST(every_job_comes_back_done)
{
    unsigned numbers[3000];
    size_t put = 0;
    size_t taken = 0;

    CHECK(wake_init(&wake, count, &wake));
    struct jobs *jobs = jobs_new(3, square, &wake);
    CHECK(jobs != NULL);
    while (taken < 3000) {
        if (put < 3000) {
            numbers[put] = (unsigned)put;
            put += jobs_put(jobs, &numbers[put], put % 3 == 0 ? JOB_URGENT : JOB_COMMON) ? 1 : 0;
        }
        while (jobs_take(jobs) != NULL) {
            taken++;
        }
    }
    for (unsigned i = 0; i < 3000; i++) {
        CHECK_EQUAL(numbers[i], i * i);
    }
    jobs_free(jobs, drop);
    wake_fini(&wake);
}

TEST(a_full_queue_refuses_and_the_end_gives_all_back)
{
    static unsigned numbers[5000];
    size_t put = 0;

    called = 0;
    CHECK(wake_init(&wake, count, &wake));
    struct jobs *jobs = jobs_new(1, square, &wake);
    CHECK(jobs != NULL);
    while (put < 5000 && jobs_put(jobs, &numbers[put], JOB_COMMON)) {
        put++;
    }
    CHECK_EQUAL(put, 1024);
    /* What is urgent has room of its own. */
    CHECK(jobs_put(jobs, &numbers[put], JOB_URGENT));
    jobs_free(jobs, drop);
    CHECK_EQUAL(called, 1025);
    wake_fini(&wake);
}

static atomic_bool may_run;
static atomic_uint order;

/* Its place among those that were run. */
static void take_place(void *job)
{
    unsigned *place = job;

    while (!atomic_load(&may_run)) {
        (void)usleep(1000);
    }
    *place = atomic_fetch_add(&order, 1);
}

TEST(urgent_jobs_go_first_and_leave_every_ninth_place_to_the_others)
{
    enum { JOBS = 40 };
    unsigned common[JOBS], urgent[JOBS], first;
    size_t taken = 0;

    atomic_store(&may_run, false);
    atomic_store(&order, 0);
    CHECK(wake_init(&wake, count, &wake));
    struct jobs *jobs = jobs_new(1, take_place, &wake);
    CHECK(jobs != NULL);
    /* The thread is held by one job until all others wait. */
    CHECK(jobs_put(jobs, &first, JOB_COMMON));
    (void)usleep(20000);
    for (size_t i = 0; i < JOBS; i++) {
        CHECK(jobs_put(jobs, &common[i], JOB_COMMON));
    }
    for (size_t i = 0; i < JOBS; i++) {
        CHECK(jobs_put(jobs, &urgent[i], JOB_URGENT));
    }
    atomic_store(&may_run, true);
    while (taken < 2 * JOBS + 1) {
        taken += jobs_take(jobs) != NULL ? 1 : 0;
    }
    for (size_t i = 0; i < JOBS; i++) {
        CHECK(urgent[i] <= 2 + i + i / 8);
    }
    CHECK(common[0] <= 10);
    CHECK_EQUAL(common[JOBS - 1], 2 * JOBS);
    jobs_free(jobs, drop);
    wake_fini(&wake);
}

TEST(a_literal_address_is_resolved_without_a_network)
{
    struct resolve_answer answer;
    char text[ADDRESS_TEXT_BYTES];

    CHECK(loop_init(&loop));
    CHECK(wake_init(&wake, count, &wake));
    CHECK(loop_add(&loop, &wake.source, LOOP_READ));
    struct resolve *resolve = resolve_new(&wake);
    CHECK(resolve != NULL);
    CHECK(!resolve_next(resolve, &answer));
    CHECK(resolve_ask(resolve, 7, "192.0.2.1"));
    CHECK_EQUAL(loop_turn(&loop, NEVER_MS), 1);
    CHECK(resolve_next(resolve, &answer));
    CHECK_EQUAL(answer.question, 7);
    CHECK_EQUAL(answer.count, 1);
    CHECK_TEXT(address_format(&answer.addresses[0], text), "192.0.2.1");
    CHECK(resolve_ask(resolve, 8, "2001:db8::1"));
    CHECK_EQUAL(loop_turn(&loop, NEVER_MS), 1);
    CHECK(resolve_next(resolve, &answer));
    CHECK_TEXT(address_format(&answer.addresses[0], text), "2001:db8::1");
    CHECK(!resolve_ask(resolve, 9, ""));
    resolve_free(resolve);
    wake_fini(&wake);
    loop_fini(&loop);
}

TEST(a_second_daemon_on_one_directory_is_told_of_the_first)
{
    struct run_directory first, second;
    char path[64], why[256], expected[64], file[96];

    snprintf(path, sizeof(path), "/tmp/sekisho-run-%d", (int)getpid());
    CHECK(run_directory_take(&first, path, why, sizeof(why)));
    CHECK(!run_directory_take(&second, path, why, sizeof(why)));
    snprintf(expected, sizeof(expected), "process %d", (int)getpid());
    CHECK(strstr(why, expected) != NULL);
    run_directory_leave(&first);
    CHECK(run_directory_take(&second, path, why, sizeof(why)));
    run_directory_leave(&second);
    snprintf(file, sizeof(file), "%s/sekishod.pid", path);
    CHECK_EQUAL(unlink(file), 0);
    CHECK_EQUAL(rmdir(path), 0);
}

TEST(a_killed_daemon_leaves_no_lock)
{
    struct run_directory run;
    char path[64], why[256], file[96];
    int ready[2];
    char byte;

    snprintf(path, sizeof(path), "/tmp/sekisho-killed-%d", (int)getpid());
    CHECK_EQUAL(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        bool ok = run_directory_take(&run, path, why, sizeof(why));
        ssize_t put = write(ready[1], ok ? "y" : "n", 1);
        (void)put;
        for (;;) {
            (void)pause();
        }
    }
    CHECK_EQUAL(read(ready[0], &byte, 1), 1);
    CHECK_EQUAL(byte, 'y');
    CHECK(!run_directory_take(&run, path, why, sizeof(why)));
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
    CHECK(run_directory_take(&run, path, why, sizeof(why)));
    run_directory_leave(&run);
    snprintf(file, sizeof(file), "%s/sekishod.pid", path);
    CHECK_EQUAL(unlink(file), 0);
    CHECK_EQUAL(rmdir(path), 0);
    (void)close(ready[0]);
    (void)close(ready[1]);
}
