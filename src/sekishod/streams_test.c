/* Connections over the loopback device, in a time of our own: who may have one, what is read out of
 * it however it is cut, and what happens to those that are slow, silent or talk nonsense. */
#include "sekishod/streams.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/test.h"
#include "wire/ike_stream.h"

#define MESSAGES_MAX 64

static struct scene {
    struct streams_limits limits;
    struct streams *streams;
    struct loop loop;
    struct wake control;
    struct endpoint place;
    uint64_t now_ms;
    size_t count;
    size_t lengths[MESSAGES_MAX];
    uint8_t firsts[MESSAGES_MAX];
    struct endpoint local, peer; /* of the latest */
    bool good;
} scene;

static void nothing(void *context, unsigned events)
{
    (void)context;
    (void)events;
}

static void take(void *context)
{
    struct packet packets[4];
    struct packet *list[4] = {&packets[0], &packets[1], &packets[2], &packets[3]};
    size_t count;

    (void)context;
    while ((count = streams_take(scene.streams, list, 4)) > 0) {
        for (size_t i = 0; i < count; i++) {
            if (scene.count < MESSAGES_MAX) {
                scene.lengths[scene.count] = packets[i].length;
                scene.firsts[scene.count] = packet_data(&packets[i])[0];
            }
            scene.count++;
            scene.local = packets[i].local;
            scene.peer = packets[i].peer;
        }
        streams_judge(scene.streams, count, scene.good);
    }
}

static void open_scene(void)
{
    static const uint8_t key[16] = "a key for tables";
    struct endpoint any = {.address = address_ipv4(0x7f000001), .tcp = true};
    bool absent;
    char why[160];

    scene.now_ms = 1000000;
    scene.count = 0;
    scene.good = true;
    CHECK(loop_init(&scene.loop) && wake_init(&scene.control, nothing, NULL));
    scene.streams = streams_new(&scene.limits, key, &scene.control);
    CHECK(scene.streams != NULL);
    CHECK(streams_listen(scene.streams, &any, &absent, why, sizeof(why)));
    CHECK(streams_listener_at(scene.streams, 0, &scene.place));
    CHECK(!streams_listener_at(scene.streams, 1, &any));
    CHECK(streams_attach(scene.streams, &scene.loop, take, NULL));
    streams_time(scene.streams, scene.now_ms);
}

static void begin(void)
{
    scene.limits = streams_usual_limits;
    open_scene();
}

static void end(void)
{
    streams_free(scene.streams);
    loop_fini(&scene.loop);
    wake_fini(&scene.control);
}

static void run(uint64_t for_ms)
{
    scene.now_ms += for_ms;
    for (unsigned i = 0; i < 20; i++) {
        streams_time(scene.streams, scene.now_ms);
        while (loop_turn(&scene.loop, 0) > 0) {
            streams_time(scene.streams, scene.now_ms);
        }
    }
}

/* One from elsewhere, with plain octets. */
static int call(void)
{
    char why[160];
    const struct address any = {0};
    int fd = connection_open(&any, &scene.place, why, sizeof(why));

    CHECK(fd >= 0);
    run(0);
    return fd;
}

static void say(int fd, const void *bytes, size_t length)
{
    size_t sent;
    struct slice part = {bytes, length};

    /* Who is out cannot say more: the caller sees it. */
    enum connection_result result = connection_write(fd, &part, 1, &sent);

    (void)result;
    run(0);
}

static size_t hear(int fd, uint8_t *room, size_t room_bytes, bool *over)
{
    char why[160];
    size_t got = 0;
    size_t all = 0;
    enum connection_result result = CONNECTION_DONE;

    while (result == CONNECTION_DONE && all < room_bytes) {
        result = connection_read(fd, room + all, room_bytes - all, &got, why, sizeof(why));
        all += got;
    }
    *over = result == CONNECTION_ENDED;
    return all;
}

