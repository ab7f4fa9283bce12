/* Settings of clients: asked for and pushed, what is given and taken of them, and what waits. */
#include "proto/ikev1/machine.h"
#include "tests/support/ikev1_pair.h"
#include "tests/support/test.h"

/* Side 0 is the client, side 1 the gateway. */
static struct ikev1_pair *settings_pair(uint64_t seed, bool login, enum ikev1_settings_way client,
                                        enum ikev1_settings_way gateway)
{
    struct ikev1_pair *p = ikev1_pair_new(seed);
    struct ikev1_settings *give = &p->side[1].settings;

    p->side[0].policy.settings = client;
    p->side[1].policy.settings = gateway;
    if (login) {
        p->side[0].policy.login = IKEV1_LOGIN_ANSWER;
        p->side[1].policy.login = IKEV1_LOGIN_ASK;
        p->side[1].responder.login_shared_keys = true;
    }
    give->ipv4 = address_ipv4(0x0a090107u); /* 10.9.1.7 */
    give->ipv4_netmask = address_ipv4(0xffffff00u);
    give->ipv6 = address_ipv6_bytes((const uint8_t[16]){0x20, 0x01, 0x0d, 0xb8, [15] = 7});
    give->dns_count = 3;
    give->dns[0] = address_ipv4(0x0a010035u);
    give->dns[1] = address_ipv6_bytes((const uint8_t[16]){0x20, 0x01, 0x0d, 0xb8, [15] = 53});
    give->dns[2] = address_ipv4(0x0a020035u);
    give->wins_count = 1;
    give->wins[0] = address_ipv4(0x0a010036u);
    give->lifetime_s = 86400;
    give->save_password = true;
    give->pfs_group = 14;
    CHECK(text_copy(give->domain, sizeof(give->domain), SLICE_TEXT("corp.example")));
    CHECK(text_copy(give->split_dns, sizeof(give->split_dns),
                    SLICE_TEXT("corp.example,lab.example")));
    CHECK(text_copy(give->banner, sizeof(give->banner), SLICE_TEXT("Welcome\nto \x1b[1mus\n")));
    give->include_count = 2;
    give->include[0] = (struct network){address_ipv4(0x0a010000u), 16};
    give->include[1] = (struct network){address_ipv4(0xc0a80000u), 24};
    give->exclude_count = 1;
    give->exclude[0] = (struct network){address_ipv4(0x0a018000u), 20};
    return p;
}

static void check_told(const struct ikev1_settings *told, bool unity)
{
    const struct network first = {address_ipv4(0x0a010000u), 16};

    CHECK(address_equal(&told->ipv4, &(struct address){4, {10, 9, 1, 7}}));
    CHECK(address_equal(&told->ipv4_netmask, &(struct address){4, {255, 255, 255, 0}}));
    CHECK(told->ipv6.family == FAMILY_IPV6 && told->ipv6.bytes[15] == 7);
    CHECK_EQUAL(told->dns_count, 3);
    CHECK(address_equal(&told->dns[0], &(struct address){4, {10, 1, 0, 53}}));
    CHECK(address_equal(&told->dns[1], &(struct address){4, {10, 2, 0, 53}}));
    CHECK(told->dns[2].family == FAMILY_IPV6 && told->dns[2].bytes[15] == 53);
    CHECK_EQUAL(told->wins_count, 1);
    CHECK_EQUAL(told->lifetime_s, 86400);
    CHECK_EQUAL(told->include_count, 2);
    CHECK(address_equal(&told->include[0].address, &first.address));
    CHECK_EQUAL(told->include[0].prefix_bits, 16);
    CHECK_EQUAL(told->include[1].prefix_bits, 24);
    CHECK_TEXT(told->domain, unity ? "corp.example" : "");
    CHECK_TEXT(told->split_dns, unity ? "corp.example,lab.example" : "");
    CHECK_TEXT(told->banner, unity ? "Welcome\nto \\x1b[1mus\n" : "");
    CHECK_EQUAL(told->save_password, unity);
    CHECK_EQUAL(told->pfs_group, unity ? 14 : 0);
    CHECK_EQUAL(told->exclude_count, unity ? 1 : 0);
}

