/*
 * What a capture looks like as a file: pcapng with one interface for each SA and direction, outer
 * packets with all their headers, clear ones as they are, and a comment with the verdict.
 */
#ifndef SEKISHO_SEKISHOD_CAPTURE_FILE_H
#define SEKISHO_SEKISHOD_CAPTURE_FILE_H

#include "base/bytes.h"
#include "dataplane/tap.h"

#define CAPTURE_INTERFACES_MAX 64 /* the last one stands for all that found no place */
#define CAPTURE_SITE_BYTES 64
#define CAPTURE_HEADS_BYTES 48 /* IPv6 and UDP */
/* What one packet may add, with its interface. */
#define CAPTURE_RECORD_BYTES (TAP_SNAP_BYTES + CAPTURE_HEADS_BYTES + 1024)

struct capture_interface {
    bool inbound, inner;
    uint8_t protocol;
    uint32_t spi;
};

struct capture_file {
    char site[CAPTURE_SITE_BYTES];
    uint64_t date_ms; /* to be added to the time of the data plane */
    size_t interface_count;
    struct capture_interface interfaces[CAPTURE_INTERFACES_MAX];
    uint8_t packet[TAP_SNAP_BYTES + CAPTURE_HEADS_BYTES];
};

/* Writes the head of the file. A longer name is cut. */
void capture_file_begin(struct capture_file *f, const char *site, uint64_t date_ms,
                        struct writer *w);
/* There is room for CAPTURE_RECORD_BYTES. True when its interface is new: the first packet of an
 * SA in this direction. */
bool capture_file_add(struct capture_file *f, const struct tap_record *record, struct writer *w);

#endif
