/* Decides how a packet of the tap is written, and makes the headers that the system writes and
 * strips. */
#include "sekishod/capture_file.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "wire/ip.h"
#include "wire/pcapng.h"
#include "wire/udp.h"

#define NAT_PORT 4500
#define OUTER_TTL 64
#define MILLISECONDS 3

void capture_file_begin(struct capture_file *f, const char *site, uint64_t date_ms,
                        struct writer *w)
{
    size_t length = strlen(site);

    f->date_ms = date_ms;
    f->interface_count = 0;
    length = length < sizeof(f->site) ? length : sizeof(f->site) - 1;
    memcpy(f->site, site, length);
    f->site[length] = '\0';
    pcapng_write_section(w, slice_of_text("sekisho capture"));
}

/* ---- interfaces ---- */

static bool is_same(const struct capture_interface *a, const struct capture_interface *b)
{
    return a->inbound == b->inbound && a->inner == b->inner && a->protocol == b->protocol &&
           a->spi == b->spi;
}

static void write_interface(const struct capture_file *f, const struct capture_interface *i,
                            bool is_last, struct writer *w)
{
    char name[CAPTURE_SITE_BYTES + 64];
    struct text text = text_over(name, sizeof(name));

    text_add(&text, f->site);
    if (is_last) {
        text_add(&text, " others");
    } else if (i->spi == 0) {
        text_addf(&text, " clear %s", i->inbound ? "in" : "out");
    } else {
        text_addf(&text, " %s %s %08x%s", i->protocol == IP_PROTOCOL_AH ? "AH" : "ESP",
                  i->inbound ? "in" : "out", i->spi, i->inner ? " clear" : "");
    }
    pcapng_write_interface(w, &(struct pcapng_interface){
                                  .name = slice_of_text(name),
                                  .linktype = PCAPNG_LINKTYPE_RAW,
                                  .snap_bytes = 0,
                                  .digits = MILLISECONDS,
                              });
}

static size_t interface_of(struct capture_file *f, const struct tap_record *record,
                           struct writer *w, bool *is_new)
{
    const struct capture_interface wanted = {record->inbound, record->inner, record->protocol,
                                             record->spi};

    *is_new = false;
    for (size_t i = 0; i < f->interface_count; i++) {
        if (is_same(&f->interfaces[i], &wanted) || i + 1 == CAPTURE_INTERFACES_MAX) {
            return i;
        }
    }
    *is_new = true;
    f->interfaces[f->interface_count] = wanted;
    write_interface(f, &wanted, f->interface_count + 1 == CAPTURE_INTERFACES_MAX, w);
    return f->interface_count++;
}

/* ---- headers ---- */

static void write_ip_head(const struct tap_record *record, uint32_t payload_bytes, struct writer *w)
{
    const struct address *source = record->inbound ? &record->peer.address : &record->local.address;
    const struct address *to = record->inbound ? &record->local.address : &record->peer.address;
    bool ipv4 = record->peer.address.family == FAMILY_IPV4;
    uint32_t most = ipv4 ? UINT16_MAX - IPV4_HEAD_BYTES : UINT16_MAX;
    uint16_t bytes = (uint16_t)(payload_bytes < most ? payload_bytes : most);

    if (ipv4) {
        ipv4_write(w, &(struct ipv4_fields){
                          .source = *source,
                          .destination = *to,
                          .tos = record->tos,
                          .ttl = OUTER_TTL,
                          .protocol = record->outer_protocol,
                          .dont_fragment = record->dont_fragment || record->inbound,
                          .payload_bytes = bytes,
                      });
    } else {
        ipv6_write(w, &(struct ipv6_fields){
                          .source = *source,
                          .destination = *to,
                          .traffic_class = record->tos,
                          .hop_limit = OUTER_TTL,
                          .next_header = record->outer_protocol,
                          .payload_bytes = bytes,
                      });
    }
}

/* RFC 3948 2.1: without a checksum in IPv4; IPv6 wants one (RFC 8200 8.1). */
static void write_udp(const struct tap_record *record, struct writer *w)
{
    const struct endpoint *source = record->inbound ? &record->peer : &record->local;
    const struct endpoint *to = record->inbound ? &record->local : &record->peer;
    size_t at = w->length;
    size_t bytes = UDP_HEAD_BYTES + record->data.length;

    udp_write(w, &(struct udp_head){
                     .source = source->port,
                     .destination = to->port,
                     .length_bytes = (uint16_t)(bytes < UINT16_MAX ? bytes : UINT16_MAX),
                 });
    write_slice(w, record->data);
    if (to->address.family == FAMILY_IPV6 && bytes <= UINT16_MAX && writer_ok(w)) {
        write_u16_at(w, at + 6,
                     udp_checksum(&source->address, &to->address,
                                  (struct slice){w->data + at, w->length - at}));
    }
}

/* What goes over TCP is shown as the datagram that it would be, to the port where readers look for
 * ESP: packets of the connection itself begin and end anywhere. */
static struct tap_record as_datagram(const struct tap_record *record)
{
    struct tap_record r = *record;

    if (r.peer.tcp) {
        r.local.port = NAT_PORT;
        r.peer.port = NAT_PORT;
    }
    return r;
}

/* The whole packet, and how long it is without its end cut off. */
static struct slice whole_packet(struct capture_file *f, const struct tap_record *record,
                                 uint32_t *original_bytes)
{
    struct writer w = writer_over(f->packet, sizeof(f->packet));
    bool in_udp = record->outer_protocol == IP_PROTOCOL_UDP;

    *original_bytes = record->original_bytes;
    if (record->inner || record->has_head) {
        return record->data;
    }
    write_ip_head(record, record->original_bytes + (in_udp ? UDP_HEAD_BYTES : 0u), &w);
    size_t heads = w.length + (in_udp ? UDP_HEAD_BYTES : 0u);
    if (in_udp) {
        write_udp(record, &w);
    } else {
        write_slice(&w, record->data);
    }
    assert(writer_ok(&w));
    *original_bytes += (uint32_t)heads;
    return writer_written(&w);
}

bool capture_file_add(struct capture_file *f, const struct tap_record *record, struct writer *w)
{
    char words[512];
    struct text text = text_over(words, sizeof(words));
    bool is_new = false;

    if (record->reason == DROP_NONE) {
        text_add(&text, "passed");
    } else {
        text_addf(&text, "dropped %s: %s", drop_name(record->reason),
                  drop_sentence(record->reason));
    }
    if (!record->inner && record->peer.tcp) {
        text_addf(&text, "; in TCP between our port %u and port %u of the peer",
                  (unsigned)record->local.port, (unsigned)record->peer.port);
    }
    struct pcapng_packet packet = {
        .interface = (uint32_t)interface_of(f, record, w, &is_new),
        .time = record->at_ms + f->date_ms,
        .direction = record->inbound ? PCAPNG_INBOUND : PCAPNG_OUTBOUND,
        .comments = {slice_of_text(words)},
        .comment_count = 1,
    };
    const struct tap_record shown = as_datagram(record);

    packet.data = whole_packet(f, &shown, &packet.original_bytes);
    pcapng_write_packet(w, &packet);
    return is_new;
}
