/* What people are told: texts written by hand, to the letter. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/testbed.h"
#include "tests/support/test.h"

#define UNTOUCHED " Nothing was changed; the running configuration is untouched.\n"

static void check_words(const char *text, const char *expected)
{
    char *words = testbed_words(text);

    CHECK_TEXT(words, expected);
    free(words);
}

TEST(a_good_configuration_is_counted)
{
    check_words(GATEWAY SITE("a", "10.2.0.0/16", ""), "1 file, 0 errors, 0 warnings.\n");
}

TEST(all_mistakes_are_told_in_the_order_of_their_places)
{
    check_words(
        "gateway tokyo.example.jp\n"
        "lan 10.1.0.0/16\n"
        "site osaka {\n"
        "  peer    osaka.example.jp\n"
        "  netwrok 10.3.0.0/16\n"
        "  network 10.2.0.0/61\n"
        "  key     @osaka\n"
        "  esp     des-sha256\n"
        "}\n",
        "c.conf:5:3: error: unknown word 'netwrok' in site\n"
        "    5 |   netwrok 10.3.0.0/16\n"
        "      |   ^^^^^^^  did you mean 'network' ?\n"
        "c.conf:6:11: error: 10.2.0.0/61 is not a network: an IPv4 prefix length is at most 32\n"
        "    6 |   network 10.2.0.0/61\n"
        "      |           ^^^^^^^^^^^  did you mean 10.2.0.0/16 ?\n"
        "c.conf:8:11: error: des needs the word 'legacy'\n"
        "    8 |   esp     des-sha256\n"
        "      |           ^^^  DES keys of 56 bits can be searched in a day by anyone. If the "
        "peer has nothing better, write: legacy des\n"
        "1 file, 3 errors, 0 warnings." UNTOUCHED);
}

TEST(what_is_missing_is_named_with_the_words_that_mend_it)
{
    check_words("site a {\n}\n",
                "c.conf:1:1: error: the word 'gateway' is missing\n"
                "      | write your name, such as: gateway tokyo.example.jp\n"
                "c.conf:1:6: error: site a has no peer\n"
                "    1 | site a {\n"
                "      |      ^  say whom to dial: peer HOST, or who may call: peer any\n"
                "c.conf:1:6: error: site a has no network\n"
                "    1 | site a {\n"
                "      |      ^  say what is behind it, such as: network 10.2.0.0/16\n"
                "c.conf:1:6: error: there is no lan that site a could reach\n"
                "    1 | site a {\n"
                "      |      ^  say what is behind us, such as: lan 10.1.0.0/16\n"
                "1 file, 4 errors, 0 warnings." UNTOUCHED);
}

TEST(a_key_that_stands_in_the_file_is_never_repeated)
{
    static const char *const lines[] = {"key hunter2",     "key \"@hunter2\"", "psk hunter2",
                                        "kye \"hunter2\"", "secret hunter2",   "password hunter2"};

    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
        char text[256];
        snprintf(text, sizeof(text), GATEWAY "site a { peer b; network 10.2.0.0/16; %s }\n",
                 lines[i]);
        char *words = testbed_words(text);
        CHECK(strstr(words, "hunter2") == NULL);
        CHECK(strstr(words, "@NAME") != NULL);
        free(words);
    }
    check_words(GATEWAY "site a {\n  peer b; network 10.2.0.0/16\n  key hunter2 }\n",
                "c.conf:5:7: error: the key itself does not stand here, only the name of a secret\n"
                "    5 |   key ...\n"
                "      |       ^^^  keep it with: sekisho secret set NAME; and write: key @NAME\n"
                "1 file, 1 error, 0 warnings." UNTOUCHED);
}

TEST(networks_that_meet_are_told)
{
    check_words(
        "gateway g.example\nlan 10.0.0.0/9 172.16.0.0/16\n"
        "site a { peer a; network 10.200.0.0/16 172.16.0.0/16; key @a }\n"
        "site b { peer b; network 10.200.3.0/24 10.1.0.0/16; key @b }\n"
        "site c { peer c; network 10.200.0.0/16 0.0.0.0/0; key @c }\n"
        "site c { peer d; network 10.201.0.0/16 10.201.0.0/16; key @c }\n",
        "c.conf:3:40: error: network 172.16.0.0/16 is our own lan (line 2)\n"
        "    3 | site a { peer a; network 10.200.0.0/16 172.16.0.0/16; key @a }\n"
        "      |                                        ^^^^^^^^^^^^^  translation of equal "
        "networks is not in this version\n"
        "c.conf:4:26: warning: network 10.200.3.0/24 lies within 10.200.0.0/16 of site a (line "
        "3): its traffic goes to site b alone (SEK-N003)\n"
        "c.conf:4:40: warning: network 10.1.0.0/16 overlaps lan 10.0.0.0/9 (line 2): hosts of "
        "ours with such addresses could not be reached\n"
        "c.conf:5:26: error: network 10.200.0.0/16 is behind site a too (line 3; SEK-N003)\n"
        "    5 | site c { peer c; network 10.200.0.0/16 0.0.0.0/0; key @c }\n"
        "      |                          ^^^^^^^^^^^^^  a network can be behind one peer only\n"
        "c.conf:6:6: error: there is a site c already (line 5)\n"
        "    6 | site c { peer d; network 10.201.0.0/16 10.201.0.0/16; key @c }\n"
        "      |      ^  each site and each manual block has a name of its own\n"
        "c.conf:6:40: error: 10.201.0.0/16 is said twice (first: line 6)\n"
        "    6 | site c { peer d; network 10.201.0.0/16 10.201.0.0/16; key @c }\n"
        "      |                                        ^^^^^^^^^^^^^  leave it out\n"
        "1 file, 4 errors, 2 warnings." UNTOUCHED);
}

TEST(networks_may_be_equal_where_the_traffic_differs)
{
    static const char *const good[] = {
        SITE("a", "10.2.0.0/16", "only tcp 25") SITE("b", "10.2.0.0/16", "only tcp 26-30"),
        SITE("a", "10.2.0.0/16", "only tcp") SITE("b", "10.2.0.0/16", "only udp"),
        SITE("a", "10.2.0.0/16", "lan 10.1.1.0/24") SITE("b", "10.2.0.0/16", "lan 10.1.2.0/24"),
        SITE("a", "10.2.0.0/16", "") SITE("b", "10.2.0.0/16", "disabled"),
        SITE("a", "0.0.0.0/0 ::/0", "lan 10.1.0.0/16 2001:db8::/32") SITE("b", "10.2.0.0/16", ""),
    };

    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        char text[600];
        snprintf(text, sizeof(text), GATEWAY "%s", good[i]);
        check_words(text, "1 file, 0 errors, 0 warnings.\n");
    }
    static const char *const bad[] = {
        SITE("a", "10.2.0.0/16", "only tcp 25") SITE("b", "10.2.0.0/16", "only tcp 20-30"),
        SITE("a", "10.2.0.0/16", "only tcp 25") SITE("b", "10.2.0.0/16", ""),
        SITE("a", "10.2.0.0/16", "lan 10.1.1.0/24") SITE("b", "10.2.0.0/16", "lan 10.1.0.0/16"),
    };
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        char text[600];
        snprintf(text, sizeof(text), GATEWAY "%s", bad[i]);
        char *words = testbed_words(text);
        CHECK(strstr(words, "is behind site a too") != NULL);
        free(words);
    }
}

TEST(the_sweep_finds_what_comparing_each_with_each_finds)
{
    /* All pairs of a few dozen networks, one to a site. */
    static const char *const prefixes[] = {
        "10.0.0.0/8",      "10.2.0.0/15",   "10.2.0.0/16", "10.3.0.0/16", "10.3.3.0/24",
        "10.3.3.128/25",   "10.3.3.129/32", "11.0.0.0/8",  "0.0.0.0/0",   "2001:db8::/32",
        "2001:db8:3::/48", "::/0",          "128.0.0.0/1", "192.0.2.0/24"};
    size_t count = ARRAY_LENGTH(prefixes);

    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            char text[700];
            struct network a;
            struct network b;
            snprintf(
                text, sizeof(text),
                "gateway g.example\nlan 172.16.0.0/16 fd00::/8\n"
                "site x { peer x; network %s; key @x }\nsite y { peer y; network %s; key @y }\n",
                prefixes[i], prefixes[j]);
            assert_true(network_parse(slice_of_text(prefixes[i]), &a));
            assert_true(network_parse(slice_of_text(prefixes[j]), &b));
            char *words = testbed_words(text);
            bool equal = network_equal(&a, &b);
            bool nested =
                !equal && network_overlaps(&a, &b) && a.prefix_bits != 0 && b.prefix_bits != 0;
            CHECK((strstr(words, "is behind site") != NULL) == equal);
            CHECK((strstr(words, "lies within") != NULL) == nested);
            free(words);
        }
    }
}

