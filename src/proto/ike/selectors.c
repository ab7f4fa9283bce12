/*
 * Traffic selectors as sets (RFC 7296 2.9): intersection, containment, and one way to write each
 * set.
 */
#include "proto/ike/selectors.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* Of one wire payload (RFC 7296 3.13: the count is one octet). */
#define PROPOSED_MAX 255

static int compare_numbers(unsigned a, unsigned b)
{
    return (a > b) - (a < b);
}

static int compare_all_but_addresses(const struct selector *a, const struct selector *b)
{
    int order = compare_numbers(a->addresses.first.family, b->addresses.first.family);

    order = order != 0 ? order : compare_numbers(a->protocol, b->protocol);
    order = order != 0 ? order : compare_numbers(a->port_first, b->port_first);
    return order != 0 ? order : compare_numbers(a->port_last, b->port_last);
}

static int compare_selectors(const void *left, const void *right)
{
    const struct selector *a = left;
    const struct selector *b = right;
    int order = compare_all_but_addresses(a, b);

    order = order != 0 ? order : address_compare(&a->addresses.first, &b->addresses.first);
    return order != 0 ? order : address_compare(&a->addresses.last, &b->addresses.last);
}

/* The address behind `a`; false when `a` is the last of its family. */
static bool address_next(const struct address *a, struct address *next)
{
    size_t length = address_bytes((enum family)a->family);

    *next = *a;
    for (size_t i = length; i > 0; i--) {
        if (++next->bytes[i - 1] != 0) {
            return true;
        }
    }
    return false;
}

/* `b` begins inside `a` or right behind it; b.first >= a.first. */
static bool ranges_meet(const struct range *a, const struct range *b)
{
    struct address next;

    return !address_next(&a->last, &next) || address_compare(&b->first, &next) <= 0;
}

/* A sorted list: neighbours of the same protocol and ports whose addresses touch become one. */
static size_t merge_addresses(struct selector *list, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        struct selector *last = kept > 0 ? &list[kept - 1] : NULL;

        if (last == NULL || compare_all_but_addresses(last, &list[i]) != 0 ||
            !ranges_meet(&last->addresses, &list[i].addresses)) {
            list[kept++] = list[i];
        } else if (address_compare(&list[i].addresses.last, &last->addresses.last) > 0) {
            last->addresses.last = list[i].addresses.last;
        }
    }
    return kept;
}

static size_t list_remove(struct selector *list, size_t count, size_t at)
{
    memmove(&list[at], &list[at + 1], (count - at - 1) * sizeof(*list));
    return count - 1;
}

static bool ports_touch(const struct selector *a, const struct selector *b)
{
    if (selector_is_opaque(a) || selector_is_opaque(b)) {
        return false;
    }
    return (unsigned)b->port_first <= (unsigned)a->port_last + 1 &&
           (unsigned)a->port_first <= (unsigned)b->port_last + 1;
}

/* Same addresses and protocol, ports that touch: one selector says both. */
static bool merge_ports(struct selector *a, const struct selector *b)
{
    if (a->protocol != b->protocol || !address_equal(&a->addresses.first, &b->addresses.first) ||
        !address_equal(&a->addresses.last, &b->addresses.last) || !ports_touch(a, b)) {
        return false;
    }
    a->port_first = a->port_first < b->port_first ? a->port_first : b->port_first;
    a->port_last = a->port_last > b->port_last ? a->port_last : b->port_last;
    return true;
}

/* Takes out what lies in another; joins ports. True when something changed. */
static bool merge_pairs(struct selector *list, size_t *count)
{
    bool changed = false;

    for (size_t i = 0; i < *count; i++) {
        for (size_t j = 0; j < *count;) {
            if (i != j &&
                (selector_contains(&list[i], &list[j]) || merge_ports(&list[i], &list[j]))) {
                *count = list_remove(list, *count, j);
                i -= j < i;
                changed = true;
            } else {
                j++;
            }
        }
    }
    return changed;
}

