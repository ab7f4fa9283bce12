/*
 * Identities of both sides: from a word of the configuration, compared by value, and shown to
 * people.
 */
#include "proto/ike/identity.h"

#include <string.h>

#include "wire/ikev2.h"

bool ike_identity_set(struct ike_identity *out, uint8_t type, struct slice data)
{
    *out = (struct ike_identity){0};
    /* RFC 7619 2.2: who is nobody has no name. */
    if (type == 0 || (data.length == 0) != (type == IKEV2_ID_NULL) ||
        data.length > IKE_IDENTITY_BYTES_MAX) {
        return false;
    }
    if ((type == IKEV2_ID_IPV4_ADDR && data.length != 4) ||
        (type == IKEV2_ID_IPV6_ADDR && data.length != 16)) {
        return false;
    }
    out->type = type;
    out->length = (uint16_t)data.length;
    if (data.length > 0) {
        memcpy(out->data, data.data, data.length);
    }
    return true;
}

static struct slice slice_behind(struct slice word, size_t length)
{
    return (struct slice){word.data + length, word.length - length};
}

static bool slice_begins(struct slice word, struct slice with)
{
    return word.length >= with.length && memcmp(word.data, with.data, with.length) == 0;
}

static bool parse_hex_key_id(struct slice digits, struct ike_identity *out)
{
    uint8_t octets[IKE_IDENTITY_BYTES_MAX];
    size_t length = 0;

    return hex_parse(digits, octets, sizeof(octets), &length) &&
           ike_identity_set(out, IKEV2_ID_KEY_ID, (struct slice){octets, length});
}

bool ike_identity_parse(struct slice word, struct ike_identity *out)
{
    struct address address;

    *out = (struct ike_identity){0};
    if (word.length == 0) {
        return false;
    }
    if (address_parse(word, &address)) {
        uint8_t type = address.family == FAMILY_IPV4 ? IKEV2_ID_IPV4_ADDR : IKEV2_ID_IPV6_ADDR;

        return ike_identity_set(
            out, type, (struct slice){address.bytes, address_bytes((enum family)address.family)});
    }
    if (slice_begins(word, SLICE_TEXT("@#"))) {
        return parse_hex_key_id(slice_behind(word, 2), out);
    }
    if (slice_begins(word, SLICE_TEXT("keyid:"))) {
        return ike_identity_set(out, IKEV2_ID_KEY_ID, slice_behind(word, 6));
    }
    /* A leading @ says that a host name follows, in the way other gateways write it. */
    if (word.data[0] == '@') {
        return ike_identity_set(out, IKEV2_ID_FQDN, slice_behind(word, 1));
    }
    uint8_t type =
        memchr(word.data, '@', word.length) != NULL ? IKEV2_ID_RFC822_ADDR : IKEV2_ID_FQDN;

    return ike_identity_set(out, type, word);
}

static bool identity_is_address(const struct ike_identity *id)
{
    return id->type == IKEV2_ID_IPV4_ADDR || id->type == IKEV2_ID_IPV6_ADDR;
}

static bool identity_is_name(const struct ike_identity *id)
{
    return id->type == IKEV2_ID_FQDN || id->type == IKEV2_ID_RFC822_ADDR;
}

static struct address identity_address(const struct ike_identity *id)
{
    return id->type == IKEV2_ID_IPV4_ADDR ? address_ipv4_bytes(id->data)
                                          : address_ipv6_bytes(id->data);
}

static uint8_t lower(uint8_t octet)
{
    return octet >= 'A' && octet <= 'Z' ? (uint8_t)(octet - 'A' + 'a') : octet;
}

/* Names of the DNS: without regard to case and to one dot at the end. */
static bool names_equal(struct slice a, struct slice b)
{
    if (a.length > 1 && a.data[a.length - 1] == '.') {
        a.length--;
    }
    if (b.length > 1 && b.data[b.length - 1] == '.') {
        b.length--;
    }
    if (a.length != b.length) {
        return false;
    }
    for (size_t i = 0; i < a.length; i++) {
        if (lower(a.data[i]) != lower(b.data[i])) {
            return false;
        }
    }
    return true;
}

static struct slice identity_slice(const struct ike_identity *id)
{
    return (struct slice){id->data, id->length};
}

/* How the identity would be written as a name; distinguished names have no such form here. */
static bool identity_text(const struct ike_identity *id, char buffer[ADDRESS_TEXT_BYTES],
                          struct slice *out)
{
    if (identity_is_address(id)) {
        struct address address = identity_address(id);

        *out = slice_of_text(address_format(&address, buffer));
        return true;
    }
    *out = identity_slice(id);
    return identity_is_name(id) || id->type == IKEV2_ID_KEY_ID;
}

bool ike_identity_matches(const struct ike_identity *expected, const struct ike_identity *said,
                          bool strict)
{
    if (expected->type == 0 || said->type == 0) {
        return false;
    }
    if (expected->type == said->type) {
        return identity_is_name(expected)
                   ? names_equal(identity_slice(expected), identity_slice(said))
                   : slice_equal(identity_slice(expected), identity_slice(said));
    }
    if (strict) {
        return false;
    }
    char buffers[2][ADDRESS_TEXT_BYTES];
    struct slice a;
    struct slice b;

    return identity_text(expected, buffers[0], &a) && identity_text(said, buffers[1], &b) &&
           names_equal(a, b);
}

void ike_identity_describe(const struct ike_identity *id, struct text *out)
{
    if (id->type == 0 || id->type == IKEV2_ID_NULL) {
        text_add(out, "nobody");
    } else if (identity_is_address(id)) {
        struct address address = identity_address(id);
        char buffer[ADDRESS_TEXT_BYTES];

        text_add(out, address_format(&address, buffer));
    } else if (identity_is_name(id)) {
        text_add_escaped(out, identity_slice(id));
    } else if (id->type == IKEV2_ID_KEY_ID) {
        text_add(out, "key id \"");
        text_add_escaped(out, identity_slice(id));
        text_add(out, "\"");
    } else {
        text_addf(out, "id %u ", (unsigned)id->type);
        text_add_hex(out, identity_slice(id));
    }
}