static bool is_over(int fd)
{
    uint8_t room[64];
    bool over;

    (void)hear(fd, room, sizeof(room), &over);
    return over;
}

static struct streams_status status(void)
{
    struct streams_status out;

    streams_get_status(scene.streams, &out);
    return out;
}

static const uint8_t good[] = {
    'I', 'K', 'E', 'T', 'C', 'P',  0, 11, 0,    0,    0,    0, 1, 2, 3, 4,
    5,   0,   2,   0,   3,   0xff, 0, 10, 0xc0, 0xff, 0xee, 1, 0, 0, 0, 7,
};

TEST(messages_come_out_whole_in_whatever_pieces_they_come)
{
    for (size_t piece = 1; piece <= sizeof(good); piece++) {
        begin();
        int fd = call();

        for (size_t at = 0; at < sizeof(good); at += piece) {
            say(fd, good + at, sizeof(good) - at < piece ? sizeof(good) - at : piece);
        }
        CHECK_EQUAL(scene.count, 3);
        CHECK(scene.lengths[0] == 9 && scene.lengths[1] == 1 && scene.lengths[2] == 8);
        CHECK(scene.firsts[1] == 0xff && scene.firsts[2] == 0xc0);
        CHECK(endpoint_equal(&scene.local, &scene.place) && scene.peer.tcp);
        CHECK_EQUAL(status().connections, 1);
        connection_close(fd, false);
        run(0);
        CHECK_EQUAL(status().connections, 0);
        end();
    }
}

TEST(who_says_something_else_is_out)
{
    static const struct {
        const char *bytes;
        size_t length;
        enum stream_end end;
    } cases[] = {
        {"GET / HTTP/1.1\r\n", 16, STREAM_END_NOT_IKE}, {"IKETCQ", 6, STREAM_END_NOT_IKE},
        {"\x16\x03\x01", 3, STREAM_END_NOT_IKE},        {"IKETCP\0\0", 8, STREAM_END_BAD_LENGTH},
        {"IKETCP\0\1", 8, STREAM_END_BAD_LENGTH},       {"IKETCP\xff\xff", 8, STREAM_END_TOO_LONG},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        begin();
        int fd = call();

        say(fd, cases[i].bytes, cases[i].length);
        CHECK(is_over(fd));
        CHECK_EQUAL(status().ends[cases[i].end], 1);
        CHECK_EQUAL(status().last_end, cases[i].end);
        CHECK(status().connections == 0 && scene.count == 0);
        CHECK(stream_end_name(cases[i].end) != NULL && stream_end_sentence(cases[i].end) != NULL);
        connection_close(fd, false);
        end();
    }
}

TEST(a_stranger_that_establishes_nothing_is_out_after_fifteen_seconds)
{
    begin();
    int silent = call();
    int slow = call();
    int kept = call();

    say(kept, good, sizeof(good));
    streams_keep(scene.streams, &scene.local, &scene.peer);
    for (unsigned second = 0; second < 14; second++) {
        say(slow, good + second, 1);
        run(1000);
    }
    CHECK(!is_over(silent) && !is_over(slow) && !is_over(kept));
    CHECK_EQUAL(status().strangers, 2);
    run(1500);
    CHECK(is_over(silent) && is_over(slow) && !is_over(kept));
    CHECK_EQUAL(status().ends[STREAM_END_SILENT], 2);
    run(1000000);
    CHECK(!is_over(kept));
    CHECK_EQUAL(status().strangers, 0);
    connection_close(silent, false);
    connection_close(slow, false);
    connection_close(kept, false);
    end();
}

TEST(one_address_has_so_many_strangers_and_no_more)
{
    int fds[20];

    begin();
    for (size_t i = 0; i < ARRAY_LENGTH(fds); i++) {
        fds[i] = call();
    }
    for (size_t i = 0; i < ARRAY_LENGTH(fds); i++) {
        CHECK(is_over(fds[i]) == (i >= 16));
        connection_close(fds[i], false);
    }
    CHECK_EQUAL(status().ends[STREAM_END_ADDRESS], 4);
    end();
}

