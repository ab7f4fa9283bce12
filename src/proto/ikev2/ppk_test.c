/* Post-quantum preshared keys between two machines, in IKE_AUTH (RFC 8784) and in IKE_INTERMEDIATE
 * (RFC 9867): who has which, who requires one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/certificate_testbed.h"
#include "proto/ikev2/machine.h"
#include "tests/support/ikev2_pair.h"
#include "tests/support/test.h"

enum has { HAS_NONE, PREFERS, REQUIRES };

/* Whether the present conversation has it in IKE_INTERMEDIATE. */
static bool early;

static void ppk_set(struct ikev2_ppk *ppk, const char *id, const char *key, bool required)
{
    memset(ppk, 0, sizeof(*ppk));
    CHECK(secret_set(&ppk->key, slice_of_text(key)));
    ppk->required = required;
    ppk->auth_only = !early;
    ppk->id[0] = IKEV2_PPK_ID_FIXED;
    memcpy(ppk->id + 1, id, strlen(id));
    ppk->id_length = (uint8_t)(1 + strlen(id));
}

struct scene {
    struct ikev2_pair *pair;
    struct ikev2_ppk ppk[2];
    struct ikev2_certificates certificates[2];
    uint8_t authorities[2][64];
};

static void give(struct scene *s, unsigned side, enum has has, const char *id, const char *key)
{
    struct pair_side *p = &s->pair->side[side];

    secret_wipe(&s->ppk[side].key);
    ppk_set(&s->ppk[side], id, key, has == REQUIRES);
    p->policy.ppk = has == HAS_NONE ? NULL : &s->ppk[side];
    p->responder.ppk = has != HAS_NONE;
    p->responder.ppk_early = has != HAS_NONE && early;
}

/* Both sides prove themselves by certificates instead. */
static void certify(struct scene *s)
{
    static struct private_key *root_key, *key[2];
    static struct certificate *root, *certificate[2];
    static const struct testbed_order orders[2] = {
        {.subject = "CN=left", .names = "DNS:left.example", .usage = "digitalSignature"},
        {.subject = "CN=right", .names = "DNS:right.example", .usage = "digitalSignature"},
    };

    if (root == NULL) {
        root_key = private_key_make(KEY_P256, 0);
        root = testbed_issue(&testbed_root, root_key, NULL, NULL);
        for (size_t i = 0; i < 2; i++) {
            key[i] = private_key_make(KEY_ED25519, 0);
            certificate[i] = testbed_issue(&orders[i], key[i], root, root_key);
        }
    }
    for (size_t i = 0; i < 2; i++) {
        struct pair_side *side = &s->pair->side[i];
        struct ikev2_certificates *c = &s->certificates[i];

        c->own = testbed_credential(key[i], &certificate[i], 1);
        c->trust = testbed_trust(root);
        side->policy.certificates = c;
        side->responder.certificates = true;
        side->responder.authorities =
            (struct slice){s->authorities[i], ikev2_certify_authorities(c->trust, s->authorities[i],
                                                                        sizeof(s->authorities[i]))};
        side->now_s = TESTBED_NOW_S;
    }
}

static struct scene *scene_new(uint64_t seed, bool certificates)
{
    struct scene *s = calloc(1, sizeof(*s));

    s->pair = ikev2_pair_new(seed);
    if (certificates) {
        certify(s);
    }
    return s;
}

static void scene_free(struct scene *s)
{
    ikev2_pair_free(s->pair);
    for (size_t i = 0; i < 2; i++) {
        secret_wipe(&s->ppk[i].key);
        credential_free(s->certificates[i].own);
        trust_free(s->certificates[i].trust);
    }
    free(s);
}

static void run(struct scene *s)
{
    ikev2_pair_start(s->pair, 0);
    CHECK(ikev2_pair_run(s->pair));
    ikev2_pair_advance(s->pair, 60000);
}

static bool is_up(const struct scene *s)
{
    return s->pair->side[0].established == 1 && s->pair->side[1].established == 1 &&
           s->pair->side[0].failed == 0 && s->pair->side[1].failed == 0;
}

