/* Documents by HTTP: what is a question, and clients that are slow, broken, too many, or go. */
#include "host/http_server.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/clock.h"
#include "host/connection.h"
#include "host/sockaddr.h"
#include "tests/support/test.h"

#define BIG (3u * 1024 * 1024)

TEST(a_question_is_read_only_when_it_is_whole)
{
    static const char whole[] = "GET /ca.crl HTTP/1.1\r\nHost: x\r\n\r\nrest";
    struct http_question q;

    for (size_t length = 0; length < sizeof(whole) - 1 - 4; length++) {
        CHECK_EQUAL(http_read_question((struct slice){(const uint8_t *)whole, length}, &q),
                    HTTP_MORE);
    }
    CHECK_EQUAL(http_read_question(SLICE_TEXT(whole), &q), HTTP_WHOLE);
    CHECK(!q.head);
    CHECK(slice_equal(q.path, SLICE_TEXT("/ca.crl")));
}

TEST(what_is_a_question)
{
    static const struct {
        const char *line;
        unsigned status; /* 0: it is one */
        const char *path;
    } cases[] = {
        {"GET / HTTP/1.0", 0, "/"},
        {"HEAD /a HTTP/1.1", 0, "/a"},
        {"GET http://ca.example:81/a.crl HTTP/1.1", 0, "/a.crl"},
        {"GET /a?b=c HTTP/1.1", 0, "/a?b=c"},
        {"GET http://ca.example HTTP/1.1", 400, NULL},
        {"GET a HTTP/1.1", 400, NULL},
        {"GET * HTTP/1.1", 400, NULL},
        {"POST / HTTP/1.1", 405, NULL},
        {"get / HTTP/1.1", 405, NULL},
        {"GET /", 400, NULL},
        {"GET  / HTTP/1.1", 400, NULL},
        {"GET / HTTP/2.0", 400, NULL},
        {"GET / HTTP/1.1 ", 400, NULL},
        {"GET / HTTP/1.x", 400, NULL},
        {"GET /\x01 HTTP/1.1", 400, NULL},
        {"GET /\xff HTTP/1.1", 400, NULL},
        {" / HTTP/1.1", 405, NULL},
        {"", 400, NULL},
        {" ", 400, NULL},
        {"\x16\x03\x01\x02", 400, NULL}, /* the beginning of TLS */
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char text[256];
        struct text whole = text_over(text, sizeof(text));
        struct http_question q;

        text_addf(&whole, "%s\r\nA: b\r\n\r\n", cases[i].line);
        enum http_part part = http_read_question(slice_of_text(text), &q);

        CHECK_EQUAL(part, cases[i].status == 0 ? HTTP_WHOLE : HTTP_BROKEN);
        CHECK_EQUAL(q.status, cases[i].status);
        CHECK(cases[i].path == NULL || slice_equal(q.path, slice_of_text(cases[i].path)));
    }
    static uint8_t endless[HTTP_QUESTION_BYTES_MAX];
    struct http_question q;

    memset(endless, 'a', sizeof(endless));
    CHECK_EQUAL(http_read_question((struct slice){endless, sizeof(endless) - 1}, &q), HTTP_MORE);
    CHECK_EQUAL(http_read_question(SLICE_OF(endless), &q), HTTP_BROKEN);
    CHECK_EQUAL(q.status, 431);
}

/* ---- with sockets ---- */

struct bench {
    struct loop loop;
    struct http_server *server;
    struct endpoint place;
    uint8_t *big;
};

