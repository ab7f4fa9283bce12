/* TCP (RFC 9293): the header, its options, and the segment size that two hosts agree on. */
#ifndef SEKISHO_WIRE_TCP_H
#define SEKISHO_WIRE_TCP_H

#include "base/address.h"

enum tcp_flag {
    TCP_FIN = 0x01,
    TCP_SYN = 0x02,
    TCP_RST = 0x04,
    TCP_PSH = 0x08,
    TCP_ACK = 0x10,
    TCP_URG = 0x20,
    TCP_ECE = 0x40,
    TCP_CWR = 0x80,
};

enum tcp_option_kind {
    TCP_OPTION_END = 0,
    TCP_OPTION_NOP = 1,
    TCP_OPTION_MSS = 2,
    TCP_OPTION_WINDOW_SCALE = 3,
    TCP_OPTION_SACK_PERMITTED = 4,
    TCP_OPTION_TIMESTAMPS = 8,
};

#define TCP_OPTIONS_BYTES_MAX 40

/* Offsets of fields for the packet path, which knows that the header is there. */
#define TCP_OFFSET_SEQUENCE 4
#define TCP_OFFSET_ACKNOWLEDGEMENT 8
#define TCP_OFFSET_FLAGS 13
#define TCP_OFFSET_WINDOW 14
#define TCP_OFFSET_CHECKSUM 16

struct tcp_head {
    uint16_t source;
    uint16_t destination;
    uint32_t sequence;
    uint32_t acknowledgement;
    uint8_t flags; /* enum tcp_flag */
    uint8_t reserved; /* the four bits behind the data offset */
    uint16_t window;
    uint16_t checksum;
    uint16_t urgent;
    uint8_t head_bytes; /* 20 to 60; write computes it from `options` */
    struct slice options;
};

/* False unless the header with all its options is there. The checksum is not looked at. */
MUST_USE bool tcp_read(struct slice segment, struct tcp_head *out);
/* Options whose length is not a multiple of four are padded with END; more than 40 bytes fail. */
void tcp_write(struct writer *w, const struct tcp_head *head);

struct tcp_option {
    uint8_t kind;
    struct slice value; /* behind kind and length */
};
/* NOP is passed over. False at the end of the list (END or no bytes left: reader_ok) and on an
 * error. */
MUST_USE bool tcp_read_option(struct reader *options, struct tcp_option *out);

/* Where the two bytes of the MSS option's value stand, from the beginning of the segment. 0 when
 * the segment is no SYN, has no such option or is damaged. */
size_t tcp_find_mss(struct slice segment);
/* Makes the MSS of a SYN at most `most` and corrects the checksum. True when it changed something.
 * `checksum_is_partial` (virtio_net_hdr: the field holds the sum of the pseudo header only) leaves
 * the checksum alone. */
bool tcp_clamp_mss(uint8_t *segment, size_t length, uint16_t most, bool checksum_is_partial);

/* Over the pseudo header and the segment, its checksum field taken as zero; at least 20 bytes. */
uint16_t tcp_checksum(const struct address *source, const struct address *destination,
                      struct slice segment);
MUST_USE bool tcp_checksum_is_right(const struct address *source, const struct address *destination,
                                    struct slice segment);

#endif
