/*
 * Decides what `bypass` and `discard` mean: traffic that passes beside all tunnels, or never (RFC
 * 4301 4.4.1), by the selectors that such an entry has.
 */
#include <stdio.h>
#include <string.h>

#include "config/schema.h"

#define PROTOCOL_ICMP 1
#define PROTOCOL_ICMPV6 58

/* A statement and how far it was read. */
struct cursor {
    struct reading *r;
    const struct statement *s;
    size_t at;
};

static const struct word *here(const struct cursor *c)
{
    return c->at < c->s->count ? &c->s->words[c->at] : NULL;
}

static bool stands(const struct cursor *c, const char *word)
{
    return here(c) != NULL && is_word(here(c), word);
}

/* The place of what is here, or of the last word when nothing is. */
static struct config_place place_here(const struct cursor *c)
{
    return c->s->words[here(c) != NULL ? c->at : c->s->count - 1].place;
}

static const char such_as[] = "such as: bypass udp 53 from 10.1.0.0/16 to any";

static bool expect(struct cursor *c, const char *word)
{
    if (stands(c, word)) {
        c->at++;
        return true;
    }
    COMPLAIN(c->r, place_here(c), such_as, "here the word '%s' belongs", word);
    return false;
}

static bool take_ports(struct cursor *c, uint8_t protocol, uint16_t *first, uint16_t *last)
{
    struct complaint why;

    if (here(c) == NULL) {
        COMPLAIN(c->r, place_here(c), "such as: port 53", "'port' needs its value behind it");
        return false;
    }
    if (!value_protocol_has_ports(protocol)) {
        COMPLAIN(c->r, place_here(c), "say which protocol: bypass udp 53 from any to any",
                 "ports belong to a protocol that has them, such as tcp or udp");
        return false;
    }
    if (!value_ports(here(c)->text, first, last, &why)) {
        COMPLAIN(c->r, here(c)->place, why.advice, "%s", why.why);
        return false;
    }
    c->at++;
    return true;
}

static bool ends_addresses(const struct cursor *c)
{
    return here(c) == NULL || stands(c, "to") || stands(c, "port") || stands(c, "icmp");
}

/* 'any', or networks and ranges up to the next word of the language. */
static bool take_addresses(struct cursor *c, const struct range **out, size_t *count)
{
    size_t first = c->at;
    size_t capacity = 0;
    struct complaint why;

    while (!ends_addresses(c)) {
        c->at++;
    }
    size_t words = c->at - first;
    const struct word *word = &c->s->words[first];

    if (words == 0) {
        COMPLAIN(c->r, place_here(c), such_as, "networks or 'any' belong here");
        return false;
    }
    if (words == 1 && is_word(word, "any")) {
        return true;
    }
    struct range *list = arena_grow(c->r->arena, NULL, 0, &capacity, sizeof(*list));

    for (size_t i = 0; list != NULL && i < words; i++, word++) {
        if (*count == capacity) {
            list = arena_grow(c->r->arena, list, *count, &capacity, sizeof(*list));
        }
        if (list == NULL) {
            break;
        }
        if (is_word(word, "any")) {
            COMPLAIN(c->r, word->place, NULL, "'any' stands alone, without networks");
            return false;
        }
        if (!value_range(word->text, &list[*count], &why)) {
            COMPLAIN(c->r, word->place, why.advice, "%s", why.why);
            return false;
        }
        (*count)++;
    }
    *out = list;
    return list != NULL;
}

static bool take_octet(struct cursor *c, const char *word, bool *has, uint8_t *out)
{
    struct complaint why;
    uint64_t number;

    if (!expect(c, word)) {
        return false;
    }
    if (here(c) == NULL) {
        COMPLAIN(c->r, place_here(c), "such as: icmp type 3 code 4",
                 "'%s' needs its value behind it", word);
        return false;
    }
    if (!value_number(here(c)->text, 0, UINT8_MAX, &number, &why)) {
        COMPLAIN(c->r, here(c)->place, why.advice, "%s", why.why);
        return false;
    }
    *has = true;
    *out = (uint8_t)number;
    c->at++;
    return true;
}

static bool take_icmp(struct cursor *c, struct config_policy *p)
{
    if (!stands(c, "icmp")) {
        return true;
    }
    if (p->protocol != PROTOCOL_ICMP && p->protocol != PROTOCOL_ICMPV6) {
        COMPLAIN(c->r, here(c)->place, "such as: bypass icmp from any to any icmp type 8",
                 "a type belongs to the protocol icmp or icmpv6, and that stands in front");
        return false;
    }
    c->at++;
    return take_octet(c, "type", &p->has_icmp_type, &p->icmp_type) &&
           (!stands(c, "code") || take_octet(c, "code", &p->has_icmp_code, &p->icmp_code));
}

static bool take_protocol(struct cursor *c, struct config_policy *p, bool *has_ports)
{
    struct complaint why;

    if (stands(c, "from") || here(c) == NULL) {
        return true;
    }
    if (!value_protocol(here(c)->text, &p->protocol, &why)) {
        COMPLAIN(c->r, here(c)->place, why.advice, "%s", why.why);
        return false;
    }
    c->at++;
    if (stands(c, "from") || here(c) == NULL) {
        return true;
    }
    *has_ports = true;
    return take_ports(c, p->protocol, &p->remote_port_first, &p->remote_port_last);
}

