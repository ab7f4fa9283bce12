/* Users on the disk: others may not read them, a torn line harms nothing, a full disk loses
 * nothing.
 */
#include "loader/users_store.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/test.h"

struct disk {
    char state[64];
    char path[128], used[128];
    char why[USERS_STORE_WHY_BYTES];
};

static void begin(struct disk *d)
{
    strcpy(d->state, "/tmp/sekisho-users-XXXXXX");
    CHECK(mkdtemp(d->state) != NULL);
    CHECK(users_store_path(d->state, "users", d->path, sizeof(d->path)));
    CHECK(users_store_path(d->state, "users.used", d->used, sizeof(d->used)));
}

static void end(struct disk *d)
{
    char lock[128];

    CHECK(users_store_path(d->state, "users.lock", lock, sizeof(lock)));
    (void)unlink(d->path);
    (void)unlink(d->used);
    (void)unlink(lock);
    CHECK(rmdir(d->state) == 0);
}

static size_t count_users(struct disk *d)
{
    struct users users;

    if (!users_store_read_file(d->path, false, &users, d->why, sizeof(d->why))) {
        fail_msg("%s", d->why);
    }
    size_t count = users.count;

    users_fini(&users);
    return count;
}

TEST(no_file_is_no_users_and_what_is_written_is_read)
{
    struct disk d;
    struct stat s;

    begin(&d);
    CHECK_EQUAL(count_users(&d), 0);
    int lock = users_store_lock(d.state, d.why, sizeof(d.why));

    CHECK(lock >= 0);
    CHECK(users_store_write(d.state, SLICE_TEXT("a - -\nb - -\n"), d.why, sizeof(d.why)));
    users_store_unlock(lock);
    CHECK_EQUAL(count_users(&d), 2);
    CHECK(stat(d.path, &s) == 0 && (s.st_mode & 0777) == 0600);
    end(&d);
}

TEST(a_file_that_others_may_read_or_that_is_wrong_is_told)
{
    struct users users;
    struct disk d;

    begin(&d);
    CHECK(users_store_write(d.state, SLICE_TEXT("a - -\nb -\n"), d.why, sizeof(d.why)));
    CHECK(!users_store_read_file(d.path, true, &users, d.why, sizeof(d.why)));
    CHECK(strstr(d.why, "users:2:3: a user has a name") != NULL);
    users_fini(&users);
    CHECK(chmod(d.path, 0644) == 0);
    CHECK(!users_store_read_file(d.path, true, &users, d.why, sizeof(d.why)));
    CHECK(d.why[0] != '\0');
    users_fini(&users);
    CHECK(unlink(d.path) == 0);
    CHECK(!users_store_read_file(d.path, true, &users, d.why, sizeof(d.why)));
    users_fini(&users);
    end(&d);
}

static size_t used_bytes(struct disk *d)
{
    size_t length = 0;
    char *text = users_store_read_used(d->state, &length, d->why, sizeof(d->why));

    CHECK(text != NULL);
    free(text);
    return length;
}

TEST(used_codes_are_added_behind_a_torn_line_and_written_whole)
{
    struct disk d;
    struct stat s;

    begin(&d);
    CHECK_EQUAL(used_bytes(&d), 0);
    CHECK(users_store_keep_used(d.state, SLICE_TEXT("one\n"), false, d.why, sizeof(d.why)));
    CHECK(users_store_keep_used(d.state, SLICE_TEXT("tw"), false, d.why, sizeof(d.why)));
    CHECK(users_store_keep_used(d.state, SLICE_TEXT("three\n"), false, d.why, sizeof(d.why)));
    CHECK_EQUAL(used_bytes(&d), strlen("one\ntw\nthree\n"));
    CHECK(stat(d.used, &s) == 0 && (s.st_mode & 0777) == 0600);
    CHECK(users_store_keep_used(d.state, SLICE_TEXT("all\n"), true, d.why, sizeof(d.why)));
    CHECK_EQUAL(used_bytes(&d), 4);
    end(&d);
}

/* A disk that is full is one on which a file cannot grow. */
TEST(a_full_disk_is_told_and_what_was_there_stays)
{
    struct disk d;
    char large[4096];

    memset(large, '#', sizeof(large));
    begin(&d);
    CHECK(users_store_write(d.state, SLICE_TEXT("a - -\n"), d.why, sizeof(d.why)));
    CHECK(users_store_keep_used(d.state, SLICE_TEXT("one\n"), false, d.why, sizeof(d.why)));
    pid_t child = fork();

    CHECK(child >= 0);
    if (child == 0) {
        struct rlimit limit = {1024, 1024};

        signal(SIGXFSZ, SIG_IGN);
        if (setrlimit(RLIMIT_FSIZE, &limit) != 0) {
            _exit(2);
        }
        bool wrote = users_store_write(d.state, SLICE_OF(large), d.why, sizeof(d.why)) ||
                     users_store_keep_used(d.state, SLICE_OF(large), true, d.why, sizeof(d.why)) ||
                     users_store_keep_used(d.state, SLICE_OF(large), false, d.why, sizeof(d.why));
        _exit(wrote || d.why[0] == '\0');
    }
    int status = 0;

    CHECK(waitpid(child, &status, 0) == child);
    CHECK_EQUAL(status, 0);
    CHECK_EQUAL(count_users(&d), 1);
    CHECK(used_bytes(&d) >= 4);
    end(&d);
}

/* One process writes, over and over, and is killed; whatever it was at, the file is whole. */
TEST(a_kill_at_any_moment_loses_nobody)
{
    struct disk d;

    begin(&d);
    CHECK(users_store_write(d.state, SLICE_TEXT("a - -\nb - -\nc - -\n"), d.why, sizeof(d.why)));
    for (unsigned i = 0; i < 40; i++) {
        pid_t child = fork();

        CHECK(child >= 0);
        if (child == 0) {
            for (;;) {
                if (!users_store_write(d.state, SLICE_TEXT("a - -\nb - -\nc - - disabled\n"), d.why,
                                       sizeof(d.why))) {
                    _exit(1);
                }
            }
        }
        usleep(200 + 97 * i);
        CHECK(kill(child, SIGKILL) == 0);
        CHECK(waitpid(child, NULL, 0) == child);
        CHECK_EQUAL(count_users(&d), 3);
    }
    /* And the next one who writes leaves nothing of theirs. */
    CHECK(users_store_write(d.state, SLICE_TEXT("a - -\n"), d.why, sizeof(d.why)));
    end(&d);
}
