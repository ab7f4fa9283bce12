/* What passes beside all tunnels, and what never does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/testbed.h"
#include "tests/support/test.h"

TEST(policies_keep_their_order_and_read_as_the_same)
{
    static const char lines[] = "bypass  udp from any to 192.0.2.0/24 192.0.2.1-192.0.2.9 port 53\n"
                                "discard from 10.1.0.0/16 to 2001:db8::/32 10.2.0.0/16\n"
                                "bypass  icmp from any to any icmp type 3 code 4\n"
                                "discard tcp from 10.1.0.1 port 1000-2000 to any port 25\n"
                                "bypass  ospf from any to any\n";
    char text[600];

    snprintf(text, sizeof(text), GATEWAY "%sicmp-errors selectors\nguard on\n", lines);
    struct config *c = testbed_good(text);
    CHECK_EQUAL(c->policy_count, 5);
    const struct config_policy *dns = &c->policies[0];
    CHECK(dns->verdict == CONFIG_BYPASS && dns->protocol == 17);
    CHECK(dns->local_count == 0 && dns->remote_count == 2);
    CHECK(dns->local_port_first == 0 && dns->local_port_last == 65535);
    CHECK(dns->remote_port_first == 53 && dns->remote_port_last == 53);
    CHECK_EQUAL(dns->remote[0].last.bytes[3], 255);
    CHECK_EQUAL(dns->remote[1].first.bytes[3], 1);
    CHECK_EQUAL(dns->remote[1].last.bytes[3], 9);
    CHECK(c->policies[1].verdict == CONFIG_DISCARD && c->policies[1].protocol == 0);
    CHECK(c->policies[2].has_icmp_type && c->policies[2].icmp_type == 3);
    CHECK(c->policies[2].has_icmp_code && c->policies[2].icmp_code == 4);
    CHECK(c->policies[3].local_port_first == 1000 && c->policies[3].local_port_last == 2000);
    CHECK_EQUAL(c->policies[4].protocol, 89);
    CHECK(c->icmp_errors == CONFIG_ICMP_SELECTORS && c->guard == CONFIG_GUARD_ON);
    for (int all = 0; all < 2; all++) {
        char *shown = config_show(c, all == 1);
        struct config *again = testbed_good(shown);
        CHECK(again->hash == c->hash);
        CHECK_EQUAL(again->policy_count, 5);
        config_free(again);
        free(shown);
    }
    config_free(c);
}

TEST(ports_behind_the_protocol_are_those_of_the_other_side)
{
    struct config *a = testbed_good(GATEWAY "bypass udp 53 from any to any\n");
    struct config *b = testbed_good(GATEWAY "bypass udp from any to any port 53\n");

    CHECK(a->hash == b->hash);
    config_free(a);
    config_free(b);
}

TEST(order_and_verdict_of_policies_count)
{
    static const char *const texts[] = {
        GATEWAY "bypass tcp from any to any\ndiscard udp from any to any\n",
        GATEWAY "discard udp from any to any\nbypass tcp from any to any\n",
        GATEWAY "discard tcp from any to any\ndiscard udp from any to any\n",
        GATEWAY "bypass tcp from any to any\n",
        GATEWAY "guard off\n",
        GATEWAY "guard on\n",
        GATEWAY "icmp-errors selectors\n",
        GATEWAY "offload tun\n",
        GATEWAY "offload udp\n",
        GATEWAY "offload off\n",
        GATEWAY,
    };
    uint64_t hashes[ARRAY_LENGTH(texts)];

    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        struct config *c = testbed_good(texts[i]);
        hashes[i] = c->hash;
        for (size_t j = 0; j < i; j++) {
            CHECK(hashes[j] != hashes[i]);
        }
        config_free(c);
    }
}

static const struct {
    const char *statement;
    const char *column;
    const char *told;
} mistakes[] = {
    {"bypass from any to", "3:1", "'bypass' needs"},
    {"bypass from any to any any", "3:20", "'any' stands alone, without networks"},
    {"bypass any from any to any", "3:8", "any is not a protocol"},
    {"bypass tcp any to any", "3:12", "any is neither a port nor a range of ports"},
    {"bypass tcp 25 any to any", "3:15", "here the word 'from' belongs"},
    {"bypass icmp 8 from any to any", "3:13", "ports belong to a protocol that has them"},
    {"bypass tcp from to 10.1.0.0/16", "3:17", "networks or 'any' belong here"},
    {"bypass tcp from any port 53", "3:26", "here the word 'to' belongs"},
    {"bypass tcp from any and any", "3:17", "'any' stands alone"},
    {"bypass from any port 53 to any", "3:22", "ports belong to a protocol that has them"},
    {"bypass tcp from any to any port", "3:28", "'port' needs its value behind it"},
    {"bypass tcp 25 from any to any port 26", "3:31",
     "the ports stand behind the protocol already"},
    {"bypass tcp from any to any port 26 27", "3:36", "here nothing more belongs"},
    {"bypass tcp from 10.1.0.0/8 to any", "3:17", "did you mean 10.0.0.0/8 ?"},
    {"bypass tcp from 10.1.0.9-10.1.0.1 to any", "3:17", "its end lies before its beginning"},
    {"bypass tcp from 10.1.0.9-::1 to any", "3:17", "such as 10.2.0.1-10.2.0.9"},
    {"bypass tcp from 10.1.0.0/16 to ::/0", "3:1", "no packet has an IPv4 and an IPv6 address"},
    {"bypass icmp from ::/0 to any", "3:1", "did you mean icmpv6 ?"},
    {"bypass icmpv6 from any to 10.0.0.0/8", "3:1", "did you mean icmp ?"},
    {"bypass tcp from any to any icmp type 8", "3:28", "a type belongs to the protocol icmp"},
    {"bypass icmp from any to any icmp", "3:29", "here the word 'type' belongs"},
    {"bypass icmp from any to any icmp type", "3:34", "'type' needs its value behind it"},
    {"bypass icmp from any to any icmp type 256", "3:39", "from 0 to 255"},
    {"bypass icmp from any to any icmp type 3 code x", "3:46", "x is not a number"},
    {"drop tcp from any to any", "3:1", "did you mean 'discard' ?"},
    {"bypass tcp from any to any { }", "3:28", "'bypass' has no block"},
    {"guard yes", "3:7", "one of: auto on off"},
    {"offload on", "3:9", "one of: all tun udp off"},
    {"icmp-errors realy", "3:13", "did you mean 'relay' ?"},
};

TEST(mistakes_in_policies_are_told_at_their_places)
{
    for (size_t i = 0; i < ARRAY_LENGTH(mistakes); i++) {
        char text[400];
        char place[40];
        snprintf(text, sizeof(text), GATEWAY "%s\n", mistakes[i].statement);
        snprintf(place, sizeof(place), "c.conf:%s: error: ", mistakes[i].column);
        char *words = testbed_words(text);
        bool good = strstr(words, place) != NULL && strstr(words, mistakes[i].told) != NULL &&
                    strstr(words, "1 error,") != NULL;
        if (!good) {
            print_message("%s\n%s", mistakes[i].statement, words);
        }
        CHECK(good);
        free(words);
    }
}

TEST(a_policy_for_everything_is_warned_about)
{
    char *words = testbed_words(GATEWAY "discard from any to any\n");

    CHECK(strstr(words, "no tunnel carries anything") != NULL);
    CHECK(strstr(words, "0 errors, 1 warning") != NULL);
    free(words);
}
