/* AH and what it covers: any packet, AH claimed at any place of it. */
#include <string.h>

#include "fuzz.h"
#include "wire/ah.h"
#include "wire/ah_cover.h"
#include "wire/ip_place.h"

static uint8_t room[4096];
static uint8_t again[4096];
static struct ah_kept kept;
static struct ah_kept kept_again;

static void check_head(struct slice bytes, enum family family)
{
    struct ah_head head;
    struct ah_head second;
    uint8_t written[AH_HEAD_BYTES_MAX];
    char line[80];
    struct text text = text_over(line, sizeof(line));

    ah_describe(bytes, family, &text);
    if (!ah_read(bytes, family, &head)) {
        return;
    }
    MUST(head.head_bytes <= bytes.length && head.head_bytes > AH_FIXED_BYTES);
    if (head.head_bytes > sizeof(written)) {
        return;
    }
    ah_write_head(written, &head);
    MUST(ah_read((struct slice){written, head.head_bytes}, family, &second));
    MUST(second.spi == head.spi && second.sequence == head.sequence &&
         second.next_header == head.next_header && second.head_bytes == head.head_bytes);
}

/* What was made normal does not change when it is made so again, is put back as it was, and nothing
 * behind the place is touched. */
static void check_cover(const uint8_t *data, size_t size, size_t place)
{
    memcpy(room, data, size);
    if (!ah_normalise(room, size, place, &kept)) {
        MUST(memcmp(room, data, size) == 0);
        return;
    }
    MUST(memcmp(room + place, data + place, size - place) == 0);
    memcpy(again, room, size);
    if (ah_normalise(again, size, place, &kept_again)) {
        MUST(memcmp(again, room, size) == 0);
    } else {
        MUST(false);
    }
    ah_restore(room, &kept);
    MUST(memcmp(room, data, size) == 0);
}

static void check_place(struct slice packet)
{
    struct ip_place place;

    if (ip_protection_place(packet, &place)) {
        MUST(place.offset <= packet.length && place.next_header_offset < place.offset);
        MUST(packet.data[place.next_header_offset] == place.next_header);
        check_cover(packet.data, packet.length, place.offset);
        check_head((struct slice){packet.data + place.offset, packet.length - place.offset},
                   packet.data[0] >> 4 == 6 ? FAMILY_IPV6 : FAMILY_IPV4);
    }
}

FUZZ(ah, 40000)
{
    if (size < 1 || size > sizeof(room)) {
        return 0;
    }
    /* The first octet: where AH is said to be, in fours. */
    struct slice packet = {data + 1, size - 1};

    check_head(packet, FAMILY_IPV4);
    check_head(packet, FAMILY_IPV6);
    check_place(packet);
    check_cover(packet.data, packet.length, (size_t)data[0] * 4);
    return 0;
}
