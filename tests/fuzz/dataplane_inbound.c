/*
 * Datagrams of any bytes at a gateway with an SA, and packets sealed with its very keys around any
 * bytes: what leaves to the TUN device is a whole packet between the networks that were agreed,
 * and every packet leaves by one door.
 *
 * First byte: 1: sealed (second byte: next header; rest: inside); 2: port 500; 4: protocol 50; 8:
 * padding is damaged.
 */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "dataplane/testbed.h"
#include "fuzz.h"
#include "wire/ip.h"

#define INNER_BYTES_MAX 2048
#define ICV_BYTES 16

static struct testbed bed;
static uint32_t sequence;
static const uint8_t key[32] = {1, 2, 3, 4, 5, 6, 7, 8};

/* Encryption NULL, so that sealing is nothing but an HMAC made here. */
static void set_up(void)
{
    struct tunnel tunnel = {
        .suite = {.encryption = ENCRYPTION_NULL, .integrity = INTEGRITY_HMAC_SHA2_256_128},
        .outer_family = FAMILY_IPV4,
        .encapsulated = true,
    };
    struct child_sa child;

    testbed_open(&bed, 1);
    testbed_child(&tunnel, true, &child);
    bed.a.spi_in = dataplane_reserve_spi(bed.a.dp);
    child.spi_in = bed.a.spi_in;
    child.spi_out = 0x1000;
    child.key_in = SLICE_OF(key);
    child.key_out = SLICE_OF(key);
    MUST(dataplane_install(bed.a.dp, &child));
    dataplane_use(bed.a.dp, bed.a.spi_in);
}

static size_t seal(struct slice inner, uint8_t next_header, bool damaged, uint8_t *out)
{
    struct esp_head head = {bed.a.spi_in, ++sequence};
    size_t padding = esp_padding_for(inner.length, 4);
    size_t length = ESP_HEAD_BYTES + inner.length;
    uint8_t digest[EVP_MAX_MD_SIZE];

    esp_write_head(out, &head);
    if (inner.length > 0) {
        memcpy(out + ESP_HEAD_BYTES, inner.data, inner.length);
    }
    esp_write_trailer(out + length, padding, next_header);
    length += padding + ESP_TRAILER_BYTES;
    if (damaged) {
        out[length - ESP_TRAILER_BYTES] ^= 0x55;
    }
    MUST(HMAC(EVP_sha256(), key, sizeof(key), out, length, digest, NULL) != NULL);
    memcpy(out + length, digest, ICV_BYTES);
    return length + ICV_BYTES;
}

static bool within(const struct address *a, uint8_t site)
{
    return a->family == FAMILY_IPV4
               ? a->bytes[0] == 10 && a->bytes[1] == site
               : get_u32(a->bytes) == 0x20010db8 && get_u16(a->bytes + 4) == site + 9;
}

static void check_output(const struct gateway *g)
{
    for (size_t i = 0; i < g->out.to_tun_count; i++) {
        struct ip_head head;

        MUST(ip_read(packet_slice(g->out.to_tun[i]), &head));
        MUST(head.total_bytes == g->out.to_tun[i]->length);
        MUST(within(&head.source, 2) && within(&head.destination, 1));
    }
    MUST(testbed_doors_add_up(g));
}

FUZZ(dataplane_inbound, 20000)
{
    static uint8_t datagram[INNER_BYTES_MAX + 300];
    static bool ready;

    if (size < 2 || size > INNER_BYTES_MAX) {
        return 0;
    }
    if (!ready) {
        ready = true;
        set_up();
    }
    struct slice bytes = {data + 1, size - 1};

    if ((data[0] & 1) != 0) {
        bytes.length =
            seal((struct slice){data + 2, size - 2}, data[1], (data[0] & 8) != 0, datagram);
        bytes.data = datagram;
    }
    bed.now_ms += 10;
    testbed_inbound(&bed, &bed.a, (data[0] & 4) != 0 ? 50 : 17, (data[0] & 2) != 0 ? 500 : 4500, 0,
                    bytes);
    check_output(&bed.a);
    testbed_give(&bed.a);
    return 0;
}