TEST(families_without_a_lan_are_told)
{
    check_words(GATEWAY SITE("a", "10.2.0.0/16 2001:db8::/32", ""),
                "c.conf:5:23: warning: no lan of site a is IPv6: nothing can reach this network\n"
                "1 file, 0 errors, 1 warning.\n");
}

TEST(callers_that_nobody_could_tell_apart_are_told)
{
    check_words(
        GATEWAY "site a { peer any; identity any; network 10.2.0.0/16; key @a }\n"
                "site b { peer any; identity any; network 10.3.0.0/16; key @b }\n"
                "site c { peer c; network 10.4.0.0/16; key @c }\n"
                "site d { peer c; network 10.5.0.0/16; key @c }\n"
                "site e { peer any; network 10.6.0.0/16; key @c; say e; start now }\n",
        "c.conf:4:6: error: site b and site a (line 3) both wait for anybody: nobody could tell "
        "who calls\n"
        "    4 | site b { peer any; identity any; network 10.3.0.0/16; key @b }\n"
        "      |      ^  give them different identities\n"
        "c.conf:6:6: warning: site d has the same peer and identities as site c (line 5): when it "
        "calls, the first of them answers. Put their networks into one site\n"
        "c.conf:7:15: error: 'peer any' can only wait, there is nobody to dial\n"
        "    7 | site e { peer any; network 10.6.0.0/16; key @c; say e; start now }\n"
        "      |               ^^^  name the peer, or leave 'start' out\n"
        "c.conf:7:15: warning: whoever has the key of site e is let in\n"
        "    7 | site e { peer any; network 10.6.0.0/16; key @c; say e; start now }\n"
        "      |               ^^^  say who it must be: identity NAME; or: identity any\n"
        "1 file, 2 errors, 2 warnings." UNTOUCHED);
}

