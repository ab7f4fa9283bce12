/*
 * AH against packets that another program made: the ICV of each is the MAC over what wire/ah_cover
 * makes of it, whatever routers did to the fields that they may change.
 */
#include <jansson.h>
#include <stdio.h>

#include "base/text.h"
#include "crypto/cbc_mac.h"
#include "crypto/digest.h"
#include "tests/support/test.h"
#include "wire/ah.h"
#include "wire/ah_cover.h"
#include "wire/ip_place.h"

#define AH_VECTORS 48

static uint8_t packet[4096];
static uint8_t arrived[4096];
static uint8_t plain[4096];

static size_t hex_of(const json_t *object, const char *member, uint8_t *out, size_t capacity)
{
    const char *text = json_string_value(json_object_get(object, member));
    size_t length = 0;

    CHECK(text != NULL);
    CHECK(hex_parse(slice_of_text(text), out, capacity, &length));
    return length;
}

static void cmac(struct slice key, const struct slice *parts, uint8_t out[CBC_MAC_BYTES])
{
    struct cbc_mac_context *context = cbc_mac_context_new();
    struct cbc_mac_key state;

    CHECK(context != NULL && key.length == CBC_MAC_BYTES);
    CHECK(cbc_mac_key_init(context, CBC_MAC_CMAC, key.data, &state));
    CHECK(cbc_mac(context, &state, parts, 2, out));
    cbc_mac_context_free(context);
}

/* Gives the octets of the ICV. */
static size_t mac(const json_t *v, const struct slice parts[2], uint8_t out[DIGEST_BYTES_MAX])
{
    static const struct {
        const char *name;
        enum digest_id digest;
        size_t icv_bytes;
    } hmacs[] = {
        {"HMAC-MD5-96", DIGEST_MD5, 12},     {"HMAC-SHA1-96", DIGEST_SHA1, 12},
        {"SHA2-256-128", DIGEST_SHA256, 16}, {"SHA2-384-192", DIGEST_SHA384, 24},
        {"SHA2-512-256", DIGEST_SHA512, 32},
    };
    const char *name = json_string_value(json_object_get(v, "auth"));
    uint8_t key_bytes[64];
    struct slice key = {key_bytes, hex_of(v, "auth_key", key_bytes, sizeof(key_bytes))};

    CHECK(name != NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(hmacs); i++) {
        if (strcmp(hmacs[i].name, name) == 0) {
            struct hmac_key state;
            struct hmac h;

            hmac_key_init(&state, hmacs[i].digest, key);
            hmac_begin(&h, hmacs[i].digest, &state);
            hmac_add(&h, parts[0].data, parts[0].length);
            hmac_add(&h, parts[1].data, parts[1].length);
            hmac_end(&h, out);
            return hmacs[i].icv_bytes;
        }
    }
    CHECK_TEXT(name, "AES-CMAC-96");
    cmac(key, parts, out);
    return 12;
}

/* What routers may do. */
static void travel(uint8_t *head)
{
    if (head[0] >> 4 == 6) {
        put_u32(head, 0x6ff54321);
        head[7] = 3;
        return;
    }
    head[1] = 0xb9;
    head[8] = 3;
    put_u16(head + 6, 0x4000);
    put_u16(head + 10, 0);
    put_u16(head + 10, checksum_finish(checksum_add(0, (struct slice){head, 20})));
}

static void check_vector(const json_t *v)
{
    size_t length = hex_of(v, "protected_packet", packet, sizeof(packet));
    uint8_t high[4];
    struct ip_place place;
    struct ah_head head;
    struct ah_kept kept;
    uint8_t expected[DIGEST_BYTES_MAX];
    uint8_t icv[AH_HEAD_BYTES_MAX - AH_FIXED_BYTES];

    CHECK(ip_protection_place((struct slice){packet, length}, &place));
    CHECK_EQUAL(place.next_header, IP_PROTOCOL_AH);
    enum family family = packet[0] >> 4 == 6 ? FAMILY_IPV6 : FAMILY_IPV4;
    uint8_t *ah = packet + place.offset;

    CHECK(ah_read((struct slice){ah, length - place.offset}, family, &head));
    CHECK(head.spi == (uint32_t)json_integer_value(json_object_get(v, "spi")));
    CHECK(head.sequence == (uint32_t)json_integer_value(json_object_get(v, "seq")));
    travel(packet);
    memcpy(arrived, packet, length);
    CHECK(ah_normalise(packet, length, place.offset, &kept));
    size_t icv_field = (size_t)head.head_bytes - AH_FIXED_BYTES;

    memcpy(icv, ah + AH_FIXED_BYTES, icv_field);
    memset(ah + AH_FIXED_BYTES, 0, icv_field);
    put_u32(high, (uint32_t)json_integer_value(json_object_get(v, "seq_hi")));
    bool esn = json_is_true(json_object_get(v, "esn"));
    struct slice parts[2] = {{packet, length}, {high, esn ? sizeof(high) : 0}};
    size_t icv_bytes = mac(v, parts, expected);

    CHECK_EQUAL(head.head_bytes, ah_head_bytes(family, icv_bytes));
    CHECK_BYTES(icv, expected, icv_bytes);
    memcpy(ah + AH_FIXED_BYTES, icv, icv_field);
    ah_restore(packet, &kept);
    CHECK_BYTES(packet, arrived, length);
}

/* In transport mode, the place in the plain packet is where the other program put AH. */
static void check_place(const json_t *v)
{
    size_t plain_length = hex_of(v, "plain_packet", plain, sizeof(plain));
    size_t length = hex_of(v, "protected_packet", packet, sizeof(packet));
    struct ip_place place;
    struct ah_head head;

    CHECK(ip_protection_place((struct slice){plain, plain_length}, &place));
    CHECK_EQUAL(packet[place.next_header_offset], IP_PROTOCOL_AH);
    CHECK(ah_read((struct slice){packet + place.offset, length - place.offset},
                  packet[0] >> 4 == 6 ? FAMILY_IPV6 : FAMILY_IPV4, &head));
    CHECK_EQUAL(head.next_header, place.next_header);
    CHECK_BYTES(packet + place.offset + head.head_bytes, plain + place.offset,
                plain_length - place.offset);
}

TEST(the_icv_of_every_golden_ah_packet_is_right_after_any_journey)
{
    json_error_t error;
    json_t *root = json_load_file(TEST_VECTORS "/ipsec/esp-ah-golden.json", 0, &error);
    size_t checked = 0;
    size_t index;
    json_t *v;

    CHECK(root != NULL);
    json_array_foreach(json_object_get(root, "tests"), index, v)
    {
        const char *proto = json_string_value(json_object_get(v, "proto"));
        const char *mode = json_string_value(json_object_get(v, "mode"));

        CHECK(proto != NULL && mode != NULL);
        if (strcmp(proto, "ah") == 0) {
            check_vector(v);
            checked++;
        }
        if (strcmp(proto, "ah") == 0 && strcmp(mode, "transport") == 0) {
            check_place(v);
        }
    }
    json_decref(root);
    CHECK_EQUAL(checked, AH_VECTORS);
}