static enum ikev2_ppk_use uses_ppk(const struct scene *s, unsigned side)
{
    struct ikev2_sa_info info;

    ikev2_sa_get_info(s->pair->side[side].sa, &info);
    return info.ppk;
}

#define KEY "an octet string of more than 256 bits"

/* Both sides are up, with a PPK or without, and stay so over every rekeying. */
static void check_up(struct scene *s, bool with)
{
    enum ikev2_ppk_use use = !with   ? IKEV2_PPK_NOWHERE
                             : early ? IKEV2_PPK_IN_ALL
                                     : IKEV2_PPK_IN_CHILDREN;

    CHECK(is_up(s));
    CHECK(ikev2_pair_agrees(s->pair));
    for (unsigned side = 0; side < 2; side++) {
        CHECK_EQUAL(uses_ppk(s, side), use);
        ikev2_pair_rekey(s->pair, side);
        CHECK(ikev2_pair_run(s->pair));
        ikev2_pair_advance(s->pair, 120000);
        ikev2_pair_rekey_child(s->pair, side, ikev2_pair_outbound(s->pair, side, "net")->spi_in);
        CHECK(ikev2_pair_run(s->pair));
        ikev2_pair_advance(s->pair, 120000);
        CHECK_EQUAL(s->pair->side[0].rekeyed, side + 1);
    }
    CHECK(ikev2_pair_packet(s->pair, 0, "net") && ikev2_pair_packet(s->pair, 1, "net"));
    CHECK(ikev2_pair_agrees(s->pair));
    CHECK(uses_ppk(s, 0) == use && uses_ppk(s, 1) == use);
}

/* Nobody is in; what each side says of it. */
static void check_refused(const struct scene *s, enum ikev2_failure_reason initiator,
                          enum ikev2_failure_reason responder)
{
    CHECK_EQUAL(s->pair->side[0].established + s->pair->side[1].established, 0);
    CHECK_EQUAL(s->pair->side[0].failure.reason, initiator);
    CHECK_EQUAL(s->pair->side[1].failure.reason, responder);
    CHECK_EQUAL(ikev2_pair_live_children(s->pair, 0), 0);
    CHECK_EQUAL(ikev2_pair_live_children(s->pair, 1), 0);
}

TEST(equal_ppks_are_used_whoever_requires_them)
{
    for (unsigned i = 0; i < 16; i++) {
        early = i >= 8;
        struct scene *s = scene_new(8784 + i, i / 4 % 2 == 1);

        give(s, 0, i % 2 == 0 ? PREFERS : REQUIRES, "osaka", KEY);
        give(s, 1, i / 2 % 2 == 0 ? PREFERS : REQUIRES, "osaka", KEY);
        run(s);
        check_up(s, true);
        scene_free(s);
    }
}

/* RFC 8784 3, table 1, and what the initiator does: all pairs of sides of which one has none. */
TEST(who_only_prefers_a_ppk_does_without_where_the_other_side_has_none)
{
    for (unsigned i = 0; i < 4; i++) {
        bool certificates = i % 2 == 1;

        early = i >= 2;
        for (unsigned who = 0; who < 2; who++) {
            struct scene *s = scene_new(20 + who, certificates);

            give(s, who, PREFERS, "osaka", KEY);
            run(s);
            check_up(s, false);
            scene_free(s);
            s = scene_new(30 + who, certificates);
            give(s, who, REQUIRES, "osaka", KEY);
            run(s);
            CHECK_EQUAL(s->pair->side[who].failure.reason, IKEV2_FAIL_PPK_MISSING);
            CHECK_TEXT(s->pair->side[who].failure.ours, "osaka");
            CHECK_EQUAL(s->pair->side[0].established + s->pair->side[1].established, 0);
            scene_free(s);
        }
    }
}