size_t selectors_canonicalise(struct selector *list, size_t count)
{
    bool changed = count > 0;

    /* Every round but the last makes the list shorter. */
    while (changed) {
        qsort(list, count, sizeof(*list), compare_selectors);
        count = merge_addresses(list, count);
        changed = merge_pairs(list, &count);
    }
    return count;
}

bool selectors_are_within(const struct selector *answer, size_t answer_count,
                          const struct selector *proposed, size_t proposed_count)
{
    struct selector all[PROPOSED_MAX] NOT_ZEROED;

    assert(proposed_count <= PROPOSED_MAX);
    if (answer_count == 0 || proposed_count == 0) {
        return false;
    }
    memcpy(all, proposed, proposed_count * sizeof(*all));
    if (proposed_count > 1) {
        proposed_count = selectors_canonicalise(all, proposed_count);
    }
    for (size_t i = 0; i < answer_count; i++) {
        bool inside = false;

        for (size_t j = 0; j < proposed_count && !inside; j++) {
            inside = selector_contains(&all[j], &answer[i]);
        }
        if (!inside) {
            return false;
        }
    }
    return true;
}

bool selectors_equal(const struct selector *a, size_t a_count, const struct selector *b,
                     size_t b_count)
{
    if (a_count == 0 || b_count == 0) {
        return a_count == b_count;
    }
    return selectors_are_within(a, a_count, b, b_count) &&
           selectors_are_within(b, b_count, a, a_count);
}

enum selectors_verdict selectors_narrow(const struct selector *offered, size_t offered_count,
                                        const struct selector *policy, size_t policy_count,
                                        struct selector *out, size_t *out_count)
{
    size_t count = 0;
    bool full = false;

    /* The initiator's first selector comes first, so it is in the result even when not all has
     * room. */
    for (size_t i = 0; i < offered_count && !full; i++) {
        for (size_t j = 0; j < policy_count && !full; j++) {
            struct selector common;

            if (!selector_intersect(&offered[i], &policy[j], &common)) {
                continue;
            }
            if (count == SELECTORS_MAX) {
                count = selectors_canonicalise(out, count);
            }
            full = count == SELECTORS_MAX;
            if (!full) {
                out[count++] = common;
            }
        }
    }
    count = selectors_canonicalise(out, count);
    *out_count = count;
    if (count == 0) {
        return SELECTORS_NONE;
    }
    if (selectors_are_within(offered, offered_count, out, count)) {
        return SELECTORS_WHOLE;
    }
    return selectors_are_within(offered, 1, out, count) ? SELECTORS_FIRST : SELECTORS_PART;
}

bool selectors_pair_at(const struct selector *local, size_t local_count,
                       const struct selector *remote, size_t remote_count, size_t index,
                       struct selector *local_out, struct selector *remote_out)
{
    for (size_t i = 0; i < local_count; i++) {
        for (size_t j = 0; j < remote_count; j++) {
            if (local[i].addresses.first.family != remote[j].addresses.first.family) {
                continue;
            }
            if (index == 0) {
                *local_out = local[i];
                *remote_out = remote[j];
                return true;
            }
            index--;
        }
    }
    return false;
}

size_t selectors_with_packet(const struct selector *packet, const struct selector *list,
                             size_t count, struct selector *out)
{
    bool covered = false;

    for (size_t i = 0; i < count; i++) {
        covered |= selector_contains(&list[i], packet);
    }
    if (covered) {
        *out++ = *packet;
    }
    memcpy(out, list, count * sizeof(*list));
    return count + (covered ? 1 : 0);
}

void selectors_describe(const struct selector *list, size_t count, struct text *out)
{
    static const size_t rest_bytes = sizeof(", and 255 more");

    for (size_t i = 0; i < count; i++) {
        char words[SELECTOR_TEXT_BYTES];

        selector_format(&list[i], words);
        size_t room = out->capacity - out->length;

        if (strlen(words) + 3 + (i + 1 < count ? rest_bytes : 0) > room) {
            text_addf(out, "%sand %zu more", i > 0 ? ", " : "", count - i);
            return;
        }
        text_add(out, i > 0 ? ", " : "");
        text_add(out, words);
    }
}