TEST(the_oldest_of_too_many_strangers_makes_room_and_no_other)
{
    int fds[8];

    scene.limits = streams_usual_limits;
    scene.limits.strangers = 4;
    open_scene();
    int kept = call();

    say(kept, good, sizeof(good));
    streams_keep(scene.streams, &scene.local, &scene.peer);
    for (size_t i = 0; i < ARRAY_LENGTH(fds); i++) {
        fds[i] = call();
    }
    for (size_t i = 0; i < ARRAY_LENGTH(fds); i++) {
        CHECK(is_over(fds[i]) == (i < 4));
        connection_close(fds[i], false);
    }
    CHECK(!is_over(kept));
    CHECK_EQUAL(status().ends[STREAM_END_CROWD], 4);
    connection_close(kept, false);
    end();
}

TEST(when_all_places_are_taken_by_established_ones_nobody_comes_in)
{
    int fds[4];

    scene.limits = streams_usual_limits;
    scene.limits.connections = 3;
    open_scene();
    for (size_t i = 0; i < ARRAY_LENGTH(fds); i++) {
        fds[i] = call();
        if (i < 3) {
            say(fds[i], good, sizeof(good));
            streams_keep(scene.streams, &scene.local, &scene.peer);
        }
    }
    CHECK(is_over(fds[3]) && !is_over(fds[0]));
    CHECK_EQUAL(status().ends[STREAM_END_FULL], 1);
    for (size_t i = 0; i < ARRAY_LENGTH(fds); i++) {
        connection_close(fds[i], false);
    }
    end();
}

TEST(a_stranger_whose_handshake_failed_is_one_all_the_same)
{
    begin();
    int fd = call();

    say(fd, good, sizeof(good));
    for (unsigned second = 0; second < 15; second++) {
        CHECK(!is_over(fd) || second >= 5);
        CHECK(status().strangers == (second < 5 ? 1 : 0));
        streams_release(scene.streams, &scene.local, &scene.peer, scene.now_ms);
        run(1010);
    }
    CHECK(is_over(fd));
    CHECK_EQUAL(status().ends[STREAM_END_SILENT], 0);
    connection_close(fd, false);
    end();
}

TEST(a_stranger_cannot_send_for_ever)
{
    static uint8_t many[4096];

    begin();
    int fd = call();

    say(fd, good, IKE_STREAM_PREFIX_BYTES);
    ike_stream_write_head(many, sizeof(many) - 2);
    for (unsigned i = 0; i < 70; i++) {
        say(fd, many, sizeof(many));
    }
    CHECK_EQUAL(status().ends[STREAM_END_TOO_MUCH], 1);
    CHECK(scene.count > 60 && scene.count < 70);
    connection_close(fd, false);
    end();
}

TEST(a_connection_without_a_good_message_for_long_is_closed)
{
    static const uint8_t bad[] = {0, 3, 1};
    struct stream_event event;

    begin();
    int fd = call();

    say(fd, good, sizeof(good));
    streams_keep(scene.streams, &scene.local, &scene.peer);
    for (unsigned round = 0; round < 2; round++) {
        scene.good = round == 0;
        for (unsigned i = 0; i < 511; i++) {
            say(fd, bad, sizeof(bad));
        }
    }
    CHECK(!is_over(fd));
    say(fd, bad, sizeof(bad));
    CHECK(is_over(fd));
    CHECK_EQUAL(status().ends[STREAM_END_NONSENSE], 1);
    /* It was an established one's: the gateway hears. */
    CHECK(streams_next_event(scene.streams, &event) && event.kind == STREAM_LOST);
    CHECK(endpoint_equal(&event.peer, &scene.peer));
    CHECK(!streams_next_event(scene.streams, &event));
    connection_close(fd, false);
    end();
}