/* The responder has PPKs for others, or another one for this peer. */
TEST(a_ppk_that_the_responder_has_not_is_done_without_where_both_sides_can)
{
    static const struct {
        enum has initiator, responder;
        bool up;
    } cases[] = {
        {PREFERS, PREFERS, true},   {PREFERS, HAS_NONE, true},   {PREFERS, REQUIRES, false},
        {REQUIRES, PREFERS, false}, {REQUIRES, HAS_NONE, false}, {REQUIRES, REQUIRES, false},
    };

    for (unsigned i = 0; i < 4 * ARRAY_LENGTH(cases); i++) {
        early = i % 4 >= 2;
        struct scene *s = scene_new(50 + i, i % 2 == 1);
        bool seen = !early || cases[i / 4].initiator == PREFERS;

        give(s, 0, cases[i / 4].initiator, "osaka", KEY);
        give(s, 1, cases[i / 4].responder, "nagoya", KEY);
        s->pair->side[1].responder.ppk = true;
        s->pair->side[1].responder.ppk_early = early;
        run(s);
        if (cases[i / 4].up) {
            check_up(s, false);
        } else {
            check_refused(s, IKEV2_FAIL_PPK_REFUSED, IKEV2_FAIL_PPK_UNKNOWN);
            CHECK_TEXT(s->pair->side[0].failure.ours, "osaka");
            CHECK_TEXT(s->pair->side[1].failure.theirs, "osaka");
            /* Whose it is, is known only when he came as far as IKE_AUTH. */
            CHECK_TEXT(s->pair->side[1].failure.ours,
                       cases[i / 4].responder == HAS_NONE || !seen ? "" : "nagoya");
        }
        scene_free(s);
    }
}

TEST(a_wrong_ppk_of_a_right_name_lets_nobody_in)
{
    early = false;
    for (unsigned i = 0; i < 8; i++) {
        struct scene *s = scene_new(70 + i, i >= 4);

        give(s, 0, i % 2 == 0 ? PREFERS : REQUIRES, "osaka", KEY);
        give(s, 1, i / 2 % 2 == 0 ? PREFERS : REQUIRES, "osaka", "another " KEY);
        run(s);
        check_refused(s, IKEV2_FAIL_PPK_REFUSED, IKEV2_FAIL_PPK_DIFFERS);
        scene_free(s);
    }
}

/* RFC 9867: that it differs is found out before it is used. */
TEST(a_wrong_ppk_in_ike_intermediate_is_done_without_where_both_sides_can)
{
    early = true;
    for (unsigned i = 0; i < 8; i++) {
        struct scene *s = scene_new(170 + i, i >= 4);
        bool first = i % 2 == 1, second = i / 2 % 2 == 1;

        give(s, 0, first ? REQUIRES : PREFERS, "osaka", KEY);
        give(s, 1, second ? REQUIRES : PREFERS, "osaka", "another " KEY);
        run(s);
        if (!first && !second) {
            check_up(s, false);
        } else {
            check_refused(s, IKEV2_FAIL_PPK_REFUSED, IKEV2_FAIL_PPK_DIFFERS);
        }
        scene_free(s);
    }
}

TEST(what_is_to_blame_is_the_shared_key_where_that_can_be_seen)
{
    for (unsigned i = 0; i < 4; i++) {
        early = i == 3;
        struct scene *s = scene_new(80 + i, false);

        /* With NO_PPK_AUTH it can, and where the PPK was shown to be right; else PPK and shared key
         * are one. */
        give(s, 0, i == 1 || i == 3 ? REQUIRES : PREFERS, "osaka", KEY);
        give(s, 1, PREFERS, i == 2 ? "nagoya" : "osaka", KEY);
        CHECK(secret_set(&s->pair->side[0].policy.shared_key, SLICE_TEXT("not the shared key")));
        run(s);
        check_refused(s, IKEV2_FAIL_PPK_REFUSED,
                      i == 1 ? IKEV2_FAIL_PPK_DIFFERS : IKEV2_FAIL_PEER_AUTH);
        scene_free(s);
    }
}

