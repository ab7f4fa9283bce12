/*
 * Decides which answer is owed to a request, by RFC 7296 2.25.1 and 2.25.2.
 */
#include "tests/exchange/rules.h"

#include "proto/ikev2/machine.h"
#include "tests/support/test.h"

/* Too large for the stack of each call. */
static struct ikev2_message message;

/* With strangers about there are too many: then it is one of theirs. */
static size_t place_of(struct rules *rules, uint64_t spi_i)
{
    size_t empty = RULES_IKES_MAX - 1;

    for (size_t i = 0; i < RULES_IKES_MAX; i++) {
        if (rules->ikes[i].spi_i == spi_i) {
            return i;
        }
        if (rules->ikes[i].spi_i == 0) {
            empty = i;
            break;
        }
    }
    memset(&rules->ikes[empty], 0, sizeof(rules->ikes[empty]));
    rules->ikes[empty].spi_i = spi_i;
    return empty;
}

static enum rules_request request_of(uint32_t *spi)
{
    const struct ikev2_notify_payload *rekey = ikev2_message_notify(&message, IKEV2_REKEY_SA);
    struct ikev2_delete_payload d;

    *spi = 0;
    if (message.header.exchange == IKEV2_CREATE_CHILD_SA) {
        if (rekey != NULL && rekey->spi.length == 4) {
            *spi = get_u32(rekey->spi.data);
            return RULES_REKEY_CHILD;
        }
        return message.has[IKEV2_TSI] ? RULES_NEW_CHILD : RULES_REKEY_IKE;
    }
    if (message.header.exchange != IKEV2_INFORMATIONAL || message.delete_count != 1 ||
        !ikev2_read_delete(message.deletes[0], &d)) {
        return RULES_OTHER;
    }
    if (d.protocol == PROTOCOL_IKE) {
        return RULES_CLOSE_IKE;
    }
    if (d.count != 1 || d.spi_bytes != 4) {
        return RULES_OTHER;
    }
    *spi = get_u32(d.spis.data);
    return RULES_CLOSE_CHILD;
}

static void rules_gone(struct rules *rules, uint32_t spi)
{
    if (spi != 0) {
        rules->gone[rules->gone_count++ % RULES_GONE_MAX] = spi;
    }
}

static bool is_gone(const struct rules *rules, uint32_t spi)
{
    for (size_t i = 0; i < rules->gone_count && i < RULES_GONE_MAX; i++) {
        if (rules->gone[i] == spi) {
            return true;
        }
    }
    return false;
}

static bool is_about_a_child(enum rules_request request)
{
    return request == RULES_NEW_CHILD || request == RULES_REKEY_CHILD ||
           request == RULES_CLOSE_CHILD;
}

/* `child`: the side's own SPI of the child that is asked about, 0 when there is none. */
static enum rules_owed owed_for(enum rules_request asked, uint32_t child, enum rules_request own,
                                uint32_t own_child)
{
    const bool same = child != 0 && child == own_child;

    switch (asked) {
    case RULES_NEW_CHILD:
        return own == RULES_REKEY_IKE ? RULES_TEMPORARY_FAILURE : RULES_ANYTHING;
    case RULES_REKEY_CHILD:
        if (own == RULES_REKEY_IKE || (same && own == RULES_CLOSE_CHILD)) {
            return RULES_TEMPORARY_FAILURE;
        }
        return child == 0 ? RULES_CHILD_SA_NOT_FOUND : RULES_ANYTHING;
    case RULES_CLOSE_CHILD:
        return child == 0 || (same && own == RULES_CLOSE_CHILD) ? RULES_NO_DELETE : RULES_DELETE;
    case RULES_REKEY_IKE:
        return is_about_a_child(own) ? RULES_TEMPORARY_FAILURE : RULES_ANYTHING;
    case RULES_CLOSE_IKE:
    case RULES_OTHER:
    case RULES_NONE:
        return RULES_ANYTHING;
    }
    return RULES_ANYTHING;
}

static const char *complaint(enum rules_owed owed)
{
    switch (owed) {
    case RULES_TEMPORARY_FAILURE:
        return ikev2_message_notify(&message, IKEV2_TEMPORARY_FAILURE) != NULL
                   ? NULL
                   : "TEMPORARY_FAILURE is owed";
    case RULES_CHILD_SA_NOT_FOUND:
        return ikev2_message_notify(&message, IKEV2_CHILD_SA_NOT_FOUND) != NULL ||
                       ikev2_message_notify(&message, IKEV2_TEMPORARY_FAILURE) != NULL
                   ? NULL
                   : "CHILD_SA_NOT_FOUND is owed";
    case RULES_DELETE:
        return message.delete_count > 0 ? NULL : "a Delete payload is owed";
    case RULES_NO_DELETE:
        return message.delete_count == 0 ? NULL : "no Delete payload is owed";
    case RULES_ANYTHING:
        return NULL;
    }
    return NULL;
}

const char *rules_trace(struct rules *rules, const struct ikev2_action *trace, rules_find *find,
                        const void *of)
{
    const struct ikev2_header *h = &trace->trace.header;
    const bool response = (h->flags & IKEV2_FLAG_RESPONSE) != 0;

    if (trace->trace.retransmitted ||
        (h->exchange != IKEV2_CREATE_CHILD_SA && h->exchange != IKEV2_INFORMATIONAL)) {
        return NULL;
    }
    message.header = *h;
    message.first = trace->trace.first;
    message.chain = trace->trace.payloads;
    if (!ikev2_message_read(&message)) {
        return NULL; /* what an attacker of these tests sends */
    }
    size_t at = place_of(rules, h->spi_i);
    uint32_t spi = 0;

    if (response && !trace->trace.sent) {
        if (rules->ikes[at].own == RULES_CLOSE_CHILD) {
            rules_gone(rules, rules->ikes[at].own_spi);
        }
        rules->ikes[at].own = RULES_NONE;
    } else if (response) {
        enum rules_owed owed = rules->ikes[at].owed;

        rules->ikes[at].owed = RULES_ANYTHING;
        return complaint(owed);
    } else if (trace->trace.sent) {
        rules->ikes[at].own = request_of(&spi);
        rules->ikes[at].own_spi = spi;
    } else {
        enum rules_request asked = request_of(&spi);
        uint32_t child = spi == 0 ? 0 : find(of, spi);

        child = is_gone(rules, child) ? 0 : child;
        rules->ikes[at].owed = owed_for(asked, child, rules->ikes[at].own, rules->ikes[at].own_spi);
        if (asked == RULES_CLOSE_CHILD) {
            rules_gone(rules, child);
        }
    }
    return NULL;
}