static struct packet *packet_of(size_t length)
{
    struct packet *p = calloc(1, sizeof(*p));

    p->capacity = (uint32_t)length + 256;
    p->buffer = calloc(1, p->capacity);
    p->offset = 128;
    p->length = (uint32_t)length;
    p->local = scene.local;
    p->peer = scene.peer;
    return p;
}

static void packet_free(struct packet *p)
{
    free(p->buffer);
    free(p);
}

TEST(what_is_sent_arrives_framed_and_in_order)
{
    uint8_t room[4096];
    bool over;
    struct streams_refused refused;

    begin();
    int fd = call();

    say(fd, good, sizeof(good));
    struct packet *packets[3] = {packet_of(100), packet_of(1), packet_of(1000)};
    static const uint8_t ike[] = {0, 0, 0, 0, 9};

    streams_send(scene.streams, packets, 3, &refused);
    CHECK(refused.no_stream == 0 && refused.full == 0);
    CHECK(streams_send_ike(scene.streams, &scene.local, &scene.peer, SLICE_OF(ike)));
    run(0);
    CHECK_EQUAL(hear(fd, room, sizeof(room), &over), 102 + 3 + 1002 + 7);
    struct ike_stream stream = {.message_max = 2000};
    struct slice bytes = {room, 102 + 3 + 1002 + 7}, message;
    static const size_t lengths[] = {100, 1, 1000, 5};

    for (size_t i = 0; i < 4; i++) {
        CHECK(ike_stream_next(&stream, &bytes, &message) == IKE_STREAM_MESSAGE);
        CHECK_EQUAL(message.length, lengths[i]);
    }
    /* Not to anybody else. */
    packets[0]->peer.port ^= 1;
    streams_send(scene.streams, packets, 1, &refused);
    CHECK_EQUAL(refused.no_stream, 1);
    CHECK(!streams_send_ike(scene.streams, &scene.place, &packets[0]->peer, SLICE_OF(ike)));
    for (size_t i = 0; i < 3; i++) {
        packet_free(packets[i]);
    }
    connection_close(fd, false);
    end();
}

TEST(who_does_not_read_costs_a_bounded_queue_and_nobody_waits)
{
    static uint8_t room[8 * 1024 * 1024];
    static const uint8_t ike[1000] = {0};
    struct streams_refused refused = {0};
    size_t sent = 0;
    bool over;

    begin();
    int fd = call();

    say(fd, good, sizeof(good));
    streams_keep(scene.streams, &scene.local, &scene.peer);
    struct packet *p = packet_of(1400);

    while (refused.full == 0) {
        streams_send(scene.streams, &p, 1, &refused);
        CHECK(refused.no_stream == 0);
        sent += refused.full == 0 ? 1 : 0;
        CHECK(sent < 100000);
        run(0);
    }
    CHECK(status().queued_bytes > 0);
    CHECK(status().queued_bytes <= scene.limits.queue_bytes / 4 * 3);
    /* A message of IKE has room where ESP has none. */
    CHECK(streams_send_ike(scene.streams, &scene.local, &scene.peer, SLICE_OF(ike)));
    /* He reads after all: everything that was taken arrives. */
    size_t heard = 0;

    for (unsigned i = 0; i < 1000 && heard < sent * 1402 + 1002; i++) {
        heard += hear(fd, room + heard, sizeof(room) - heard, &over);
        run(0);
    }
    CHECK_EQUAL(heard, sent * 1402 + 1002);
    CHECK_EQUAL(status().queued_bytes, 0);
    /* Or he never does. */
    unsigned tries = 0;

    refused.full = 0;
    while (refused.full == 0) {
        streams_send(scene.streams, &p, 1, &refused);
        run(0);
    }
    while (status().ends[STREAM_END_STUCK] == 0) {
        (void)streams_send_ike(scene.streams, &scene.local, &scene.peer, SLICE_OF(ike));
        CHECK(++tries < 1000);
    }
    run(0);
    CHECK_EQUAL(status().connections, 0);
    struct stream_event event;

    CHECK(streams_next_event(scene.streams, &event) && event.kind == STREAM_LOST);
    packet_free(p);
    connection_close(fd, false);
    end();
}

