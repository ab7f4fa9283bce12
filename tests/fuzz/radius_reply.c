/*
 * Replies of a RADIUS server: of any bytes, which let nobody in; and signed ones with any
 * attributes, which give an answer that keeps its bounds. The first byte chooses.
 */
#include <string.h>

#include "base/random.h"
#include "fuzz.h"
#include "proto/radius/client.h"
#include "proto/radius/signing.h"

#define SECRET SLICE_TEXT("testing123")
#define NOW UINT64_C(1000000)

struct scene {
    struct radius_client *client;
    struct endpoint server;
    uint8_t request[RADIUS_REQUEST_BYTES_MAX];
    bool answered;
    struct login_answer answer;
};

static void run(struct scene *s)
{
    struct radius_action action;

    while (radius_take(s->client, &action)) {
        if (action.kind == RADIUS_SEND) {
            memcpy(s->request, action.bytes.data, action.bytes.length);
        } else {
            MUST(!s->answered && action.job == 7);
            s->answered = true;
            s->answer = *action.answer;
        }
    }
}

static void begin(struct scene *s, struct seeded_random *seeded, bool unsigned_replies)
{
    struct login_question question = {.user = "alice", .service = "staff"};
    struct radius_server server = {.unsigned_replies = unsigned_replies};

    *s = (struct scene){.server = {.address = address_ipv4(0x0a010014), .port = 1812}};
    seeded_random_init(seeded, 1);
    s->client = radius_new(seeded_random_source(seeded), "fuzz");
    MUST(s->client != NULL && secret_set(&server.secret, SECRET));
    MUST(secret_set(&question.password, SLICE_TEXT("wonder")));
    server.endpoint = s->server;
    radius_set_servers(s->client, &server, 1);
    (void)!radius_ask(s->client, 7, &question, NOW);
    login_question_fini(&question);
    run(s);
}

/* Whether what is said of the user keeps its bounds. */
static void check_answer(const struct login_answer *a)
{
    MUST(memchr(a->user, 0, sizeof(a->user)) != NULL);
    MUST(memchr(a->message, 0, sizeof(a->message)) != NULL);
    for (size_t i = 0; a->message[i] != '\0'; i++) {
        MUST((uint8_t)a->message[i] >= ' ' && a->message[i] != 0x7f);
    }
    MUST(a->group_count <= LOGIN_GROUPS_MAX && a->dns_count <= LOGIN_DNS_MAX);
    for (size_t i = 0; i < a->group_count; i++) {
        MUST(a->groups[i][0] != '\0' && memchr(a->groups[i], 0, LOGIN_GROUP_BYTES) != NULL);
    }
    MUST(a->class_length <= LOGIN_CLASS_BYTES_MAX);
    MUST((a->verdict == LOGIN_CHALLENGED) == (a->state.length > 2));
    MUST(a->verdict == LOGIN_ACCEPTED || (a->group_count == 0 && a->class_length == 0));
}

/* The server's own hand. */
static size_t sign(const struct scene *s, uint8_t code, struct slice attributes, uint8_t *out,
                   size_t capacity)
{
    static const uint8_t zeros[RADIUS_AUTHENTICATOR_BYTES];
    struct writer w = writer_over(out, capacity);

    radius_write_begin(&w, code, s->request[1], zeros);
    radius_write_attribute(&w, RADIUS_MESSAGE_AUTHENTICATOR, SLICE_OF(zeros));
    write_slice(&w, attributes);
    radius_write_end(&w);
    MUST(writer_ok(&w));
    radius_message_authenticator(SECRET, writer_written(&w), RADIUS_HEAD_BYTES + 2, s->request + 4,
                                 out + RADIUS_HEAD_BYTES + 2);
    radius_response_authenticator(SECRET, writer_written(&w), s->request + 4, out + 4);
    return w.length;
}

static void check_words(struct slice bytes)
{
    static char words[65536];
    struct text out = text_over(words, sizeof(words));
    struct reader r = reader_over(bytes);
    struct radius_packet packet;

    if (!radius_read(&r, &packet)) {
        return;
    }
    radius_describe(&packet, &out);
    for (size_t i = 0; i < out.length; i++) {
        MUST(words[i] >= ' ' && words[i] <= '~');
    }
}

FUZZ(radius_reply, 20000)
{
    static const uint8_t codes[] = {RADIUS_ACCESS_ACCEPT, RADIUS_ACCESS_REJECT,
                                    RADIUS_ACCESS_CHALLENGE};
    static uint8_t bytes[RADIUS_BYTES_MAX];
    struct seeded_random seeded;
    struct scene s;

    if (size < 1 || size > RADIUS_BYTES_MAX - 64) {
        return 0;
    }
    struct slice rest = {data + 1, size - 1};

    begin(&s, &seeded, (data[0] & 4) != 0);
    check_words(rest);
    radius_receive(s.client, 0, &s.server, rest, NOW);
    run(&s);
    MUST(!s.answered);
    size_t length = sign(&s, codes[(data[0] & 3) % 3], rest, bytes, sizeof(bytes));

    radius_receive(s.client, 0, &s.server, (struct slice){bytes, length}, NOW);
    run(&s);
    if (s.answered) {
        check_answer(&s.answer);
    }
    radius_free(s.client);
    return 0;
}
