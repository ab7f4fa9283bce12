/* Whatever stands in the file: no crash, no hang, and an answer that can be shown. */
#include <stdlib.h>
#include <string.h>

#include "config/testbed.h"
#include "tests/support/test.h"

static const char *const seeds[] = {
    GATEWAY SITE("osaka", "10.2.0.0/16", "dpd 10s"),
    /* more words */
    ("gateway g.example\nlan 10.0.0.0/8 2001:db8::/32\nlisten 203.0.113.1\nport 500 nat 4500\n"
     "set n 10.1.0.0/16\nsite a { peer any; identity any; network $n 172.16.0.0/12; key @a; only "
     "tcp "
     "25-30; legacy 3des sha1 modp1024\n esp 3des-sha1; lifetime ike 4h child 1h bytes 1GiB "
     "packets "
     "1000 }\n"),
    "gateway g\nlan 10.0.0.0/8\nbypass udp 53 from 10.0.0.1-10.0.0.9 to any\ndiscard icmp from any "
    "to "
    "10.2.0.0/16 icmp type 8 code 0\nicmp-errors selectors\nguard off\nmanual m {\nlegacy "
    "static-keys "
    "des\nouter 203.0.113.1 198.51.100.9\ninner 10.1.0.0/16 to 10.4.0.0/16 10.5.0.0/16\n"
    "esp out spi 0x1001 cipher des @a auth sha256 @b; esp in spi 4098 cipher des @c auth sha256 "
    "@d\n"
    "ah out spi 0x2001 auth sha256 @e; ah in spi 0x2002 auth sha256 @f\nmtu 1400 }\n"
    "site t { peer 192.0.2.1; key @t; mode transport; only tcp 25; ah sha256; compress on }\n",
    "gateway g\nlan 10.0.0.0/8\nsite a { peer a; network 172.16.0.0/16; key @a; df copy; fragment "
    "after; "
    "dscp clear; tfc pad mtu dummy 10s; each host; per-worker-sas off; mtu-probe off }\n"
    "site b { peer b; network 172.17.0.0/16; key @b; iptfs rate 10Mb/s size 1400 "
    "congestion-control }\n",
    "# a\n\"x y\" { { { ; } } }\nsite \"b\" {\n  say \"C=JP\\\\ \\\"x\\\"\" # c\n}\ninclude x*\n",
    "gateway 2001:db8::1;lan ::/0\nsite b{peer [2001:db8::2] port 4500;network 2001:db8:2::/48 "
    "0.0.0.0/0;key @b;ike aes128-sha256-x25519;mss off;mtu 1400;fragmentation off;disabled}",
};

/* xorshift: the same garbage in every run. */
static uint32_t random_state = 2463534242;
static uint32_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state;
}

/* All that can be done with a text; whether it was good. */
static bool use(struct testbed *t, struct slice text)
{
    struct config_result *r = testbed_read_slice(t, text);
    char *words = config_diagnostics_text(r);
    bool good = r->config != NULL;

    CHECK(words != NULL && words[0] != '\0');
    CHECK(good == (r->error_count == 0));
    for (size_t i = 1; i < r->diagnostic_count; i++) {
        CHECK(place_compare(&r->diagnostics[i - 1].place, &r->diagnostics[i].place) <= 0);
    }
    for (const char *c = words; *c != '\0'; c++) {
        CHECK((uint8_t)*c >= 0x20 || *c == '\n');
    }
    free(words);
    if (good) {
        char *all = config_show(r->config, true);
        struct testbed *other = malloc(sizeof(*other));
        testbed_init(other);
        struct config_result *again = testbed_read(other, all);
        CHECK(again->config != NULL && again->config->hash == r->config->hash);
        config_result_free(again);
        free(other);
        free(all);
    }
    config_result_free(r);
    char *formatted = config_format(text);
    if (formatted != NULL) {
        char *again = config_format(slice_of_text(formatted));
        CHECK(again != NULL);
        CHECK_TEXT(again, formatted);
        free(again);
    }
    free(formatted);
    return good;
}

static void use_copy(struct testbed *t, const uint8_t *bytes, size_t length)
{
    /* An exact copy, so that reading past the end is seen. */
    uint8_t *copy = malloc(length == 0 ? 1 : length);

    memcpy(copy, bytes, length);
    (void)use(t, (struct slice){copy, length});
    free(copy);
}

