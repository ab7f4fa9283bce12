/* The words about TCP: what they mean, what they refuse, and how they are shown. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/testbed.h"
#include "tests/support/test.h"

static struct config *with(const char *gateway, const char *site)
{
    char text[512];

    snprintf(text, sizeof(text), GATEWAY "%s\n" SITE("a", "10.2.0.0/16", "%s"), gateway, site);
    return testbed_good(text);
}

static void check_shown(struct config *c, bool all, const char *line, bool there)
{
    char *text = config_show(c, all);

    CHECK((strstr(text, line) != NULL) == there);
    free(text);
}

TEST(nobody_listens_and_nobody_is_called_unless_it_is_said)
{
    struct config *c = with("", "");

    CHECK_EQUAL(c->tcp_port_count, 0);
    CHECK(c->sites[0].transport == TRANSPORT_UDP && c->sites[0].tcp_port == 4500);
    check_shown(c, false, "tcp-port", false);
    check_shown(c, false, "transport", false);
    check_shown(c, true, "off", true);
    config_free(c);
}

TEST(what_is_said_is_meant_and_shown)
{
    static const struct {
        const char *words, *shown;
        enum config_transport transport;
        uint16_t port;
    } cases[] = {
        {"transport tcp", " tcp\n", TRANSPORT_TCP, 4500},
        {"transport auto", " auto\n", TRANSPORT_AUTO, 4500},
        {"transport auto 443", " auto 443\n", TRANSPORT_AUTO, 443},
        {"transport tcp 65535", " tcp 65535\n", TRANSPORT_TCP, 65535},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct config *c = with("tcp-port 4500 443 8080 1", cases[i].words);

        CHECK_EQUAL(c->tcp_port_count, 4);
        CHECK(c->tcp_ports[0] == 4500 && c->tcp_ports[3] == 1);
        CHECK(c->sites[0].transport == cases[i].transport);
        CHECK_EQUAL(c->sites[0].tcp_port, cases[i].port);
        check_shown(c, false, cases[i].shown, true);
        check_shown(c, false, "4500 443 8080 1\n", true);
        config_free(c);
    }
}

TEST(off_is_no_port)
{
    struct config *c = with("tcp-port off", "transport udp");

    CHECK_EQUAL(c->tcp_port_count, 0);
    CHECK(c->sites[0].transport == TRANSPORT_UDP);
    config_free(c);
}

TEST(what_cannot_be_is_told_at_its_word)
{
    static const struct {
        const char *gateway, *site, *words;
    } cases[] = {
        {"tcp-port 0", "", "from 1 to 65535"},
        {"tcp-port 4500 4500", "", "said twice"},
        {"tcp-port off 4500", "", "'off' stands alone"},
        {"tcp-port 1 2 3 4 5", "", "tcp-port"},
        {"", "transport tls", "is expected here"},
        {"", "transport udp 500", "only"},
        {"", "transport tcp 70000", "from 1 to 65535"},
        {"", "transport auto; ah sha256", "AH cannot"},
        {"", "transport tcp; mode transport", "goes there"},
        {"", "transport tcp; encapsulate never", "forbids"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char text[512];

        snprintf(text, sizeof(text), GATEWAY "%s\n" SITE("a", "10.2.0.0/16", "%s"),
                 cases[i].gateway, cases[i].site);
        char *said = testbed_words(text);

        CHECK(strstr(said, cases[i].words) != NULL);
        free(said);
    }
}

TEST(who_only_waits_calls_by_nothing)
{
    char *said = testbed_words(GATEWAY "site a {\n peer any\n identity x\n network 10.2.0.0/16\n"
                                       " key @a\n transport tcp\n}\n");

    CHECK(strstr(said, "never called") != NULL);
    free(said);
}
