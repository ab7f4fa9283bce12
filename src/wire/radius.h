/*
 * RADIUS packets (RFC 2865 3, RFC 2866 3) and their attributes. What is secret or signed in them is
 * proto/radius's to judge; here are octets and values.
 */
#ifndef SEKISHO_WIRE_RADIUS_H
#define SEKISHO_WIRE_RADIUS_H

#include "base/address.h"
#include "base/text.h"

#define RADIUS_HEAD_BYTES 20
#define RADIUS_AUTHENTICATOR_BYTES 16
#define RADIUS_BYTES_MAX 4096
#define RADIUS_VALUE_BYTES_MAX 253

enum radius_code {
    RADIUS_ACCESS_REQUEST = 1,
    RADIUS_ACCESS_ACCEPT = 2,
    RADIUS_ACCESS_REJECT = 3,
    RADIUS_ACCOUNTING_REQUEST = 4,
    RADIUS_ACCOUNTING_RESPONSE = 5,
    RADIUS_ACCESS_CHALLENGE = 11,
};

/* RFC 2865 5, RFC 2866 5, RFC 2869 5, RFC 6911 3. */
enum radius_type {
    RADIUS_USER_NAME = 1,
    RADIUS_USER_PASSWORD = 2,
    RADIUS_CHAP_PASSWORD = 3,
    RADIUS_NAS_IP_ADDRESS = 4,
    RADIUS_NAS_PORT = 5,
    RADIUS_SERVICE_TYPE = 6,
    RADIUS_FRAMED_IP_ADDRESS = 8,
    RADIUS_FRAMED_IP_NETMASK = 9,
    RADIUS_FILTER_ID = 11,
    RADIUS_REPLY_MESSAGE = 18,
    RADIUS_STATE = 24,
    RADIUS_CLASS = 25,
    RADIUS_VENDOR_SPECIFIC = 26,
    RADIUS_SESSION_TIMEOUT = 27,
    RADIUS_IDLE_TIMEOUT = 28,
    RADIUS_CALLING_STATION_ID = 31,
    RADIUS_NAS_IDENTIFIER = 32,
    RADIUS_PROXY_STATE = 33,
    RADIUS_ACCT_STATUS_TYPE = 40,
    RADIUS_ACCT_DELAY_TIME = 41,
    RADIUS_ACCT_INPUT_OCTETS = 42,
    RADIUS_ACCT_OUTPUT_OCTETS = 43,
    RADIUS_ACCT_SESSION_ID = 44,
    RADIUS_ACCT_SESSION_TIME = 46,
    RADIUS_ACCT_INPUT_PACKETS = 47,
    RADIUS_ACCT_OUTPUT_PACKETS = 48,
    RADIUS_ACCT_TERMINATE_CAUSE = 49,
    RADIUS_ACCT_INPUT_GIGAWORDS = 52,
    RADIUS_ACCT_OUTPUT_GIGAWORDS = 53,
    RADIUS_CHAP_CHALLENGE = 60,
    RADIUS_NAS_PORT_TYPE = 61,
    RADIUS_MESSAGE_AUTHENTICATOR = 80,
    RADIUS_NAS_PORT_ID = 87,
    RADIUS_DNS_SERVER_IPV6_ADDRESS = 169,
};

#define RADIUS_VENDOR_MICROSOFT 311 /* RFC 2548 */
#define RADIUS_MS_PRIMARY_DNS_SERVER 28
#define RADIUS_MS_SECONDARY_DNS_SERVER 29

struct radius_packet {
    uint8_t code;
    uint8_t id;
    uint16_t length; /* of the packet; octets behind it are not of it */
    uint8_t authenticator[RADIUS_AUTHENTICATOR_BYTES];
    struct slice attributes; /* each of them is whole */
};

struct radius_attribute {
    uint8_t type;
    struct slice value; /* 1 to 253 octets */
};

struct radius_vendor_attribute {
    uint32_t vendor;
    uint8_t type;
    struct slice value;
};

/* False when it is no packet or an attribute is not whole. What is behind the packet's own length
 * is passed over (RFC 2865 3). */
MUST_USE bool radius_read(struct reader *r, struct radius_packet *packet);
/* One of the attributes of a packet; false at the end. */
MUST_USE bool radius_read_attribute(struct reader *attributes, struct radius_attribute *out);
/* Of the value of a Vendor-Specific attribute, in the form that RFC 2865 5.26 recommends. */
MUST_USE bool radius_read_vendor(struct reader *value, struct radius_vendor_attribute *out);

/* The head with a length that radius_write_end() puts right. */
void radius_write_begin(struct writer *w, uint8_t code, uint8_t id,
                        const uint8_t authenticator[RADIUS_AUTHENTICATOR_BYTES]);
/* An empty value is not written: there is no such attribute (RFC 2865 5). */
void radius_write_attribute(struct writer *w, uint8_t type, struct slice value);
void radius_write_number(struct writer *w, uint8_t type, uint32_t value);
void radius_write_end(struct writer *w);

const char *radius_code_name(uint8_t code); /* Access-Request; NULL: unknown */
/* One line for a person: nothing of what is hidden or signed. */
void radius_describe(const struct radius_packet *packet, struct text *out);

#endif