TEST(every_truncation_of_a_good_configuration_gets_an_answer)
{
    struct testbed *t = malloc(sizeof(*t));

    testbed_init(t);
    for (size_t s = 0; s < ARRAY_LENGTH(seeds); s++) {
        for (size_t length = 0; length <= strlen(seeds[s]); length++) {
            use_copy(t, (const uint8_t *)seeds[s], length);
        }
    }
    free(t);
}

TEST(a_configuration_that_ends_inside_a_block_is_never_good)
{
    struct testbed *t = malloc(sizeof(*t));
    size_t block = strlen(GATEWAY) + 2;

    testbed_init(t);
    for (size_t length = block; length < strlen(seeds[0]) - 2; length++) {
        CHECK(!use(t, (struct slice){(const uint8_t *)seeds[0], length}));
    }
    CHECK(use(t, slice_of_text(seeds[0])));
    CHECK(use(t, slice_of_text(seeds[1])));
    CHECK(use(t, slice_of_text(seeds[2])));
    CHECK(use(t, slice_of_text(seeds[3])));
    CHECK(use(t, slice_of_text(seeds[5])));
    free(t);
}

TEST(mutations_get_an_answer)
{
    static const char splices[] = "{};\"\\#$@-/:.\n\r\t \x00\xff\xc3\x28\xe2\x80\xae 0123";
    struct testbed *t = malloc(sizeof(*t));
    uint8_t text[2048];

    testbed_init(t);
    for (int round = 0; round < 6000; round++) {
        const char *seed = seeds[next_random() % ARRAY_LENGTH(seeds)];
        size_t length = strlen(seed);
        memcpy(text, seed, length);
        for (uint32_t edits = 1 + next_random() % 6; edits > 0 && length > 8; edits--) {
            size_t at = next_random() % length;
            uint8_t c = (uint8_t)splices[next_random() % (sizeof(splices) - 1)];
            size_t other = next_random() % length;
            size_t run = next_random() % 24;
            switch (next_random() % 4) {
            case 0:
                text[at] = c;
                break;
            case 1:
                text[at] = (uint8_t)next_random();
                break;
            case 2:
                memmove(text + at, text + at + 1, length - at - 1);
                length--;
                break;
            default:
                run = run < length - at ? run : length - at;
                run = run < length - other ? run : length - other;
                memmove(text + at, text + other, run);
                break;
            }
        }
        use_copy(t, text, length);
    }
    free(t);
}

TEST(pure_garbage_gets_an_answer)
{
    struct testbed *t = malloc(sizeof(*t));
    uint8_t text[600];

    testbed_init(t);
    for (int round = 0; round < 1500; round++) {
        size_t length = next_random() % sizeof(text);
        for (size_t i = 0; i < length; i++) {
            text[i] = (uint8_t)(round % 2 == 0 ? next_random() : 32 + next_random() % 95);
        }
        use_copy(t, text, length);
    }
    free(t);
}

TEST(a_large_file_of_nonsense_is_given_up)
{
    struct testbed *t = malloc(sizeof(*t));
    size_t length = 4000000;
    uint8_t *text = malloc(length);

    testbed_init(t);
    for (size_t i = 0; i < length; i++) {
        text[i] = i % 2 == 0 ? 'a' : '\n';
    }
    struct config_result *r = testbed_read_slice(t, (struct slice){text, length});
    CHECK_EQUAL(r->error_count, ERRORS_MAX + 2);
    CHECK_EQUAL(r->diagnostic_count, DIAGNOSTICS_MAX);
    config_result_free(r);
    free(text);
    free(t);
}

TEST(braces_without_end_neither_recurse_nor_hang)
{
    struct testbed *t = malloc(sizeof(*t));
    size_t length = 2000000;
    uint8_t *text = malloc(length);

    testbed_init(t);
    for (size_t i = 0; i < length; i++) {
        text[i] = i % 2 == 0 ? 'a' : '{';
    }
    (void)use(t, (struct slice){text, length});
    memset(text, '}', length);
    (void)use(t, (struct slice){text, length});
    memset(text, 'x', length);
    (void)use(t, (struct slice){text, length});
    memset(text, '"', length);
    (void)use(t, (struct slice){text, length});
    free(text);
    free(t);
}