/* One statement of a site, and a part of what is said about it. */
static const struct {
    const char *statement;
    const char *column;
    const char *told;
} mistakes[] = {
    {"certificate a.pem key a.key", "9:1", "site osaka has a shared key, and no certificates"},
    {"trust ca.pem", "9:1", "site osaka has a shared key, and no certificates"},
    {"certificate a.pem b.key", "9:19", "behind the certificate stands the word 'key'"},
    {"certificate a.pem key \"pkcs11:token=a;object=b\" @pin", "9:19", "behind the certificate"},
    {"certificate a.pem key \"pkcs11:token=a?pin-value=1234\"", "9:23",
     "the PIN of a token does not stand here, only the name of a secret"},
    {"certificate a.pem key \"pkcs11:token=a?module-name=b&pin-source=c\"", "9:23",
     "keep it with: sekisho secret set NAME; and write behind the key: pin @NAME"},
    {"certificate a.pem key a.key pin @x", "9:29", "a PIN belongs to a key in a token"},
    {"certificate a.pem key \"pkcs11:token=a\" pin 1234", "9:44",
     "the key itself does not stand here, only the name of a secret"},
    {"name \"gw1\"", "9:6", "this is not the subject of a certificate"},
    {"name \"CN=gw*\"", "9:6", "this is not the subject of a certificate"},
    {"trust a b c d e f g h; trust i", "9:30", "more than 8 files of authorities are too many"},
    {"revocation maybe", "9:12", "maybe"},
    {"crl http://ca.example/a.crl", "9:1", "site osaka has a shared key, and no certificates"},
    {"crl https://ca.example/a.crl", "9:5", "this is no place that can be asked"},
    {"ocsp ldap://ca.example", "9:6", "this is no place that can be asked"},
    {"ocsp http:///x", "9:6", "this is no place that can be asked"},
    {"crl http://a http://b; crl http://c http://d http://e", "9:46",
     "more than 4 places are too many"},
    {"peer", "9:1", "'peer' needs HOST... | any [port PORT] behind it"},
    {"peer b.example:500", "9:6", "a port is written: b.example port 500"},
    {"peer 10.0.0.300", "9:6",
     "10.0.0.300 is not an address: each number of an IPv4 address is at most 255"},
    {"peer 10.0.1", "9:6", "10.0.1 is not an address: an IPv4 address has four numbers"},
    {"peer -x", "9:6", "a part of it begins with '-'"},
    {"peer a_b", "9:6", "a host name has only letters, digits, '-' and dots"},
    {"peer any", "9:6", "'any' stands alone, without other peers"},
    {"peer b port", "9:8", "'port' stands behind the hosts, with one number behind it"},
    {"peer b port 0", "9:13", "from 1 to 65535"},
    {"peer 0.0.0.0", "9:6", "to wait for whoever calls: peer any"},
    {"peer 224.0.0.1", "9:6", "nobody can be dialled at this address"},
    {"network 10.3.4.5/16", "9:9", "did you mean 10.3.0.0/16 ?"},
    {"network 10/8", "9:9", "did you mean 10.0.0.0/8 ?"},
    {"network 10.3.0.0/255.255.0.0", "9:9", "did you mean 10.3.0.0/16 ?"},
    {"network 10.3.0.0/99", "9:9", "did you mean 10.3.0.0/16 ?"},
    {"network 2001:db8::/129", "9:9", "an IPv6 prefix length is at most 128"},
    {"network 10.3.0.0/", "9:9", "behind '/' stands the prefix length, a number"},
    {"network 10.3.0.0/016", "9:9", "the prefix length is written without leading zeros"},
    {"network 010.3.0.0/16", "9:9", "its numbers are decimal, without leading zeros"},
    {"network any", "9:9", "everything is 0.0.0.0/0 and ::/0"},
    {"network osaka", "9:9", "osaka is not a network"},
    {"network 127.0.0.0/8", "9:9", "127.0.0.0/8 never leaves its machine or its cable"},
    {"network fe80::/10", "9:9", "fe80::/10 never leaves its machine or its cable"},
    {"network 10.3.0.0/16 seen-as 10.4.0.0/16", "9:21",
     "'seen-as' is not in this version of Sekisho"},
    {"lan 10.3.0.0/33", "9:5", "an IPv4 prefix length is at most 32"},
    {"only", "9:1", "'only' needs PROTOCOL [PORT[-PORT] [both]] behind it"},
    {"only tpc", "9:6", "did you mean 'tcp' ?"},
    {"only 0", "9:6", "from 1 to 255"},
    {"only icmp 8", "9:11", "icmp has no ports"},
    {"only tcp 70000", "9:10", "70000 is neither a port nor a range of ports"},
    {"only tcp 30-20", "9:10", "did you mean 20-30 ?"},
    {"only tcp 25 26", "9:13", "behind the ports only 'both' can stand"},
    {"only tcp both", "9:10", "both is neither a port nor a range of ports"},
    {"only tcp 25 both 26", "9:18", "'only' takes no more words than this"},
    {"say \"\"", "9:5", "an identity has 1 to 255 bytes"},
    {"identity \"\"", "9:10", "an identity has 1 to 255 bytes"},
    {"strict-identity maybe", "9:17", "maybe is neither on nor off"},
    {"ike main", "9:5", "IKEv2 has one exchange only"},
    {"ike v1 aggressive", "9:8", "write: legacy aggressive"},
    {"ike v1 aes256gcm16-sha256-x25519", "9:5", "such as: ike v1 aes256-sha256-modp2048"},
    {"ike v1 main; ike v2", "9:18", "this site has a version of IKE already"},
    {"ike v1 main aggressive", "9:13", "such as aes256gcm16, sha256, x25519"},
    {"ike v1; legacy aggressive", "9:16", "such as: ike v1 aggressive"},
    {"ah sha256; esp aes128-sha256", "9:12", "IKEv2 agrees on AH or on ESP"},
    {"ike either; ah sha256; esp aes128-sha256", "9:24", "IKEv2 agrees on AH or on ESP"},
    {"ike v1; ah sha256; esp aes128-sha256; compress on", "", ""},
    {"ike v1; post-quantum required", "9:5", "IKEv1 has no key exchange with ML-KEM"},
    {"ike aes128-sha256", "9:5", "did you mean aes128-sha256-x25519 ?"},
    {"ike aes128-x25519", "9:5", "did you mean aes128-x25519-sha256 ?"},
    {"ike x25519", "9:5", "did you mean aes256-x25519 ?"},
    {"ike aes128--x25519", "9:5", "an algorithm is missing before or behind a '-'"},
    {"ike aes256gmc16-x25519", "9:5", "did you mean 'aes256gcm16' ?"},
    {"ike aes128-aes128gcm16-sha256-x25519", "9:5", "divide it"},
    {"ike aes128-sha256-modp1024", "9:19", "write: legacy modp1024"},
    {"ike aes128-sha256-x25519-esn", "9:5", "belongs to the ESP proposal"},
    {"ike null-sha256-x25519; legacy null", "9:5", "does not encrypt, and IKE must"},
    {"esp aes128", "9:5", "did you mean aes128-sha256 ?"},
    {"esp aes256gcm16-sha256", "9:17", "leave it out: the cipher checks integrity too"},
    {"esp null-sha256", "9:5", "null needs the word 'legacy'"},
    {"esp aes128-sha1", "9:12", "sha1 needs the word 'legacy'"},
    {"post-quantum on", "9:14", "one of: prefer required off"},
    {"post-quantum require", "9:14", "did you mean 'required' ?"},
    {"post-quantum off; ike aes256gcm16-sha384-x25519-ke1_mlkem768", "9:1",
     "leave out one of the two"},
    {"post-quantum required; ike aes256gcm16-sha384-x25519", "9:1",
     "add -ke1_mlkem768 to a proposal, or leave out the line ike"},
    {"pfs yes", "9:5", "did you mean 'on' ?"},
    {"pfs", "9:1", "'pfs' needs prefer | on | off behind it"},
    {"lifetime ike", "9:1", "'lifetime' needs"},
    {"lifetime ike 5", "9:14", "did you mean 5s, 5m or 5h ?"},
    {"lifetime ike 1s", "9:14", "from 10s to 30d"},
    {"lifetime ike 5h ike 4h", "9:17", "'lifetime ike' is said twice, first on line 9"},
    {"lifetime ike 5h child", "9:17", "'child' needs its value behind it"},
    {"lifetime kie 5h", "9:10", "'kie' is none of ike, child, bytes and packets"},
    {"lifetime bytes 100", "9:16", "did you mean 100MiB or 100GiB ?"},
    {"lifetime bytes 100G", "9:16", "did you mean 100GiB ?"},
    {"lifetime bytes 99999999999999TiB", "9:16", "is out of bounds"},
    {"lifetime packets 5x", "9:18", "5x is not a number"},
    {"dpd 30", "9:5", "30 is a number without a unit"},
    {"dpd 5y", "9:5", "the units are ms, s, m, h, d and w"},
    {"reauthenticate 1s", "9:16", "from 10s to 30d"},
    {"resume 2d", "9:8", "from 10s to 1d"},
    {"return 1s", "9:8", "from 10s to 12h"},
    {"resolve 13h", "9:9", "from 10s to 12h"},
    {"uplink 203.0.113", "9:8", "203.0.113 is not an address"},
    {"uplink 203.0.113.7 203.0.113.7", "9:20", "this uplink is said twice"},
    {"uplink 0.0.0.0", "9:8", "nothing is sent from there"},
    {"uplink averylonginterfacename", "9:8", "at most 15"},
    {"uplink eth0; mode transport", "9:1", "transport mode protects what goes between two"},
    {"uplink a b c d e f g h; uplink i", "9:32", "more than 8 uplinks are too many"},
    {"return never", "9:8", "never is not a time"},
    {"redirect 224.0.0.1", "9:10", "nobody can be sent there"},
    {"redirect ::", "9:10", "nobody can be sent there"},
    {"follow-redirect maybe", "9:17", "proven"},
    {"reauthenticate often", "9:16", "often is not a time"},
    {"dpd never", "9:5", "never is not a time"},
    {"encapsulate alwyas", "9:13", "did you mean 'always' ?"},
    {"start nwo", "9:7", "did you mean 'now' ?"},
    {"start later", "9:7", "one of: now on-traffic wait"},
    {"start \"now\"", "9:7", "'now' is nothing that start can be"},
    {"legacy dse", "9:8", "did you mean 'des' ?"},
    {"legacy des des", "9:12", "des is said twice"},
    {"legacy static-keys", "9:8", "'static-keys' belongs in a manual block"},
    {"legacy aggressive", "9:8", "such as: ike v1 aggressive"},
    {"replay-window 31", "9:15", "from 32 to 65536"},
    {"replay-window off", "9:15", "only manual keys may go without"},
    {"replay-window 0x40", "9:15", "0x40 is not a number"},
    {"replay-window 0064", "9:15", "did you mean 64 ?"},
    {"mss 100", "9:5", "from 216 to 65535"},
    {"mtu off", "9:5", "off is not a number"},
    {"mtu 575", "9:5", "from 576 to 65535"},
    {"fragmentation 70000", "9:15", "from 576 to 65535"},
    {"routes", "9:1", "'routes' needs on | off behind it"},
    {"routes no", "9:8", "did you mean 'off' ?"},
    {"disabled now", "9:10", "now is neither on nor off"},
    {"mtu 1400; mtu 1500", "9:11", "'mtu' is said twice, first on line 9"},
    {"device hub0 gre 172.31.0.1/30", "9:1", "'device' is not in this version of Sekisho"},
    {"mode transport", "6:9", "transport mode is between two hosts: a network is none"},
    {"rightsubnet 10.3.0.0/16", "9:1", "did you mean 'network' ?"},
    {"listen 10.3.0.1", "9:1", "'listen' does not stand in a site"},
    {"include x", "9:1", "it belongs outside of all blocks"},
    {"frobnicate", "9:1", "unknown word 'frobnicate' in site"},
    {"#x", "9:1", ""},
    {";#x", "9:2", "a comment begins behind white space"},
    {"inside { x { y } }", "9:1", "unknown word 'inside' in site"},
    {"inner { x { y } }", "9:1", "it belongs in a block: manual NAME { ... }"},
    {"mtu 1400 { }", "9:10", "'mtu' has no block"},
    {"{ }", "9:1", "a block begins with its word, on the same line"},
    {"say $x", "9:5", "the variable 'x' is not set"},
    {"say \"x", "9:5", "this quote is not closed on its line"},
    {"say x\"y", "9:6", "a quote stands in the middle of a word"},
    {"say \"x\"y", "9:8", "a word ends with its closing quote"},
    {"say \"\\n\"", "9:6", "a backslash in quotes stands before \" or \\ only"},
    {"say a\x01", "9:6", "a character stands here that nobody can see"},
    {"say \xff", "9:5", "this is not UTF-8 text"},
    {"say a\xe2\x80\xae"
     "b",
     "9:6", "a character stands here that nobody can see"},
};