TEST(nobody_learns_by_a_ppk_whether_a_name_is_known)
{
    for (unsigned i = 0; i < 2; i++) {
        early = i == 1;
        struct scene *s = scene_new(90, false);

        give(s, 0, PREFERS, "osaka", KEY);
        s->pair->side[1].responder.ppk = true;
        s->pair->side[1].responder.ppk_early = early;
        s->pair->side[1].answers_nobody = true;
        run(s);
        check_refused(s, IKEV2_FAIL_PPK_REFUSED, IKEV2_FAIL_PEER_UNKNOWN);
        scene_free(s);
    }
}

/* The responder knows it, but from somebody else. */
TEST(a_ppk_of_another_peer_lets_nobody_in)
{
    early = true;
    for (unsigned i = 0; i < 2; i++) {
        struct scene *s = scene_new(95 + i, false);
        const struct ikev2_ppk *known = &s->ppk[1];

        give(s, 0, PREFERS, "osaka", KEY);
        give(s, 1, PREFERS, "osaka", KEY);
        s->pair->side[1].holds_asks = true;
        ikev2_pair_start(s->pair, 0);
        while (ikev2_pair_deliver_to(s->pair, 1) || s->pair->side[1].ask_count > 0 ||
               ikev2_pair_deliver_to(s->pair, 0)) {
            while (s->pair->side[1].ask_count > 0) {
                /* Then it is another, or none. */
                if (s->pair->side[1].asks[0].kind == IKEV2_ASK_PEER) {
                    s->pair->side[1].policy.ppk = i == 0 ? NULL : known;
                    s->ppk[1].key.bytes[0] ^= 1;
                }
                ikev2_pair_answer(s->pair, 1, true);
            }
        }
        check_refused(s, IKEV2_FAIL_PPK_REFUSED, IKEV2_FAIL_PPK_UNKNOWN);
        scene_free(s);
    }
}

/* ---- what is on the wire ---- */

struct seen {
    unsigned use[2], use_early[2], offer[2], identity[2], plain[2];
    size_t identity_bytes[2];
};

static void watch(void *context, unsigned side, const struct ikev2_action *action)
{
    struct seen *seen = context;
    struct reader r;
    uint8_t next;
    struct ikev2_payload payload;

    if (action->kind != IKEV2_TRACE || !action->trace.sent) {
        return;
    }
    r = reader_over(action->trace.payloads);
    next = action->trace.first;
    while (ikev2_read_payload(&r, &next, &payload)) {
        struct ikev2_notify_payload n;

        if (payload.type != IKEV2_NOTIFY || !ikev2_read_notify(payload.body, &n)) {
            continue;
        }
        seen->use[side] += n.type == IKEV2_USE_PPK;
        seen->plain[side] += n.type == IKEV2_NO_PPK_AUTH;
        seen->use_early[side] += n.type == IKEV2_USE_PPK_INT;
        seen->offer[side] += n.type == IKEV2_PPK_IDENTITY_KEY;
        if (n.type == IKEV2_PPK_IDENTITY) {
            seen->identity[side]++;
            seen->identity_bytes[side] = n.data.length;
            CHECK(n.protocol == 0 && n.spi.length == 0);
        }
    }
}

TEST(a_ppk_is_named_once_and_in_both_ways_only_where_one_can_do_without)
{
    early = false;
    for (unsigned i = 0; i < 4; i++) {
        struct scene *s = scene_new(100 + i, i >= 2);
        struct seen seen = {0};
        bool required = i % 2 == 1;

        give(s, 0, required ? REQUIRES : PREFERS, "osaka", KEY);
        give(s, 1, PREFERS, "osaka", KEY);
        s->pair->watch = watch;
        s->pair->context = &seen;
        s->pair->side[1].cookies_wanted = i >= 2;
        run(s);
        CHECK(is_up(s));
        /* Said again with a cookie. */
        CHECK_EQUAL(seen.use[0], i >= 2 ? 2 : 1);
        CHECK_EQUAL(seen.use[1], 1);
        CHECK(seen.identity[0] == 1 && seen.identity_bytes[0] == 1 + strlen("osaka"));
        CHECK(seen.identity[1] == 1 && seen.identity_bytes[1] == 0);
        CHECK_EQUAL(seen.plain[0], required ? 0 : 1);
        CHECK_EQUAL(seen.plain[1], 0);
        scene_free(s);
    }
}

