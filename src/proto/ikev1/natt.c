/*
 * Vendor IDs, and the way through a NAT (RFC 3947, and the drafts 02 and 03 before it, which differ
 * in numbers alone): decides which way is taken, and who is behind a NAT.
 */
#include <string.h>

#include "proto/ikev1/machine.h"

/* ---- vendor IDs ---- */

void ikev1_abilities_read(const struct ikev1_message *m, enum ikev1_natt allowed,
                          struct ikev1_abilities *out)
{
    struct slice body;

    for (size_t i = 0; ikev1_message_find(m, IKEV1_VENDOR_ID, i, &body); i++) {
        switch (ikev1_vendor_of(body)) {
        case IKEV1_VENDOR_NAT_T:
            if (allowed == IKEV1_NATT_ALL) {
                out->natt = IKEV1_NATT_RFC;
            }
            break;
        case IKEV1_VENDOR_NAT_T_DRAFT_02_N:
        case IKEV1_VENDOR_NAT_T_DRAFT_02:
        case IKEV1_VENDOR_NAT_T_DRAFT_03:
            if (allowed != IKEV1_NATT_NEVER && out->natt == IKEV1_NATT_NONE) {
                out->natt = IKEV1_NATT_DRAFT;
            }
            break;
        case IKEV1_VENDOR_DPD:
            out->liveness = true;
            break;
        case IKEV1_VENDOR_XAUTH:
            out->xauth = true;
            break;
        case IKEV1_VENDOR_UNITY:
            out->unity = true;
            break;
        case IKEV1_VENDOR_FRAGMENTATION:
            out->fragmentation = true;
            break;
        case IKEV1_VENDOR_UNKNOWN:
        case IKEV1_VENDOR_INITIAL_CONTACT:
        case IKEV1_VENDOR_WINDOWS:
            break;
        }
    }
}

static void out_vendor(struct ikev1_outgoing *o, enum ikev1_vendor vendor)
{
    ikev1_write_payload(&o->chain, IKEV1_VENDOR_ID, ikev1_vendor_octets(vendor));
}

void ikev1_out_vendors(struct ikev1_outgoing *o, enum ikev1_natt allowed,
                       const struct ikev1_abilities *chosen, bool few, bool fragments)
{
    /* What the peer did not say is not said to him: the answer is no longer than the question. */
    if (!few && (chosen == NULL || chosen->liveness)) {
        out_vendor(o, IKEV1_VENDOR_DPD);
    }
    if (fragments && !few && (chosen == NULL || chosen->fragmentation)) {
        out_vendor(o, IKEV1_VENDOR_FRAGMENTATION);
    }
    if (chosen != NULL) {
        if (chosen->natt != IKEV1_NATT_NONE) {
            out_vendor(o, chosen->natt == IKEV1_NATT_RFC ? IKEV1_VENDOR_NAT_T
                                                         : IKEV1_VENDOR_NAT_T_DRAFT_02_N);
        }
        return;
    }
    if (allowed == IKEV1_NATT_NEVER) {
        return;
    }
    if (allowed == IKEV1_NATT_ALL) {
        out_vendor(o, IKEV1_VENDOR_NAT_T);
    }
    out_vendor(o, IKEV1_VENDOR_NAT_T_DRAFT_03);
    out_vendor(o, IKEV1_VENDOR_NAT_T_DRAFT_02_N);
    out_vendor(o, IKEV1_VENDOR_NAT_T_DRAFT_02);
}

/* ---- NAT-D ---- */

static uint8_t natd_type(enum ikev1_natt_kind kind)
{
    return kind == IKEV1_NATT_RFC ? IKEV1_NAT_D : IKEV1_NAT_D_DRAFT;
}

uint8_t ikev1_nat_oa_type(enum ikev1_natt_kind kind)
{
    return kind == IKEV1_NATT_RFC ? IKEV1_NAT_OA : IKEV1_NAT_OA_DRAFT;
}

/* RFC 3947 3.2: HASH(CKY-I | CKY-R | IP | Port) with the hash that was negotiated. */
static bool natd_hash(const struct ikev1_ike *ike, const struct suite *suite,
                      const struct endpoint *endpoint, struct ikev1_hash_value *out)
{
    uint8_t head[16];
    uint8_t port[2];
    const struct slice parts[] = {
        SLICE_OF(head),
        {endpoint->address.bytes, address_bytes((enum family)endpoint->address.family)},
        SLICE_OF(port),
    };

    put_u64(head, ike->spi_i);
    put_u64(head + 8, ike->spi_r);
    put_u16(port, endpoint->port);
    return ikev1_hash(suite, parts, ARRAY_LENGTH(parts), out);
}

void ikev1_out_natd(struct ikev1_outgoing *o, const struct ikev1_ike *ike,
                    const struct suite *suite, enum ikev1_natt_kind kind,
                    const struct endpoint *local, const struct endpoint *peer, bool force)
{
    struct ikev1_hash_value destination;
    struct ikev1_hash_value source;

    if (kind == IKEV1_NATT_NONE) {
        return;
    }
    if (!natd_hash(ike, suite, peer, &destination) || !natd_hash(ike, suite, local, &source)) {
        writer_fail(&o->w);
        return;
    }
    if (force) {
        source.octets[0] ^= 0xff;
    }
    ikev1_write_payload(&o->chain, natd_type(kind), ikev1_hash_slice(&destination));
    ikev1_write_payload(&o->chain, natd_type(kind), ikev1_hash_slice(&source));
}

void ikev1_natd_read(const struct ikev1_message *m, const struct ikev1_ike *ike,
                     const struct suite *suite, enum ikev1_natt_kind kind, struct ikev1_natd *out)
{
    struct ikev1_hash_value ours;
    struct ikev1_hash_value theirs;
    struct slice body;

    memset(out, 0, sizeof(*out));
    if (kind == IKEV1_NATT_NONE || !natd_hash(ike, suite, &m->local, &ours) ||
        !natd_hash(ike, suite, &m->peer, &theirs)) {
        return;
    }
    /* The first is about who receives, all others about who sends. */
    for (size_t i = 0; ikev1_message_find(m, natd_type(kind), i, &body); i++) {
        if (i == 0) {
            out->destination_seen = true;
            out->destination_matched = slice_equal(body, ikev1_hash_slice(&ours));
        } else {
            out->source_seen = true;
            out->source_matched |= slice_equal(body, ikev1_hash_slice(&theirs));
        }
    }
}
