/* Which places are asked, and which answers are taken. */
#include "host/http.h"

#include <string.h>

#include "tests/support/test.h"

TEST(an_url_is_a_host_a_port_and_a_path)
{
    struct http_place place;

    CHECK(http_read_url("http://ca.example/root.crl", &place));
    CHECK(strcmp(place.host, "ca.example") == 0 && place.port == 80);
    CHECK(strcmp(place.path, "root.crl") == 0 && place.address.family == FAMILY_NONE);
    CHECK(http_read_url("HTTP://192.0.2.1:8080", &place));
    CHECK(place.port == 8080 && place.address.family == FAMILY_IPV4 && place.path[0] == 0);
    CHECK(http_read_url("http://[2001:db8::1]:81/a/b?c=d", &place));
    CHECK(place.port == 81 && place.address.family == FAMILY_IPV6);
    CHECK(strcmp(place.path, "a/b?c=d") == 0 && strcmp(place.host, "2001:db8::1") == 0);
    CHECK(http_read_url("http://[2001:db8::1]/", &place) && place.port == 80);
}

TEST(what_is_no_url_of_ours_is_refused)
{
    static const char *const bad[] = {
        "https://ca.example/",      "ldap://ca.example/",  "http:///x",       "http://a@b/",
        "http://ca.example:0/",     "http://ca.example:/", "http://a:65536/", "http://a:8x/",
        "http://[192.0.2.1]/",      "http://[2001:db8::1", "http://[::1]x/",  "http://a\nb/",
        "http://ca.example?x=y",    "file:///etc/passwd",  "http://a b/",     "",
        "http://a:999999999999999/"};
    struct http_place place;

    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        CHECK(!http_read_url(bad[i], &place));
    }
}

TEST(addresses_that_a_stranger_may_not_name)
{
    static const char *const bad[] = {"127.0.0.1",
                                      "127.9.9.9",
                                      "0.0.0.0",
                                      "0.1.2.3",
                                      "169.254.169.254",
                                      "224.0.0.1",
                                      "255.255.255.255",
                                      "240.0.0.1",
                                      "::",
                                      "::1",
                                      "fe80::1",
                                      "ff02::1",
                                      "::ffff:127.0.0.1",
                                      "::ffff:169.254.1.1",
                                      "64:ff9b::7f00:1",
                                      "::127.0.0.1"};
    static const char *const good[] = {"192.0.2.1", "10.1.2.3", "2001:db8::1", "::ffff:192.0.2.1",
                                       "fd00::1"};
    struct address address;

    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        CHECK(address_parse(slice_of_text(bad[i]), &address));
        CHECK(!http_address_is_public(&address));
    }
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        CHECK(address_parse(slice_of_text(good[i]), &address));
        CHECK(http_address_is_public(&address));
    }
}

static enum http_part part(const char *text, bool closed, struct slice *body, char *why)
{
    return http_read_answer(slice_of_text(text), closed, 10, body, why);
}

TEST(an_answer_is_whole_when_its_length_says_so_or_its_end)
{
    struct slice body;
    char why[HTTP_WHY_BYTES];

    CHECK(part("HTTP/1.0 200 OK\r\n\r\nabc", false, &body, why) == HTTP_MORE);
    CHECK(part("HTTP/1.0 200 OK\r\n\r\nabc", true, &body, why) == HTTP_WHOLE);
    CHECK(slice_equal(body, SLICE_TEXT("abc")));
    CHECK(part("HTTP/1.1 200\r\ncontent-length:  3 \r\n\r\nabcd", false, &body, why) == HTTP_WHOLE);
    CHECK(slice_equal(body, SLICE_TEXT("abc")));
    CHECK(part("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc", false, &body, why) == HTTP_MORE);
    CHECK(part("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc", true, &body, why) == HTTP_BROKEN);
    CHECK(part("HTTP/1.1 2", false, &body, why) == HTTP_MORE);
    CHECK(part("HTTP/1.1 2", true, &body, why) == HTTP_BROKEN);
    CHECK(part("", true, &body, why) == HTTP_BROKEN);
}

TEST(other_answers_are_refused_with_a_sentence)
{
    static const struct {
        const char *answer, *words;
    } cases[] = {
        {"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1/\r\n\r\n", "not followed"},
        {"HTTP/1.1 404 Not Found\r\n\r\n", "status 404"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "chunks"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n", "longer than 10"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999999\r\n\r\n", "no length"},
        {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "no length"},
        {"HTTP/1.1 200 OK\r\n\r\n0123456789a", "longer than 10"},
        {"SSH-2.0-OpenSSH\r\n\r\n", "does not speak HTTP"},
        {"HTTP/1.1 20x OK\r\n\r\n", "does not speak HTTP"},
    };
    struct slice body;
    char why[HTTP_WHY_BYTES];

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        CHECK(part(cases[i].answer, false, &body, why) == HTTP_BROKEN);
        CHECK(strstr(why, cases[i].words) != NULL);
    }
    static char endless[HTTP_HEAD_BYTES_MAX + 1];

    memset(endless, 'x', HTTP_HEAD_BYTES_MAX);
    CHECK(part(endless, false, &body, why) == HTTP_BROKEN);
}