TEST(in_ike_intermediate_a_ppk_is_offered_once_and_named_in_the_answer)
{
    static const char *const suites[] = {
        "aes256gcm16-sha384-x25519",
        "aes256gcm16-sha384-x25519-ke1_mlkem768",
        "aes256gcm16-sha384-x25519-ke1_mlkem768-ke2_ecp384",
    };

    early = true;
    for (unsigned i = 0; i < ARRAY_LENGTH(suites); i++) {
        struct scene *s = scene_new(110 + i, i == 1);
        struct seen seen = {0};

        for (unsigned side = 0; side < 2; side++) {
            ikev2_pair_set_ike(s->pair, side, suites[i]);
            give(s, side, side == 0 ? PREFERS : REQUIRES, "osaka", KEY);
        }
        s->pair->watch = watch;
        s->pair->context = &seen;
        run(s);
        CHECK(is_up(s));
        CHECK(seen.use[0] == 1 && seen.use_early[0] == 1);
        CHECK(seen.use[1] == 0 && seen.use_early[1] == 1);
        CHECK(seen.offer[0] == 1 && seen.offer[1] == 0);
        CHECK(seen.identity[0] == 0 && seen.identity[1] == 1);
        CHECK_EQUAL(seen.identity_bytes[1], 1 + strlen("osaka"));
        CHECK_EQUAL(seen.plain[0] + seen.plain[1], 0);
        /* IKE_SA_INIT, one exchange at least, IKE_AUTH. */
        CHECK_EQUAL(s->pair->side[0].sa->current->request_id, i < 2 ? 3 : 4);
        check_up(s, true);
        scene_free(s);
    }
}

TEST(every_single_loss_is_made_good)
{
    unsigned lost = 0;
    bool more = true;

    early = true;
    while (more) {
        struct scene *s = scene_new(115, false);
        unsigned sent = 0;

        for (unsigned side = 0; side < 2; side++) {
            ikev2_pair_set_ike(s->pair, side,
                               lost % 2 == 0 ? "aes256gcm16-sha384-x25519"
                                             : "aes256gcm16-sha384-x25519-ke1_mlkem768");
            give(s, side, REQUIRES, "osaka", KEY);
        }
        ikev2_pair_start(s->pair, 0);
        while (s->pair->queue_count > 0) {
            if (sent++ == lost / 2) {
                ikev2_pair_drop(s->pair, 0);
            } else {
                ikev2_pair_deliver(s->pair, 0);
            }
        }
        more = sent > lost / 2;
        ikev2_pair_advance(s->pair, 3000);
        check_up(s, true);
        scene_free(s);
        lost++;
    }
    CHECK(lost > 10);
}

TEST(who_has_none_says_nothing_of_it)
{
    struct scene *s = scene_new(110, false);
    struct seen seen = {0};

    s->pair->watch = watch;
    s->pair->context = &seen;
    run(s);
    CHECK(is_up(s));
    CHECK(seen.use[0] + seen.use[1] + seen.identity[0] + seen.identity[1] + seen.plain[0] == 0);
    scene_free(s);
}

/* ---- with the rest ---- */

TEST(a_ppk_goes_in_after_the_last_key_exchange)
{
    for (unsigned i = 0; i < 4; i++) {
        early = i >= 2;
        struct scene *s = scene_new(120 + i, i % 2 == 1);

        for (unsigned side = 0; side < 2; side++) {
            ikev2_pair_set_ike(s->pair, side, "aes256gcm16-sha384-x25519-ke1_mlkem768-ke2_ecp384");
            give(s, side, side == 0 ? PREFERS : REQUIRES, "osaka", KEY);
        }
        run(s);
        check_up(s, true);
        scene_free(s);
    }
}

