/* IPComp (RFC 3173): four octets before a payload that was compressed. */
#ifndef SEKISHO_WIRE_IPCOMP_H
#define SEKISHO_WIRE_IPCOMP_H

#include "base/bytes.h"
#include "base/text.h"

#define IPCOMP_HEAD_BYTES 4
#define IPCOMP_CPI_DEFLATE 2 /* RFC 2394: the transform, and its well-known CPI */
/* RFC 3173 3.3: well-known and reserved ones stand below, those of private use above. */
#define IPCOMP_CPI_NEGOTIATED_FIRST 256
#define IPCOMP_CPI_NEGOTIATED_LAST 61439

struct ipcomp_head {
    uint8_t next_header; /* of the payload when it is inflated */
    uint16_t cpi;
};

/* False when the four octets are not there or the CPI is zero, which no association has. */
MUST_USE bool ipcomp_read_head(struct slice packet, struct ipcomp_head *out);
void ipcomp_write_head(uint8_t at[IPCOMP_HEAD_BYTES], const struct ipcomp_head *head);

/* One line: ipcomp cpi 2 next 6 payload 100. */
void ipcomp_describe(struct slice packet, struct text *out);

#endif
