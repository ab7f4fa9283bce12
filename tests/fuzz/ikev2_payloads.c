/* The other IKEv2 payloads: the first byte is the payload type, the rest its body. */
#include <string.h>

#include "fuzz.h"
#include "wire/ikev2.h"

static uint8_t room[65536];

/* What differs may be reserved octets only: in front, `reserved` octets behind the first one. */
static void check_same(const struct writer *w, struct slice body, size_t reserved)
{
    MUST(writer_ok(w) && w->length == body.length);
    MUST(room[0] == body.data[0]);
    MUST(memcmp(room + 1 + reserved, body.data + 1 + reserved, body.length - 1 - reserved) == 0);
}

static void check_ke(struct slice body, struct writer *w)
{
    struct ikev2_ke_payload ke;

    if (ikev2_read_ke(body, &ke)) {
        ikev2_write_ke(w, &ke);
        MUST(writer_ok(w) && w->length == body.length && get_u16(room) == get_u16(body.data));
        MUST(memcmp(room + 4, body.data + 4, body.length - 4) == 0);
    }
}

static void check_id(struct slice body, struct writer *w)
{
    struct ikev2_id_payload id;

    if (ikev2_read_id(body, &id)) {
        ikev2_write_id(w, &id);
        check_same(w, body, 3);
    }
}

static void check_cert(struct slice body, struct writer *w)
{
    struct ikev2_cert_payload cert;

    if (ikev2_read_cert(body, &cert)) {
        ikev2_write_cert(w, &cert);
        check_same(w, body, 0);
    }
}

static void check_auth(struct slice body, struct writer *w)
{
    struct ikev2_auth_payload auth;

    if (ikev2_read_auth(body, &auth)) {
        ikev2_write_auth(w, &auth);
        check_same(w, body, 3);
    }
}

static void check_ipcomp(struct slice data)
{
    struct writer w = writer_over(room, sizeof(room));
    struct ikev2_ipcomp ipcomp;

    if (ikev2_read_ipcomp(data, &ipcomp)) {
        ikev2_write_ipcomp(&w, &ipcomp);
        MUST(slice_equal(writer_written(&w), data));
    }
}

static void check_notify(struct slice body, struct writer *w)
{
    struct ikev2_notify_payload n;

    if (ikev2_read_notify(body, &n)) {
        ikev2_write_notify(w, &n);
        check_same(w, body, 0);
        check_ipcomp(n.data);
    }
}

static void check_delete(struct slice body, struct writer *w)
{
    struct ikev2_delete_payload d;

    if (ikev2_read_delete(body, &d)) {
        MUST(d.spis.length == (size_t)d.count * d.spi_bytes);
        ikev2_write_delete(w, &d);
        check_same(w, body, 0);
    }
}

static void check_ts(struct slice body, struct writer *w)
{
    static struct ikev2_ts_payload ts;
    static struct ikev2_ts_payload again;

    if (!ikev2_read_ts(body, &ts)) {
        return;
    }
    MUST(ts.count + ts.skipped == body.data[0]);
    if (ts.count == 0) {
        return;
    }
    ikev2_write_ts(w, ts.selectors, ts.count);
    MUST(writer_ok(w) && w->length <= body.length);
    MUST(ikev2_read_ts(writer_written(w), &again) && again.count == ts.count && again.skipped == 0);
    for (unsigned i = 0; i < ts.count; i++) {
        char text[SELECTOR_TEXT_BYTES];

        MUST(selector_equal(&ts.selectors[i], &again.selectors[i]));
        MUST(selector_contains(&ts.selectors[i], &again.selectors[i]));
        (void)selector_format(&ts.selectors[i], text);
    }
}

static void check_cp(struct slice body, struct writer *w)
{
    static struct ikev2_cp_payload cp;
    static struct ikev2_cp_payload again;

    if (!ikev2_read_cp(body, &cp)) {
        return;
    }
    ikev2_write_cp(w, &cp);
    MUST(writer_ok(w) && w->length == body.length);
    MUST(ikev2_read_cp(writer_written(w), &again) && again.count == cp.count &&
         again.type == cp.type);
    for (unsigned i = 0; i < cp.count; i++) {
        MUST(cp.attributes[i].type == again.attributes[i].type);
        MUST(slice_equal(cp.attributes[i].value, again.attributes[i].value));
    }
}

static void check_eap(struct slice body, struct writer *w)
{
    struct slice packet;

    (void)w;
    if (ikev2_read_eap(body, &packet)) {
        MUST(packet.length == body.length && packet.length >= 4);
    }
}

static void check_fragment(struct slice body, struct writer *w)
{
    struct reader r = reader_over(body);
    struct ikev2_skf_head head;

    (void)w;
    if (ikev2_read_skf_head(&r, &head)) {
        MUST(head.number >= 1 && head.number <= head.total && reader_left(&r) == body.length - 4);
    }
}

FUZZ(ikev2_payloads, 60000)
{
    static const struct {
        uint8_t type;
        void (*check)(struct slice body, struct writer *w);
    } table[] = {
        {IKEV2_KE, check_ke},         {IKEV2_IDI, check_id},        {IKEV2_IDR, check_id},
        {IKEV2_CERT, check_cert},     {IKEV2_CERTREQ, check_cert},  {IKEV2_AUTH, check_auth},
        {IKEV2_NOTIFY, check_notify}, {IKEV2_DELETE, check_delete}, {IKEV2_TSI, check_ts},
        {IKEV2_TSR, check_ts},        {IKEV2_CP, check_cp},         {IKEV2_EAP, check_eap},
        {IKEV2_SKF, check_fragment},
    };
    struct writer w = writer_over(room, sizeof(room));

    for (size_t i = 0; size > 0 && i < ARRAY_LENGTH(table); i++) {
        if (table[i].type == data[0]) {
            table[i].check((struct slice){data + 1, size - 1}, &w);
        }
    }
    return 0;
}
