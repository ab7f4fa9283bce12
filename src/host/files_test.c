/* Texts, patterns, secrets and their rights, and writing, in a directory of the test. */
#define _GNU_SOURCE 1 /* what only Linux has */
#include "tests/support/test.h"

#include "host/files.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[64];

static const char *in_directory(const char *name)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    return path;
}

static void start(void)
{
    snprintf(directory, sizeof(directory), "/tmp/sekisho-files-XXXXXX");
    CHECK(mkdtemp(directory) != NULL);
    (void)unsetenv("CREDENTIALS_DIRECTORY");
}

static void put(const char *name, const char *content, unsigned mode)
{
    char why[256];

    CHECK(files_write(in_directory(name), slice_of_text(content), mode, why, sizeof(why)));
}

static void stop(void)
{
    struct files_match all;

    CHECK(files_match(in_directory("*"), &all));
    for (size_t i = 0; i < all.count; i++) {
        (void)unlink(all.paths[i]);
    }
    files_match_free(&all);
    CHECK_EQUAL(rmdir(directory), 0);
}

TEST(a_text_is_read_as_it_was_written)
{
    char why[256];
    size_t length = 0;

    start();
    put("a.conf", "gateway a\n", 0644);
    char *text = files_read(in_directory("a.conf"), &length, why, sizeof(why));
    CHECK(text != NULL);
    CHECK_EQUAL(length, 10);
    CHECK_TEXT(text, "gateway a\n");
    free(text);
    CHECK(files_read(in_directory("b.conf"), &length, why, sizeof(why)) == NULL);
    CHECK(strstr(why, "No such file") != NULL);
    CHECK(files_read(directory, &length, why, sizeof(why)) == NULL);
    CHECK(strstr(why, "directory") != NULL);
    stop();
}

TEST(a_text_longer_than_one_read_is_whole)
{
    char why[256];
    static char large[100000];
    size_t length = 0;

    start();
    memset(large, 'x', sizeof(large) - 1);
    put("large", large, 0644);
    char *text = files_read(in_directory("large"), &length, why, sizeof(why));
    CHECK(text != NULL);
    CHECK_EQUAL(length, sizeof(large) - 1);
    CHECK_TEXT(text, large);
    free(text);
    stop();
}

TEST(names_that_match_are_sorted)
{
    struct files_match match;

    start();
    put("b.conf", "", 0644);
    put("a.conf", "", 0644);
    put("c.other", "", 0644);
    CHECK(files_match(in_directory("*.conf"), &match));
    CHECK_EQUAL(match.count, 2);
    CHECK(strstr(match.paths[0], "/a.conf") != NULL);
    CHECK(strstr(match.paths[1], "/b.conf") != NULL);
    files_match_free(&match);
    CHECK(files_match(in_directory("*.none"), &match));
    CHECK_EQUAL(match.count, 0);
    files_match_free(&match);
    stop();
}

TEST(a_secret_has_no_end_of_line)
{
    struct secret secret = {0};
    char why[512];

    start();
    put("osaka", "wonder land\r\n\n", 0600);
    CHECK(files_read_secret(directory, "osaka", &secret, why, sizeof(why)));
    CHECK(slice_equal_text(secret_slice(&secret), "wonder land"));
    secret_wipe(&secret);
    stop();
}

TEST(a_secret_that_others_can_use_is_refused)
{
    const unsigned bad[] = {0640, 0604, 0620, 0602, 0610, 0601, 0666};
    char why[512];

    start();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        put("osaka", "wonder", bad[i]);
        CHECK(!files_secret_usable(directory, "osaka", why, sizeof(why)));
        CHECK(strstr(why, "chmod 600") != NULL);
    }
    put("osaka", "wonder", 0400);
    CHECK(files_secret_usable(directory, "osaka", why, sizeof(why)));
    CHECK_EQUAL(chmod(directory, 0777), 0);
    CHECK(!files_secret_usable(directory, "osaka", why, sizeof(why)));
    CHECK(strstr(why, "chmod 700") != NULL);
    stop();
}

TEST(a_secret_that_is_missing_empty_long_or_elsewhere_is_refused)
{
    char why[512];
    static char large[SECRET_BYTES_MAX + 2];

    start();
    CHECK(!files_secret_usable(directory, "none", why, sizeof(why)));
    CHECK(strstr(why, "sekisho secret new none") != NULL);
    put("empty", "\n", 0600);
    CHECK(!files_secret_usable(directory, "empty", why, sizeof(why)));
    CHECK(strstr(why, "is empty") != NULL);
    memset(large, 'x', sizeof(large) - 1);
    put("large", large, 0600);
    CHECK(!files_secret_usable(directory, "large", why, sizeof(why)));
    CHECK(strstr(why, "too long") != NULL);
    large[SECRET_BYTES_MAX] = '\0';
    put("large", large, 0600);
    CHECK(files_secret_usable(directory, "large", why, sizeof(why)));
    put("osaka", "wonder", 0600);
    CHECK(!files_secret_usable(directory, "../etc/passwd", why, sizeof(why)));
    CHECK(!files_secret_usable(directory, "./osaka", why, sizeof(why)));
    CHECK(!files_secret_usable(directory, "", why, sizeof(why)));
    stop();
}

TEST(a_credential_of_systemd_comes_first)
{
    struct secret secret = {0};
    char why[512];

    start();
    put("osaka", "from the service manager", 0444);
    (void)setenv("CREDENTIALS_DIRECTORY", directory, 1);
    CHECK(files_read_secret("/nowhere", "osaka", &secret, why, sizeof(why)));
    CHECK(slice_equal_text(secret_slice(&secret), "from the service manager"));
    secret_wipe(&secret);
    CHECK(!files_read_secret("/nowhere", "tokyo", &secret, why, sizeof(why)));
    (void)unsetenv("CREDENTIALS_DIRECTORY");
    stop();
}

TEST(writing_replaces_and_sets_the_mode)
{
    struct stat status;
    char why[256];
    size_t length = 0;

    start();
    put("x", "old", 0644);
    put("x", "new", 0600);
    CHECK_EQUAL(stat(in_directory("x"), &status), 0);
    CHECK_EQUAL(status.st_mode & 07777, 0600);
    char *text = files_read(in_directory("x"), &length, why, sizeof(why));
    CHECK(text != NULL);
    CHECK_TEXT(text, "new");
    free(text);
    CHECK(!files_write("/proc/none/x", SLICE_TEXT("x"), 0600, why, sizeof(why)));
    CHECK(files_make_directory(in_directory("."), 0700, why, sizeof(why)));
    stop();
}

TEST(of_many_files_the_newest_stay)
{
    char name[16];
    struct files_match match;

    start();
    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof(name), "%d.crl", i);
        put(name, "x", 0600);
        const struct timespec times[2] = {{.tv_sec = 1000 + i}, {.tv_sec = 1000 + i}};
        CHECK_EQUAL(utimensat(AT_FDCWD, in_directory(name), times, 0), 0);
    }
    put("0.other", "x", 0600);
    files_keep_newest(directory, ".crl", 2);
    CHECK(files_match(in_directory("*"), &match));
    CHECK_EQUAL(match.count, 3);
    CHECK_TEXT(match.paths[1] + strlen(directory), "/3.crl");
    files_match_free(&match);
    files_keep_newest(directory, ".crl", 2);
    files_keep_newest("/nonexistent", ".crl", 0);
    stop();
}
