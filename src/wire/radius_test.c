/* RADIUS packets: what is read and written, every truncation, every wrong length. */
#include "wire/radius.h"

#include "tests/support/test.h"

static const uint8_t zeros[16];

static size_t write_example(uint8_t *bytes, size_t capacity)
{
    struct writer w = writer_over(bytes, capacity);

    radius_write_begin(&w, RADIUS_ACCESS_ACCEPT, 9, zeros);
    radius_write_attribute(&w, RADIUS_USER_NAME, SLICE_TEXT("alice"));
    radius_write_number(&w, RADIUS_SESSION_TIMEOUT, 3600);
    radius_write_attribute(&w, RADIUS_CLASS, SLICE_TEXT("x"));
    radius_write_attribute(&w, RADIUS_CLASS, (struct slice){NULL, 0});
    radius_write_end(&w);
    CHECK(writer_ok(&w));
    return w.length;
}

TEST(a_packet_is_read_as_it_was_written)
{
    uint8_t bytes[64];
    size_t length = write_example(bytes, sizeof(bytes));
    struct reader r = reader_over((struct slice){bytes, length});
    struct radius_packet p;
    struct radius_attribute a;

    CHECK(radius_read(&r, &p));
    CHECK(p.code == RADIUS_ACCESS_ACCEPT && p.id == 9 && p.length == length);
    struct reader attributes = reader_over(p.attributes);

    CHECK(radius_read_attribute(&attributes, &a) && a.type == RADIUS_USER_NAME);
    CHECK(slice_equal_text(a.value, "alice"));
    CHECK(radius_read_attribute(&attributes, &a) && get_u32(a.value.data) == 3600);
    CHECK(radius_read_attribute(&attributes, &a) && slice_equal_text(a.value, "x"));
    CHECK(!radius_read_attribute(&attributes, &a) && reader_done(&attributes));
}

TEST(every_truncation_is_refused_and_what_is_behind_the_end_is_passed_over)
{
    uint8_t bytes[64] = {0};
    size_t length = write_example(bytes, sizeof(bytes));
    struct radius_packet p;

    for (size_t cut = 0; cut < length; cut++) {
        struct reader r = reader_over((struct slice){bytes, cut});

        CHECK(!radius_read(&r, &p));
    }
    struct reader r = reader_over(SLICE_OF(bytes));

    CHECK(radius_read(&r, &p) && p.attributes.length == length - RADIUS_HEAD_BYTES);
}

TEST(lengths_that_lie_are_refused)
{
    uint8_t bytes[64];
    size_t length = write_example(bytes, sizeof(bytes));
    struct radius_packet p;

    /* Of the packet: below its head, or cutting the last attribute. */
    for (uint16_t lie = 0; lie < length; lie++) {
        put_u16(bytes + 2, lie);
        struct reader r = reader_over((struct slice){bytes, length});

        if (radius_read(&r, &p)) {
            CHECK(lie == 20 || lie == 27 || lie == 33);
        }
    }
    put_u16(bytes + 2, (uint16_t)length);
    /* Of the first attribute: 0 to 2, and all that do not meet the next one. */
    for (unsigned lie = 0; lie < 256; lie++) {
        bytes[21] = (uint8_t)lie;
        struct reader r = reader_over((struct slice){bytes, length});

        if (radius_read(&r, &p)) {
            CHECK(lie == 7 || lie == 13 || lie == 16);
        }
    }
}

TEST(the_largest_packet_and_no_larger)
{
    static uint8_t bytes[RADIUS_BYTES_MAX + 300];
    uint8_t value[RADIUS_VALUE_BYTES_MAX + 1] = {1};
    struct writer w = writer_over(bytes, sizeof(bytes));
    struct radius_packet p;

    radius_write_begin(&w, RADIUS_ACCESS_ACCEPT, 0, zeros);
    while (w.length + 255 <= RADIUS_BYTES_MAX) {
        radius_write_attribute(&w, RADIUS_CLASS, (struct slice){value, RADIUS_VALUE_BYTES_MAX});
    }
    radius_write_attribute(&w, RADIUS_CLASS,
                           (struct slice){value, RADIUS_BYTES_MAX - w.length - 2});
    radius_write_end(&w);
    CHECK_EQUAL(w.length, RADIUS_BYTES_MAX);
    struct reader r = reader_over(writer_written(&w));

    CHECK(radius_read(&r, &p));
    put_u16(bytes + 2, RADIUS_BYTES_MAX + 1);
    r = reader_over(SLICE_OF(bytes));
    CHECK(!radius_read(&r, &p));
    radius_write_attribute(&w, RADIUS_CLASS, SLICE_OF(value));
    CHECK(!writer_ok(&w));
}

TEST(vendors_attributes)
{
    struct radius_vendor_attribute v;
    struct reader r = reader_over(SLICE_TEXT("\0\0\x01\x37\x1c\x06\x0a\x01\0\x35"));

    CHECK(radius_read_vendor(&r, &v));
    CHECK(v.vendor == RADIUS_VENDOR_MICROSOFT && v.type == RADIUS_MS_PRIMARY_DNS_SERVER);
    CHECK(v.value.length == 4 && v.value.data[3] == 53);
    r = reader_over(SLICE_TEXT("\0\0\x01\x37\x1c\x01\x0a\x01\0\x35"));
    CHECK(!radius_read_vendor(&r, &v));
    r = reader_over(SLICE_TEXT("\0\0\x01\x37\x1c\x09\x0a\x01\0\x35"));
    CHECK(!radius_read_vendor(&r, &v));
}

TEST(a_line_for_a_person_has_no_control_characters_and_nothing_hidden)
{
    uint8_t bytes[128];
    struct writer w = writer_over(bytes, sizeof(bytes));
    struct radius_packet p;
    char words[256];
    struct text out = text_over(words, sizeof(words));

    radius_write_begin(&w, RADIUS_ACCESS_REQUEST, 3, zeros);
    radius_write_attribute(&w, RADIUS_USER_NAME, SLICE_TEXT("al\x1bice"));
    radius_write_attribute(&w, RADIUS_USER_PASSWORD, SLICE_OF(zeros));
    radius_write_number(&w, RADIUS_FRAMED_IP_ADDRESS, 0x0a090007);
    radius_write_attribute(&w, 200, SLICE_TEXT("x"));
    radius_write_end(&w);
    struct reader r = reader_over(writer_written(&w));

    CHECK(radius_read(&r, &p));
    radius_describe(&p, &out);
    CHECK_TEXT(words, "Access-Request 3, User-Name 'al\\x1bice', User-Password, "
                      "Framed-IP-Address 10.9.0.7, attribute 200");
}