TEST(every_prf_takes_a_ppk_of_any_length)
{
    static const char *const suites[] = {
        "aes128-aesxcbc-x25519",
        "aes128-sha256-prfaescmac-x25519",
        "aes256gcm16-prfsha512-x25519",
        "aes256-sha384-x25519",
    };
    static const char *const keys[] = {"x", KEY, KEY KEY KEY KEY KEY};

    for (unsigned i = 0; i < ARRAY_LENGTH(suites); i++) {
        for (unsigned k = 0; k < ARRAY_LENGTH(keys); k++) {
            early = (i + k) % 2 == 1;
            struct scene *s = scene_new(130 + i, false);

            for (unsigned side = 0; side < 2; side++) {
                ikev2_pair_set_ike(s->pair, side, suites[i]);
                give(s, side, REQUIRES, "osaka", keys[k]);
            }
            run(s);
            check_up(s, true);
            scene_free(s);
        }
    }
}

TEST(a_ticket_remembers_whether_there_is_a_ppk_and_adds_none)
{
    for (unsigned i = 0; i < 3; i++) {
        early = i == 2;
        struct scene *s = scene_new(140 + i, false);
        struct seen seen = {0};
        enum ikev2_ppk_use use = i == 0   ? IKEV2_PPK_NOWHERE
                                 : i == 1 ? IKEV2_PPK_IN_CHILDREN
                                          : IKEV2_PPK_IN_ALL;

        for (unsigned side = 0; side < 2; side++) {
            struct pair_side *p = &s->pair->side[side];

            give(s, side, i == 0 && side == 1 ? HAS_NONE : PREFERS, "osaka", KEY);
            p->policy.resume_s = 3600;
            ikev2_tickets_init(&p->tickets, (struct slice){NULL, 0}, &p->random, s->pair->now_ms);
            p->responder.tickets = &p->tickets;
            p->fingerprint = 77;
        }
        run(s);
        CHECK(is_up(s));
        ikev2_pair_close(s->pair, 0);
        CHECK(ikev2_pair_run(s->pair));
        s->pair->side[0].resumes = true;
        s->pair->watch = watch;
        s->pair->context = &seen;
        ikev2_pair_start(s->pair, 0);
        CHECK(ikev2_pair_run(s->pair));
        CHECK(s->pair->side[0].established == 2 && s->pair->side[1].established == 2);
        CHECK(ikev2_pair_agrees(s->pair));
        CHECK(uses_ppk(s, 0) == use && uses_ppk(s, 1) == use);
        CHECK_EQUAL(seen.use[0] + seen.use[1] + seen.identity[0] + seen.identity[1], 0);
        CHECK_EQUAL(seen.use_early[0] + seen.use_early[1] + seen.offer[0], 0);
        scene_free(s);
    }
}

/* Somebody between both takes USE_PPK out of the first message: AUTH covers it. */
static bool without_use_ppk(void *context, struct ikev2_pair *pair,
                            const struct pair_datagram *datagram)
{
    static const uint8_t notify[] = {0, 0, 0, 8, 0, 0, 0x40, 0x33};
    static const uint8_t notify_early[] = {0, 0, 0, 8, 0, 0, 0x40, 0x3d};
    uint8_t *bytes = datagram->bytes;

    (void)context;
    (void)pair;
    /* Its type alone is changed: the message stays well formed. */
    for (size_t at = 0; bytes[18] == IKEV2_IKE_SA_INIT && at + 8 <= datagram->length; at++) {
        if (memcmp(bytes + at + 2, notify + 2, 6) == 0 ||
            memcmp(bytes + at + 2, notify_early + 2, 6) == 0) {
            bytes[at + 7] = 0xff;
        }
    }
    return true;
}

TEST(nobody_takes_a_ppk_out_unseen)
{
    for (unsigned i = 0; i < 4; i++) {
        bool certificates = i % 2 == 1;

        early = i >= 2;
        struct scene *s = scene_new(150, certificates);

        give(s, 0, PREFERS, "osaka", KEY);
        give(s, 1, PREFERS, "osaka", KEY);
        s->pair->passes = without_use_ppk;
        run(s);
        CHECK_EQUAL(s->pair->side[0].established + s->pair->side[1].established, 0);
        CHECK_EQUAL(s->pair->side[1].failure.reason,
                    certificates ? IKEV2_FAIL_PEER_SIGNATURE : IKEV2_FAIL_PEER_AUTH);
        scene_free(s);
    }
}

