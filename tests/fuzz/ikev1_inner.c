/*
 * What a decrypted IKEv1 message has: the first byte is the type of the first payload, the rest the
 * chain with its padding, as a wrong key may make it. Every body that is read is written again.
 */
#include <string.h>

#include "fuzz.h"
#include "wire/ikev1.h"

static uint8_t room[65536];

static void check_exact(const struct writer *w, struct slice body)
{
    MUST(slice_equal(writer_written(w), body));
}

/* Members instead of octets say the same, of a transform that is understood. */
static void check_transform(uint8_t protocol, struct ikev1_wire_transform t)
{
    static uint8_t attributes[65536];
    struct writer w = writer_over(attributes, sizeof(attributes));
    struct ikev1_wire_transform again = {.number = t.number, .id = t.id};

    if (t.unknown_attribute) {
        return;
    }
    t.attributes = (struct slice){NULL, 0};
    ikev1_write_transform_attributes(&w, protocol, &t);
    MUST(writer_ok(&w));
    MUST(ikev1_read_transform_attributes(protocol, writer_written(&w), &again));
    again.attributes = t.attributes;
    MUST(memcmp(&again, &t, sizeof(t)) == 0);
}

static void check_sa(struct slice body, struct writer *w)
{
    static struct ikev1_sa_payload sa;
    static struct ikev1_sa_payload again;

    if (!ikev1_read_sa(body, &sa) || sa.proposal_count == 0) {
        return;
    }
    MUST(sa.proposal_count <= IKEV1_PROPOSALS_MAX && sa.transform_count <= IKEV1_TRANSFORMS_MAX);
    ikev1_write_sa(w, &sa);
    MUST(writer_ok(w) && w->length == body.length);
    MUST(ikev1_read_sa(writer_written(w), &again));
    MUST(again.proposal_count == sa.proposal_count && again.transform_count == sa.transform_count);
    for (unsigned i = 0; i < sa.proposal_count; i++) {
        const struct ikev1_wire_proposal *p = &sa.proposals[i];

        MUST(p->first + p->count <= sa.transform_count && p->count > 0);
        for (unsigned j = 0; j < p->count; j++) {
            check_transform(p->protocol, sa.transforms[p->first + j]);
        }
    }
}

static void check_id(struct slice body, struct writer *w)
{
    struct ikev1_id_payload id;
    struct ikev1_id_payload shortest;
    struct selector selector;
    struct selector again;

    if (!ikev1_read_id(body, &id)) {
        return;
    }
    ikev1_write_id(w, &id);
    check_exact(w, body);
    if (!ikev1_id_selector(&id, &selector)) {
        return;
    }
    uint8_t octets[64];
    struct writer traffic = writer_over(octets, sizeof(octets));

    MUST(ikev1_write_selector(&traffic, &selector) && writer_ok(&traffic));
    MUST(traffic.length <= body.length);
    MUST(ikev1_read_id(writer_written(&traffic), &shortest));
    MUST(ikev1_id_selector(&shortest, &again) && selector_equal(&again, &selector));
}

static void check_cert(struct slice body, struct writer *w)
{
    struct ikev1_cert_payload cert;

    if (ikev1_read_cert(body, &cert)) {
        ikev1_write_cert(w, &cert);
        check_exact(w, body);
    }
}

static void check_notify(struct slice body, struct writer *w)
{
    struct ikev1_notify_payload n;

    if (ikev1_read_notify(body, &n)) {
        ikev1_write_notify(w, &n);
        check_exact(w, body);
    }
}

static void check_delete(struct slice body, struct writer *w)
{
    struct ikev1_delete_payload d;

    if (ikev1_read_delete(body, &d)) {
        MUST(d.spi_bytes > 0 && d.spis.length == (size_t)d.count * d.spi_bytes);
        ikev1_write_delete(w, &d);
        check_exact(w, body);
    }
}

