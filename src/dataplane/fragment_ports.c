/* Decides which ports a fragment has that does not carry them. */
#include "dataplane/fragment_ports.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "base/table.h"
#include "wire/ipv6_fragment.h"

#define KEY_BYTES_MAX (1 + 16 + 16 + 4 + 1)

struct remembered {
    uint64_t until_ms; /* 0: nothing */
    uint16_t port_source, port_destination;
    uint8_t protocol;
    uint8_t key_bytes;
    uint8_t key[KEY_BYTES_MAX];
};

struct fragment_ports {
    uint8_t hash_key[16];
    struct remembered sets[FRAGMENT_PORTS_SETS][FRAGMENT_PORTS_WAYS];
};

struct fragment_ports *fragment_ports_new(struct random_source *random)
{
    struct fragment_ports *table = calloc(1, sizeof(*table));

    if (table != NULL) {
        random_fill(random, table->hash_key, sizeof(table->hash_key));
    }
    return table;
}

void fragment_ports_free(struct fragment_ports *table)
{
    if (table != NULL) {
        wipe(table->hash_key, sizeof(table->hash_key));
        free(table);
    }
}

/* What makes fragments belong together (RFC 791 3.2, RFC 8200 4.5). 0: this is no fragment. */
static size_t write_key(struct slice packet, const struct ip_head *head, uint8_t key[KEY_BYTES_MAX])
{
    struct writer w = writer_over(key, KEY_BYTES_MAX);
    size_t bytes = address_bytes((enum family)head->family);
    struct ipv6_fragment ipv6;

    write_u8(&w, head->family);
    write_slice(&w, (struct slice){head->source.bytes, bytes});
    write_slice(&w, (struct slice){head->destination.bytes, bytes});
    if (head->family == FAMILY_IPV4) {
        write_u16(&w, head->id);
        write_u8(&w, head->protocol);
    } else if (ipv6_find_fragment(packet, &ipv6)) {
        /* The next headers of fragments of one packet may differ. */
        write_u32(&w, ipv6.id);
    } else {
        return 0;
    }
    assert(writer_ok(&w));
    return w.length;
}

static size_t set_of(const struct fragment_ports *table, const uint8_t *key, size_t key_bytes)
{
    return siphash24(table->hash_key, (struct slice){key, key_bytes}) % FRAGMENT_PORTS_SETS;
}

static bool is_same(const struct remembered *r, const uint8_t *key, size_t key_bytes)
{
    return r->key_bytes == key_bytes && memcmp(r->key, key, key_bytes) == 0;
}

bool fragment_ports_learn(struct fragment_ports *table, struct slice packet,
                          const struct ip_head *head, uint64_t now_ms)
{
    uint8_t key[KEY_BYTES_MAX];
    size_t key_bytes = write_key(packet, head, key);

    if (key_bytes == 0 || !head->is_fragment || head->fragment_offset > 0 || !head->has_ports) {
        return false;
    }
    /* RFC 3128: the first fragment of a TCP segment has all that a filter may look at. */
    if (head->protocol == IP_PROTOCOL_TCP &&
        head->total_bytes - head->upper_offset < TCP_HEAD_BYTES - 4) {
        return false;
    }
    struct remembered *set = table->sets[set_of(table, key, key_bytes)];
    struct remembered *place = set;

    for (size_t i = 0; i < FRAGMENT_PORTS_WAYS; i++) {
        if (is_same(&set[i], key, key_bytes)) {
            place = &set[i];
            break;
        }
        if (set[i].until_ms < place->until_ms) {
            place = &set[i];
        }
    }
    *place = (struct remembered){
        .until_ms = now_ms +
                    (head->family == FAMILY_IPV4 ? FRAGMENT_PORTS_IPV4_MS : FRAGMENT_PORTS_IPV6_MS),
        .port_source = head->port_source,
        .port_destination = head->port_destination,
        .protocol = head->protocol,
        .key_bytes = (uint8_t)key_bytes,
    };
    memcpy(place->key, key, key_bytes);
    return true;
}

/* RFC 1858 3.2: behind eight octets of a TCP header come its flags, which the first fragment alone
 * may say. */
static bool reaches_into_head(const struct ip_head *head, uint8_t protocol)
{
    return protocol == IP_PROTOCOL_TCP && head->fragment_offset < TCP_HEAD_BYTES - 4;
}

enum fragment_ports_result fragment_ports_find(const struct fragment_ports *table,
                                               struct slice packet, struct ip_head *head,
                                               uint64_t now_ms)
{
    uint8_t key[KEY_BYTES_MAX];
    size_t key_bytes = write_key(packet, head, key);

    if (key_bytes == 0 || head->fragment_offset == 0) {
        return FRAGMENT_PORTS_UNKNOWN;
    }
    const struct remembered *set = table->sets[set_of(table, key, key_bytes)];

    for (size_t i = 0; i < FRAGMENT_PORTS_WAYS; i++) {
        const struct remembered *r = &set[i];

        if (!is_same(r, key, key_bytes) || now_ms >= r->until_ms) {
            continue;
        }
        if (reaches_into_head(head, r->protocol)) {
            return FRAGMENT_PORTS_REFUSED;
        }
        head->protocol = r->protocol;
        head->port_source = r->port_source;
        head->port_destination = r->port_destination;
        head->has_ports = true;
        return FRAGMENT_PORTS_FOUND;
    }
    return FRAGMENT_PORTS_UNKNOWN;
}