TEST(every_mistake_in_a_site_is_told_at_its_place)
{
    for (size_t i = 0; i < ARRAY_LENGTH(mistakes); i++) {
        char text[700];
        char place[32];
        snprintf(text, sizeof(text),
                 GATEWAY "\nsite osaka {\npeer p.example\nnetwork 10.2.0.0/16\nkey @k\n\n%s\n}\n",
                 mistakes[i].statement);
        char *words = testbed_words(text);
        /* The statement stands on line 9: two of the gateway, one empty, four of the site, one
         * empty. */
        snprintf(place, sizeof(place), "c.conf:%s: error: ", mistakes[i].column);
        bool none = mistakes[i].told[0] == '\0';
        if ((strstr(words, place) == NULL) != none || strstr(words, mistakes[i].told) == NULL) {
            print_message("%s\n%s", mistakes[i].statement, words);
        }
        CHECK((strstr(words, place) == NULL) == none);
        CHECK(strstr(words, mistakes[i].told) != NULL);
        free(words);
    }
}

/* A statement outside of blocks. */
static const struct {
    const char *statement;
    const char *told;
} gateway_mistakes[] = {
    {"gateway x.example", "'gateway' is said twice, first on line 1"},
    {"lan 10.1.0.0/16", "10.1.0.0/16 is said twice (first: line 2)"},
    {"listen everywhere", "everywhere is not an address"},
    {"listen 0.0.0.0", "leave 'listen' out to listen on all addresses"},
    {"listen 10.0.0.1 10.0.0.1", "this address is said twice"},
    {"listen 10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6 10.0.0.7 10.0.0.8 10.0.0.9",
     "more than 8 addresses are too many"},
    {"listen 224.0.0.9", "nobody can listen on a multicast address"},
    {"port 0", "from 1 to 65535"},
    {"port 500 4500", "such as: port 500 nat 4500"},
    {"port 500 nat 500", "the port with NAT traversal must be another one"},
    {"port 4500", "the port with NAT traversal must be another one"},
    {"device a/b", "a/b cannot be the name of a network device"},
    {"device sixteencharacter", "at most 15 letters"},
    {"device .", "cannot be the name of a network device"},
    {"workers 0", "from 1 to 32"},
    {"workers 33", "from 1 to 32"},
    {"workers all", "'auto', or from 1 to 32"},
    {"workers", "'workers' needs auto | NUMBER behind it"},
    {"workers 2 2", "'workers' takes no more words than this"},
    {"cookie-threshold many", "many is not a number"},
    {"half-open-max 0", "from 1 to 1000000"},
    {"site", "'site' needs a block in braces"},
    {"site x", "'site' needs a block in braces"},
    {"site { }", "'site' needs NAME { behind it"},
    {"site a/b { }", "'a/b' cannot be the name of a site"},
    {"site x y { }", "'site' takes no more words than this"},
    {"site x\n{ }", "a block begins with its word, on the same line"},
    {"peer x", "it belongs in a block: site NAME { ... }"},
    {"set x", "'set' needs NAME VALUE... behind it"},
    {"set 9 x", "'9' cannot be the name of a variable"},
    {"lan $a-name-that-is-longer-than-the-name-of-any-variable-could-ever-be", "is not set"},
    {"set x 1; set x 2", "'x' is set twice, first on line 4"},
    {"include", "'include' needs PATTERN... behind it"},
    {"include \"\"", "this is not the name of a file"},
    {"}", "no block is open that this could close"},
    {"remote-access staff { addresses 10.9.0.0/24; key @grp }",
     "remote-access staff does not say by what"},
    {"cluster tokyo { store etcd x }", "'cluster' is not in this version of Sekisho"},
    {"web 127.0.0.1:8443", "'web' is not in this version of Sekisho"},
    {"metrics 127.0.0.1:9504", "'metrics' is not in this version of Sekisho"},
    {"cluster x", "'cluster' is not in this version of Sekisho"},
    {"group x { allow everything }", "'group' is not in this version of Sekisho"},
    {"placement one-arm eth0", "'placement' is not in this version of Sekisho"},
    {"certificate x", "'certificate' is not in this version of Sekisho"},
    {"\"lan\" 10.7.0.0/16", "unknown word 'lan'"},
};