static void check_vendor(struct slice body, struct writer *w)
{
    enum ikev1_vendor vendor = ikev1_vendor_of(body);
    struct slice sent = ikev1_vendor_octets(vendor);

    (void)w;
    MUST((vendor == IKEV1_VENDOR_UNKNOWN) == (sent.length == 0));
    MUST(vendor == IKEV1_VENDOR_UNKNOWN || memcmp(sent.data, body.data, 8) == 0);
}

static void check_split_networks(struct slice value)
{
    struct reader r = reader_over(value);
    struct network network;
    size_t count = 0;

    while (ikev1_read_split_network(&r, &network)) {
        MUST(network.prefix_bits <= 32);
        count++;
    }
    MUST(!reader_ok(&r) || count * 14 == value.length);
}

static void check_setting(const struct ikev1_attribute *a)
{
    struct address address;
    struct network network;
    struct network again;
    uint8_t octets[32];
    struct writer w = writer_over(octets, sizeof(octets));

    if (ikev1_cfg_address(a, &address)) {
        MUST(!a->is_short && address.family != FAMILY_NONE);
    }
    if (ikev1_cfg_subnet(a, &network)) {
        ikev1_write_cfg_subnet(&w, &network);
        MUST(writer_ok(&w) && w.length == a->value.length);
        struct ikev1_attribute written = {.type = a->type, .value = writer_written(&w)};

        MUST(ikev1_cfg_subnet(&written, &again) &&
             address_equal(&again.address, &network.address) &&
             again.prefix_bits == network.prefix_bits);
    }
}

static void check_cfg(struct slice body, struct writer *w)
{
    static struct ikev1_cfg_payload cfg;

    if (!ikev1_read_cfg(body, &cfg)) {
        return;
    }
    ikev1_write_cfg(w, &cfg);
    MUST(writer_ok(w) && w->length == body.length);
    MUST(room[0] == body.data[0] && memcmp(room + 2, body.data + 2, body.length - 2) == 0);
    for (unsigned i = 0; i < cfg.count; i++) {
        check_split_networks(cfg.attributes[i].value);
        check_setting(&cfg.attributes[i]);
    }
}

static void check_nat_oa(struct slice body, struct writer *w)
{
    struct address address;

    if (ikev1_read_nat_oa(body, &address)) {
        ikev1_write_nat_oa(w, &address);
        MUST(writer_ok(w) && w->length == body.length && room[0] == body.data[0]);
        MUST(memcmp(room + 4, body.data + 4, body.length - 4) == 0);
    }
}

static void check_fragment(struct slice body, struct writer *w)
{
    struct ikev1_fragment_payload f;

    if (ikev1_read_fragment(body, &f)) {
        ikev1_write_fragment(w, &f);
        MUST(writer_ok(w) && w->length == body.length);
        MUST(memcmp(room, body.data, 3) == 0 &&
             memcmp(room + 4, body.data + 4, body.length - 4) == 0);
    }
}

FUZZ(ikev1_inner, 30000)
{
    static const struct {
        uint8_t type;
        void (*check)(struct slice body, struct writer *w);
    } table[] = {
        {IKEV1_SA, check_sa},
        {IKEV1_ID, check_id},
        {IKEV1_CERT, check_cert},
        {IKEV1_CERTREQ, check_cert},
        {IKEV1_NOTIFY, check_notify},
        {IKEV1_DELETE, check_delete},
        {IKEV1_VENDOR_ID, check_vendor},
        {IKEV1_ATTRIBUTES, check_cfg},
        {IKEV1_NAT_OA, check_nat_oa},
        {IKEV1_NAT_OA_DRAFT, check_nat_oa},
        {IKEV1_FRAGMENT, check_fragment},
    };
    struct reader r = reader_over((struct slice){data, size});
    uint8_t next = read_u8(&r);
    struct ikev1_payload p;
    unsigned count = 0;

    while (count++ < IKEV1_PAYLOADS_MAX && ikev1_read_payload(&r, &next, &p)) {
        for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
            struct writer w = writer_over(room, sizeof(room));

            if (table[i].type == p.type) {
                table[i].check(p.body, &w);
            }
        }
    }
    return 0;
}