TEST(a_response_without_use_ppk_is_not_the_last_word)
{
    early = false;
    struct scene *s = scene_new(160, false);

    give(s, 0, REQUIRES, "osaka", KEY);
    ikev2_pair_start(s->pair, 0);
    /* The answer of somebody who has none comes first, then that of the peer. */
    struct scene *other = scene_new(161, false);

    CHECK(ikev2_pair_find(s->pair, 1) != SIZE_MAX);
    const struct pair_datagram *request = &s->pair->queue[ikev2_pair_find(s->pair, 1)];

    ikev2_pair_inject(other->pair, 1, &request->local, &request->peer,
                      (struct slice){request->bytes, request->length});
    const struct pair_datagram *forged = &other->pair->queue[ikev2_pair_find(other->pair, 0)];

    ikev2_pair_inject(s->pair, 0, &forged->local, &forged->peer,
                      (struct slice){forged->bytes, forged->length});
    CHECK_EQUAL(s->pair->side[0].failed, 0);
    give(s, 1, REQUIRES, "osaka", KEY);
    CHECK(ikev2_pair_run(s->pair));
    check_up(s, true);
    scene_free(other);
    scene_free(s);
}

/* ---- keys ---- */

/* Computed by a program in Python with its modules hmac and hashlib alone, written after RFC 7296
 * 2.13 and 2.14, RFC 8784 3 and, what is called early, RFC 9867. */
static const struct {
    uint16_t prf;
    const char *sk_d, *sk_pi, *sk_pr;
    const char *early_sk_d, *early_ei, *early_er, *early_sk_pi, *early_sk_pr;
} vectors[] = {
    {PRF_HMAC_SHA2_256, "33941b7994360c0aa2e7f41488a2dcd28a8f1125f776e489c0e3d669069cbdc5",
     "5d2d3af65f2c8dcaf721630949b48a968c1f9d6145d2b7866e2bd848f5fef1e4",
     "c65e3db669f9d91ac7918d19d347c17b2762bc867ed499b982654a4cb7d3c8c8",
     "b485b340c9c4c56f8e88c312c12a89bacf24e62e6a16037dcd487412ec854206",
     "e24e5fa9102c386f3106ac28417dccf82ae457b9685aa315e76acae7f05d2f39020563cf",
     "05cdde7066cfecb6910f750b5f93f7427f7155497b55a5c0ad15d785eebad3148dafd161",
     "515cbff1641843555d1d6ca1b2de32743da29d37e99c83344d6da2bf281429aa",
     "907e2266c04e29bbc78ba52bdbf7eb9f3065dc8d64023a66bfcd13f7623db44f"},
    {PRF_HMAC_SHA2_512,
     "803ee3f79b60ce757f15707e32b4d29e35d81381593db9592b175aa5222ec7e0"
     "85e8d66198432a6d9b805dd99c160e8fe62eb0afa80b9e253845500cef6c5e20",
     "ea50b9c5d10334c56d0dd4fa91a8fe22b52258c388507b0a15717c7408895667"
     "b5627537b48014c4848a724dc16ec7cc0205a9741a8f5d8d69c10d1ecf6579fb",
     "42ae1f8ca99e385f774e27e0fecc21c1414ca7bfb92e24599d07d02b21197df3"
     "a8176fac8a664f4b831a56b4817e9d9b21560a0cb3443e73ffef94f9ebfd3bd4",
     "95f8ec3f919eaf03a1c0f051097207626a126d8f988499a6894038b6d84f0431"
     "55651a274ee05f558dbed976f8c7a10494297447b2bb88d8d7654d47a0365722",
     "cc589fc78d30a0f66ff3bf72899af620acd0247f9a45baad83ac760ef5f59e5eaa853324",
     "7eb56d104030b75e87d98f40e983f87efcadeab5daaf0d638e7bd3a66cb3ab1911463fb8",
     "e2ecc47fb7e0ee44cb3c0e3bfa88710620d2e1e221a699c95fba3ecc57af79a1"
     "d50f8e017a5c36c7d562a6b15ce3255db84cdc60363f5b7ec2f4118e362985cd",
     "87a8236a0f7d332be64f27aa0ff776b495cebe4670541e268067e6fc34234ebf"
     "c755e42b001071b37b44083075f9c3d8787f5ed4f6d865e981cea23b7df73a46"},
};