static bool take_side(struct cursor *c, struct config_policy *p, bool local, bool has_ports)
{
    uint16_t *first = local ? &p->local_port_first : &p->remote_port_first;
    uint16_t *last = local ? &p->local_port_last : &p->remote_port_last;

    if (!expect(c, local ? "from" : "to") ||
        !(local ? take_addresses(c, &p->local, &p->local_count)
                : take_addresses(c, &p->remote, &p->remote_count))) {
        return false;
    }
    if (!stands(c, "port")) {
        return true;
    }
    if (has_ports) {
        COMPLAIN(c->r, here(c)->place, "leave one of them out",
                 "the ports stand behind the protocol already");
        return false;
    }
    c->at++;
    return take_ports(c, p->protocol, first, last);
}

static bool has_range_of(const struct range *list, size_t count, uint8_t family)
{
    bool found = count == 0;

    for (size_t i = 0; i < count; i++) {
        found = found || list[i].first.family == family;
    }
    return found;
}

static bool has_family(const struct config_policy *p, uint8_t family)
{
    return has_range_of(p->local, p->local_count, family) &&
           has_range_of(p->remote, p->remote_count, family);
}

/* Whether there can be such a packet at all. */
static void check_policy(struct reading *r, const struct config_policy *p)
{
    bool four = has_family(p, FAMILY_IPV4);
    bool six = has_family(p, FAMILY_IPV6);

    if (!four && !six) {
        COMPLAIN(r, p->place, NULL, "no packet has an IPv4 and an IPv6 address");
    } else if ((p->protocol == PROTOCOL_ICMP && !four) ||
               (p->protocol == PROTOCOL_ICMPV6 && !six)) {
        COMPLAIN(r, p->place, four ? "did you mean icmp ?" : "did you mean icmpv6 ?",
                 "IPv%d has another ICMP", four ? 4 : 6);
    } else if (p->protocol == 0 && p->local_count == 0 && p->remote_count == 0) {
        WARN(r, p->place, "name networks, or leave it out",
             "this is for all traffic, and it is asked before the sites: no tunnel carries "
             "anything");
    }
}

void take_policy(struct reading *r, const struct statement *s)
{
    struct cursor c = {r, s, 1};
    struct config_policy p = {
        .place = s->words[0].place,
        .verdict = is_word(&s->words[0], "bypass") ? CONFIG_BYPASS : CONFIG_DISCARD,
        .local_port_last = UINT16_MAX,
        .remote_port_last = UINT16_MAX,
    };
    bool has_ports = false;

    if (r->policy_count == POLICIES_MAX) {
        if (!r->told_too_many) {
            COMPLAIN(r, p.place, NULL, "more than %d policies are too many", POLICIES_MAX);
        }
        r->told_too_many = true;
        return;
    }
    if (!take_protocol(&c, &p, &has_ports) || !take_side(&c, &p, true, false) ||
        !take_side(&c, &p, false, has_ports) || !take_icmp(&c, &p)) {
        return;
    }
    if (here(&c) != NULL) {
        COMPLAIN(r, here(&c)->place, such_as, "here nothing more belongs");
        return;
    }
    check_policy(r, &p);
    if (r->policy_count == r->policy_capacity) {
        void *larger = arena_grow(r->arena, r->policies, r->policy_count, &r->policy_capacity,
                                  sizeof(*r->policies));
        if (larger == NULL) {
            return;
        }
        r->policies = larger;
    }
    r->policies[r->policy_count++] = p;
}

/* ---- writing ---- */

static void write_side(struct sheet *out, const char *word, const struct range *list, size_t count)
{
    sheet_addf(out, " %s", word);
    for (size_t i = 0; i < count; i++) {
        char text[RANGE_TEXT_BYTES];
        sheet_addf(out, " %s", range_format(&list[i], text));
    }
    sheet_add(out, count == 0 ? " any" : "");
}

static void write_side_ports(struct sheet *out, uint16_t first, uint16_t last)
{
    char text[VALUE_TEXT_BYTES];
    const char *ports = value_ports_text(first, last, text);

    sheet_addf(out, "%s%s", ports[0] == '\0' ? "" : " port", ports);
}

void write_policies(const struct schema_word *w, const struct shown *shown)
{
    struct sheet *out = shown->out;
    char text[VALUE_TEXT_BYTES];

    (void)w;
    for (size_t i = 0; i < shown->config->policy_count; i++) {
        const struct config_policy *p = &shown->config->policies[i];
        sheet_add(out, p->verdict == CONFIG_BYPASS ? "bypass" : "discard");
        if (p->protocol != 0) {
            sheet_addf(out, " %s", value_protocol_text(p->protocol, text));
        }
        write_side(out, "from", p->local, p->local_count);
        write_side_ports(out, p->local_port_first, p->local_port_last);
        write_side(out, "to", p->remote, p->remote_count);
        write_side_ports(out, p->remote_port_first, p->remote_port_last);
        if (p->has_icmp_type) {
            sheet_addf(out, " icmp type %u", (unsigned)p->icmp_type);
        }
        if (p->has_icmp_code) {
            sheet_addf(out, " code %u", (unsigned)p->icmp_code);
        }
        sheet_add(out, "\n");
    }
}

void write_nothing(const struct schema_word *w, const struct shown *shown)
{
    (void)w;
    (void)shown;
}
