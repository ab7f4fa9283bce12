/* IKEv2 proposals: any bytes; what is understood is written and read again to the same value. */
#include <string.h>

#include "fuzz.h"
#include "wire/ikev2.h"

static bool same_transforms(const struct ikev2_sa_payload *a, const struct ikev2_sa_payload *b)
{
    for (unsigned i = 0; i < a->transform_count; i++) {
        const struct ikev2_wire_transform *x = &a->transforms[i];
        const struct ikev2_wire_transform *y = &b->transforms[i];

        if (x->type != y->type || x->id != y->id || x->key_bits != y->key_bits ||
            y->unknown_attribute) {
            return false;
        }
    }
    return a->transform_count == b->transform_count;
}

static bool same_proposals(const struct ikev2_sa_payload *a, const struct ikev2_sa_payload *b)
{
    for (unsigned i = 0; i < a->proposal_count; i++) {
        const struct ikev2_wire_proposal *x = &a->proposals[i];
        const struct ikev2_wire_proposal *y = &b->proposals[i];

        if (x->number != y->number || x->protocol != y->protocol || x->first != y->first ||
            x->count != y->count || !slice_equal(x->spi, y->spi)) {
            return false;
        }
    }
    return a->proposal_count == b->proposal_count;
}

static void check_bounds(const struct ikev2_sa_payload *sa, struct slice body)
{
    unsigned transforms = 0;

    MUST(sa->proposal_count > 0 && sa->proposal_count <= IKEV2_PROPOSALS_MAX);
    for (unsigned i = 0; i < sa->proposal_count; i++) {
        MUST(sa->proposals[i].first == transforms);
        transforms += sa->proposals[i].count;
        MUST(sa->proposals[i].spi.length <= body.length);
    }
    MUST(transforms == sa->transform_count && transforms <= IKEV2_TRANSFORMS_MAX);
}

FUZZ(ikev2_sa, 40000)
{
    static struct ikev2_sa_payload sa;
    static struct ikev2_sa_payload again;
    static uint8_t room[65536];
    struct slice body = {data, size};
    struct writer w = writer_over(room, sizeof(room));

    if (!ikev2_read_sa(body, &sa)) {
        return 0;
    }
    check_bounds(&sa, body);
    ikev2_write_sa(&w, &sa);
    MUST(writer_ok(&w) && w.length <= size);
    MUST(ikev2_read_sa(writer_written(&w), &again));
    MUST(same_proposals(&sa, &again) && same_transforms(&sa, &again));
    return 0;
}