static void check_key(const struct secret *key, const char *digits)
{
    uint8_t expected[PRF_OUTPUT_BYTES_MAX];
    size_t length;

    CHECK(hex_parse(slice_of_text(digits), expected, sizeof(expected), &length));
    CHECK_EQUAL(key->length, length);
    CHECK_BYTES(key->bytes, expected, length);
}

TEST(keys_are_those_of_the_rfc)
{
    uint8_t nonce_i[32], nonce_r[32], shared[32];

    for (unsigned i = 0; i < 32; i++) {
        nonce_i[i] = (uint8_t)i;
        nonce_r[i] = (uint8_t)(64 + i);
        shared[i] = (uint8_t)(7 * i + 3);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(vectors); i++) {
        const struct suite suite = {.encryption = ENCRYPTION_AES_GCM_16,
                                    .key_bits = 256,
                                    .prf = vectors[i].prf,
                                    .key_exchange = KEY_EXCHANGE_X25519};
        struct ikev2_keys keys = {0}, same = {0}, plain = {0};
        struct secret ppk = {0};

        CHECK(secret_set(&ppk, slice_of_text(KEY)));
        CHECK(ikev2_keys_derive(&suite, SLICE_OF(shared), SLICE_OF(nonce_i), SLICE_OF(nonce_r),
                                0x0102030405060708, 0x1112131415161718, &keys));
        CHECK(ikev2_keys_derive(&suite, SLICE_OF(shared), SLICE_OF(nonce_i), SLICE_OF(nonce_r),
                                0x0102030405060708, 0x1112131415161718, &same));
        CHECK(ikev2_keys_mix_ppk(&keys, &ppk, &plain));
        check_key(&keys.sk_d, vectors[i].sk_d);
        check_key(&keys.sk_pi, vectors[i].sk_pi);
        check_key(&keys.sk_pr, vectors[i].sk_pr);
        /* What protects messages stays. */
        CHECK(secret_equal(&keys.protect_i, &same.protect_i));
        CHECK(secret_equal(&keys.protect_r, &same.protect_r));
        CHECK(plain.protect_i.length == 0 && plain.protect_r.length == 0);
        ikev2_keys_unmix_ppk(&keys, &plain);
        CHECK(secret_equal(&keys.sk_d, &same.sk_d) && secret_equal(&keys.sk_pi, &same.sk_pi) &&
              secret_equal(&keys.sk_pr, &same.sk_pr));
        CHECK_EQUAL(plain.sk_d.length, 0);
        struct ikev2_keys anew = {0};

        CHECK(ikev2_keys_apply_ppk(&same, &ppk, SLICE_OF(nonce_i), SLICE_OF(nonce_r),
                                   0x0102030405060708, 0x1112131415161718, &anew));
        check_key(&anew.sk_d, vectors[i].early_sk_d);
        check_key(&anew.protect_i, vectors[i].early_ei);
        check_key(&anew.protect_r, vectors[i].early_er);
        check_key(&anew.sk_pi, vectors[i].early_sk_pi);
        check_key(&anew.sk_pr, vectors[i].early_sk_pr);
        ikev2_keys_fini(&anew);
        secret_wipe(&ppk);
        CHECK(
            !ikev2_keys_apply_ppk(&same, &ppk, SLICE_OF(nonce_i), SLICE_OF(nonce_r), 1, 2, &anew));
        CHECK(!ikev2_keys_mix_ppk(&keys, &ppk, &plain));
        ikev2_keys_fini(&keys);
        ikev2_keys_fini(&same);
    }
}