static void open_bench(struct bench *b)
{
    char why[160];
    bool absent;

    *b = (struct bench){.place.address = address_ipv4(0x7f000001), .big = malloc(BIG)};
    CHECK(loop_init(&b->loop));
    b->server = http_server_new(&b->loop);
    CHECK(b->server != NULL && b->big != NULL);
    for (b->place.port = 43500; b->place.port < 44500; b->place.port++) {
        if (http_server_listen(b->server, &b->place, &absent, why, sizeof(why))) {
            break;
        }
    }
    for (size_t i = 0; i < BIG; i++) {
        b->big[i] = (uint8_t)(i * 7 + i / 251);
    }
    CHECK(http_server_set(b->server, "/ca.crl", "application/pkix-crl", SLICE_TEXT("the list")));
    CHECK(http_server_set(b->server, "/big", "x/y", (struct slice){b->big, BIG}));
    CHECK(http_server_set(b->server, "/gone", "x/y", SLICE_TEXT("z")));
    CHECK(http_server_set(b->server, "/gone", "x/y", (struct slice){NULL, 0}));
}

static void close_bench(struct bench *b)
{
    http_server_free(b->server);
    loop_fini(&b->loop);
    free(b->big);
}

static int call_server(const struct bench *b)
{
    struct sockaddr_storage name;
    socklen_t length = sockaddr_write(&name, &b->place);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&name, length), 0);
    return fd;
}

static void turn(struct bench *b)
{
    for (size_t i = 0; i < 8; i++) {
        (void)loop_turn(&b->loop, 1);
    }
}

/* All that comes until the end, without waiting for it: how much, -1: a reset. */
static ssize_t take_all(struct bench *b, int fd, uint8_t *out, size_t capacity)
{
    size_t taken = 0;

    for (uint64_t end = clock_now_ms() + 10000; clock_now_ms() < end;) {
        ssize_t got = recv(fd, out + taken, capacity - taken, MSG_DONTWAIT);

        if (got == 0) {
            return (ssize_t)taken;
        }
        if (got > 0) {
            taken += (size_t)got;
        } else if (errno != EAGAIN) {
            return -1;
        }
        (void)loop_turn(&b->loop, 1);
    }
    return -1;
}

static void check_answer(struct bench *b, const char *question, const char *answer)
{
    uint8_t bytes[1024];
    int fd = call_server(b);

    CHECK_EQUAL(send(fd, question, strlen(question), 0), strlen(question));
    ssize_t length = take_all(b, fd, bytes, sizeof(bytes) - 1);

    CHECK(length >= 0);
    bytes[length] = '\0';
    CHECK_TEXT((char *)bytes, answer);
    (void)close(fd);
    turn(b);
}