TEST(every_mistake_of_the_gateway_is_told)
{
    for (size_t i = 0; i < ARRAY_LENGTH(gateway_mistakes); i++) {
        char text[400];
        snprintf(text, sizeof(text), GATEWAY "\n%s\n", gateway_mistakes[i].statement);
        char *words = testbed_words(text);
        if (strstr(words, gateway_mistakes[i].told) == NULL) {
            print_message("%s\n%s", gateway_mistakes[i].statement, words);
        }
        CHECK(strstr(words, gateway_mistakes[i].told) != NULL);
        CHECK(strstr(words, "0 errors") == NULL);
        free(words);
    }
}

TEST(a_gateway_has_one_name)
{
    check_words("gateway\n", "c.conf:1:1: error: 'gateway' needs NAME behind it\n"
                             "    1 | gateway\n"
                             "      | ^^^^^^^  such as: gateway tokyo.example.jp\n"
                             "1 file, 1 error, 0 warnings." UNTOUCHED);
    check_words("gateway a b\n", "c.conf:1:11: error: 'gateway' takes no more words than this\n"
                                 "    1 | gateway a b\n"
                                 "      |           ^  a statement ends with its line or with ';'\n"
                                 "1 file, 1 error, 0 warnings." UNTOUCHED);
}

TEST(a_missing_secret_is_an_error_at_its_name)
{
    struct testbed *t = malloc(sizeof(*t));

    testbed_init(t);
    t->missing_secret = "a";
    struct config_result *r = testbed_read(t, GATEWAY SITE("a", "10.2.0.0/16", ""));
    char *words = config_diagnostics_text(r);
    CHECK_TEXT(words, "c.conf:6:7: error: there is no secret a: make it with sekisho secret new a\n"
                      "    6 |   key @a\n"
                      "      |       ^^\n"
                      "1 file, 1 error, 0 warnings." UNTOUCHED);
    free(words);
    config_result_free(r);
    t->loader.secret = NULL;
    r = testbed_read(t, GATEWAY SITE("a", "10.2.0.0/16", ""));
    CHECK_EQUAL(r->error_count, 0);
    config_result_free(r);
    free(t);
}

