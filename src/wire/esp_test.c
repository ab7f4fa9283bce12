/* ESP heads and trailers at every length, and what a datagram of port 4500 is. */
#include "wire/esp.h"

#include "tests/support/test.h"

TEST(a_head_is_read_and_written_back)
{
    static const uint8_t bytes[] = {0xc0, 0xff, 0xee, 0x01, 0, 0, 0x12, 0x34, 0xaa};
    struct esp_head head;
    uint8_t room[ESP_HEAD_BYTES];

    CHECK(esp_read_head(SLICE_OF(bytes), &head));
    CHECK(head.spi == 0xc0ffee01 && head.sequence == 0x1234);
    esp_write_head(room, &head);
    CHECK_BYTES(room, bytes, sizeof(room));
    for (size_t length = 0; length < ESP_HEAD_BYTES; length++) {
        CHECK(!esp_read_head((struct slice){bytes, length}, &head));
    }
}

TEST(reserved_spis_are_refused)
{
    for (uint32_t spi = 0; spi < 600; spi++) {
        uint8_t bytes[ESP_HEAD_BYTES] = {0};
        struct esp_head head;

        put_u32(bytes, spi);
        CHECK(esp_read_head(SLICE_OF(bytes), &head) == (spi > 255));
    }
}

TEST(padding_is_the_least_that_aligns)
{
    static const size_t alignments[] = {1, 2, 4, 8, 16, 256};

    for (size_t i = 0; i < ARRAY_LENGTH(alignments); i++) {
        for (size_t payload = 0; payload < 600; payload++) {
            size_t padding = esp_padding_for(payload, alignments[i]);

            CHECK((payload + padding + 2) % alignments[i] == 0);
            CHECK(padding < alignments[i]);
        }
    }
}

TEST(a_trailer_of_every_length_is_read_back)
{
    for (size_t padding = 0; padding <= ESP_PADDING_BYTES_MAX; padding++) {
        uint8_t room[3 + ESP_PADDING_BYTES_MAX + 2] = {7, 7, 7};
        size_t payload = 0;
        uint8_t next = 0;
        struct slice whole = {room, 3 + padding + 2};

        esp_write_trailer(room + 3, padding, 4);
        CHECK(padding == 0 || (room[3] == 1 && room[3 + padding - 1] == padding));
        CHECK(esp_read_trailer(whole, &payload, &next));
        CHECK(payload == 3 && next == 4);
        for (size_t i = 0; i < padding; i++) {
            room[3 + i] ^= 0x40;
            CHECK(!esp_read_trailer(whole, &payload, &next));
            room[3 + i] ^= 0x40;
        }
    }
}

TEST(a_pad_length_beyond_the_packet_is_refused)
{
    uint8_t room[6] = {1, 2, 3, 4, 0, 4};
    size_t payload = 0;
    uint8_t next = 0;

    for (unsigned pad = 0; pad < 256; pad++) {
        room[4] = (uint8_t)pad;
        CHECK(esp_read_trailer(SLICE_OF(room), &payload, &next) == (pad == 0 || pad == 4));
    }
    CHECK(!esp_read_trailer((struct slice){room, 1}, &payload, &next));
    CHECK(!esp_read_trailer((struct slice){NULL, 0}, &payload, &next));
    room[0] = 1;
    CHECK(!esp_read_trailer((struct slice){room, 2}, &payload, &next));
    room[0] = 0;
    room[1] = 59;
    CHECK(esp_read_trailer((struct slice){room, 2}, &payload, &next));
    CHECK(payload == 0 && next == 59);
}

TEST(port_4500_carries_keepalives_ike_and_esp)
{
    static const uint8_t keepalive[] = {0xff};
    static const uint8_t zero[] = {0x00};
    static const uint8_t two[] = {0xff, 0xff};
    static const uint8_t marker[] = {0, 0, 0, 0, 9, 8, 7};
    static const uint8_t esp[] = {0, 0, 1, 0, 0, 0, 0, 1};
    struct slice inner;

    CHECK(natt_classify(SLICE_OF(keepalive), &inner) == NATT_KEEPALIVE && inner.length == 0);
    CHECK(natt_classify(SLICE_OF(zero), &inner) == NATT_RUNT);
    CHECK(natt_classify(SLICE_OF(two), &inner) == NATT_RUNT);
    CHECK(natt_classify((struct slice){NULL, 0}, &inner) == NATT_RUNT);
    CHECK(natt_classify(SLICE_OF(marker), &inner) == NATT_IKE);
    CHECK(inner.data == marker + 4 && inner.length == 3);
    CHECK(natt_classify((struct slice){marker, 4}, &inner) == NATT_RUNT);
    CHECK(natt_classify((struct slice){marker, 5}, &inner) == NATT_IKE);
    CHECK(natt_classify(SLICE_OF(esp), &inner) == NATT_ESP);
    CHECK(inner.data == esp && inner.length == sizeof(esp));
    CHECK(natt_classify((struct slice){esp, 7}, &inner) == NATT_RUNT && inner.length == 0);
}
