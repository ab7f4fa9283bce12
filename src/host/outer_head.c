/* Decides what an outer IPv6 header was (RFC 8200 3 and 4) from what a raw socket tells about it.
 */
#include "host/outer_head.h"

#include <assert.h>
#include <string.h>

#define IPV6_HEAD_BYTES 40
#define EXTENSION_UNIT_BYTES 8
#define AT_PAYLOAD_LENGTH 4
#define AT_NEXT_HEADER 6
#define AT_HOP_LIMIT 7
#define AT_SOURCE 8
#define AT_DESTINATION 24

void outer_head_add(struct outer_pieces *pieces, uint8_t type, struct slice bytes)
{
    if (pieces->count == OUTER_EXTENSIONS_MAX) {
        pieces->too_many = true;
        return;
    }
    pieces->extensions[pieces->count].type = type;
    pieces->extensions[pieces->count++].bytes = bytes;
}

/* RFC 8200 4.3: the length in units of 8 octets, not counting the first. */
static bool is_whole(struct slice extension)
{
    return extension.length >= EXTENSION_UNIT_BYTES &&
           extension.length == ((size_t)extension.data[1] + 1) * EXTENSION_UNIT_BYTES;
}

/* Each header names the one behind it, the last the protocol. */
static bool is_chain(const struct outer_pieces *pieces, uint8_t protocol)
{
    for (size_t i = 0; i < pieces->count; i++) {
        uint8_t next = i + 1 < pieces->count ? pieces->extensions[i + 1].type : protocol;

        if (!is_whole(pieces->extensions[i].bytes) || pieces->extensions[i].bytes.data[0] != next) {
            return false;
        }
    }
    return true;
}

/* The flow label is not known and not covered by AH (RFC 4302 3.3.3.1.2.1). */
static void write_fixed(const struct outer_pieces *pieces, const struct packet *packet,
                        size_t payload_bytes, uint8_t *out)
{
    memset(out, 0, AT_SOURCE);
    out[0] = (uint8_t)(0x60 | packet->tos >> 4);
    out[1] = (uint8_t)(packet->tos << 4);
    out[AT_PAYLOAD_LENGTH] = (uint8_t)(payload_bytes >> 8);
    out[AT_PAYLOAD_LENGTH + 1] = (uint8_t)payload_bytes;
    out[AT_NEXT_HEADER] = pieces->count > 0 ? pieces->extensions[0].type : packet->outer_protocol;
    out[AT_HOP_LIMIT] = pieces->hop_limit;
    memcpy(out + AT_SOURCE, packet->peer.address.bytes, sizeof(packet->peer.address.bytes));
    memcpy(out + AT_DESTINATION, packet->local.address.bytes, sizeof(packet->local.address.bytes));
}

bool outer_head_write(const struct outer_pieces *pieces, struct packet *packet)
{
    size_t extension_bytes = 0;

    _Static_assert(sizeof(packet->peer.address.bytes) == AT_DESTINATION - AT_SOURCE,
                   "an address is 16 octets");
    assert(packet->peer.address.family == FAMILY_IPV6);
    packet->outer_head_bytes = 0;
    for (size_t i = 0; i < pieces->count; i++) {
        extension_bytes += pieces->extensions[i].bytes.length;
    }
    if (pieces->too_many || extension_bytes + IPV6_HEAD_BYTES > packet->offset ||
        extension_bytes + packet->length > UINT16_MAX) {
        return false;
    }
    if (packet->local.address.family != FAMILY_IPV6 || !is_chain(pieces, packet->outer_protocol)) {
        return true;
    }
    uint8_t *at = packet_data(packet) - extension_bytes - IPV6_HEAD_BYTES;
    write_fixed(pieces, packet, extension_bytes + packet->length, at);
    at += IPV6_HEAD_BYTES;
    for (size_t i = 0; i < pieces->count; i++) {
        memcpy(at, pieces->extensions[i].bytes.data, pieces->extensions[i].bytes.length);
        at += pieces->extensions[i].bytes.length;
    }
    packet->outer_head_bytes = (uint16_t)(extension_bytes + IPV6_HEAD_BYTES);
    return true;
}
