/* Hiding and signing: the examples of RFC 2865 section 7, and what is told apart. */
#include "proto/radius/signing.h"

#include <stdlib.h>

#include "proto/radius/rfc2865_examples.h"
#include "tests/support/test.h"

struct packet {
    uint8_t bytes[RADIUS_BYTES_MAX];
    size_t length;
    struct radius_packet read;
};

static void load(struct packet *p, const char *hex)
{
    CHECK(hex_parse(slice_of_text(hex), p->bytes, sizeof(p->bytes), &p->length));
    struct reader r = reader_over((struct slice){p->bytes, p->length});

    CHECK(radius_read(&r, &p->read));
}

static struct slice find(const struct packet *p, uint8_t type)
{
    struct reader attributes = reader_over(p->read.attributes);
    struct radius_attribute a;

    while (radius_read_attribute(&attributes, &a)) {
        if (a.type == type) {
            return a.value;
        }
    }
    return (struct slice){NULL, 0};
}

TEST(passwords_are_hidden_as_in_the_examples)
{
    static const struct {
        const char *hex, *password;
    } cases[] = {
        {EXAMPLE_1_REQUEST, "arctangent"},
        {EXAMPLE_3_REQUEST, "challenge"},
        {EXAMPLE_4_REQUEST, "99101462"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        uint8_t hidden[RADIUS_PASSWORD_BYTES_MAX];
        struct packet p;

        load(&p, cases[i].hex);
        size_t length = radius_hide_password(SLICE_TEXT(EXAMPLE_SECRET), p.read.authenticator,
                                             slice_of_text(cases[i].password), hidden);
        CHECK(slice_equal((struct slice){hidden, length}, find(&p, RADIUS_USER_PASSWORD)));
    }
}

TEST(long_passwords_are_hidden_block_after_block_and_too_long_ones_not)
{
    uint8_t hidden[RADIUS_PASSWORD_BYTES_MAX];
    uint8_t password[RADIUS_PASSWORD_BYTES_MAX + 1] = {0};
    static const uint8_t authenticator[16] = {1};
    struct slice secret = SLICE_TEXT("s");

    CHECK_EQUAL(radius_hide_password(secret, authenticator, (struct slice){password, 0}, hidden),
                16);
    CHECK_EQUAL(radius_hide_password(secret, authenticator, (struct slice){password, 17}, hidden),
                32);
    /* RFC 2865 5.2: the second block's pad is made of the first hidden block. */
    uint8_t second[RADIUS_PASSWORD_BYTES_MAX];

    CHECK_EQUAL(radius_hide_password(secret, hidden, (struct slice){password, 1}, second), 16);
    CHECK_BYTES(hidden + 16, second, 16);
    CHECK_EQUAL(radius_hide_password(secret, authenticator, (struct slice){password, 128}, hidden),
                128);
    CHECK_EQUAL(radius_hide_password(secret, authenticator, (struct slice){password, 129}, hidden),
                0);
}

TEST(the_replies_of_the_examples_are_unsigned_but_the_servers)
{
    static const char *const pairs[][2] = {
        {EXAMPLE_1_REQUEST, EXAMPLE_1_ACCEPT},
        {EXAMPLE_2_REQUEST, EXAMPLE_2_ACCEPT},
        {EXAMPLE_3_REQUEST, EXAMPLE_3_CHALLENGE},
        {EXAMPLE_4_REQUEST, EXAMPLE_4_REJECT},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(pairs); i++) {
        struct packet request, reply;

        load(&request, pairs[i][0]);
        load(&reply, pairs[i][1]);
        CHECK_EQUAL(radius_judge_reply(SLICE_TEXT(EXAMPLE_SECRET),
                                       (struct slice){reply.bytes, reply.length}, &reply.read,
                                       request.read.authenticator),
                    RADIUS_UNSIGNED);
        CHECK_EQUAL(radius_judge_reply(SLICE_TEXT("xyzzy5462"),
                                       (struct slice){reply.bytes, reply.length}, &reply.read,
                                       request.read.authenticator),
                    RADIUS_FORGED);
        /* Of another request, or with one bit changed. */
        CHECK_EQUAL(radius_judge_reply(SLICE_TEXT(EXAMPLE_SECRET),
                                       (struct slice){reply.bytes, reply.length}, &reply.read,
                                       reply.read.authenticator),
                    RADIUS_FORGED);
        reply.bytes[1] ^= 1;
        CHECK_EQUAL(radius_judge_reply(SLICE_TEXT(EXAMPLE_SECRET),
                                       (struct slice){reply.bytes, reply.length}, &reply.read,
                                       request.read.authenticator),
                    RADIUS_FORGED);
    }
}

/* A reply with these attributes; each signature is made right when `good`. */
static enum radius_authentic judge(const uint8_t *types, size_t count, bool good)
{
    static const uint8_t request[16] = {9, 9, 9};
    static const uint8_t zeros[16];
    struct slice secret = SLICE_TEXT("testing123");
    uint8_t bytes[256];
    size_t at = 0;
    struct writer w = writer_over(bytes, sizeof(bytes));
    struct radius_packet reply;

    radius_write_begin(&w, RADIUS_ACCESS_ACCEPT, 7, zeros);
    for (size_t i = 0; i < count; i++) {
        at = types[i] == RADIUS_MESSAGE_AUTHENTICATOR ? w.length + 2 : at;
        radius_write_attribute(&w, types[i], SLICE_OF(zeros));
    }
    radius_write_end(&w);
    if (at > 0) {
        radius_message_authenticator(secret, writer_written(&w), at, request, bytes + at);
        bytes[at] ^= good ? 0 : 1;
    }
    radius_response_authenticator(secret, writer_written(&w), request, bytes + 4);
    struct reader r = reader_over(writer_written(&w));

    CHECK(radius_read(&r, &reply));
    return radius_judge_reply(secret, writer_written(&w), &reply, request);
}

TEST(a_message_authenticator_is_right_wrong_twice_or_missing)
{
    static const uint8_t one[] = {RADIUS_MESSAGE_AUTHENTICATOR, RADIUS_CLASS};
    static const uint8_t last[] = {RADIUS_CLASS, RADIUS_CLASS, RADIUS_MESSAGE_AUTHENTICATOR};
    static const uint8_t two[] = {RADIUS_MESSAGE_AUTHENTICATOR, RADIUS_MESSAGE_AUTHENTICATOR};
    static const uint8_t none[] = {RADIUS_CLASS};
    static const uint8_t proxy[] = {RADIUS_CLASS, RADIUS_PROXY_STATE};

    CHECK_EQUAL(judge(one, 2, true), RADIUS_AUTHENTIC);
    CHECK_EQUAL(judge(last, 3, true), RADIUS_AUTHENTIC);
    CHECK_EQUAL(judge(one, 2, false), RADIUS_FORGED);
    CHECK_EQUAL(judge(two, 2, true), RADIUS_FORGED);
    CHECK_EQUAL(judge(none, 1, true), RADIUS_UNSIGNED);
    CHECK_EQUAL(judge(proxy, 2, true), RADIUS_FORGED);
}
