/*
 * Addresses, endpoints, networks, hex and base64 as text of any bytes: what is read is shown so
 * that it reads the same.
 */
#include <string.h>

#include "base/address.h"
#include "base/text.h"
#include "fuzz.h"

static void check_address(struct slice text)
{
    struct address a;
    struct address again;
    char shown[ADDRESS_TEXT_BYTES];

    if (address_parse(text, &a)) {
        MUST(address_parse(slice_of_text(address_format(&a, shown)), &again));
        MUST(memcmp(&a, &again, sizeof(a)) == 0);
    }
}

static void check_endpoint(struct slice text)
{
    struct endpoint e;
    struct endpoint again;
    char shown[ENDPOINT_TEXT_BYTES];

    if (endpoint_parse(text, 500, &e)) {
        MUST(endpoint_parse(slice_of_text(endpoint_format(&e, shown)), 1, &again));
        MUST(endpoint_equal(&e, &again));
    }
}

static void check_network(struct slice text)
{
    struct network n;
    struct network again;
    char shown[NETWORK_TEXT_BYTES];

    if (!network_parse(text, &n)) {
        return;
    }
    MUST(network_parse(slice_of_text(network_format(&n, shown)), &again) &&
         network_equal(&n, &again));
    struct range r = network_range(&n);

    MUST(network_contains(&n, &r.first) && network_contains(&n, &r.last));
    MUST(range_is_network(&r, &again) && network_equal(&n, &again));
}

static void check_codes(struct slice text)
{
    uint8_t out[256];
    char shown[600];
    size_t length = 0;

    if (base64_parse(text, out, sizeof(out), &length)) {
        MUST(length <= text.length / 4 * 3);
    }
    if (hex_parse(text, out, sizeof(out), &length)) {
        struct text t = text_over(shown, sizeof(shown));

        text_add_hex(&t, (struct slice){out, length});
        MUST(strlen(shown) == text.length);
    }
    struct text t = text_over(shown, sizeof(shown));

    text_add_escaped(&t, text);
    for (size_t i = 0; i < t.length; i++) {
        MUST(shown[i] >= ' ' && shown[i] <= '~');
    }
    (void)text_distance(text, SLICE_TEXT("remote-addresses"), 3);
}

FUZZ(address_text, 80000)
{
    struct slice text = {data, size};

    check_address(text);
    check_endpoint(text);
    check_network(text);
    check_codes(text);
    return 0;
}
