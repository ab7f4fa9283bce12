/* What the first fragment said is what the others are matched with, against a list of all. */
#include "dataplane/fragment_ports.h"

#include "tests/support/test.h"
#include "wire/ipv6_fragment.h"

struct bed {
    struct seeded_random seeded;
    struct random_source random;
    struct fragment_ports *table;
};

static void bed_open(struct bed *b, uint64_t seed)
{
    seeded_random_init(&b->seeded, seed);
    b->random = seeded_random_source(&b->seeded);
    b->table = fragment_ports_new(&b->random);
    CHECK(b->table != NULL);
}

struct fragment {
    uint8_t family, host, protocol;
    uint16_t id, offset, source, destination;
};

/* 24 octets of payload, which begin with the ports; more follow. IPv6 fragments have a header of
 * destination options behind the Fragment header of the first. */
static size_t make(const struct fragment *f, uint8_t out[128])
{
    size_t at = f->family == FAMILY_IPV4 ? IPV4_HEAD_BYTES : IPV6_HEAD_BYTES;

    memset(out, 0, 128);
    if (f->family == FAMILY_IPV4) {
        out[0] = 0x45;
        put_u16(out + 2, 44);
        put_u16(out + 4, f->id);
        put_u16(out + 6, 0x2000 | f->offset / 8);
        out[9] = f->protocol;
        out[12] = 10;
        out[15] = f->host;
        out[16] = 10;
        put_u16(out + 10, checksum_finish(checksum_add(0, (struct slice){out, 20})));
    } else {
        struct ipv6_fragment head = {.next_header = IP_PROTOCOL_DESTINATION,
                                     .offset_bytes = f->offset,
                                     .more = true,
                                     .id = f->id};
        out[0] = 0x60;
        out[6] = IP_PROTOCOL_FRAGMENT;
        out[8] = 0x20;
        out[23] = f->host;
        out[24] = 0x20;
        ipv6_fragment_write(out + at, &head);
        at += IPV6_FRAGMENT_HEAD_BYTES;
        if (f->offset == 0) {
            out[at] = f->protocol;
            out[at + 2] = 1;
            out[at + 3] = 4;
            at += 8;
        }
        put_u16(out + 4, (uint16_t)(at + 24 - 40));
    }
    put_u16(out + at, f->source);
    put_u16(out + at + 2, f->destination);
    return at + 24;
}

static bool learn(struct bed *b, const struct fragment *f, uint64_t now_ms)
{
    uint8_t bytes[128];
    struct slice packet = {bytes, make(f, bytes)};
    struct ip_head head;

    CHECK(ip_read(packet, &head));
    return fragment_ports_learn(b->table, packet, &head, now_ms);
}

static enum fragment_ports_result find(struct bed *b, const struct fragment *f, uint64_t now_ms,
                                       struct ip_head *head)
{
    uint8_t bytes[128];
    struct slice packet = {bytes, make(f, bytes)};

    CHECK(ip_read(packet, head));
    return fragment_ports_find(b->table, packet, head, now_ms);
}

static struct fragment random_fragment(struct random_source *random, uint32_t hosts, uint32_t ids)
{
    static const uint8_t protocols[] = {IP_PROTOCOL_UDP, IP_PROTOCOL_TCP, IP_PROTOCOL_ICMPV6};

    return (struct fragment){
        .family = random_below(random, 2) == 0 ? FAMILY_IPV4 : FAMILY_IPV6,
        .host = (uint8_t)random_below(random, hosts),
        .protocol = protocols[random_below(random, 3)],
        .id = (uint16_t)random_below(random, ids),
        .offset = (uint16_t)(random_below(random, 2) * (16 + 8 * random_below(random, 9))),
        .source = (uint16_t)random_below(random, 65536),
        .destination = (uint16_t)random_below(random, 65536),
    };
}

static bool is_of_one_packet(const struct fragment *a, const struct fragment *b)
{
    return a->family == b->family && a->host == b->host && a->id == b->id &&
           (a->family == FAMILY_IPV6 || a->protocol == b->protocol);
}

struct learnt {
    struct fragment fragment;
    uint64_t at_ms;
};

static const struct learnt *latest(const struct learnt *list, size_t count,
                                   const struct fragment *f, uint64_t now_ms)
{
    uint64_t lifetime_ms =
        f->family == FAMILY_IPV4 ? FRAGMENT_PORTS_IPV4_MS : FRAGMENT_PORTS_IPV6_MS;

    for (size_t i = count; i > 0; i--) {
        if (is_of_one_packet(&list[i - 1].fragment, f)) {
            return now_ms < list[i - 1].at_ms + lifetime_ms ? &list[i - 1] : NULL;
        }
    }
    return NULL;
}