TEST(long_lines_are_shown_around_the_word_and_terminals_are_not_disturbed)
{
    char *shown = testbed_words(
        GATEWAY "lan 10.7.0.0/16 10.7.1.0/24 10.7.2.0/24 10.7.3.0/24 10.7.4.0/24 10.7.5.0/24 "
                "10.7.6.0/24 10.7.7.0/24 10.7.8.0/244\t# \x1b[31mred \xe2\x80\xae"
                "\n");
    CHECK_TEXT(
        shown,
        "c.conf:3:101: error: 10.7.8.0/244 is not a network: an IPv4 prefix length is at most 32\n"
        "    3 | .../24 10.7.5.0/24 10.7.6.0/24 10.7.7.0/24 10.7.8.0/244 # ?[31mred ?\n"
        "      |                                            ^^^^^^^^^^^^  did you mean "
        "10.7.8.0/24 ?\n"
        "1 file, 1 error, 0 warnings." UNTOUCHED);
    free(shown);
}

TEST(words_of_other_scripts_are_pointed_at_by_characters)
{
    check_words(GATEWAY SITE("a", "10.2.0.0/16", "say \"\xe9\x96\xa2\xe6\x89\x80\"; mtu 5"),
                "c.conf:7:19: error: 5 is out of bounds\n"
                "    7 | say \"\xe9\x96\xa2\xe6\x89\x80\"; mtu 5\n"
                "      |               ^  from 576 to 65535\n"
                "1 file, 1 error, 0 warnings." UNTOUCHED);
}