#define LOGIN                                                                                      \
    "1 HDR*, HASH, ATTR(REQUEST)\n"                                                                \
    "0 HDR*, HASH, ATTR(REPLY)\n"                                                                  \
    "1 HDR*, HASH, ATTR(SET)\n"                                                                    \
    "0 HDR*, HASH, ATTR(ACK)\n"
#define QUICK                                                                                      \
    "0 HDR*, HASH, SA, Nonce, ID, ID\n"                                                            \
    "1 HDR*, HASH, SA, Nonce, ID, ID\n"                                                            \
    "0 HDR*, HASH\n"

static const char *behind_phase1(const struct ikev1_pair *p)
{
    const char *last = strstr(p->transcript, "1 HDR*, ID, HASH\n");

    CHECK(last != NULL);
    return last + strlen("1 HDR*, ID, HASH\n");
}

TEST(a_client_asks_for_settings_before_anything_else)
{
    struct ikev1_pair *p = settings_pair(1, true, IKEV1_SETTINGS_ASK, IKEV1_SETTINGS_GIVE);

    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK_TEXT(behind_phase1(p), LOGIN "0 HDR*, HASH, ATTR(REQUEST)\n"
                                       "1 HDR*, HASH, ATTR(REPLY)\n" QUICK);
    CHECK_EQUAL(p->side[1].settings_asked, 1);
    CHECK(!p->side[1].settings_question.pushed);
    CHECK((p->side[1].settings_question.wanted & IKEV1_SETTING_IPV4) != 0);
    CHECK((p->side[1].settings_question.wanted & IKEV1_SETTING_BANNER) != 0);
    CHECK_EQUAL(p->side[1].settings_question.ipv4.family, FAMILY_NONE);
    CHECK_EQUAL(p->side[0].settings_told, 1);
    check_told(&p->side[0].told, true);
    CHECK(ikev1_pair_agrees(p) && ikev1_pair_packet(p, 0, "net"));
    ikev1_pair_free(p);
}

TEST(a_client_may_say_which_address_he_would_like)
{
    struct ikev1_pair *p = settings_pair(2, true, IKEV1_SETTINGS_ASK, IKEV1_SETTINGS_GIVE);

    p->side[0].policy.wish_ipv4 = address_ipv4(0x0a090909u);
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK(address_equal(&p->side[1].settings_question.ipv4, &p->side[0].policy.wish_ipv4));
    CHECK_EQUAL(p->side[1].settings_question.ipv6.family, FAMILY_NONE);
    ikev1_pair_free(p);
}

TEST(a_gateway_pushes_settings_and_the_client_takes_them)
{
    struct ikev1_pair *p = settings_pair(3, true, IKEV1_SETTINGS_TAKE, IKEV1_SETTINGS_PUSH);

    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK(p->side[1].settings_question.pushed);
    CHECK(strstr(p->transcript, "1 HDR*, HASH, ATTR(SET)\n0 HDR*, HASH, ATTR(ACK)\n" QUICK) !=
          NULL);
    CHECK_EQUAL(p->side[0].settings_told, 1);
    check_told(&p->side[0].told, true);
    CHECK(ikev1_pair_agrees(p) && ikev1_pair_packet(p, 0, "net"));
    ikev1_pair_free(p);
}

/* Settings without a login: both sides have certificates or a key of their own. */
TEST(settings_need_no_login)
{
    for (unsigned push = 0; push < 2; push++) {
        struct ikev1_pair *p =
            settings_pair(4 + push, false, push == 1 ? IKEV1_SETTINGS_TAKE : IKEV1_SETTINGS_ASK,
                          push == 1 ? IKEV1_SETTINGS_PUSH : IKEV1_SETTINGS_GIVE);

        ikev1_pair_start(p, 0);
        CHECK(ikev1_pair_run(p));
        CHECK_EQUAL(p->side[0].settings_told, 1);
        CHECK(address_equal(&p->side[0].told.ipv4, &p->side[1].settings.ipv4));
        CHECK(ikev1_pair_agrees(p) && ikev1_pair_packet(p, 0, "net"));
        ikev1_pair_free(p);
    }
}