static void check_same(const struct ip_head *head, const struct fragment *first)
{
    CHECK(head->has_ports);
    CHECK_EQUAL(head->protocol, first->protocol);
    CHECK_EQUAL(head->port_source, first->source);
    if (first->protocol != IP_PROTOCOL_ICMPV6) {
        CHECK_EQUAL(head->port_destination, first->destination);
    }
}

TEST(later_fragments_find_what_the_latest_first_one_said)
{
    static struct learnt list[20000];
    size_t count = 0;
    size_t found = 0;
    uint64_t now_ms = 0;
    struct bed b;

    bed_open(&b, 1);
    for (int round = 0; round < 20000; round++) {
        struct fragment f = random_fragment(&b.random, 4, 12);
        now_ms += random_below(&b.random, 400);
        if (f.offset == 0) {
            CHECK(learn(&b, &f, now_ms));
            list[count++] = (struct learnt){f, now_ms};
            continue;
        }
        struct ip_head head;
        const struct learnt *expected = latest(list, count, &f, now_ms);
        CHECK_EQUAL(find(&b, &f, now_ms, &head),
                    expected == NULL ? FRAGMENT_PORTS_UNKNOWN : FRAGMENT_PORTS_FOUND);
        if (expected != NULL) {
            check_same(&head, &expected->fragment);
            found++;
        }
    }
    CHECK(found > 2000 && found < count);
    fragment_ports_free(b.table);
}

TEST(a_full_table_forgets_but_never_errs)
{
    static struct learnt list[20000];
    size_t count = 0;
    size_t found = 0;
    struct bed b;

    bed_open(&b, 2);
    for (int round = 0; round < 20000; round++) {
        struct fragment f = random_fragment(&b.random, 200, 65536);
        f.offset = 0;
        CHECK(learn(&b, &f, (uint64_t)round / 10));
        list[count++] = (struct learnt){f, (uint64_t)round / 10};
    }
    for (size_t i = 0; i < count; i++) {
        struct fragment f = list[i].fragment;
        struct ip_head head;
        f.offset = 64;
        if (find(&b, &f, 2000, &head) == FRAGMENT_PORTS_FOUND) {
            check_same(&head, &latest(list, count, &f, 2000)->fragment);
            found++;
        }
    }
    CHECK(found > FRAGMENT_PORTS_SETS * FRAGMENT_PORTS_WAYS * 9 / 10);
    fragment_ports_free(b.table);
}

TEST(a_first_fragment_without_ports_is_not_remembered)
{
    struct fragment f = {.family = FAMILY_IPV4, .protocol = 99, .id = 5};
    struct ip_head head;
    struct bed b;

    bed_open(&b, 3);
    CHECK(!learn(&b, &f, 1));
    f.protocol = IP_PROTOCOL_UDP;
    f.offset = 64;
    CHECK(!learn(&b, &f, 1));
    CHECK_EQUAL(find(&b, &f, 1, &head), FRAGMENT_PORTS_UNKNOWN);
    /* A TCP header of eight octets leaves the flags to the second fragment. */
    uint8_t bytes[128];
    f.protocol = IP_PROTOCOL_TCP;
    f.offset = 0;
    make(&f, bytes);
    put_u16(bytes + 2, 28);
    put_u16(bytes + 10, 0);
    put_u16(bytes + 10, checksum_finish(checksum_add(0, (struct slice){bytes, 20})));
    CHECK(ip_read((struct slice){bytes, 28}, &head));
    CHECK(head.has_ports);
    CHECK(!fragment_ports_learn(b.table, (struct slice){bytes, 28}, &head, 1));
    fragment_ports_free(b.table);
}

TEST(no_later_fragment_says_anything_about_the_head_of_a_tcp_segment)
{
    struct ip_head head;
    struct bed b;

    bed_open(&b, 4);
    for (int family = 0; family < 2; family++) {
        struct fragment f = {.family = family == 0 ? FAMILY_IPV4 : FAMILY_IPV6,
                             .protocol = IP_PROTOCOL_TCP,
                             .id = 5,
                             .source = 1,
                             .destination = 2};
        CHECK(learn(&b, &f, 1));
        f.offset = 8;
        CHECK_EQUAL(find(&b, &f, 1, &head), FRAGMENT_PORTS_REFUSED);
        f.offset = 16;
        CHECK_EQUAL(find(&b, &f, 1, &head), FRAGMENT_PORTS_FOUND);
        f.offset = 8;
        f.protocol = IP_PROTOCOL_UDP;
        f.id = 6;
        CHECK_EQUAL(find(&b, &f, 1, &head), FRAGMENT_PORTS_UNKNOWN);
        f.offset = 0;
        CHECK(learn(&b, &f, 1));
        f.offset = 8;
        CHECK_EQUAL(find(&b, &f, 1, &head), FRAGMENT_PORTS_FOUND);
    }
    fragment_ports_free(b.table);
}