TEST(a_connection_of_ours_begins_with_the_prefix_and_its_end_is_told)
{
    const struct address any = {0};
    struct endpoint local = {.address = address_ipv4(0x7f000001), .tcp = true};
    struct endpoint peer, from;
    struct stream_event event;
    bool absent, over;
    char why[160];
    uint8_t room[64];
    int fd = -1;

    begin();
    int listener = connection_listen(&local, &absent, why, sizeof(why));

    CHECK(listener >= 0 && connection_end(listener, &peer));
    streams_open(scene.streams, 77, &any, &peer, scene.now_ms);
    run(0);
    CHECK(streams_next_event(scene.streams, &event));
    CHECK(event.kind == STREAM_OPENED && event.question == 77);
    CHECK(event.local.tcp && endpoint_equal(&event.peer, &peer));
    CHECK(connection_accept(listener, &fd, &local, &from) == CONNECTION_DONE);
    CHECK(endpoint_equal(&from, &event.local));
    CHECK_EQUAL(hear(fd, room, sizeof(room), &over), IKE_STREAM_PREFIX_BYTES);
    CHECK_BYTES(room, "IKETCP", 6);
    /* The other side sends no prefix. */
    say(fd, good + IKE_STREAM_PREFIX_BYTES, sizeof(good) - IKE_STREAM_PREFIX_BYTES);
    CHECK_EQUAL(scene.count, 3);
    run(100000);
    CHECK(!is_over(fd));
    connection_close(fd, true);
    run(0);
    CHECK(streams_next_event(scene.streams, &event) && event.kind == STREAM_LOST);
    /* Nobody is there. */
    connection_close(listener, false);
    streams_open(scene.streams, 78, &any, &peer, scene.now_ms);
    run(0);
    CHECK(streams_next_event(scene.streams, &event));
    CHECK(event.kind == STREAM_REFUSED && event.question == 78 && event.why[0] != '\0');
    CHECK_EQUAL(status().connections, 0);
    end();
}

TEST(a_connection_that_is_let_go_is_closed_by_who_opened_it)
{
    const struct address any = {0};
    struct endpoint local = {.address = address_ipv4(0x7f000001), .tcp = true};
    struct endpoint peer, from;
    struct stream_event event;
    bool absent;
    char why[160];
    int fd = -1;

    begin();
    int listener = connection_listen(&local, &absent, why, sizeof(why));

    CHECK(listener >= 0 && connection_end(listener, &peer));
    streams_open(scene.streams, 1, &any, &peer, scene.now_ms);
    run(0);
    CHECK(streams_next_event(scene.streams, &event) && event.kind == STREAM_OPENED);
    CHECK(connection_accept(listener, &fd, &local, &from) == CONNECTION_DONE);
    streams_release(scene.streams, &event.local, &peer, scene.now_ms);
    run(0);
    CHECK(is_over(fd));
    connection_close(fd, false);
    run(6000);
    CHECK(status().connections == 0 && !streams_next_event(scene.streams, &event));
    /* Of others it is closed when they do not. */
    int theirs = call();

    say(theirs, good, sizeof(good));
    streams_keep(scene.streams, &scene.local, &scene.peer);
    streams_release(scene.streams, &scene.local, &scene.peer, scene.now_ms);
    run(4000);
    CHECK(!is_over(theirs));
    run(2000);
    CHECK(is_over(theirs) && !streams_next_event(scene.streams, &event));
    connection_close(theirs, false);
    connection_close(listener, false);
    end();
}
