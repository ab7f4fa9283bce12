/* HMAC-SHA2-256 cut to 96 bits, as Linux before 2.6.33 and old Android do it under the number of
 * the one with 128 bits (their "sha2 truncation"): the octets, and that nothing else comes through.
 */
#include "tests/support/test.h"

#include <openssl/hmac.h>

#include "dataplane/testbed.h"

#define KEY_BYTES 32
#define ICV_BYTES 12

static struct testbed t;

/* A pair of SAs with known keys; `cut` says which of the two has the short one. */
static void open_pair(uint8_t protocol, bool cut_a, bool cut_b)
{
    static uint8_t keys[2][KEY_BYTES];
    const struct tunnel tunnel = {.outer_family = FAMILY_IPV4};
    struct child_sa child;

    for (size_t i = 0; i < KEY_BYTES; i++) {
        keys[0][i] = (uint8_t)(0x40 + i);
        keys[1][i] = (uint8_t)(0xa0 + i);
    }
    testbed_open(&t, 7);
    t.a.spi_in = dataplane_reserve_spi(t.a.dp);
    t.b.spi_in = dataplane_reserve_spi(t.b.dp);
    for (unsigned i = 0; i < 2; i++) {
        struct gateway *g = i == 0 ? &t.a : &t.b;
        bool cut = i == 0 ? cut_a : cut_b;

        testbed_child(&tunnel, i == 0, &child);
        child.protocol = protocol;
        child.suite = (struct suite){
            .encryption = protocol == IP_PROTOCOL_AH ? ENCRYPTION_NONE : ENCRYPTION_NULL,
            .integrity = cut ? INTEGRITY_HMAC_SHA2_256_96 : INTEGRITY_HMAC_SHA2_256_128};
        child.spi_in = g->spi_in;
        child.spi_out = i == 0 ? t.b.spi_in : t.a.spi_in;
        child.key_in = SLICE_OF(keys[1 - i]);
        child.key_out = SLICE_OF(keys[i]);
        CHECK(dataplane_install(g->dp, &child));
        dataplane_use(g->dp, g->spi_in);
    }
}

static struct packet *send_one(void)
{
    struct packet *packet = dataplane_take_packet(t.a.worker);

    CHECK(packet != NULL);
    testbed_fill(&t, packet, true, FAMILY_IPV4, 100, false);
    CHECK(testbed_outbound(&t, &t.a, packet_slice(packet)));
    dataplane_give_packet(t.a.worker, packet);
    CHECK_EQUAL(t.a.out.to_wire_count, 1);
    return t.a.out.to_wire[0];
}

/* RFC 4303 2: SPI, number, payload, padding to 4 octets with its length and next header, ICV. */
TEST(the_check_value_of_esp_is_the_first_twelve_octets_of_the_hmac)
{
    uint8_t key[KEY_BYTES];
    uint8_t mac[32];
    unsigned mac_bytes = 0;

    open_pair(IP_PROTOCOL_ESP, true, true);
    const struct packet *sent = send_one();
    const uint8_t *data = packet_data(sent);

    for (size_t i = 0; i < KEY_BYTES; i++) {
        key[i] = (uint8_t)(0x40 + i);
    }
    CHECK_EQUAL(sent->length, 8 + 100 + 4 + ICV_BYTES);
    CHECK(HMAC(EVP_sha256(), key, KEY_BYTES, data, sent->length - ICV_BYTES, mac, &mac_bytes) !=
          NULL);
    CHECK(memcmp(data + sent->length - ICV_BYTES, mac, ICV_BYTES) == 0);
    testbed_carry(&t, &t.a, &t.b);
    CHECK_EQUAL(t.b.out.to_tun_count, 1);
    testbed_give(&t.b);
    testbed_close(&t);
}

TEST(ah_has_it_too)
{
    open_pair(IP_PROTOCOL_AH, true, true);
    const struct packet *sent = send_one();

    /* Behind the outer header; RFC 4302 2.2: the length in words of 32 bits, less two. */
    CHECK_EQUAL(packet_data(sent)[0], 0x45);
    CHECK_EQUAL(packet_data(sent)[IPV4_HEAD_BYTES + 1], (12 + ICV_BYTES) / 4 - 2);
    testbed_carry(&t, &t.a, &t.b);
    CHECK_EQUAL(t.b.out.to_tun_count, 1);
    testbed_give(&t.b);
    testbed_close(&t);
}

TEST(with_one_side_alone_every_packet_is_dropped_as_forged)
{
    for (unsigned side = 0; side < 2; side++) {
        open_pair(IP_PROTOCOL_ESP, side == 0, side == 1);
        (void)send_one();
        testbed_carry(&t, &t.a, &t.b);
        CHECK_EQUAL(t.b.out.to_tun_count, 0);
        CHECK_EQUAL(testbed_dropped(&t.b, DROP_FORGED), 1);
        testbed_give(&t.b);
        testbed_close(&t);
    }
}

TEST(no_word_and_no_list_has_it)
{
    const struct algorithm *a;
    struct transform found;

    CHECK(!transform_by_word(TRANSFORM_INTEGRITY, SLICE_TEXT("sha256-96"), &found));
    for (size_t i = 0; (a = algorithm_at(i)) != NULL; i++) {
        CHECK(a->id != INTEGRITY_HMAC_SHA2_256_96 || a->type != TRANSFORM_INTEGRITY);
    }
}