/* Who asks first is answered, and nothing is pushed then. */
TEST(a_client_that_asks_a_gateway_that_pushes_gets_one_answer)
{
    struct ikev1_pair *p = settings_pair(6, true, IKEV1_SETTINGS_ASK, IKEV1_SETTINGS_PUSH);

    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    ikev1_pair_advance(p, 60000);
    CHECK(p->side[0].settings_told >= 1);
    CHECK_EQUAL(p->side[0].closed + p->side[1].closed, 0);
    CHECK(ikev1_pair_agrees(p) && ikev1_pair_packet(p, 0, "net"));
    ikev1_pair_free(p);
}

TEST(what_is_not_there_is_not_in_the_answer)
{
    struct ikev1_pair *p = settings_pair(7, true, IKEV1_SETTINGS_ASK, IKEV1_SETTINGS_GIVE);

    p->side[1].settings = (struct ikev1_settings){.ipv4 = address_ipv4(0x0a090108u)};
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK_EQUAL(p->side[0].settings_told, 1);
    CHECK(address_equal(&p->side[0].told.ipv4, &p->side[1].settings.ipv4));
    CHECK_EQUAL(p->side[0].told.ipv4_netmask.family, FAMILY_NONE);
    CHECK_EQUAL(p->side[0].told.ipv6.family, FAMILY_NONE);
    CHECK_EQUAL(p->side[0].told.dns_count + p->side[0].told.include_count, 0);
    CHECK_EQUAL(p->side[0].told.lifetime_s, 0);
    CHECK_TEXT(p->side[0].told.banner, "");
    ikev1_pair_free(p);
}

TEST(a_client_without_an_address_goes)
{
    for (unsigned i = 0; i < 2; i++) {
        struct ikev1_pair *p = settings_pair(8 + i, true, IKEV1_SETTINGS_ASK, IKEV1_SETTINGS_GIVE);

        p->side[1].settings.ipv4 = (struct address){0};
        p->side[1].settings.ipv6 = (struct address){0};
        p->side[1].no_settings = i == 1;
        ikev1_pair_start(p, 0);
        CHECK(ikev1_pair_run(p));
        CHECK_EQUAL(p->side[0].failure.reason, IKEV1_FAIL_SETTINGS);
        CHECK_EQUAL(p->side[0].closed + p->side[1].closed, 2);
        CHECK_EQUAL(p->side[0].child_count + p->side[1].child_count, 0);
        CHECK(ikev1_pair_is_empty(p, 0) && ikev1_pair_is_empty(p, 1));
        ikev1_pair_free(p);
    }
}

/* Nothing of ours begins before the settings are here; then not at all. */
TEST(settings_that_do_not_come_end_it)
{
    for (unsigned push = 0; push < 2; push++) {
        struct ikev1_pair *p =
            settings_pair(10 + push, true, push == 1 ? IKEV1_SETTINGS_TAKE : IKEV1_SETTINGS_ASK,
                          IKEV1_SETTINGS_GIVE);

        ikev1_pair_start(p, 0);
        while (p->side[0].established == 0) {
            ikev1_pair_deliver(p, 0);
        }
        p->side[1].silent = true;
        ikev1_pair_advance(p, IKEV1_SETTINGS_MS - 5000);
        CHECK_EQUAL(p->side[0].child_count, 0);
        ikev1_pair_advance(p, 10000);
        CHECK(p->side[0].failure.reason == IKEV1_FAIL_SETTINGS ||
              p->side[1].failure.reason == IKEV1_FAIL_SETTINGS);
        CHECK(ikev1_pair_is_empty(p, 0) && ikev1_pair_is_empty(p, 1));
        ikev1_pair_free(p);
    }
}
