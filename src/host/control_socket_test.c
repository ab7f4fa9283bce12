/* The control socket with both of its sides in one process. */
#define _GNU_SOURCE 1 /* what only Linux has */
#include "tests/support/test.h"

#include "host/control_socket.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
    struct loop loop;
    struct control_server *server;
    char path[64];
    char last[64];
    size_t requests, closed;
    size_t echo_times; /* how many frames answer a request */
    char why[256];
};

static void on_request(void *context, struct control_client *client, struct slice frame)
{
    struct fixture *f = context;

    f->requests++;
    snprintf(f->last, sizeof(f->last), "%.*s", (int)frame.length, (const char *)frame.data);
    for (size_t i = 0; i < f->echo_times; i++) {
        (void)control_send(client, frame);
    }
}

static void on_closed(void *context, struct control_client *client)
{
    struct fixture *f = context;

    (void)client;
    f->closed++;
}

static void start(struct fixture *f)
{
    struct control_handler handler = {on_request, on_closed, f};

    *f = (struct fixture){.echo_times = 1};
    snprintf(f->path, sizeof(f->path), "/tmp/sekisho-control-%d", (int)getpid());
    CHECK(loop_init(&f->loop));
    f->server = control_server_new(&f->loop, f->path, &handler, f->why, sizeof(f->why));
    CHECK(f->server != NULL);
}

static void stop(struct fixture *f)
{
    control_server_free(f->server);
    loop_fini(&f->loop);
    CHECK(access(f->path, F_OK) != 0);
}

static int dial(struct fixture *f)
{
    bool absent;
    int fd = control_connect(f->path, &absent, f->why, sizeof(f->why));

    CHECK(fd >= 0);
    return fd;
}

static void settle(struct fixture *f)
{
    while (loop_turn(&f->loop, 0) > 0) {
    }
}

TEST(a_request_arrives_whole_and_is_answered)
{
    struct fixture f;
    size_t length = 0;

    start(&f);
    int fd = dial(&f);
    CHECK(control_write_frame(fd, SLICE_TEXT("status")));
    CHECK(control_write_frame(fd, SLICE_TEXT("")));
    settle(&f);
    CHECK_EQUAL(f.requests, 2);
    char *answer = control_read_frame(fd, &length);
    CHECK(answer != NULL);
    CHECK_TEXT(answer, "status");
    free(answer);
    answer = control_read_frame(fd, &length);
    CHECK(answer != NULL && length == 0);
    free(answer);
    (void)close(fd);
    settle(&f);
    CHECK_EQUAL(f.closed, 1);
    stop(&f);
}

TEST(only_the_owner_can_open_it)
{
    struct fixture f;
    struct stat status;

    start(&f);
    CHECK_EQUAL(stat(f.path, &status), 0);
    CHECK_EQUAL(status.st_mode & 0777, 0600);
    stop(&f);
}

TEST(a_request_in_single_octets_is_the_same_request)
{
    const uint8_t bytes[] = {0, 0, 0, 3, 'a', 'b', 'c', 0, 0, 0, 1, 'd'};
    struct fixture f;

    start(&f);
    int fd = dial(&f);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        CHECK_EQUAL(send(fd, &bytes[i], 1, 0), 1);
        settle(&f);
        CHECK_EQUAL(f.requests, i < 6 ? 0 : i < 11 ? 1 : 2);
    }
    CHECK_TEXT(f.last, "d");
    (void)close(fd);
    stop(&f);
}

TEST(a_frame_that_is_too_long_ends_the_connection_before_it_is_kept)
{
    const uint8_t head[] = {0x00, 0x10, 0x00, 0x01}; /* one more than a mebibyte */
    struct fixture f;
    char byte;

    start(&f);
    int fd = dial(&f);
    CHECK_EQUAL(send(fd, head, sizeof(head), 0), 4);
    settle(&f);
    CHECK_EQUAL(f.requests, 0);
    CHECK_EQUAL(f.closed, 1);
    CHECK_EQUAL(recv(fd, &byte, 1, 0), 0);
    (void)close(fd);
    stop(&f);
}

TEST(answers_wait_for_a_client_that_reads_slowly)
{
    static uint8_t large[600000];
    struct fixture f;
    size_t length = 0;

    start(&f);
    f.echo_times = 5;
    int fd = dial(&f);
    memset(large, 'x', sizeof(large));
    /* The request itself is larger than the socket's buffer: it is written while the server reads.
     */
    uint8_t head[4];
    put_u32(head, sizeof(large));
    CHECK_EQUAL(send(fd, head, sizeof(head), 0), 4);
    for (size_t at = 0; at < sizeof(large);) {
        ssize_t put = send(fd, large + at, sizeof(large) - at, MSG_DONTWAIT);
        at += put > 0 ? (size_t)put : 0;
        settle(&f);
    }
    CHECK_EQUAL(f.requests, 1);
    for (size_t got = 0; got < 5 * (sizeof(large) + 4);) {
        static uint8_t bytes[65536];
        ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        got += n > 0 ? (size_t)n : 0;
        settle(&f);
    }
    CHECK(control_write_frame(fd, SLICE_TEXT("again")));
    settle(&f);
    char *answer = control_read_frame(fd, &length);
    CHECK(answer != NULL);
    CHECK_TEXT(answer, "again");
    free(answer);
    (void)close(fd);
    stop(&f);
}

TEST(more_clients_than_there_are_places_are_turned_away)
{
    int fds[CONTROL_CLIENTS_MAX + 1];
    struct fixture f;
    char byte;

    start(&f);
    for (size_t i = 0; i <= CONTROL_CLIENTS_MAX; i++) {
        fds[i] = dial(&f);
        settle(&f);
    }
    CHECK_EQUAL(recv(fds[CONTROL_CLIENTS_MAX], &byte, 1, 0), 0);
    CHECK_EQUAL(recv(fds[0], &byte, 1, MSG_DONTWAIT), -1);
    (void)close(fds[0]);
    settle(&f);
    CHECK_EQUAL(f.closed, 1);
    int again = dial(&f);
    CHECK(control_write_frame(again, SLICE_TEXT("x")));
    settle(&f);
    CHECK_EQUAL(f.requests, 1);
    (void)close(again);
    for (size_t i = 1; i <= CONTROL_CLIENTS_MAX; i++) {
        (void)close(fds[i]);
    }
    stop(&f);
}

TEST(without_a_daemon_the_command_says_so)
{
    bool absent = false;
    char why[256];

    CHECK_EQUAL(control_connect("/tmp/sekisho-nobody", &absent, why, sizeof(why)), -1);
    CHECK(absent);
    CHECK(strstr(why, "is it running") != NULL);
}