TEST(only_what_was_set_is_given)
{
    struct bench b;

    open_bench(&b);
    check_answer(&b, "GET /ca.crl HTTP/1.1\r\nHost: a\r\n\r\n",
                 "HTTP/1.0 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n"
                 "Content-Type: application/pkix-crl\r\n\r\nthe list");
    check_answer(&b, "HEAD /ca.crl HTTP/1.1\r\n\r\n",
                 "HTTP/1.0 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n"
                 "Content-Type: application/pkix-crl\r\n\r\n");
    static const char *const nothing[] = {"/",          "/gone",     "/ca.crl/",    "//ca.crl",
                                          "/../ca.crl", "/ca.crl?x", "/etc/passwd", "/CA.CRL"};

    for (size_t i = 0; i < ARRAY_LENGTH(nothing); i++) {
        char question[128];
        struct text text = text_over(question, sizeof(question));

        text_addf(&text, "GET %s HTTP/1.0\r\n\r\n", nothing[i]);
        check_answer(&b, question,
                     "HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    check_answer(&b, "PUT /ca.crl HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
                 "HTTP/1.0 405 Method Not Allowed\r\nContent-Length: 0\r\nConnection: close\r\n"
                 "Allow: GET, HEAD\r\n\r\n");
    check_answer(&b, "nonsense\r\n\r\n",
                 "HTTP/1.0 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    close_bench(&b);
}

struct fetch {
    const struct bench *bench;
    struct http_answer answer;
    bool came;
    atomic_bool over;
};

static void *fetch_big(void *context)
{
    struct fetch *f = context;
    struct http_place place = {.port = f->bench->place.port, .path = "big"};
    atomic_bool stop = false;
    struct http_request request = {.place = &place,
                                   .addresses = &f->bench->place.address,
                                   .address_count = 1,
                                   .bytes_max = BIG,
                                   .deadline_ms = clock_now_ms() + 10000,
                                   .stop = &stop};

    CHECK(text_copy(place.host, sizeof(place.host), SLICE_TEXT("127.0.0.1")));
    f->came = http_fetch(&request, &f->answer);
    atomic_store(&f->over, true);
    return NULL;
}

TEST(our_own_fetcher_gets_a_large_document_that_is_replaced_meanwhile)
{
    struct bench b;
    struct fetch f = {.bench = &b};
    pthread_t thread;

    open_bench(&b);
    CHECK_EQUAL(pthread_create(&thread, NULL, fetch_big, &f), 0);
    (void)loop_turn(&b.loop, 5000);
    (void)loop_turn(&b.loop, 5000);
    CHECK(http_server_set(b.server, "/big", "x/y", SLICE_TEXT("small now")));
    while (!atomic_load(&f.over)) {
        (void)loop_turn(&b.loop, 5);
    }
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    CHECK(f.came);
    CHECK_EQUAL(f.answer.length, BIG);
    CHECK_BYTES(f.answer.bytes, b.big, BIG);
    free(f.answer.bytes);
    close_bench(&b);
}

TEST(who_is_slow_is_let_go_and_who_goes_is_forgotten)
{
    struct bench b;
    uint8_t bytes[64];

    open_bench(&b);
    int slow = call_server(&b);
    int deaf = call_server(&b);
    int gone = call_server(&b);

    CHECK_EQUAL(send(slow, "GET /ca", 7, 0), 7);
    CHECK_EQUAL(send(deaf, "GET /big HTTP/1.0\r\n\r\n", 21, 0), 21);
    CHECK_EQUAL(send(gone, "GET /big HTTP/1.0\r\n\r\n", 21, 0), 21);
    turn(&b);
    (void)close(gone);
    turn(&b);
    http_server_time(b.server, clock_now_ms() + HTTP_QUESTION_MS - 500);
    CHECK(recv(slow, bytes, sizeof(bytes), MSG_DONTWAIT) < 0 && errno == EAGAIN);
    http_server_time(b.server, clock_now_ms() + HTTP_QUESTION_MS);
    turn(&b);
    CHECK(recv(slow, bytes, sizeof(bytes), 0) <= 0);
    CHECK(recv(deaf, bytes, sizeof(bytes), 0) > 0);
    http_server_time(b.server, clock_now_ms() + HTTP_ANSWER_MS);
    uint8_t *all = malloc(BIG + 1024);

    CHECK(all != NULL);
    CHECK(take_all(&b, deaf, all, BIG + 1024) < 0);
    free(all);
    (void)close(slow);
    (void)close(deaf);
    check_answer(&b, "HEAD /big HTTP/1.0\r\n\r\n",
                 "HTTP/1.0 200 OK\r\nContent-Length: 3145728\r\nConnection: close\r\n"
                 "Content-Type: x/y\r\n\r\n");
    close_bench(&b);
}

TEST(nobody_can_hold_all_places)
{
    int idle[HTTP_SERVER_CLIENTS_MAX + 8];
    uint8_t bytes[8];
    struct bench b;

    open_bench(&b);
    for (size_t i = 0; i < ARRAY_LENGTH(idle); i++) {
        idle[i] = call_server(&b);
        turn(&b);
    }
    check_answer(&b, "GET /ca.crl HTTP/1.0\r\n\r\n",
                 "HTTP/1.0 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n"
                 "Content-Type: application/pkix-crl\r\n\r\nthe list");
    CHECK(recv(idle[0], bytes, sizeof(bytes), 0) <= 0);
    for (size_t i = 0; i < ARRAY_LENGTH(idle); i++) {
        (void)close(idle[i]);
    }
    turn(&b);
    close_bench(&b);
}
